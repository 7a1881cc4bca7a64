"""Tiles with overlap, and how what was computed on them is put together without seams."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from sac.errors import OptionError


@dataclass(frozen=True)
class Tile:
    """A square of a picture: its upper left pixel and its side. It may reach beyond a small picture."""

    x: int
    y: int
    side: int

    def cut(self, pixels: np.ndarray, fill: float | tuple[float, ...] = 0) -> np.ndarray:
        """The tile of `pixels` (H, W, ...), as (side, side, ...); `fill` where the picture ends."""
        part = pixels[self.y : self.y + self.side, self.x : self.x + self.side]
        if part.shape[:2] == (self.side, self.side):
            return part
        whole = np.empty((self.side, self.side, *pixels.shape[2:]), pixels.dtype)
        whole[:] = fill
        whole[: part.shape[0], : part.shape[1]] = part
        return whole


def plan_tiles(size: tuple[int, int], side: int, overlap: int) -> list[Tile]:
    """The fewest tiles that cover a picture of `size` (height, width) with at least `overlap` pixels in common."""
    if not 0 <= overlap < side:
        raise OptionError(f"overlap {overlap} is outside 0 to {side - 1}: tiles have {side} pixels along a side")
    rows, columns = (_starts(length, side, overlap) for length in size)
    return [Tile(x, y, side) for y in rows for x in columns]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    count = max(1, ceil((length - overlap) / (side - overlap)))
    return np.linspace(0, max(0, length - side), count).round().astype(int).tolist()


def beside(tiles: list[Tile], chosen: list[int]) -> list[int]:
    """Indices of the tiles that have pixels in common with any of those chosen by index, which are among them."""
    corners = np.array([(t.x, t.y) for t in tiles])
    apart = np.abs(corners[:, None] - corners[chosen]).max(axis=2)
    return np.flatnonzero((apart < tiles[0].side).any(axis=1)).tolist()


def owners(tiles: list[Tile], points: np.ndarray) -> np.ndarray:
    """For each point (N, 2), (x, y), the index of the tile whose middle is nearest: there it has the most context."""
    middles = np.array([(t.x + t.side / 2, t.y + t.side / 2) for t in tiles])
    distance = np.abs(points[:, None] - middles[None]).max(axis=2)
    return distance.argmin(axis=1)


def stitch(tiles: list[Tile], maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Blends `maps` (T, C, side, side) into one (C, H, W) float32; a tile's say fades towards its border.

    Where no tile lies it is 0.
    """
    ramp = np.minimum(np.arange(1, tiles[0].side + 1), np.arange(tiles[0].side, 0, -1)).astype(np.float32)
    weight = np.minimum.outer(ramp, ramp)
    whole = np.zeros((maps.shape[1], *size), np.float32)
    total = np.zeros(size, np.float32)
    for tile, values in zip(tiles, maps):
        rows = slice(tile.y, min(tile.y + tile.side, size[0]))
        columns = slice(tile.x, min(tile.x + tile.side, size[1]))
        inside = (slice(0, rows.stop - rows.start), slice(0, columns.stop - columns.start))
        whole[:, rows, columns] += values[(slice(None), *inside)] * weight[inside]
        total[rows, columns] += weight[inside]
    return np.divide(whole, total, out=whole, where=total > 0)
