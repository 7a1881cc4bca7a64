"""Crops: labels stay on their nuclei, whatever is done to the image."""

from __future__ import annotations

from dataclasses import replace
from math import pi, sqrt

import numpy as np
import pytest
from scipy import ndimage

from sac.config import SACConfig
from sac.inference.scale import USUAL
from sac.model.sam import PIXEL_MEAN
from training.augment import Zoom, crop, is_coloured, median_diameter, place, recolour
from training.datasets.sample import Sample

GROUND, INK = (20, 20, 20), (235, 235, 235)


def _sample(height: int = 150, width: int = 130, ground=GROUND, ink=INK) -> Sample:
    """An L of light squares, numbered with gaps, so that no turn or flip looks like another."""
    labels = np.zeros((height, width), np.int32)
    for number, (y, x) in {2: (15, 15), 3: (60, 15), 7: (110, 15), 20: (110, 70), 21: (110, 90)}.items():
        labels[y : y + 20, x : x + 20] = number
    image = np.where((labels > 0)[..., None], np.uint8(ink), np.uint8(ground)).astype(np.uint8)
    return Sample("L", image, labels)


def _agree(image: np.ndarray, labels: np.ndarray) -> None:
    """Light where labelled and dark where not, except on the very border, which is resampled."""
    light = image[..., 1] > 128
    assert light[ndimage.binary_erosion(labels > 0)].all()
    assert not light[~ndimage.binary_dilation(labels > 0)].any()


