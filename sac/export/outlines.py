"""Where nuclei end: outlines along the edges of pixels, so that what is inside is the mask and nothing else."""

from __future__ import annotations

import numpy as np
import shapely
from rasterio.features import shapes

Ring = np.ndarray
"""Corners of pixels (n, 2) int64, as (x, y), the first one again at the end; pixel (0, 0) spans from (0, 0) to (1, 1)."""
Outline = list[list[Ring]]
"""A nucleus: its pieces, each a list of rings, the outer one first, then its holes."""


def outlines(ranks: np.ndarray, count: int) -> list[Outline]:
    """The outline of each of the nuclei 1 to `count` on a map (H, W) int32; 0 is background.

    Pixels that meet only at a corner are pieces of their own (4-neighbourhood), so that all polygons are simple.
    """
    found: list[Outline] = [[] for _ in range(count)]
    for piece, rank in shapes(ranks, mask=ranks > 0, connectivity=4):
        found[int(rank) - 1].append([np.array(ring, np.int64) for ring in piece["coordinates"]])
    return found


def hull_areas(drawn: list[Outline]) -> np.ndarray:
    """The area of each outline's convex hull, in pixels: (N,) float64."""
    if not drawn:
        return np.zeros(0)
    outer = [[piece[0] for piece in outline] for outline in drawn]
    owners = np.repeat(np.arange(len(drawn)), [sum(map(len, rings)) for rings in outer])
    corners = np.concatenate([ring for rings in outer for ring in rings])
    return shapely.area(shapely.convex_hull(shapely.linestrings(corners, indices=owners)))
