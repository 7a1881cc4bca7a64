"""How much a picture is magnified so that its nuclei have the size that the model learnt on."""

from __future__ import annotations

import numpy as np

from sac.config import LIMITS
from sac.inference.predictor import map_of_parts, rescaled
from sac.model.sac import SAC
from sac.prompts import seeds, spread

PARTS = 9
"""Tiles of a large picture that are looked at."""
FEWEST = 3
"""Nuclei below which a size is not believed."""
SCALES = (0.4, 2.5)
"""What the nuclei's own size may ask for."""
GOOD_ENOUGH = 1.2
"""A factor smaller than this is left alone: resampling would cost more than it gains."""
NUCLEUS = 6.0
"""µm: diameter of a nucleus in tissue, the first guess where the size of a pixel is known."""
FIRST_SCALES = (0.1, 5.0)
"""What the size of a pixel may ask for."""


def estimate_scale(sac: SAC, pixels: np.ndarray, microns: float | None = None) -> float:
    """The magnification that brings the median nucleus of pixels (H, W, 3) uint8 to `sac.config.diameter`.

    microns: size of a pixel in µm. Where it is known, nuclei are measured at the scale that it suggests: a generator
    that learnt on nuclei of one size measures others too near to that size, the more so the further they are.
    """
    first = 1.0 if not microns else round(float(np.clip(sac.config.diameter * microns / NUCLEUS, *FIRST_SCALES)), 2)
    first = min(first, _largest(pixels))
    found = diameters(map_of_parts(sac, rescaled(pixels, first), PARTS))
    if len(found) < FEWEST:
        return first
    then = float(np.clip(sac.config.diameter / np.median(found), *SCALES))
    scale = first if 1 / GOOD_ENOUGH < then < GOOD_ENOUGH else round(first * then, 2)
    return min(scale, _largest(pixels))


def _largest(pixels: np.ndarray) -> float:
    """The magnification at which a picture is as large as a picture may be."""
    return max(1.0, np.floor(100 * np.sqrt(LIMITS.pixels / pixels[..., 0].size)) / 100)


def diameters(maps: list[np.ndarray]) -> np.ndarray:
    """Diameters, in pixels, of discs with the areas of the nuclei on generator maps (2, H, W) of probabilities."""
    areas = [np.bincount(spread(seeds(m), m).ravel())[1:] for m in maps]
    return np.sqrt(np.concatenate(areas) * 4 / np.pi)