@pytest.mark.parametrize("scale", [0.4, 0.5, 1.0, 1.3, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(3))
def test_labels_lie_on_their_nuclei(scale, seed):
    image, labels = place(np.random.default_rng(seed), _sample(), scale, 96)
    assert image.shape == (96, 96, 3) and labels.shape == (96, 96)
    image = np.where((image == np.round(PIXEL_MEAN)).all(axis=2)[..., None], 0, image)  # beside the sample
    _agree(image, labels)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_nuclei_are_scaled(scale):
    """A square of 20 pixels becomes one of 20 * scale."""
    labels = np.zeros((64, 64), np.int32)
    labels[22:42, 22:42] = 1
    _, found = place(np.random.default_rng(0), Sample("s", np.zeros((64, 64, 3), np.uint8), labels), scale, 128)
    assert sqrt((found > 0).sum()) == pytest.approx(20 * scale, abs=1)


def test_what_lies_beside_a_small_image_is_the_mean_colour():
    sample = Sample("s", np.full((30, 40, 3), 200, np.uint8), np.ones((30, 40), np.int32))
    image, labels = place(np.random.default_rng(0), sample, 1.0, 64)
    assert (image[:30, :40] == 200).all() and (labels[:30, :40] == 1).all()
    beside = np.ones((64, 64), bool)
    beside[:30, :40] = False
    assert (image[beside] == [124, 116, 104]).all() and not labels[beside].any()


@pytest.mark.parametrize("seed", range(25))
def test_crop_keeps_labels_on_their_nuclei(seed):
    """Through turn, flip, stain and noise: nuclei stay far lighter than the ground."""
    image, labels = crop(np.random.default_rng(seed), _sample(), Zoom(20.0), 96)
    assert image.shape == (96, 96, 3) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert labels.shape == (96, 96) and labels.dtype == np.int32
    inside = ndimage.binary_erosion(labels > 0, iterations=2)
    outside = ~ndimage.binary_dilation(labels > 0, iterations=2)
    if not inside.any():
        assert (image[outside] < 128).mean() > 0.9
        return
    assert image[inside].mean() - image[outside].mean() > 60


@pytest.mark.parametrize("seed", range(10))
def test_crop_numbers_its_nuclei_from_one(seed):
    _, labels = crop(np.random.default_rng(seed), _sample(), Zoom(20.0), 96)
    numbers = np.unique(labels)
    assert numbers.tolist() == list(range(len(numbers)))


def test_crop_inside_one_nucleus_has_number_one():
    sample = Sample("s", np.full((300, 300, 3), 90, np.uint8), np.full((300, 300), 6, np.int32))
    _, labels = crop(np.random.default_rng(0), sample, Zoom(300.0), 32)
    assert (labels == 1).all()


def test_crop_is_a_function_of_the_generator():
    first, second, other = (crop(np.random.default_rng(seed), _sample(), Zoom(20.0), 96) for seed in (1, 1, 2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert not np.array_equal(first[0], other[0])


def _magnified(zoom: Zoom, sample: Sample) -> np.ndarray:
    """What 60 crops of a sample with a disc are magnified to."""
    own = median_diameter(sample.labels)
    crops = (crop(np.random.default_rng(seed), sample, zoom, 128)[1] for seed in range(60))
    return np.array([median_diameter(labels) / own for labels in crops])


def test_images_are_magnified_alike_where_they_are_said_to_be():
    """Large and small nuclei keep their ratio; each by its own size, they lose it."""
    y, x = np.mgrid[:40, :40]
    small, large = (
        Sample("s", np.full((40, 40, 3), 90, np.uint8), (np.hypot(y - 20, x - 20) < radius).astype(np.int32))
        for radius in (5, 15)
    )
    alike = [_magnified(Zoom(24.0, own=16.0), sample) for sample in (small, large)]
    assert [np.median(found) for found in alike] == pytest.approx([1.5, 1.5], rel=0.12)
    assert all(found.std() / found.mean() < 0.3 for found in alike)
    each = [np.median(_magnified(Zoom(24.0), sample)) for sample in (small, large)]
    assert each[0] > 1.5 * each[1]


def test_a_zoom_is_as_a_checkpoint_magnifies_at_work():
    labels = np.zeros((40, 40), np.int32)
    labels[:20, :20] = 1
    measured, alike = (
        Zoom.at_work(SACConfig(diameter=40.0, provenance={"microns": 72.0, "one_scale": one})) for one in (False, True)
    )
    sample = Sample("s", np.zeros((40, 40, 3), np.uint8), labels)
    empty, fine = replace(sample, labels=np.zeros_like(labels)), replace(sample, microns=USUAL / 2)
    assert measured.of(sample) == measured.of(fine) == pytest.approx(40 / median_diameter(labels))
    assert alike.of(sample) == alike.of(empty) == pytest.approx(40 / (72 / USUAL))
    assert alike.of(fine) == pytest.approx(alike.of(sample) / 2)
    assert measured.of(empty) == 0


@pytest.mark.parametrize("size", [(60, 60), (10, 400), (1, 1)])
def test_sample_without_nuclei_is_cropped(size):
    sample = Sample("empty", np.full((*size, 3), 77, np.uint8), np.zeros(size, np.int32))
    for seed in range(5):
        image, labels = crop(np.random.default_rng(seed), sample, Zoom(24.0), 64)
        assert image.shape == (64, 64, 3) and not labels.any()


def test_crop_leaves_the_sample_as_it_was():
    sample = _sample()
    image, labels = sample.image.copy(), sample.labels.copy()
    crop(np.random.default_rng(0), sample, Zoom(20.0), 96)
    assert np.array_equal(sample.image, image) and np.array_equal(sample.labels, labels)


def test_median_diameter_by_hand():
    """Areas 100, 400 and 400 pixels: the disc of 400 has diameter sqrt(1600 / pi)."""
    labels = np.zeros((60, 60), np.int32)
    labels[:10, :10], labels[20:40, :20], labels[20:40, 30:50] = 1, 4, 9
    assert median_diameter(labels) == pytest.approx(sqrt(1600 / pi))
    assert median_diameter(np.zeros((5, 5), np.int32)) == 0


def test_colour_is_told_from_grey():
    assert not is_coloured(np.full((8, 8, 3), 140, np.uint8))
    assert is_coloured(np.full((8, 8, 3), (200, 120, 180), np.uint8))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("ground, ink", [(GROUND, INK), ((235, 210, 225), (90, 40, 120))])
def test_recolouring_keeps_an_image_an_image(seed, ground, ink):
    before = _sample(ground=ground, ink=ink).image
    after = recolour(np.random.default_rng(seed), before)
    assert after.shape == before.shape and after.dtype == np.uint8
    assert after.std() > 10
    assert not np.array_equal(after, before)
