"""The training loop: killed at any moment and continued to the same weights, bit for bit."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import Dataset

from sac.errors import TrainingError
from training import loop
from training.disk import FULL
from training.loop import Course, Part, Schedule, Watcher, make_accelerator, run
from training.states import KEPT_STATES

ROOT = Path(__file__).resolve().parents[2]
SCHEDULE = Schedule(steps=7, batch=2, learning_rate=0.05, warmup=2, seed=3, save_every=2)
pytestmark = pytest.mark.usefixtures("no_trace")


class Points(Dataset):
    """Example k is a function of k: a point and whether it lies in the unit circle."""

    def __len__(self) -> int:
        return 1000

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        point = np.random.default_rng(k).uniform(-1.5, 1.5, 2).astype(np.float32)
        return {"point": point, "inside": np.float32(np.hypot(*point) < 1)}


class Lesson(nn.Module):
    """A network of 33 weights. `fate(done)` is called before each step with the number of those done; may end it."""

    def __init__(self, seed: int, fate=lambda step: None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.layers = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
        self.fate, self.seen = fate, []

    def forward(self, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        self.fate(step)
        self.seen.append((step, len(batch["point"])))
        guess = self.layers(batch["point"])[:, 0].float()
        return {"error": nn.functional.binary_cross_entropy_with_logits(guess, batch["inside"])}


class Interrupted(Exception):
    pass


def interrupt_at(last: int):
    def fate(step: int) -> None:
        if step == last:
            raise Interrupted

    return fate


class Stopper(Watcher):
    """Says `word` after step `last`, and remembers which steps it saw."""

    def __init__(self, last: int = -1, word: str = ""):
        self.last, self.word = last, word
        self.seen, self.said = [], ""

    def begins(self, lesson):
        return {"weight": lesson.layers[0].weight[0, 0].item()}

    def after(self, step, lesson):
        self.seen.append(step)
        self.said = self.word if step == self.last else ""
        return {"watched": len(self.seen)}

    def verdict(self):
        return self.said

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def teach(out: Path, lesson: nn.Module, resume: bool, watcher: Watcher | None = None) -> str:
    return run(make_accelerator(SCHEDULE.seed), Course(lesson, Points(), SCHEDULE, out), resume, watcher)


def train(out: Path, lesson: Lesson, resume: bool, schedule: Schedule = SCHEDULE) -> dict[str, torch.Tensor]:
    assert run(make_accelerator(schedule.seed), Course(lesson, Points(), schedule, out), resume) == "done"
    return weights(lesson)


def weights(lesson: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in lesson.state_dict().items()}


def rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def uninterrupted(tmp_path) -> dict[str, torch.Tensor]:
    return train(tmp_path / "whole", Lesson(0), resume=False)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def states(out: Path) -> set[str]:
    return {p.name for p in out.glob("state-*")}


class Pair(nn.Module):
    """Two networks that share no loss; that of the second is `steepness` times as steep."""

    def __init__(self, steepness: float):
        super().__init__()
        self.calm, self.steep, self.steepness = Lesson(0), Lesson(1), steepness

    def forward(self, batch: dict[str, torch.Tensor], step: int) -> dict[str, torch.Tensor]:
        calm, steep = self.calm(batch, step)["error"], self.steep(batch, step)["error"]
        return {"calm": calm, "steep": self.steepness * steep}


def test_a_network_apart_learns_as_it_would_alone(tmp_path, uninterrupted):
    def calm(*parts: Part) -> dict[str, torch.Tensor]:
        pair, out = Pair(steepness=1e4), tmp_path / f"parts-{len(parts)}"
        run(make_accelerator(SCHEDULE.seed), Course(pair, Points(), SCHEDULE, out, parts), resume=False)
        return weights(pair.calm)

    assert same(calm(Part("calm.")), uninterrupted)
    assert not same(calm(), uninterrupted)


def test_a_part_learns_at_its_own_pace(tmp_path, uninterrupted):
    def taught(pace: float, rate: float) -> dict[str, torch.Tensor]:
        lesson, schedule = Lesson(0), replace(SCHEDULE, learning_rate=rate)
        course = Course(lesson, Points(), schedule, tmp_path / f"{pace}-{rate}", (Part("", pace),))
        run(make_accelerator(schedule.seed), course, resume=False)
        return weights(lesson)

    assert same(taught(1.0, SCHEDULE.learning_rate), uninterrupted)
    slow = taught(2.0, SCHEDULE.learning_rate / 2)
    assert all(torch.allclose(slow[name], value, atol=1e-6) for name, value in uninterrupted.items())
    assert not same(taught(2.0, SCHEDULE.learning_rate), uninterrupted)


def test_a_state_from_before_there_were_paces_is_gone_on_with(tmp_path, uninterrupted):
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(5)), resume=False)
    (newest,) = tmp_path.glob("state-4/optimizer.bin")
    state = torch.load(newest)
    assert [group.pop("pace") for group in state["param_groups"]] == [1.0]
    torch.save(state, newest)
    assert same(train(tmp_path, Lesson(99), resume=True), uninterrupted)


def test_a_state_that_adamw_saved_is_gone_on_with(tmp_path, monkeypatch):
    """With what it has not: which weights are no matrices by themselves."""

    def teach_on(lesson: Lesson, resume: bool) -> None:
        course = Course(lesson, Points(), SCHEDULE, tmp_path, (Part("layers.0", whole=False),))
        run(make_accelerator(SCHEDULE.seed), course, resume)

    def of_adamw(groups, rate):
        groups = [{"params": group["params"], "pace": group["pace"]} for group in groups]
        return torch.optim.AdamW(groups, lr=rate, weight_decay=0.01)

    with monkeypatch.context() as before, pytest.raises(Interrupted):
        before.setattr(loop, "optimizer_of", of_adamw)
        teach_on(Lesson(0, interrupt_at(5)), resume=False)
    saved = torch.load(tmp_path / "state-4" / "optimizer.bin")["param_groups"]
    assert not any("use_fallback" in group or "momentum" in group for group in saved)
    lesson = Lesson(99)
    teach_on(lesson, resume=True)
    assert [step for step, _ in lesson.seen] == [4, 5, 6]
    assert all(value.isfinite().all() for value in weights(lesson).values())
    saved = torch.load(tmp_path / "state-7" / "optimizer.bin")["param_groups"]
    assert [group["use_fallback"] for group in saved] == [True, False]


def test_matrices_and_all_else_learn_at_their_own_rates():
    matrix, filters, bias = (nn.Parameter(torch.ones(shape)) for shape in ((8, 6), (8, 3, 3, 3), (8,)))
    optimizer = loop.optimizer_of([{"params": [matrix, filters, bias]}], rate=0.01)
    generator = torch.Generator().manual_seed(0)
    for weight in (matrix, filters, bias):
        weight.grad = torch.randn(weight.shape, generator=generator)
    optimizer.step()
    for weight in (matrix, filters):  # every direction is as long as any other, as long as AdamW would make them all
        update = (1 - loop.MATRICES * 1e-4 - weight.detach()).flatten(1)
        lengths = torch.linalg.svdvals(update) / (loop.MATRICES * 0.01 * 0.2 * max(update.shape) ** 0.5)
        assert ((0.6 < lengths) & (lengths < 1.3)).all(), lengths
    assert (bias - 1).abs().max() < 3 * 0.01


def test_a_state_of_other_parts_is_not_gone_on_with(tmp_path):
    pair = Pair(steepness=1.0)
    run(make_accelerator(SCHEDULE.seed), Course(pair, Points(), SCHEDULE, tmp_path), resume=False)
    with pytest.raises(TrainingError, match="of another training"):
        run(make_accelerator(SCHEDULE.seed), Course(pair, Points(), SCHEDULE, tmp_path, (Part("calm."),)), resume=True)


def test_training_is_repeatable_and_changes_the_weights(tmp_path, uninterrupted):
    assert same(train(tmp_path / "again", Lesson(0), resume=False), uninterrupted)
    assert not same(Lesson(0).state_dict(), uninterrupted)
    assert not same(train(tmp_path / "other", Lesson(1), resume=False), uninterrupted)


@pytest.mark.parametrize("step", [0, 1, 2, 3, 5, 6])
def test_interrupted_and_resumed_is_uninterrupted(tmp_path, uninterrupted, step):
    """Whatever step it stopped at, and although it goes on from other weights in memory once a state was saved."""
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(step)), resume=False)
    begun = Lesson(0 if step < SCHEDULE.save_every else 99)
    assert same(train(tmp_path, begun, resume=True), uninterrupted)
    assert begun.seen[0] == (step // 2 * 2, 2)


def test_interrupted_twice_is_uninterrupted(tmp_path, uninterrupted):
    for step in (3, 5):
        with pytest.raises(Interrupted):
            train(tmp_path, Lesson(0, interrupt_at(step)), resume=step > 3)
    assert same(train(tmp_path, Lesson(0), resume=True), uninterrupted)


def test_resuming_a_finished_training_changes_nothing(tmp_path, uninterrupted):
    lesson = Lesson(99)
    assert same(train(tmp_path / "whole", lesson, resume=True), uninterrupted)
    assert lesson.seen == []


def test_without_resume_old_states_are_gone(tmp_path, uninterrupted):
    train(tmp_path / "whole", Lesson(1), resume=False, schedule=replace(SCHEDULE, steps=2))
    assert states(tmp_path / "whole") == {"state-2"}
    assert [row["step"] for row in rows(tmp_path / "whole")] == [0, 1, 2]


def test_only_the_last_two_states_are_kept(tmp_path, uninterrupted):
    assert KEPT_STATES == 2
    assert states(tmp_path / "whole") == {"state-6", "state-7"}


def test_states_are_ordered_by_number_not_by_name(tmp_path):
    schedule = replace(SCHEDULE, steps=11, save_every=1)
    train(tmp_path, Lesson(0), False, schedule)
    assert states(tmp_path) == {"state-10", "state-11"}


def test_half_written_state_is_ignored(tmp_path, uninterrupted):
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(5)), resume=False)
    (tmp_path / "state-6.partial").mkdir()
    (tmp_path / "state-6.partial" / "model.safetensors").write_bytes(b"half of it")
    assert same(train(tmp_path, Lesson(99), resume=True), uninterrupted)
    assert states(tmp_path) == {"state-6", "state-7"}


def test_what_is_only_called_like_a_state_is_not_ours(tmp_path, uninterrupted):
    (tmp_path / "state-of-the-art").mkdir()
    (tmp_path / "state-3").write_text("a note")
    assert same(train(tmp_path, Lesson(0), resume=True), uninterrupted)
    assert same(train(tmp_path, Lesson(0), resume=False), uninterrupted)
    assert states(tmp_path) == {"state-6", "state-7", "state-of-the-art", "state-3"}


def test_nothing_to_resume_begins_at_the_beginning(tmp_path, uninterrupted):
    assert same(train(tmp_path / "new", Lesson(0), resume=True), uninterrupted)


class Exploding(Lesson):
    def forward(self, batch, step):
        losses = super().forward(batch, step)
        return {"error": losses["error"] * float("nan")} if step == 5 else losses


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path, uninterrupted):
    with pytest.raises(TrainingError, match="nan at step 6"):
        train(tmp_path, Exploding(0), resume=False)
    assert states(tmp_path) == {"state-2", "state-4"}
    assert same(train(tmp_path, Lesson(99), resume=True), uninterrupted)


class Steep(Lesson):
    """Its loss stays finite, and its gradient does not: the slope of a root at zero."""

    def forward(self, batch, step):
        losses = super().forward(batch, step)
        return losses | {"root": (self.layers[2].bias * 0).sqrt().sum()} if step == 5 else losses


def test_a_gradient_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path, uninterrupted):
    lesson = Steep(0)
    with pytest.raises(TrainingError, match="gradient became .* at step 6: try a learning rate below 0.05"):
        train(tmp_path, lesson, resume=False)
    assert states(tmp_path) == {"state-2", "state-4"}
    assert all(torch.isfinite(value).all() for value in lesson.state_dict().values())
    assert same(train(tmp_path, Lesson(99), resume=True), uninterrupted)


def test_every_step_is_logged_once(tmp_path, uninterrupted):
    begun, *steps = rows(tmp_path / "whole")
    assert begun == {"step": 0}
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert all(row["error"] > 0 for row in steps)


def test_a_resumed_log_says_each_step_once(tmp_path):
    """Steps after the last saved state are done again: the curve must not double back."""
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(5)), resume=False)
    train(tmp_path, Lesson(99), resume=True)
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_a_log_that_was_cut_in_a_line_goes_on(tmp_path):
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(5)), resume=False)
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "err')
    train(tmp_path, Lesson(99), resume=True)
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_rate_warms_up_then_falls_to_zero():
    schedule = Schedule(steps=110, learning_rate=2.0, warmup=10)
    assert [schedule.rate(s) for s in (0, 4, 9)] == pytest.approx([0.2, 1.0, 2.0])
    assert [schedule.rate(s) for s in (10, 60, 110)] == pytest.approx([2.0, 1.0, 0.0])


def test_frozen_weights_stay(tmp_path):
    lesson = Lesson(0)
    lesson.layers[0].requires_grad_(False)
    trained = train(tmp_path, lesson, resume=False)
    assert torch.equal(trained["layers.0.weight"], Lesson(0).layers[0].weight)
    assert not torch.equal(trained["layers.2.weight"], Lesson(0).layers[2].weight)


def test_frozen_weights_are_not_in_a_state(tmp_path):
    """Nor are they taken from it: what is frozen comes with the base, and may be of 2.5 GB."""
    lesson = Lesson(0)
    lesson.layers[0].requires_grad_(False)
    train(tmp_path, lesson, resume=False)
    assert set(load_file(tmp_path / "state-6" / "model.safetensors")) == {"layers.2.weight", "layers.2.bias"}
    other = Lesson(99)
    other.layers[0].requires_grad_(False)
    frozen = other.layers[0].weight.clone()
    resumed = train(tmp_path, other, resume=True)
    assert torch.equal(resumed["layers.2.weight"], lesson.layers[2].weight)
    assert torch.equal(resumed["layers.0.weight"], frozen)


def test_buffers_are_in_a_state(tmp_path):
    """Running means are not learnt by gradient, but change."""
    lessons = [Lesson(seed) for seed in (0, 99)]
    for lesson in lessons:
        lesson.layers.insert(1, nn.BatchNorm1d(8))
    train(tmp_path, lessons[0], resume=False)
    train(tmp_path, lessons[1], resume=True)
    assert lessons[0].layers[1].running_mean.abs().max() > 0
    assert same(weights(lessons[0]), weights(lessons[1]))


@pytest.mark.parametrize("width", [0, 6])
def test_the_state_of_another_lesson_is_refused_in_words(tmp_path, uninterrupted, width):
    other = Lesson(0)
    if width:  # weights of the same names and another shape, as LoRA of another rank has them
        other.layers[0], other.layers[2] = nn.Linear(2, width), nn.Linear(width, 1)
    else:
        other.layers[2].requires_grad_(False)
    with pytest.raises(TrainingError, match="the saved state is of another training"):
        teach(tmp_path / "whole", other, resume=True)
    assert states(tmp_path / "whole") == {"state-6", "state-7"}


# watchers


def test_a_watcher_is_asked_and_its_words_are_logged(tmp_path):
    watcher = Stopper()
    assert teach(tmp_path, Lesson(0), False, watcher) == "done"
    assert watcher.seen == [1, 2, 3, 4, 5, 6, 7]
    begun, *steps = rows(tmp_path)
    assert begun == {"step": 0, "weight": Lesson(0).layers[0].weight[0, 0].item()}
    assert [row["watched"] for row in steps] == [1, 2, 3, 4, 5, 6, 7]


def test_watching_changes_no_weight(tmp_path, uninterrupted):
    lesson = Lesson(0)
    teach(tmp_path / "watched", lesson, False, Stopper())
    assert same(weights(lesson), uninterrupted)


def test_a_watchers_state_goes_back_with_the_trainings(tmp_path):
    """It saw step 5, which is lost with the interruption and done again: it remembers it once."""
    with pytest.raises(Interrupted):
        teach(tmp_path, Lesson(0, interrupt_at(5)), False, Stopper())
    watcher = Stopper()
    teach(tmp_path, Lesson(99), True, watcher)
    assert watcher.seen == [1, 2, 3, 4, 5, 6, 7]
    assert [row["watched"] for row in rows(tmp_path)[1:]] == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "word, left", [("pause", {"state-2", "state-3"}), ("enough", {"state-2", "state-3"}), ("cancel", {"state-2"})]
)
def test_a_verdict_ends_the_training(tmp_path, word, left):
    """After step 3, when no state was due: to go on from there one is saved, unless it is cancelled."""
    lesson = Lesson(0)
    assert teach(tmp_path, lesson, False, Stopper(3, word)) == word
    assert [step for step, _ in lesson.seen] == [0, 1, 2]
    assert states(tmp_path) == left
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3]


@pytest.mark.parametrize("word", ["pause", "cancel"])
@pytest.mark.parametrize("step", [1, 3, 4, 7])
def test_stopped_and_resumed_is_uninterrupted(tmp_path, uninterrupted, word, step):
    assert teach(tmp_path, Lesson(0), False, Stopper(step, word)) == word
    begun = Lesson(0 if (word, step) == ("cancel", 1) else 99)
    assert same(train(tmp_path, begun, resume=True), uninterrupted)
    assert [row["step"] for row in rows(tmp_path)] == [0, 1, 2, 3, 4, 5, 6, 7]


def test_who_is_stopped_before_the_first_step_takes_none(tmp_path):
    watcher, lesson = Stopper(), Lesson(0)
    watcher.said = "pause"
    assert teach(tmp_path, lesson, False, watcher) == "pause"
    assert lesson.seen == [] and states(tmp_path) == set()
    assert same(weights(lesson), weights(Lesson(0)))


# a full disk


FILL = """
import sys; sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_loop import full_disk
full_disk(Path(sys.argv[3]))
"""
MOUNT = 'mount -t tmpfs -o size=1m tmpfs "$0" && exec "$@"'


def full_disk(out: Path) -> None:
    """What the child process runs, with `out` on a disk of 1 MB: filled at step 3, made free again, resumed."""
    try:
        train(out, Lesson(0, lambda step: fill(out) if step == 3 else None), resume=False)
    except TrainingError as error:
        assert str(error) == FULL, error
    else:
        raise AssertionError("the disk was never full")
    assert states(out) == {"state-2"}
    (out / "ballast").unlink()
    torch.save(train(out, Lesson(99), resume=True), out / "resumed.pt")
    assert same(torch.load(out / "resumed.pt"), train(out / "whole", Lesson(0), resume=False))


def fill(out: Path) -> None:
    """Leaves 4 KB: enough for a line of the log, too little for a state."""
    with (out / "ballast").open("wb", buffering=0) as ballast:
        while os.statvfs(out).f_bavail * os.statvfs(out).f_frsize > 4096:
            ballast.write(bytes(4096))


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here, which mounts a small disk")
def test_a_full_disk_is_told_and_the_last_state_stays_whole(tmp_path):
    if subprocess.run(
        ["unshare", "-rm", "sh", "-c", MOUNT, str(tmp_path), "true"], capture_output=True, check=False
    ).returncode:
        pytest.skip("this user may not mount a small disk")
    child = [sys.executable, "-c", FILL, str(ROOT), str(Path(__file__).parent), str(tmp_path)]
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", MOUNT, str(tmp_path), *child],
        capture_output=True,
        check=False,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_while_a_state_is_flushed_is_told(tmp_path, uninterrupted, monkeypatch, number):
    """Some file systems only say so when what was written is to reach the disk."""
    out, flush = tmp_path / "full", os.fsync

    def full(handle: int) -> None:
        if (out / "state-4.partial").exists():
            raise OSError(number, os.strerror(number))
        flush(handle)

    with monkeypatch.context() as patched, pytest.raises(TrainingError, match=FULL):
        patched.setattr(os, "fsync", full)
        train(out, Lesson(0), resume=False)
    assert states(out) == {"state-2"}
    assert same(train(out, Lesson(99), resume=True), uninterrupted)


# kill -9


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def trained_to_death(out: str, moment: str) -> None:
    """What the child process runs: it dies after 5 steps, or while the state of step 4 is being written."""
    if moment == "step":
        train(Path(out), Lesson(0, lambda step: kill_myself() if step == 5 else None), resume=False)
    else:
        flush = os.fsync
        os.fsync = lambda file: kill_myself() if (Path(out) / "state-4.partial").exists() else flush(file)
        train(Path(out), Lesson(0), resume=False)


@pytest.mark.parametrize("moment, left", [("step", {"state-2", "state-4"}), ("save", {"state-2", "state-4.partial"})])
def test_killed_and_resumed_is_uninterrupted(tmp_path, uninterrupted, moment, left):
    child = "import sys; sys.path[:0] = sys.argv[1:3]; import test_loop; test_loop.trained_to_death(*sys.argv[3:])"
    out = tmp_path / "killed"
    command = [sys.executable, "-c", child, str(ROOT), str(Path(__file__).parent), str(out), moment]
    done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert states(out) == left
    assert same(train(out, Lesson(99), resume=True), uninterrupted)
    assert states(out) == {"state-6", "state-7"}
