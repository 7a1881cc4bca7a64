"""How much a picture is magnified so that its nuclei have the size that the model learnt on."""

from __future__ import annotations

import numpy as np

from sac.config import LIMITS, NUCLEUS
from sac.inference.maps import map_of_parts
from sac.inference.tiled import rescaled
from sac.model.sac import SAC
from sac.prompts import grain_of, seeds, spread

PARTS = 9
"""Tiles of a large picture that are looked at."""
FEWEST = 3
"""Nuclei below which a size is not believed."""
SCALES, KNOWN_SCALES = (0.4, 2.5), (0.1, 6.0)
"""What may come out where the size of a pixel is not known, and where it is."""
GOOD_ENOUGH = 1.2
"""A factor smaller than this is left alone: resampling would cost more than it gains."""
USUAL = 0.5
"""µm: a pixel of tissue scanned at 20 times, in which what is larger than a nucleus is looked for, if nobody says."""
ROUNDS = 2
"""Measurements then, the second at the scale that the first suggests."""


def estimate_scale(sac: SAC, pixels: np.ndarray, microns: float | None = None) -> float:
    """The magnification that brings the median nucleus of pixels (H, W, 3) uint8 to `sac.config.diameter`.

    microns: size of a pixel in µm, where it is known: then nuclei are first looked for as if they were large. Those
    that appear smaller than what it learnt on, a generator still measures well; larger ones it breaks up. A SAC of one
    scale measures nothing.
    """
    if sac.config.one_scale or sac.config.microns > NUCLEUS:
        microns = microns or USUAL
    if not microns:
        factor = _factor(sac, pixels)
        return 1.0 if factor is None else _settled(np.clip(factor, *SCALES), pixels)
    scale = _settled(np.clip(sac.config.diameter * microns / sac.config.microns, *KNOWN_SCALES), pixels)
    if sac.config.one_scale:
        return scale
    for _ in range(ROUNDS):
        factor = _factor(sac, rescaled(pixels, scale))
        if factor is None:
            return _settled(np.clip(2 * scale, *KNOWN_SCALES), pixels)  # none, or small ones
        if 1 / GOOD_ENOUGH < factor < GOOD_ENOUGH:
            return scale
        scale = _settled(np.clip(scale * factor, *KNOWN_SCALES), pixels)
    return scale


def _factor(sac: SAC, pixels: np.ndarray) -> float | None:
    """By how much nuclei are smaller than the model's; None where too few are seen."""
    found = diameters(map_of_parts(sac, pixels, PARTS), grain_of(sac.config.diameter))
    return sac.config.diameter / float(np.median(found)) if len(found) >= FEWEST else None


def _settled(scale: float, pixels: np.ndarray) -> float:
    """A magnification in two digits, none where it is hardly one, and none that a picture is too large for."""
    rounded = 1.0 if 1 / GOOD_ENOUGH < scale < GOOD_ENOUGH else round(float(scale), 2)
    return min(rounded, _largest(pixels))


def _largest(pixels: np.ndarray) -> float:
    """The magnification at which a picture is as large as a picture may be."""
    return max(1.0, np.floor(100 * np.sqrt(LIMITS.pixels / pixels[..., 0].size)) / 100)


def diameters(maps: list[np.ndarray], grain: float = 1.0) -> np.ndarray:
    """Diameters, in pixels, of discs with the areas of the nuclei on generator maps (2, H, W) of probabilities.

    grain: pixels to smooth over, as in `seeds`.
    """
    areas = [np.bincount(spread(seeds(m, grain), m).ravel())[1:] for m in maps]
    return np.sqrt(np.concatenate(areas) * 4 / np.pi)
