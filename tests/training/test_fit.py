"""Fitting a real, small SAC: it learns two pictures by heart, goes on where it stopped, and keeps its best weights."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from kills import interrupt
from torch.utils.data import default_collate

from sac import hub
from sac.config import NUCLEUS, SACConfig
from sac.errors import TrainingError
from sac.inference.segment import segment
from training import embeddings as embedding
from training import outcome
from training.augment import Zoom
from training.cards import sac_card
from training.crops import Crops
from training.datasets.division import Pieces, divide
from training.exam import Exam, Marks
from training.fit import Split, fit, provenance
from training.lesson import NucleiLesson
from training.options import FitOptions, Task
from training.outcome import Compared, Outcome
from training.places import CANCEL, EMBEDDINGS, LOG, PAUSE
from training.start import begin
from training.thresholds import Readings

pytestmark = pytest.mark.usefixtures("no_trace", "short_exams")
SMALL = {"generator_widths": (8, 16), "rank": 2}
OPTIONS = FitOptions(steps=4, batch=1, prompts=4, generator_steps=1, save_every=2, look_every=100, hold_out=0)
TASK = Task(OPTIONS, SMALL, "mine", ("two discs",), "fit --data discs")


def task(**options) -> Task:
    """The small task with other options; one that starts somewhere takes its shape from there."""
    return replace(TASK, options=replace(OPTIONS, **options), changes={} if options.get("start") else SMALL)


def silent(said: str) -> None:
    pass


def fitted(out, whole, asked: Task, resume: bool = False):
    return fit(out, whole, asked, resume, told=silent)


def weights(folder) -> dict[str, torch.Tensor]:
    return hub.load(str(folder)).state_dict()


def different(one: dict, other: dict) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def logged(out) -> list[dict]:
    return [json.loads(line) for line in (out / LOG).read_text().splitlines()]


def shown(whole, sac, options: FitOptions) -> Crops:
    return Crops(Pieces(whole, divide(whole.survey.facts, 0)[0]), Zoom(sac.config.diameter), sac.config.tile, options)


HINTED = 1
"""A step that gives the decoder the generator's map, which is noise before training."""


@torch.no_grad()
def losses(sac, crops: Crops) -> dict[str, float]:
    batch = default_collate([crops[k] for k in range(4)])
    return {name: value.item() for name, value in NucleiLesson(sac.eval(), 0)(batch, HINTED).items()}


def learnt(whole, asked: Task, out) -> tuple[dict[str, float], dict[str, float]]:
    """Losses on crops that the training saw, before and after it."""
    torch.manual_seed(0)
    sac = begin("", asked.changes)
    crops = shown(whole, sac, asked.options)
    fitted(out, whole, asked)
    return losses(sac, crops), losses(hub.load(str(out)), crops)


def mark(monkeypatch, *msa: float) -> None:
    """Validation tiles that are worth, look by look, what is said here."""
    told = iter(msa)
    monkeypatch.setattr(Exam, "look", lambda self, lesson, n: _found(self, n) or Marks(1.0, 0.5, next(told)))


def _found(exam: Exam, number: int) -> None:
    exam.found[number] = np.zeros_like(exam.tiles[number].labels)


# Learning


def test_two_pictures_are_learnt_by_the_generator(two, tmp_path):
    before, after = learnt(two, task(steps=40, prompts=2, generator_steps=40, learning_rate=0.01), tmp_path)
    assert after["generator"] < 0.7 * before["generator"]


def test_two_pictures_are_learnt_by_the_decoder(two, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "begin", lambda sac: sac)  # one that has seen scenes knows such pictures already
    before, after = learnt(two, task(steps=12, generator_steps=0, learning_rate=3e-3), tmp_path)
    assert after["mask"] < 0.6 * before["mask"]
    assert after["iou"] < 0.6 * before["iou"]


def test_one_image_trains_and_a_strip_of_it_is_held_out(one, checkpoint, tmp_path):
    found = fitted(tmp_path, one, task(start=str(checkpoint), hold_out=0.1, steps=2, generator_steps=-1))
    assert found.verdict == "done" and [image.name for image in found.outcome.images] == ["sample-0"]
    assert (tmp_path / "held_out.txt").read_text() == ""  # it learnt the rest of it


# Stopping and going on


