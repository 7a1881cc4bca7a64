"""Tiles that are not learnt from: the same for a seed, at the scale that is learnt, marked as by the metrics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sac import hub
from sac.errors import CheckpointError
from sac.inference.segment import segment_embedded
from sac.metrics import score
from training.augment import Zoom, median_diameter
from training.datasets.sample import Sample
from training.exam import TILES, Exam, Marks
from training.lesson import NucleiLesson


def test_an_exam_is_the_same_for_the_same_seed(samples):
    first, second, other = (Exam(samples, Zoom(24.0), 128, seed) for seed in (3, 3, 4))
    assert len(first) == TILES
    assert all(np.array_equal(a.image, b.image) for a, b in zip(first.tiles, second.tiles))
    assert all(np.array_equal(a.labels, b.labels) for a, b in zip(first.tiles, second.tiles))
    assert any(not np.array_equal(a.image, b.image) for a, b in zip(first.tiles, other.tiles))


def test_tiles_are_spread_over_the_samples(samples):
    named = [replace(samples[0], name=str(n)) for n in range(11)]
    assert [tile.name for tile in Exam(named, Zoom(24.0), 64, 0).tiles] == ["0", "2", "4", "6", "8", "10"]
    assert {tile.name for tile in Exam(samples, Zoom(24.0), 64, 0).tiles} == {"sample-0", "sample-1"}


def test_nothing_to_look_at_is_an_empty_exam():
    assert len(Exam([], Zoom(24.0), 128, 0)) == 0


def test_tiles_have_the_diameter_that_is_learnt(samples):
    """Discs of 24 pixels, asked for at 48."""
    (tile, *_) = Exam(samples, Zoom(48.0), 320, 0).tiles
    assert tile.image.shape == (320, 320, 3) and tile.labels.shape == (320, 320)
    assert median_diameter(tile.labels) == pytest.approx(48, rel=0.05)


def test_a_picture_without_nuclei_is_a_tile_too(sac):
    empty = Sample("empty", np.full((90, 90, 3), 60, np.uint8), np.zeros((90, 90), np.int32))
    exam = Exam([empty], Zoom(24.0), sac.config.tile, 0)
    assert len(exam) == TILES and np.isfinite(exam.look(NucleiLesson(sac, 0), 0).loss)


def test_marks_are_those_of_what_was_found(samples):
    sac = hub.load("nuclei")
    exam = Exam(samples, Zoom(sac.config.diameter), sac.config.tile, 0)
    marks = exam.look(NucleiLesson(sac, 0), 1)
    truth, found = exam.tiles[1].labels > 0, exam.found[1] > 0
    assert exam.found[0] is None and found.any()
    assert marks.dice == 2 * (truth & found).sum() / (truth.sum() + found.sum())
    assert marks.msa == score(exam.tiles[1].labels, exam.found[1]).msa
    assert exam.look(NucleiLesson(sac, 0), 1) == marks


def test_a_perfect_answer_has_full_marks(sac, samples, monkeypatch):
    exam = Exam(samples, Zoom(sac.config.diameter), sac.config.tile, 0)
    answer = type("Answer", (), {"labels": exam.tiles[0].labels * 3})
    monkeypatch.setattr("training.exam.segment_embedded", lambda *_: answer)
    marks = exam.look(NucleiLesson(sac, 0), 0)
    assert (marks.dice, marks.msa) == (1, 1)


def test_a_decoder_that_doubts_all_its_masks_is_looked_at_by_them(sac, samples, monkeypatch):
    def sought(sac, embedding, options):
        asked.append(options.certainty)
        return segment_embedded(sac, embedding, options)

    asked, exam = [], Exam(samples[:1], Zoom(sac.config.diameter), sac.config.tile, 0)
    monkeypatch.setattr("training.exam.segment_embedded", sought)
    exam.look(NucleiLesson(sac, 0), 0)
    assert asked == [0.0] and sac.config.certainty > 0


@pytest.mark.parametrize("learning", [True, False])
def test_a_look_leaves_no_trace(new_sac, samples, learning):
    sac = new_sac()
    lesson = NucleiLesson(sac, 0).train(learning)
    before = {name: value.clone() for name, value in lesson.state_dict().items()}
    state = torch.get_rng_state()
    Exam(samples[:1], Zoom(sac.config.diameter), sac.config.tile, 0).look(lesson, 0)
    assert lesson.training is learning and sac.mask_decoder.training is learning
    assert all(torch.equal(value, before[name]) for name, value in lesson.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert all(w.grad is None for w in lesson.parameters()) and any(w.requires_grad for w in lesson.parameters())


def test_the_mean_of_marks():
    assert Marks.mean([Marks(1.0, 0.2, 0.0), Marks(3.0, 0.4, 1.0)]).to_json() == {"loss": 2, "dice": 0.3, "msa": 0.5}


@pytest.mark.parametrize("part", ["generator.", "mask_decoder.", "lora_"])
def test_weights_that_overflow_are_said_or_marked(new_sac, samples, part):
    """A map of NaN would be searched for summits for ever."""
    sac = new_sac()
    with torch.no_grad():
        for name, weight in sac.named_parameters():
            if part in name and weight.requires_grad:
                weight.fill_(1e30)
    exam = Exam(samples[:1], Zoom(sac.config.diameter), sac.config.tile, 0)
    try:
        marks = exam.look(NucleiLesson(sac, 0), 0)
    except CheckpointError as error:
        assert part != "mask_decoder." and "map is not finite" in str(error)
    else:
        assert part == "mask_decoder." and 0 <= marks.msa <= marks.dice < 1
