"""What SAC is compared with: vanilla SAM, which knows nothing of the adapter, and the generator without SAM."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sac.config import SACConfig, SegmentOptions
from sac.images import Image
from sac.inference.compare import generator_alone, vanilla, vanilla_everything
from sac.inference.predictor import Embedding, embed, embed_by_vanilla
from sac.inference.segment import answer
from sac.model.everything import LARGEST, everything
from sac.prompts import NEGATIVE, POSITIVE, Prompts

PLAIN = SegmentOptions(adapted=False)
OPTIONS = SegmentOptions(certainty=0.9)
"""Vanilla SAM's masks are kept whatever certainty SAC's must have."""


def discs(height: int, width: int, *middles: tuple[int, int], radius: int = 14) -> np.ndarray:
    """Light discs (x, y) on a dark ground, (H, W, 3) uint8."""
    y, x = np.mgrid[:height, :width]
    picture = np.full((height, width, 3), 40, np.uint8)
    for cx, cy in middles:
        picture[(x - cx) ** 2 + (y - cy) ** 2 < radius**2] = 200
    return picture


MIDDLES = ((60, 70), (130, 50), (100, 140))


def prompts() -> Prompts:
    """Each disc's middle, and the next one's."""
    middles = np.array(MIDDLES, np.float32)
    return Prompts(
        np.stack([middles, np.roll(middles, 1, axis=0)], axis=1), np.array([[POSITIVE, NEGATIVE]] * 3, np.int8)
    )


# Vanilla SAM on the same prompts


@pytest.fixture(scope="module")
def picture():
    return discs(180, 190, *MIDDLES)


@pytest.mark.parametrize("mode, rows", [("instances", 3), ("semantic", 1)])
def test_vanilla_ignores_adapter_decoder_and_generator(sac, new_sac, picture, mode, rows):
    options = SegmentOptions(mode=mode, certainty=0.9)
    other = new_sac(seed=5)
    found = [vanilla(s, embed(s, picture, 1.0, PLAIN), prompts()[:rows], options) for s in (sac, other)]
    assert np.array_equal(*found) and found[0].shape == (180, 190)
    own = [embed(s, picture, 1.0, options).features for s in (sac, other)]
    assert not torch.equal(*own)  # the two differ, once their adapters are on


def test_vanilla_embeds_the_same_tiles_and_is_prompted_by_the_same_map(sac, picture):
    own = embed(sac, picture, 1.5, OPTIONS)
    found = embed_by_vanilla(sac, picture, own)
    assert torch.equal(found.features, embed(sac, picture, 1.5, PLAIN).features)
    assert not torch.allclose(found.features, own.features, atol=1e-2)
    assert found.tiles == own.tiles and np.array_equal(found.nuclei_map, own.nuclei_map)


def test_vanilla_finds_light_discs(sac, picture):
    found = vanilla(sac, embed(sac, picture, 1.0, PLAIN), prompts(), OPTIONS)
    assert found.dtype == np.int32
    assert len({int(found[y, x]) for x, y in MIDDLES} - {0}) == 3


def test_vanilla_of_no_prompts_is_empty(sac, picture):
    assert not vanilla(sac, embed(sac, picture, 1.0, PLAIN), prompts()[:0], OPTIONS).any()


def test_vanilla_is_the_plain_answer(sac, picture):
    embedding = embed(sac, picture, 1.0, PLAIN)
    plain = answer(sac, embedding, prompts(), SegmentOptions(adapted=False, certainty=0.0))
    assert np.array_equal(vanilla(sac, embedding, prompts(), OPTIONS), plain.labels)


# Vanilla SAM's everything mode


@pytest.fixture(scope="module")
def small():
    return Image("discs.png", discs(96, 120, (45, 36), (80, 62), radius=15))


@pytest.fixture
def coarse(monkeypatch):
    """A grid of 4 x 4 points, to save time."""
    monkeypatch.setattr("sac.model.everything.POINTS_PER_SIDE", 4)


@pytest.mark.parametrize("scale", [1.0, 0.6, 1.7])
def test_everything_has_the_pictures_size_at_every_scale(sac, small, scale, coarse):
    told = []
    found = vanilla_everything(sac, small, scale, lambda share, word: told.append((share, word)))
    assert found.shape == (96, 120) and found.dtype == np.int32
    assert sorted(np.unique(found)) == list(range(found.max() + 1)) and found.max() >= 1
    assert told == [(0.0, "Vanilla SAM, tile 1 of 1")]


def test_everything_goes_tile_by_tile(sac, coarse):
    told = []
    wide = Image("wide.png", discs(40, 500, (30, 20), (470, 20)))
    found = vanilla_everything(sac, wide, 1.0, lambda share, word: told.append((share, word)))
    assert found.shape == (40, 500)
    assert told == [(n / 3, f"Vanilla SAM, tile {n + 1} of 3") for n in range(3)]


def test_everything_is_the_bases_own_and_leaves_the_adapter_on(sac, new_sac, small, coarse):
    frame = torch.full((1, 3, sac.frame, sac.frame), 90.0)
    frame[..., 50:90, 60:120] = 200
    with torch.inference_mode():
        before = sac.encode(frame)
    one, other = (everything(s, small.pixels) for s in (sac, new_sac(seed=5)))
    assert len(one) == len(other) > 0
    for (mask, certainty), (other_mask, other_certainty) in zip(one, other):
        assert np.array_equal(mask, other_mask) and certainty == other_certainty
    with torch.inference_mode():
        assert torch.equal(sac.encode(frame), before)
        assert not torch.equal(sac.encode(frame, adapted=False), before)


def test_everything_leaves_the_ground_out(sac, small, coarse):
    found = everything(sac, small.pixels)
    assert found and all(mask.shape == (96, 120) and mask.mean() < LARGEST for mask, _ in found)


# The generator alone


def mapped(probability: np.ndarray, depth: np.ndarray, scale: float = 1.0) -> Embedding:
    """An embedding of which only the generator's map matters."""
    whole = np.stack([probability, depth]).astype(np.float32)
    return Embedding(probability.shape, scale, [], torch.zeros(0), torch.zeros(0), whole)