def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(two, tmp_path, monkeypatch):
    fitted(tmp_path / "whole", two, TASK)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt(patched, NucleiLesson, at=3)
        fitted(tmp_path / "cut", two, TASK)
    fitted(tmp_path / "cut", two, TASK, resume=True)
    whole = weights(tmp_path / "whole")
    assert different(whole, weights(tmp_path / "cut")) == []
    changed = different(whole, hub.new(SACConfig(**SMALL)).state_dict())
    assert changed and all("lora_" in n or n.startswith(("generator.", "mask_decoder.")) for n in changed)


def test_it_ends_early_with_its_best_weights_and_so_does_one_that_was_resumed(two, tmp_path, monkeypatch):
    """A look after each step. Best after the second; two without a gain end it after the fourth."""
    asked = task(steps=9, generator_steps=0, look_every=1, patience=2, hold_out=0.1, save_every=1)
    marks = {0: 0.1, 1: 0.2, 2: 0.6, 3: 0.5, 4: 0.6}
    both = [m for step in marks for m in (0.0, marks[step])]  # a training tile, then one for validation
    with monkeypatch.context() as patched:
        mark(patched, *both)
        assert fitted(tmp_path / "whole", two, asked).verdict == "enough"
    rows = logged(tmp_path / "whole")
    assert [row["round"] for row in rows] == list(marks.values()) and rows[-1]["best"] == 0.6
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        mark(patched, *both)
        interrupt(patched, NucleiLesson, at=3)
        fitted(tmp_path / "cut", two, asked)
    with monkeypatch.context() as patched:
        mark(patched, *both[8:])
        assert fitted(tmp_path / "cut", two, asked, resume=True).verdict == "enough"
    assert different(weights(tmp_path / "whole"), weights(tmp_path / "cut")) == []
    with monkeypatch.context() as patched:
        mark(patched, *both[:2], *both[:4], *both[:6])
        interrupt(patched, NucleiLesson, at=2)
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path / "best", two, asked)
    (state,) = (tmp_path / "best").glob("state-2")
    best = torch.load(state / "custom_checkpoint_0.pkl", weights_only=True)["weights"]
    kept = weights(tmp_path / "whole")
    for name, weight in best.items():
        assert torch.equal(kept[name.removeprefix("sac.")], weight.half().float())


def test_what_never_gains_ends_in_the_weights_it_began_with(two, checkpoint, tmp_path, monkeypatch):
    asked = task(start=str(checkpoint), hold_out=0.1, look_every=1, patience=1, generator_steps=-1)
    with monkeypatch.context() as patched:
        mark(patched, *[0.5] * 8)
        found = fitted(tmp_path, two, asked)
    assert found.verdict == "enough" and found.outcome.gain() == 0
    assert len(logged(tmp_path)) == 2 and different(weights(tmp_path), weights(checkpoint)) == []


@pytest.mark.parametrize("flag, verdict, states", [(PAUSE, "pause", 1), (CANCEL, "cancel", 0)])
def test_a_user_stops_it_and_may_resume_it(two, tmp_path, monkeypatch, flag, verdict, states):
    forward = NucleiLesson.forward

    def asked_to_stop(self, batch, step):
        (tmp_path / flag).touch()
        return forward(self, batch, step)

    with monkeypatch.context() as patched:
        patched.setattr(NucleiLesson, "forward", asked_to_stop)
        assert fitted(tmp_path, two, TASK).verdict == verdict
    assert len(list(tmp_path.glob("state-*"))) == states and not (tmp_path / hub.CONFIG).exists()
    (tmp_path / flag).unlink()
    assert fitted(tmp_path, two, TASK, resume=True).verdict == "done" and (tmp_path / hub.CONFIG).exists()


@pytest.mark.parametrize("start", ["", "checkpoint"])
def test_the_highest_learning_rate_ends_in_words_or_no_better(two, checkpoint, tmp_path, start):
    asked = task(
        start=start and str(checkpoint), steps=12, generator_steps=0, learning_rate=0.1, look_every=3, hold_out=0.1
    )
    try:
        found = fitted(tmp_path, two, asked)
    except TrainingError as error:
        assert "try a learning rate below 0.1" in str(error)
    else:
        assert all(torch.isfinite(value).all() for value in weights(tmp_path).values())
        assert found.outcome is None if not start else np.isfinite(found.outcome.gain())


