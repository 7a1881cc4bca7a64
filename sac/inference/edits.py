"""What a user does to nuclei on the map: deleting, merging, splitting, accepting. Each edit: a session in, another out.

Nothing is decoded here; see `reprompt` for what asks the model again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy import ndimage
from skimage.morphology import disk
from skimage.segmentation import watershed

from sac.errors import EditError
from sac.inference.instances import SMALLEST
from sac.inference.painting import Place, around, drawn, erase, measured
from sac.inference.session import Row, Session
from sac.prompts import NEGATIVE, POSITIVE

BRIDGE = 4
"""Half the width, in pixels, of the gap that merging closes."""


def deleted(session: Session, numbers: Sequence[int]) -> Session:
    """Nuclei taken off the map, with the rows that asked for them."""
    chosen = known(session, numbers, least=1)
    labels = session.labels.copy()
    for number in chosen:
        erase(labels, session.nuclei.get(number), number)
    nuclei = {n: nucleus for n, nucleus in session.nuclei.items() if n not in chosen}
    rows = session.rows
    if session.options.mode == "instances":
        rows = {n: row for n, row in rows.items() if n not in chosen}
    return replace(session, labels=labels, nuclei=nuclei, rows=rows)


def merged(session: Session, numbers: Sequence[int]) -> tuple[Session, int]:
    """Touching nuclei made one, under the number of the largest. Returns the session and that number."""
    chosen = [n for n in known(session, numbers, least=2) if n in session.nuclei]
    if len(chosen) < 2:
        raise EditError("Select two or more nuclei to merge.")
    kept = max(chosen, key=lambda n: session.nuclei[n].area)
    window = around([session.nuclei[n] for n in chosen], session.labels.shape, BRIDGE)
    part = session.labels[window]
    union = np.isin(part, chosen)
    closed = ndimage.binary_closing(np.pad(union, BRIDGE), disk(BRIDGE))[BRIDGE:-BRIDGE, BRIDGE:-BRIDGE]
    whole = union | (closed & (part == 0))
    if ndimage.label(whole)[1] > 1:
        raise EditError("These nuclei do not touch: only neighbours can be merged.")
    labels = session.labels.copy()
    labels[window][whole] = kept
    rows = dict(session.rows)
    if session.options.mode == "instances":
        joined = _joined([rows.pop(n) for n in chosen if n in rows])
        rows |= {kept: joined} if joined.points else {}
    nuclei = {n: nucleus for n, nucleus in session.nuclei.items() if n not in chosen}
    certain = session.nuclei[kept]
    nuclei[kept] = measured(labels, kept, window, replace(certain, origin="edited", accepted=False))
    return replace(session, labels=labels, nuclei=nuclei, rows=rows), kept


def split(session: Session, stroke: Sequence[Place]) -> Session:
    """Nuclei cut along a stroke of at least two places. The largest piece keeps the number, others get new ones."""
    if len(stroke) < 2:
        raise EditError("A stroke needs a beginning and an end.")
    _check_near(session, stroke)
    cut = drawn(stroke, session.labels.shape)
    after = session
    for number in np.unique(session.labels[cut]).tolist():
        if number:
            after = _cut_in_pieces(after, number, cut)
    if after is session:
        raise EditError("The stroke cuts no nucleus in two: draw it right across one.")
    return after


def accepted(session: Session, number: int) -> Session:
    """A nucleus looked at and found good."""
    (number,) = known(session, [number], least=1)
    if number not in session.nuclei:
        raise EditError(f"There is no nucleus {number} on the map.")
    return replace(session, nuclei={**session.nuclei, number: replace(session.nuclei[number], accepted=True)})


def cleared(session: Session) -> Session:
    """Everything off: nuclei, points and rows. In semantic mode the tiles' rows stay, empty."""
    rows = {n: Row(()) for n in session.rows} if session.options.mode == "semantic" else {}
    return replace(session, labels=np.zeros_like(session.labels), nuclei={}, rows=rows, points={})


def _check_near(session: Session, stroke: Sequence[Place]) -> None:
    """A stroke may leave the picture, but not by more than its size."""
    height, width = session.labels.shape
    if any(not (-width <= x <= 2 * width and -height <= y <= 2 * height) for x, y in stroke):
        raise EditError("The stroke leaves the picture too far.")


def known(session: Session, numbers: Sequence[int], least: int) -> list[int]:
    """Distinct numbers that are a nucleus's or, in instance mode, a row's."""
    own = session.rows if session.options.mode == "instances" else {}
    chosen = [n for n in dict.fromkeys(int(n) for n in numbers) if n in session.nuclei or n in own]
    if len(chosen) < least:
        raise EditError("Select a nucleus first." if least == 1 else "Select two or more nuclei first.")
    return chosen


def _joined(rows: list[Row]) -> Row:
    """One row with all positive points of several, and those negative ones that are not among them."""
    positive = dict.fromkeys(p for row in rows for p, label in row.points if label == POSITIVE)
    negative = dict.fromkeys(p for row in rows for p, label in row.points if label == NEGATIVE and p not in positive)
    return Row((*((p, POSITIVE) for p in positive), *((p, NEGATIVE) for p in negative)))


def _cut_in_pieces(session: Session, number: int, cut: tuple[np.ndarray, np.ndarray]) -> Session:
    """One nucleus cut along pixels, which then go to the nearest piece; the same session where it stays whole."""
    before = session.nuclei[number]
    mine = session.labels[before.slices] == number
    along = np.zeros(mine.shape, bool)
    y, x = before.slices[0].start, before.slices[1].start
    near = (cut[0] >= y) & (cut[1] >= x) & (cut[0] < y + mine.shape[0]) & (cut[1] < x + mine.shape[1])
    along[cut[0][near] - y, cut[1][near] - x] = True
    pieces = ndimage.label(mine & ~along)[0]
    sizes = np.bincount(pieces.ravel())[1:]
    large = [i + 1 for i in np.argsort(-sizes, kind="stable") if sizes[i] >= SMALLEST / 2]
    if len(large) < 2:
        return session
    seeds = np.zeros_like(pieces)
    for order, piece in enumerate(large, start=1):
        seeds[pieces == piece] = order
    owner = watershed(np.zeros(mine.shape), seeds, mask=mine)
    numbers = [number, *range(session.last + 1, session.last + len(large))]
    labels, nuclei = session.labels.copy(), dict(session.nuclei)
    for order, piece_number in enumerate(numbers, start=1):
        labels[before.slices][owner == order] = piece_number
    for piece_number in numbers:
        nuclei[piece_number] = measured(
            labels, piece_number, before.slices, replace(before, origin="edited", accepted=False)
        )
    return replace(session, labels=labels, nuclei=nuclei, last=numbers[-1])