def cones(*middles: tuple[int, int], radius: float = 12.0) -> tuple[np.ndarray, np.ndarray]:
    """Discs (x, y) on 60 x 100 pixels, and the distance to their border: 1 in the middle."""
    y, x = np.mgrid[:60, :100]
    depth = np.max([1 - np.hypot(x - cx, y - cy) / radius for cx, cy in middles], axis=0)
    return (depth > 0).astype(float), depth.clip(0, 1)


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_the_generator_alone_gives_every_disc_whole(scale):
    probability, depth = cones((20, 30), (70, 30))
    found = generator_alone(mapped(probability, depth, scale), SACConfig(), SegmentOptions())
    assert found.dtype == np.int32 and np.array_equal(found > 0, probability > 0)
    assert found.max() == 2 and found[30, 20] != found[30, 70]


def test_the_generator_alone_parts_touching_discs_in_the_valley():
    probability, depth = cones((30, 30), (50, 30))
    found = generator_alone(mapped(probability, depth), SACConfig(), SegmentOptions())
    assert np.array_equal(found > 0, probability > 0) and found.max() == 2
    left, right = found[30, 30], found[30, 50]
    inside = probability > 0
    assert (found[:, :39][inside[:, :39]] == left).all() and (found[:, 42:][inside[:, 42:]] == right).all()


def test_the_generator_alone_leaves_one_what_a_deeper_valley_would_part():
    nuclei_map = mapped(*cones((30, 30), (44, 30)))
    parted = [generator_alone(nuclei_map, SACConfig(), SegmentOptions(prominence=p)).max() for p in (0.2, 0.5)]
    assert parted == [2, 1]


def test_the_generator_alone_on_nothing():
    nothing = np.zeros((60, 100))
    assert not generator_alone(mapped(nothing, nothing), SACConfig(), SegmentOptions()).any()