# The quick mode


def test_the_quick_mode_embeds_once_and_leaves_the_encoder(two, checkpoint, tmp_path, monkeypatch):
    monkeypatch.setattr(embedding, "POOL", 4)
    monkeypatch.setattr("training.crops.POOL", 4)
    asked = task(start=str(checkpoint), quick=True, generator_steps=0, steps=3, save_every=1)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        interrupt(patched, NucleiLesson, at=2)
        fitted(tmp_path, two, asked)
    written = (tmp_path / EMBEDDINGS).stat()
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "_embedded", None)  # would fail, were it called
        fitted(tmp_path, two, asked, resume=True)
    assert (tmp_path / EMBEDDINGS).stat().st_mtime_ns == written.st_mtime_ns
    changed = different(weights(tmp_path), weights(checkpoint))
    assert {name.split(".")[0] for name in changed} == {"generator", "mask_decoder"}
    fitted(tmp_path, two, asked)  # another training in the same folder
    assert (tmp_path / EMBEDDINGS).stat().st_mtime_ns > written.st_mtime_ns


# What is left


def test_a_checkpoint_that_loads_is_written_with_its_card(two, tmp_path):
    found = fitted(tmp_path / "out", two, task(steps=1, licence="cc0-1.0"))
    assert (found.verdict, found.outcome) == ("done", None)
    loaded = hub.load(str(tmp_path / "out"))
    assert (loaded.config.rank, loaded.config.generator_widths) == (2, (8, 16))
    source = loaded.config.provenance
    assert (source["data"], source["images"], source["held_out"], source["seed"]) == (["two discs"], 2, 0, 0)
    assert "license: cc0-1.0" in (tmp_path / "out" / hub.CARD).read_text()
    assert (tmp_path / "out" / "held_out.txt").read_text() == ""


def test_the_card_has_figures_and_no_folder_of_this_machine(two, checkpoint, tmp_path):
    out = tmp_path / "out"
    found = fitted(out, two, task(start=str(checkpoint), hold_out=0.1, steps=1, generator_steps=-1))
    card, stored = (out / hub.CARD).read_text(), (out / hub.CONFIG).read_text()
    figures = found.outcome.figures()
    assert "| | dice | aji | pq | msa |" in card
    for when in ("before", "after"):
        assert f"| {when} | {' | '.join(f'{value:.3f}' for value in figures[when].values())} |" in card
    assert json.loads(stored)["provenance"]["figures"] == figures
    assert "| started from | before |" in card and "trained before | `fit --data cells`" in card
    written = [p.read_text() for p in out.iterdir() if p.suffix in (".json", ".md", ".txt")]
    assert len(written) >= 5
    assert not any(str(place) in text for text in written for place in (checkpoint, tmp_path, Path.home()))


def test_provenance_keeps_what_came_before():
    named = [replace(TASK, data=data, command=f"fit {n}") for n, data in enumerate([("a",), ("b", "a"), ("b",)])]
    first = provenance({}, named[0], Split(9, 1), None)
    second = provenance(first, named[1], Split(5, 0), None)
    third = provenance(second, named[2], Split(5, 0), None)
    assert (first["data"], first["before"], first["held_out"], first["start"]) == (["a"], [], 1, "")
    assert (third["data"], third["images"], third["start"]) == (["a", "b"], 5, "mine")
    assert third["before"] == ["fit 0", "fit 1"] and third["command"] == "fit 2"
    card = sac_card("mine", SACConfig(provenance=third))
    assert card.count("| trained before |") == 2 and "Figures" not in card


@pytest.mark.parametrize(
    "name, told, other", [("microns", 80.0, 12.0), ("finds", "glands", "nuclei"), ("one_scale", True, True)]
)
def test_what_is_looked_for_and_its_size_are_handed_down_until_others_are_told(name, told, other):
    def taught(before, **options):
        return provenance(before, replace(TASK, options=replace(OPTIONS, **options)), Split(9, 1), None)

    first = taught({}, **{name: told})
    assert first[name] == taught(first)[name] == told
    assert taught(first, **{name: other})[name] == other
    assert name not in taught({})


