"""How certain a mask must be, and what parts two nuclei: found on what was held out, where that says it clearly."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sac import hub
from sac.config import SACConfig
from sac.inference.compare import generator_alone
from sac.inference.segment import embed_image, segment
from sac.ui.examples import generated_field
from training.datasets.sample import Sample
from training.thresholds import CERTAINTIES, PROMINENCES, Readings, thresholds


@pytest.fixture
def nuclei():
    """One of one's own."""
    return hub.load("nuclei")


@pytest.fixture
def fields(nuclei):
    """Pictures whose truth is what the checkpoint finds there as it is."""
    made = [generated_field(seed, side=256, count=30) for seed in range(3)]
    return [Sample(f"{seed}", field.pixels, segment(field, nuclei).labels) for seed, field in enumerate(made)]


def doubting(sac, by: float):
    """The same SAC, whose predicted IoUs are lower by as much."""
    with torch.no_grad():
        sac.mask_decoder.iou_prediction_head.layers[-1].bias -= by
    return sac


def test_one_that_judges_its_masks_well_keeps_its_own(nuclei, fields):
    found = thresholds(nuclei, fields)
    assert found == {"certainty": 0.5, "prominence": nuclei.config.prominence}


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_one_that_doubts_its_masks_is_asked_for_less(nuclei, fields, scale):
    least = thresholds(doubting(nuclei, 0.4), fields, scale)["certainty"]
    assert least in CERTAINTIES and least < 0.5
    told = replace(nuclei.config, provenance={"certainty": least})
    assert told.options().certainty == told.options(mode="semantic").certainty == least
    assert told.options(certainty=0.9).certainty == 0.9


@pytest.mark.parametrize("count", [0, 1])
def test_one_picture_says_nothing_sure(nuclei, fields, count):
    own = {"certainty": 0.45, "prominence": 0.15}
    doubting(nuclei, 0.4).config = replace(nuclei.config, provenance=own)
    assert thresholds(nuclei, fields[:count]) == own


def test_a_checkpoint_segments_with_its_own(nuclei, fields):
    field = generated_field(0, side=256, count=30)
    doubting(nuclei, 0.4)
    few = len(segment(field, nuclei))
    nuclei.config = replace(nuclei.config, provenance={"certainty": 0.0})
    assert len(segment(field, nuclei)) > few


def reading(sac, prominence: float):
    """The same SAC, which parts nuclei by as much."""
    sac.config = replace(sac.config, provenance=sac.config.provenance | {"prominence": prominence})
    return sac


@pytest.mark.parametrize("decoded", [True, False])
def test_one_that_merges_neighbours_learns_to_part_them(nuclei, decoded):
    fields = [generated_field(seed, side=256, count=60) for seed in range(4)]
    reading(nuclei, 0.1)
    truths = [segment(f, nuclei).labels if decoded else mapped(f, nuclei) for f in fields]
    samples = [Sample(f"{seed}", f.pixels, truth) for seed, (f, truth) in enumerate(zip(fields, truths))]
    found = thresholds(reading(nuclei, 0.5), samples, decoded=decoded)
    assert found["prominence"] in (0.05, 0.1) and 0.1 in PROMINENCES
    assert ("certainty" in found) is decoded
    assert nuclei.config.prominence == 0.5


def mapped(field, sac):
    embedding = embed_image(field, sac, sac.config.options(), lambda share, word: None)
    return generator_alone(embedding, sac.config, sac.config.options())


def test_a_checkpoint_parts_nuclei_by_its_own_prominence(nuclei):
    field = generated_field(3, side=256, count=60)
    many = len(segment(field, reading(nuclei, 0.1)))
    assert many > len(segment(field, reading(nuclei, 0.5)))


def test_what_is_tried_does_not_stay_where_the_trial_fails(nuclei, fields, monkeypatch):
    def failing(truth, found):
        raise MemoryError

    own = nuclei.config
    monkeypatch.setattr("training.thresholds.score", failing)
    with pytest.raises(MemoryError):
        thresholds(nuclei, fields)
    assert nuclei.config is own


def test_an_image_is_measured_by_what_the_others_say():
    at_two_and_five = np.array([[[2.0, 1.0]], [[2.0, 1.0]], [[1.0, 4.0]]])  # the first two gain by .2, the third by .5
    read = Readings(at_two_and_five, [0.2], [0.2, 0.5], SACConfig())
    assert read.best()["certainty"] == 0.5
    assert [read.best(without=number)["certainty"] for number in range(3)] == [0.5, 0.5, 0.2]


def test_one_of_two_is_measured_by_the_usual_thresholds():
    read = Readings(np.array([[[2.0, 1.0]], [[2.0, 1.0]]]), [0.2], [0.2, 0.5], SACConfig())
    assert (read.best()["certainty"], read.best(without=0)["certainty"]) == (0.2, 0.5)
