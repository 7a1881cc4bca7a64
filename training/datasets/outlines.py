"""Outlines and runs of pixels become a label map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from affine import Affine
from rasterio.features import rasterize

from sac.errors import DataError

Piece = Sequence[np.ndarray]
"""A polygon: rings of corners (n, 2) float64 as (x, y), the outer one first, then its holes.

In pixels: pixel (0, 0) spans from (0, 0) to (1, 1), and is inside where its centre is.
"""
FAR = 1_000_000
"""Pixels from the origin beyond which a corner belongs to no picture."""
CLOSED = 3
"""Corners, the first one twice, up to which a ring has no area."""
LAYERS = 50
"""Times that all outlines together may cover the picture."""


def ring(corners: Any) -> np.ndarray:
    """Corners from a file, closed: (n, 2) float64. Raises DataError for what is no list of (x, y)."""
    try:
        points = np.array([(corner[0], corner[1]) for corner in corners], np.float64).reshape(-1, 2)
    except (TypeError, ValueError, LookupError, OverflowError) as error:
        raise DataError("an outline is no list of corners (x, y)") from error
    return np.concatenate([points, points[:1]])


class Drawing:
    """A label map (H, W) int32 in the making; each nucleus lies on those before it.

    overlap: whether two of them share a pixel.
    """

    def __init__(self, size: tuple[int, int]):
        self.labels = np.zeros(size, np.int32)
        self.count = 0
        self.overlap = False
        self._left = LAYERS * self.labels.size

    def add_outline(self, pieces: Sequence[Piece]) -> None:
        """A nucleus of one or more polygons. What lies beyond the picture is cut off. Raises DataError."""
        pieces = [[ring for ring in piece if len(ring) > CLOSED] for piece in pieces]
        pieces = [piece for piece in pieces if piece]
        if not pieces:
            return
        corners = np.concatenate([ring for piece in pieces for ring in piece])
        near = (np.abs(corners) < FAR).all(axis=1)  # False for what is no number, too
        if not near.all():
            x, y = corners[~near][0]
            raise DataError(f"an outline has a corner at ({x:g}, {y:g}), which lies in no picture")
        left, top = np.floor(corners.min(axis=0)).astype(int).clip(0)
        right, bottom = np.minimum(np.ceil(corners.max(axis=0)).astype(int), self.labels.shape[::-1])
        if left < right and top < bottom:
            self._add(_inside(pieces, (bottom - top, right - left), left, top), left, top)

    def add_mask(self, mask: np.ndarray) -> None:
        """A nucleus that is marked in a mask (H, W) bool of the picture's size."""
        self._add_cut(mask, 0)

    def add_runs(self, starts: np.ndarray, ends: np.ndarray) -> None:
        """A nucleus of runs of pixels, in order, counted down the columns, one column after the other."""
        if not len(starts):
            return
        height = len(self.labels)
        first, last = starts[0] // height, -(-ends[-1] // height)
        changes = np.zeros((last - first) * height + 1, np.int8)
        np.add.at(changes, starts - first * height, 1)
        np.add.at(changes, ends - first * height, -1)
        columns = np.cumsum(changes[:-1], dtype=np.int8).view(bool)
        self._add_cut(columns.reshape(-1, height).T, int(first))

    def _add_cut(self, inside: np.ndarray, left: int) -> None:
        """The part of columns (H, w) bool, from `left` on, that holds the nucleus."""
        rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            cut = inside[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
            self._add(cut, left + int(columns[0]), int(rows[0]))

    def _add(self, inside: np.ndarray, left: int, top: int) -> None:
        """Pixels (h, w) bool in their place."""
        self._left -= inside.size
        if self._left < 0:
            raise DataError(f"the outlines cover the picture more than {LAYERS} times")
        there = self.labels[top : top + inside.shape[0], left : left + inside.shape[1]]
        self.overlap |= bool(there[inside].any())
        self.count += 1
        there[inside] = self.count


def _inside(pieces: Sequence[Piece], size: tuple[int, int], left: int, top: int) -> np.ndarray:
    """Which pixels of a window have their centre inside: (h, w) bool."""
    shapes = [{"type": "Polygon", "coordinates": [ring.tolist() for ring in piece]} for piece in pieces]
    return rasterize(shapes, size, dtype="uint8", transform=Affine.translation(left, top)) > 0
