"""The training loop: killed at any moment and continued to the same weights, bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import Dataset

from sac.errors import TrainingError
from training.loop import KEPT_STATES, Course, Schedule, Watcher, make_accelerator, run

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
    """A network of 33 weights. `fate(step)` is called before each step, and may end it."""

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


def train(
    out: Path, lesson: Lesson, resume: bool, schedule: Schedule = SCHEDULE, watcher: Watcher | None = None
) -> dict[str, torch.Tensor]:
    run(make_accelerator(schedule.seed), Course(lesson, Points(), schedule, out), resume, watcher)
    return {name: value.clone() for name, value in lesson.state_dict().items()}


@pytest.fixture
def uninterrupted(tmp_path) -> dict[str, torch.Tensor]:
    return train(tmp_path / "whole", Lesson(0), resume=False)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def logged(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def states(out: Path) -> set[str]:
    return {p.name for p in out.glob("state-*")}


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
    assert [row["step"] for row in logged(tmp_path / "whole")] == [0, 1, 2]


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


def test_nothing_to_resume_begins_at_the_beginning(tmp_path, uninterrupted):
    assert same(train(tmp_path / "new", Lesson(0), resume=True), uninterrupted)


class Exploding(Lesson):
    def forward(self, batch, step):
        losses = super().forward(batch, step)
        return {"error": losses["error"] * float("nan")} if step == 5 else losses


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_state(tmp_path, uninterrupted):
    with pytest.raises(TrainingError, match="nan at step 6: try a learning rate below 0.05"):
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
    rows = logged(tmp_path / "whole")
    assert [row["step"] for row in rows] == list(range(8)) and "error" not in rows[0]
    assert all(row["error"] > 0 for row in rows[1:])


def test_a_resumed_log_says_each_step_once(tmp_path):
    """Steps after the last saved state are done again: the curve must not double back."""
    with pytest.raises(Interrupted):
        train(tmp_path, Lesson(0, interrupt_at(5)), resume=False)
    train(tmp_path, Lesson(99), resume=True)
    assert [row["step"] for row in logged(tmp_path)] == list(range(8))


class Ender(Watcher):
    """Says its verdict after a step; how many steps it saw is saved with the training."""

    def __init__(self, said: str, at: int):
        self.said, self.at, self.seen = said, at, 0

    def after(self, step, lesson):
        self.seen += 1
        return {"seen": self.seen}

    def verdict(self):
        return self.said if self.seen == self.at else ""

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


@pytest.mark.parametrize(
    "said, left", [("pause", {"state-2", "state-3"}), ("enough", {"state-2", "state-3"}), ("cancel", {"state-2"})]
)
def test_a_watcher_ends_it_and_it_can_go_on(tmp_path, uninterrupted, said, left):
    course = Course(Lesson(0), Points(), SCHEDULE, tmp_path)
    assert run(make_accelerator(SCHEDULE.seed), course, False, Ender(said, at=3)) == said
    assert states(tmp_path) == left
    assert same(train(tmp_path, Lesson(99), resume=True, watcher=Ender("", at=0)), uninterrupted)
    assert [row["seen"] for row in logged(tmp_path)[1:]] == list(range(1, 8))


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


# kill -9


def kill_myself() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def trained_to_death(out: str, moment: str) -> None:
    """What the child process runs: it dies in step 5, or while the state of step 4 is being written."""
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
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert states(out) == left
    assert same(train(out, Lesson(99), resume=True), uninterrupted)
    assert states(out) == {"state-6", "state-7"}
