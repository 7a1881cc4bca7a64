"""How much a picture is magnified so that its nuclei have the size that the model learnt on."""

from __future__ import annotations

import numpy as np

from sac.inference.predictor import map_of_parts
from sac.model.sac import SAC
from sac.prompts import seeds, spread

PARTS = 9
"""Tiles of a large picture that are looked at."""
FEWEST = 3
"""Nuclei below which a size is not believed."""
SCALES = (0.4, 2.5)
GOOD_ENOUGH = 1.2
"""A factor smaller than this is left alone: resampling would cost more than it gains."""


def estimate_scale(sac: SAC, pixels: np.ndarray) -> float:
    """The magnification that brings the median nucleus of pixels (H, W, 3) uint8 to `sac.config.diameter`."""
    found = diameters(map_of_parts(sac, pixels, PARTS))
    if len(found) < FEWEST:
        return 1.0
    scale = float(np.clip(sac.config.diameter / np.median(found), *SCALES))
    return 1.0 if 1 / GOOD_ENOUGH < scale < GOOD_ENOUGH else round(scale, 2)


def diameters(maps: list[np.ndarray]) -> np.ndarray:
    """Diameters, in pixels, of discs with the areas of the nuclei on generator maps (2, H, W) of probabilities."""
    areas = [np.bincount(spread(seeds(m), m).ravel())[1:] for m in maps]
    return np.sqrt(np.concatenate(areas) * 4 / np.pi)
