"""Where the size of a pixel is known, a picture is segmented at the same scale however finely it was taken."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as PillowImage

from sac import hub
from sac.config import LIMITS, NUCLEUS, SACConfig
from sac.errors import OptionError
from sac.images import Image
from sac.inference.scale import KNOWN_SCALES, USUAL, diameters, estimate_scale
from sac.inference.segment import segment
from sac.ui.examples import generated_field


@pytest.fixture(scope="module")
def nuclei():
    return hub.load("nuclei")


def resized(pixels, factor):
    side = [round(length * factor) for length in pixels.shape[1::-1]]
    return np.array(PillowImage.fromarray(pixels).resize(side, PillowImage.Resampling.BICUBIC))


def test_finer_and_coarser_pixels_end_at_the_same_size_of_nuclei(nuclei):
    field = generated_field(side=384, count=60).pixels
    microns = NUCLEUS / nuclei.config.diameter  # a large nucleus has the model's diameter: no scaling at first
    scales = {factor: estimate_scale(nuclei, resized(field, factor), microns / factor) for factor in (0.5, 1, 2)}
    assert [scale * factor for factor, scale in scales.items()] == pytest.approx([scales[1]] * 3, rel=0.2)
    assert scales[0.5] > 1.6 * scales[1] > 1.6**2 * scales[2]


@pytest.mark.parametrize("microns, first", [(0.25, 1.0), (0.5, 2.0), (1.0, 4.0), (0.125, 0.5), (20.0, KNOWN_SCALES[1])])
def test_without_nuclei_the_size_of_a_pixel_alone_decides(nuclei, microns, first):
    empty = np.full((64, 64, 3), 30, np.uint8)
    assert estimate_scale(nuclei, empty, microns) == first
    assert estimate_scale(nuclei, empty) == 1.0


def test_what_a_checkpoint_looks_for_may_be_larger_than_a_nucleus(nuclei, monkeypatch):
    """Of four times the size, four times less magnified; its size in tile pixels is another matter."""
    empty = np.full((64, 64, 3), 30, np.uint8)
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={"microns": 4 * NUCLEUS}))
    assert estimate_scale(nuclei, empty, 1.0) == 1.0


def test_of_what_is_larger_the_usual_size_of_a_pixel_is_the_first_guess(nuclei, monkeypatch):
    """Tissue at 20 times: without it, a picture would first be looked at as it is."""
    empty = np.full((64, 64, 3), 30, np.uint8)
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={"microns": 4 * NUCLEUS}))
    assert estimate_scale(nuclei, empty) == estimate_scale(nuclei, empty, USUAL) == 0.5  # 24 px of 48 µm, twice


@pytest.mark.parametrize("microns, scale", [(1.0, 2.0), (0.5, 1.0), (None, 1.0), (0.25, 0.5)])
def test_of_one_scale_nothing_is_measured(nuclei, monkeypatch, microns, scale):
    field = generated_field(side=384, count=60).pixels
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={"one_scale": True}))  # 24 px of 12 µm
    assert estimate_scale(nuclei, field, microns) == scale
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={}))
    assert estimate_scale(nuclei, field, 1.0) != 2.0


@pytest.mark.parametrize("microns, said", [(None, "0.5"), (0.5, "0.5"), (0.25, "0.25"), (1.0, "1")])
def test_of_one_scale_it_is_said_for_what_pixels_that_is_right(nuclei, monkeypatch, microns, said):
    field = Image("field", generated_field(side=128, count=6).pixels, microns)
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={"one_scale": True}))
    notes = segment(field, nuclei).notes
    assert f"that is right where a pixel is {said} µm: give its size if it is another" in notes
    monkeypatch.setattr(nuclei, "config", replace(nuclei.config, provenance={}))
    assert "right" not in " ".join(segment(field, nuclei).notes)


@pytest.mark.parametrize("said", ["large", None, True, float("nan"), 0, 1e9, [12]])
def test_a_size_that_is_none_is_refused(said):
    with pytest.raises(OptionError, match="not a size in µm"):
        SACConfig(provenance={"microns": said})


def test_a_large_picture_is_not_magnified_beyond_what_a_picture_may_have(nuclei, monkeypatch):
    monkeypatch.setattr("sac.inference.scale.LIMITS", type(LIMITS)(pixels=64 * 64 * 4))
    assert estimate_scale(nuclei, np.full((64, 64, 3), 30, np.uint8), 1.0) == 2.0


def test_diameters_are_those_of_discs_of_the_same_area():
    y, x = np.mgrid[:64, :64]
    depth = (10 - np.hypot(y - 30, x - 34)).clip(0, None)
    disc = np.stack([depth > 0, depth / 10]).astype(np.float32)
    assert diameters([disc]) == pytest.approx([2 * np.sqrt((depth > 0).sum() / np.pi)], rel=0.05)
    rippled = (disc * np.stack([np.ones((64, 64)), 0.55 + 0.45 * np.cos(2 * np.pi * x / 10)])).astype(np.float32)
    assert len(diameters([rippled])) > 1 == len(diameters([rippled], grain=3))
    assert len(diameters([np.zeros((2, 32, 32), np.float32)])) == 0
