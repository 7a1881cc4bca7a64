"""Generated scenes: a function of the seed, with labels that say what was painted."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.scenes import scene, smooth_noise


@pytest.mark.parametrize("seed", range(4))
def test_scene_is_a_function_of_its_seed(seed):
    first, second = (scene(np.random.default_rng(seed), 128) for _ in range(2))
    assert np.array_equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    other = scene(np.random.default_rng(seed + 100), 128)
    assert not np.array_equal(first[0], other[0]) and not np.array_equal(first[1], other[1])


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("side", [96, 128])
def test_scene_is_an_image_with_labels(seed, side):
    image, labels = scene(np.random.default_rng(seed), side)
    assert image.shape == (side, side, 3) and image.dtype == np.uint8
    assert labels.shape == (side, side) and labels.dtype == np.int32
    assert labels.min() == 0 and 0 < labels.max() <= 120
    assert image.std() > 1


def test_shapes_are_as_large_as_was_meant():
    """Fewer pixels than twelve are never painted, unless a later shape covers them; half a scene is ground at least."""
    shares = []
    for seed in range(20):
        _, labels = scene(np.random.default_rng(seed), 128)
        sizes = np.bincount(labels.ravel())[1:]
        assert np.median(sizes[sizes > 0]) >= 12
        shares.append((labels > 0).mean())
    assert 0.05 < np.mean(shares) < 0.5


def test_shapes_differ_from_their_ground():
    """Colours of ground and shapes are at least 60 apart in a channel: it shows in most scenes."""
    apart = []
    for seed in range(20):
        image, labels = scene(np.random.default_rng(seed), 128)
        difference = image[labels > 0].mean(axis=0) - image[labels == 0].mean(axis=0)
        apart.append(np.abs(difference).max())
    assert np.median(apart) > 40


def test_noise_has_unit_deviation_and_its_grain():
    noise = smooth_noise(np.random.default_rng(0), 256, grain=32)
    assert noise.shape == (256, 256) and noise.dtype == np.float32
    assert noise.std() == pytest.approx(1, abs=1e-3)
    assert np.abs(np.diff(noise, axis=1)).mean() < 0.1
