"""How certain a mask must be: found on what was held out, where that surely says another than the checkpoint does."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sac import hub
from sac.inference.segment import segment
from sac.ui.examples import generated_field
from training.certainty import TRIED, least_certainty
from training.datasets.sample import Sample


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
    assert least_certainty(nuclei, fields) == 0.5


@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_one_that_doubts_its_masks_is_asked_for_less(nuclei, fields, scale):
    least = least_certainty(doubting(nuclei, 0.4), fields, scale)
    assert least in TRIED and least < 0.5
    told = replace(nuclei.config, provenance={"certainty": least})
    assert told.options().certainty == told.options(mode="semantic").certainty == least
    assert told.options(certainty=0.9).certainty == 0.9


@pytest.mark.parametrize("count", [0, 1])
def test_one_picture_says_nothing_sure(nuclei, fields, count):
    doubting(nuclei, 0.4).config = replace(nuclei.config, provenance={"certainty": 0.45})
    assert least_certainty(nuclei, fields[:count]) == 0.45


def test_a_checkpoint_segments_with_its_own(nuclei, fields):
    field = generated_field(0, side=256, count=30)
    doubting(nuclei, 0.4)
    few = len(segment(field, nuclei))
    nuclei.config = replace(nuclei.config, provenance={"certainty": 0.0})
    assert len(segment(field, nuclei)) > few
