"""Nuclei put onto a label map, taken off it, and measured where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from skimage.draw import line
from skimage.morphology import disk

from sac.inference.instances import SMALLEST, Mask, largest_piece
from sac.inference.session import Nucleus, corners

Place = tuple[float, float]
REMNANT = 0.25
"""Share of its area below which a nucleus that lost pixels to another one is gone."""

BRIDGE_WIDTH = 2
"""Half the width, in pixels, of what joins a nucleus to a piece that a user's point lies on."""


def erase(labels: np.ndarray, nucleus: Nucleus | None, number: int) -> None:
    if nucleus is not None:
        part = labels[nucleus.slices]
        part[part == number] = 0


def paint(labels: np.ndarray, nuclei: dict[int, Nucleus], number: int, mask: Mask, over: bool) -> None:
    """Puts a mask on the map, in place: its largest piece, without holes."""
    part = labels[mask.window]
    inside = mask.logits > 0
    if not over:
        inside &= part == 0
    if not inside.any():
        return
    inside = ndimage.binary_fill_holes(largest_piece(inside))
    inside &= (part == 0) | over
    if inside.sum() < SMALLEST / 2:
        return
    losers = np.unique(part[inside & (part > 0)]).tolist()
    part[inside] = number
    fresh = Nucleus((0, 0, 0, 0), 0, mask.certainty, mask.stability)
    nuclei[number] = measured(labels, number, mask.window, fresh)
    for loser in losers:
        _shrink(labels, nuclei, loser)


def bridged(inside: np.ndarray, places: np.ndarray) -> np.ndarray:
    """A mask (h, w) bool, with a straight bridge from its largest piece to each other one that holds a place (x, y)."""
    pieces, count = ndimage.label(inside)
    if count < 2:
        return inside
    main = np.argwhere(largest_piece(inside))
    whole = inside.copy()
    for x, y in places:
        if 0 <= y < inside.shape[0] and 0 <= x < inside.shape[1] and pieces[y, x]:
            nearest = main[((main - (y, x)) ** 2).sum(axis=1).argmin()]
            path = np.zeros_like(inside)
            path[line(y, x, *nearest)] = True
            whole |= ndimage.binary_dilation(path, disk(BRIDGE_WIDTH))
    return whole


def _shrink(labels: np.ndarray, nuclei: dict[int, Nucleus], number: int) -> None:
    """A nucleus that lost pixels keeps its largest piece, or is gone."""
    before = nuclei.pop(number)
    part = labels[before.slices]
    mine = part == number
    part[mine] = 0
    kept = largest_piece(mine) if mine.any() else mine
    if kept.sum() >= max(SMALLEST / 2, REMNANT * before.area):
        part[kept] = number
        nuclei[number] = measured(labels, number, before.slices, before)


def measured(labels: np.ndarray, number: int, window: tuple[slice, slice], nucleus: Nucleus) -> Nucleus:
    """The nucleus with its area and window as they are on the map; it lies within `window`."""
    mine = labels[window] == number
    rows, columns = np.flatnonzero(mine.any(axis=1)), np.flatnonzero(mine.any(axis=0))
    y, x = window[0].start, window[1].start
    inner = (slice(y + int(rows[0]), y + int(rows[-1]) + 1), slice(x + int(columns[0]), x + int(columns[-1]) + 1))
    return replace(nucleus, area=int(mine.sum()), window=corners(inner))


def around(nuclei: list[Nucleus], size: tuple[int, int], margin: int) -> tuple[slice, slice]:
    """The window that holds these nuclei and `margin` pixels more, on a map of `size`."""
    x0, y0 = (max(0, min(n.window[k] for n in nuclei) - margin) for k in (0, 1))
    x1, y1 = (min(size[1 - k], max(n.window[2 + k] for n in nuclei) + margin) for k in (0, 1))
    return slice(y0, y1), slice(x0, x1)


def drawn(stroke: Sequence[Place], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the pixels under a stroke that lie on a map of `size`."""
    places = np.array(stroke, float).round().astype(int)
    legs = [line(y0, x0, y1, x1) for (x0, y0), (x1, y1) in zip(places, places[1:])]
    rows, columns = (np.concatenate([leg[axis] for leg in legs]) for axis in (0, 1))
    inside = (rows >= 0) & (columns >= 0) & (rows < size[0]) & (columns < size[1])
    return rows[inside], columns[inside]
