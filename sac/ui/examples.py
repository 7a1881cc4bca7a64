"""Pictures to try with: one that ships with scikit-image, one generated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage
from skimage.data import immunohistochemistry

from sac.images import Image


def stained_tissue() -> Image:
    """Scikit-image's immunohistochemistry picture: colon, FHL2 stained brown, nuclei blue."""
    return Image("immunohistochemistry.png", immunohistochemistry())


def generated_field(seed: int = 3, side: int = 512, count: int = 150) -> Image:
    """A made-up fluorescence field: bright ellipses, some touching, under blur and shot noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    light = np.full((side, side), 8.0)
    for cx, cy, turn, wide in rng.uniform((0, 0, 0, 9), (side, side, np.pi, 14), (count, 4)):
        u, v = np.cos(turn) * (x - cx) + np.sin(turn) * (y - cy), np.cos(turn) * (y - cy) - np.sin(turn) * (x - cx)
        inside = (u / wide) ** 2 + (v / (0.72 * wide)) ** 2 < 1
        light[inside] = np.maximum(light[inside], rng.uniform(60, 190))
    photons = rng.poisson(ndimage.gaussian_filter(light, 1.6))
    return Image("generated-fluorescence.png", np.repeat(photons.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))


EXAMPLES: dict[str, tuple[str, Callable[[], Image]]] = {
    "Stained tissue": ("nuclei-he", stained_tissue),
    "Fluorescence": ("nuclei", generated_field),
}
"""Label on the page: the checkpoint it is best seen with, and how to get it."""
