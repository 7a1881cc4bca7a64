"""Semantic mode: the mask of a tile asked anew, and what of it goes on the map. A session in, another out.

The map is what the model said of all nuclei and what a user did since: merged, split, taken off. So only what the model
says otherwise than before is taken over.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import ndimage
from skimage.segmentation import watershed

from sac.inference.painting import around, measured
from sac.inference.predictor import Embedding, decode_semantic
from sac.inference.session import Nucleus, Point, Session, corners
from sac.inference.tiles import beside, owners
from sac.model.sac import SAC
from sac.prompts import POSITIVE

Window = tuple[slice, slice]


def asked_tile(session: Session, sac: SAC, embedding: Embedding, number: int) -> Session:
    """A new point, known by its number, in the row of the tile that knows its place best."""
    point = session.points[number]
    scaled = np.array([(point.x, point.y)], np.float32) * embedding.scale
    tile = int(owners(embedding.tiles, scaled)[0]) + 1
    row = session.rows[tile]
    row = replace(row, points=(*row.points, (number, point.kind)))
    return answered(session, replace(session, rows={**session.rows, tile: row}), sac, embedding, number)


def answered(before: Session, session: Session, sac: SAC, embedding: Embedding, number: int) -> Session:
    """What the model says otherwise since `before`, put on the map: on the tiles that point `number`, changed, is of.

    They are blended with the tiles beside them, which are decoded, too; no others.
    """
    tiles = [t - 1 for t, row in sorted(session.rows.items()) if number in dict(row.points)]
    if not tiles:
        return session
    near = beside(embedding.tiles, tiles)
    part, rows = embedding.only(near), [t + 1 for t in near]
    one, other = (decode_semantic(sac, part, s.prompts(rows), s.options) for s in (before, session))
    after = session
    for tile in (embedding.tiles[t] for t in tiles):
        x0, y0, x1, y1 = (round(v / embedding.scale) for v in (tile.x, tile.y, tile.x + tile.side, tile.y + tile.side))
        window = (slice(y0, min(y1, embedding.size[0])), slice(x0, min(x1, embedding.size[1])))
        after = with_mask(after, one[window], other[window], window, session.points[number])
    return after


def with_mask(session: Session, before: np.ndarray, inside: np.ndarray, window: Window, asked: Point) -> Session:
    """The map where a window's mask was `before` (h, w) bool and is now `inside`, for the sake of the point `asked`.

    What was there keeps its number, what is new joins or gets one; what a user took off stays off.
    """
    labels = session.labels.copy()
    part = labels[window]
    seen = set(np.unique(part).tolist()) - {0}
    inside, off = _as_edited(part, before, inside, asked, window)
    taken = session.last + 1  # what was taken off holds its ground as a nucleus does
    grown = watershed(np.zeros(part.shape), np.where(off, taken, np.where(inside, part, 0)), mask=inside)
    fresh, count = ndimage.label(inside & (grown == 0))
    part[:] = np.where(fresh > 0, fresh + session.last, np.where(grown == taken, 0, grown))
    nuclei = dict(session.nuclei)
    for number in seen:
        reach = around([nuclei[number], Nucleus(corners(window), 0, 1, 1)], labels.shape, 0)
        if (labels[reach] == number).any():
            nuclei[number] = measured(labels, number, reach, nuclei[number])
        else:
            del nuclei[number]
    for number in range(session.last + 1, session.last + count + 1):
        nuclei[number] = measured(labels, number, window, Nucleus((0, 0, 0, 0), 0, 1.0, 1.0))
    return replace(session, labels=labels, nuclei=nuclei, last=session.last + count)


def _as_edited(
    part: np.ndarray, before: np.ndarray, inside: np.ndarray, asked: Point, window: Window
) -> tuple[np.ndarray, np.ndarray]:
    """The new mask with what a user added to the old one on the map's `part` (h, w), and what they took off both.

    A positive point brings back what it lies on, a negative one takes away what it lies on.
    """
    off, added = before & inside & (part == 0), (part > 0) & ~before & ~inside
    spot = round(asked.y) - window[0].start, round(asked.x) - window[1].start
    if asked.on and asked.kind == POSITIVE:
        off &= ~_piece(inside & (part == 0), spot)
    elif asked.on:
        added &= ~_piece(added, spot)
    return inside | added, off


def _piece(mask: np.ndarray, spot: tuple[int, int]) -> np.ndarray:
    """The connected piece of a mask (h, w) bool that lies at a row and column; none where nothing does."""
    y, x = spot
    if not (0 <= y < mask.shape[0] and 0 <= x < mask.shape[1] and mask[y, x]):
        return np.zeros_like(mask)
    pieces = ndimage.label(mask)[0]
    return pieces == pieces[y, x]