def test_a_checkpoint_says_from_where_on_it_keeps_masks_and_parts_nuclei(two, tmp_path, monkeypatch):
    found = {"certainty": 0.25, "prominence": 0.15}
    monkeypatch.setattr(Readings, "best", lambda read, without=None: found if len(read.marks) == 2 else {})
    fitted(tmp_path / "first", two, task(hold_out=0.1, steps=1, generator_steps=-1))
    first = hub.config_of(str(tmp_path / "first"))
    assert (first.certainty, first.prominence) == (0.25, 0.15)
    assert "below 0.25 it is dropped" in (tmp_path / "first" / "README.md").read_text()
    fitted(tmp_path / "second", two, task(start=str(tmp_path / "first"), hold_out=0, steps=1, generator_steps=-1))
    second = hub.config_of(str(tmp_path / "second"))
    assert (second.certainty, second.prominence) == (0.25, 0.15)


def test_no_image_is_measured_by_thresholds_that_it_asked_for(two, checkpoint, tmp_path, monkeypatch):
    read = []

    def seen(image, sac, options):
        read.append(options.certainty)
        return segment(image, sac, options)

    asked = {None: 0.3, 0: 0.1, 1: 0.2}
    monkeypatch.setattr(Readings, "best", lambda marks, without=None: {"certainty": asked[without], "prominence": 0.2})
    monkeypatch.setattr(outcome, "segment", seen)
    out = tmp_path / "out"
    fitted(out, two, task(start=str(checkpoint), hold_out=0.1, steps=1, generator_steps=-1))
    assert read == [0.5, 0.1, 0.5, 0.2] and hub.config_of(str(out)).certainty == 0.3
    assert "thresholds found on the others alone" in (out / hub.CARD).read_text()


def test_strips_are_not_called_images_that_were_held_out(tmp_path, one, checkpoint):
    found = fitted(tmp_path, one, task(start=str(checkpoint), hold_out=0.1, steps=1, generator_steps=-1))
    card = (tmp_path / hub.CARD).read_text()
    assert "| images of it | 1, of 1 of them all but a strip |" in card
    assert "Means over strips of 1 image(s) that it learnt the rest of" in card
    assert (tmp_path / "held_out.txt").read_text() == "" and "(1 image, or parts of them)" in found.outcome.sentence


def test_the_card_says_what_is_looked_for():
    taught = provenance({}, replace(TASK, options=replace(OPTIONS, finds="glands", microns=80.0)), Split(9, 1), None)
    card = sac_card("mine", SACConfig(provenance=taught, diameter=40.0))
    assert "scaled so that glands are about 40 pixels wide" in card and "lora, glands, microscopy" in card
    alike = sac_card("mine", SACConfig(provenance=taught | {"one_scale": True}, diameter=40.0))
    assert "scaled alike, to 2 µm a pixel" in alike and "pixels wide" not in alike


def test_before_and_after_are_each_compared_at_the_size_that_they_look_for(one, checkpoint, tmp_path, monkeypatch):
    sizes = []

    def seen(image, sac, options):
        sizes.append(sac.config.microns)
        return segment(image, sac, options)

    monkeypatch.setattr(outcome, "segment", seen)
    fitted(tmp_path, one, task(start=str(checkpoint), hold_out=0.1, steps=1, generator_steps=-1, microns=80.0))
    assert sizes == [NUCLEUS, 80.0] and hub.config_of(str(tmp_path)).microns == 80.0


def test_a_start_that_is_a_folder_without_a_title_is_called_by_its_name():
    started = replace(TASK, options=replace(OPTIONS, start="/home/ada/cells/run"))
    assert provenance({}, started, Split(1, 0), None)["start"] == "run"
    named = replace(TASK, options=replace(OPTIONS, start="ada/cells"))
    assert provenance({}, named, Split(1, 0), None)["start"] == "ada/cells"


def test_figures_of_the_card_are_those_of_the_outcome():
    row = dict.fromkeys(("dice", "aji", "pq", "msa"), 0.25)
    told = provenance({}, TASK, Split(3, 1), Outcome((Compared("a", row, {**row, "msa": 0.5}),)))
    card = sac_card("mine", SACConfig(provenance=told))
    assert "| before | 0.250 | 0.250 | 0.250 | 0.250 |\n| after | 0.250 | 0.250 | 0.250 | 0.500 |" in card
