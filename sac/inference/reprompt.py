"""Points and boxes by hand, and automatic points moved or switched: each a session in, another out.

Only what is touched is decoded again: rows that a changed point belongs to (instances), or the mask of the tiles that
it lies on (semantic, see there).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from sac.errors import EditError
from sac.inference.edits import known
from sac.inference.instances import Mask
from sac.inference.painting import Place, bridged, erase, paint
from sac.inference.predictor import Embedding, decode
from sac.inference.semantic import answered, asked_tile
from sac.inference.session import Box, Point, Row, Session
from sac.model.sac import SAC
from sac.prompts import NEGATIVE, POSITIVE, REACH

LEAST = 1e-3
"""Logit of a pixel that is inside for another reason than the model's."""
NOTHING = 0.05
"""Certainty, here predicted IoU, below which the decoder itself says that nothing is where a user clicked."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """A model and the picture it has embedded: what edits are decoded with."""

    sac: SAC
    embedding: Embedding

    @property
    def diameter(self) -> float:
        """Of a typical nucleus, in pixels of the picture."""
        return self.sac.config.diameter / self.embedding.scale


def clicked(session: Session, embedded: Embedded, place: Place, label: int, number: int = 0) -> tuple[Session, int]:
    """A point set by hand: for nucleus `number`, or (0) for a new one. Returns the session and the nucleus's number.

    A negative point without a number goes to the nucleus under it.
    """
    _check_inside(session, [place])
    session, point = session.with_point(Point(*place, label, by_hand=True))
    if session.options.mode == "semantic":
        return asked_tile(session, embedded.sac, embedded.embedding, point), 0
    if not number and label == NEGATIVE:
        number = int(session.labels[round(place[1]), round(place[0])])
        if not number:
            raise EditError("A negative point belongs to a nucleus: select one, or put it on one.")
    if number:
        session = _with_own_row(session, number)
        row = session.rows[number]
        row = replace(row, points=(*row.points, (point, label)))
    else:
        number = session.last + 1
        row = Row(((point, label), *_neighbours(session, place, embedded.diameter)))
    after = _with_row(session, embedded, number, row)
    if label == POSITIVE and number in session.nuclei and number not in after.nuclei:
        raise EditError("With this point the model would lose the nucleus: nothing was changed.")
    return after, number


def boxed(session: Session, embedded: Embedded, box: Box, number: int = 0) -> tuple[Session, int]:
    """A box (x0, y0, x1, y1) dragged round nucleus `number`, or (0) round a new one, with a point at its middle."""
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    height, width = session.labels.shape
    x0, y0, x1, y1 = (max(0.0, x0), max(0.0, y0), min(width - 1.0, x1), min(height - 1.0, y1))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise EditError("A box needs at least 3 pixels along each side, on the picture.")
    if session.options.mode == "semantic":
        raise EditError("Boxes are for single nuclei: switch to instances to use them.")
    if number:
        (number,) = known(session, [number], least=1)
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    session, point = session.with_point(Point(*middle, POSITIVE, by_hand=True))
    row = Row(((point, POSITIVE), *_neighbours(session, middle, embedded.diameter, number)), (x0, y0, x1, y1))
    number = number or session.last + 1
    return _with_row(session, embedded, number, row), number


def switched(session: Session, embedded: Embedded, point: int, on: bool) -> Session:
    """A point put out of use, or back into it."""
    return _with_changed_point(session, embedded, point, replace(_known_point(session, point), on=on))


def moved(session: Session, embedded: Embedded, point: int, place: Place) -> Session:
    """A point moved by hand."""
    _check_inside(session, [place])
    before = _known_point(session, point)
    return _with_changed_point(session, embedded, point, replace(before, x=place[0], y=place[1], by_hand=True))


def _check_inside(session: Session, places: Sequence[Place]) -> None:
    height, width = session.labels.shape
    for x, y in places:
        if not (0 <= x <= width - 1 and 0 <= y <= height - 1):
            raise EditError(f"The place {x:.0f}, {y:.0f} is not on the picture of {width} × {height} pixels.")


def _known_point(session: Session, point: int) -> Point:
    if point not in session.points:
        raise EditError(f"There is no point {point} on this picture.")
    return session.points[point]


def _neighbours(session: Session, place: Place, diameter: float, own: int = 0) -> list[tuple[int, int]]:
    """The nearest positive points of nuclei other than `own`, as negatives, as automatic prompts have them."""
    most = session.options.negatives if session.options.kinds == "both" else 0
    rows = [row for number, row in session.rows.items() if number != own]
    used = {p for row in rows for p, label in row.points if label == POSITIVE and session.points[p].on}
    if not used or not most:
        return []
    numbers = sorted(used)
    tree = cKDTree([(session.points[p].x, session.points[p].y) for p in numbers])
    distance, index = tree.query(place, k=[*range(1, most + 1)], distance_upper_bound=REACH * diameter)
    return [(numbers[i], NEGATIVE) for d, i in zip(distance, index) if np.isfinite(d) and d > 0]


def _with_own_row(session: Session, number: int) -> Session:
    """A nucleus without a row, a piece of a split one, gets one: its innermost pixel as positive point."""
    if number in session.rows:
        return session
    (number,) = known(session, [number], least=1)
    window = session.nuclei[number].slices
    depth = ndimage.distance_transform_edt(np.pad(session.labels[window] == number, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    place = float(x + window[1].start), float(y + window[0].start)
    session, point = session.with_point(Point(*place, POSITIVE, by_hand=True))
    return replace(session, rows={**session.rows, number: Row(((point, POSITIVE),))})


def _with_row(session: Session, embedded: Embedded, number: int, row: Row) -> Session:
    session = replace(session, rows={**session.rows, number: row}, last=max(session.last, number))
    return _decoded(session, embedded, [number], over=[number])


def _with_changed_point(session: Session, embedded: Embedded, number: int, point: Point) -> Session:
    """The session with a point in its new state, and the rows that it belongs to answered anew.

    It is its neighbours' negative point, too: where a user made or accepted those, they stay as they are.
    """
    before, session = session, replace(session, points={**session.points, number: point})
    if session.options.mode == "semantic":
        return answered(before, session, embedded.sac, embedded.embedding, number)
    touched = {row: dict(asked.points)[number] for row, asked in session.rows.items() if number in dict(asked.points)}
    own = [row for row, label in touched.items() if label == POSITIVE]
    others = [row for row in touched if row not in own and (point.kind == NEGATIVE or not _is_settled(session, row))]
    return _decoded(session, embedded, [*own, *others], over=own)


def _is_settled(session: Session, number: int) -> bool:
    """Whether a nucleus on the map is as a user made it, or found it good."""
    nucleus = session.nuclei.get(number)
    return nucleus is not None and (nucleus.accepted or nucleus.origin != "automatic")


def _decoded(session: Session, embedded: Embedded, numbers: list[int], over: list[int]) -> Session:
    """The rows of these numbers decoded again and put on the map, one after the other.

    Those in `over` take their pixels from other nuclei; the rest take free ones only.
    """
    asked = [n for n in numbers if session.is_asked(n)]
    masks = decode(embedded.sac, embedded.embedding, session.prompts(asked), session.options) if asked else []
    answers = {asked[mask.prompt]: mask for mask in masks if _is_good(session, asked[mask.prompt], mask)}
    labels, nuclei = session.labels.copy(), dict(session.nuclei)
    for number in numbers:
        erase(labels, nuclei.pop(number, None), number)
    for number in numbers:
        if number in answers:
            paint(labels, nuclei, number, _bridged(session, number, answers[number]), number in over)
            if number in nuclei and session.is_by_hand(number):
                nuclei[number] = replace(nuclei[number], origin="clicked")
    return replace(session, labels=labels, nuclei=nuclei)


def _bridged(session: Session, number: int, mask: Mask) -> Mask:
    """The mask with a bridge to each piece that a user's positive point of its row lies on: one nucleus is one piece."""
    row = session.prompts([number])
    if row.by_hand is None:
        return mask
    places = row.points[0][row.by_hand[0] & (row.labels[0] == POSITIVE)] - (mask.x, mask.y)
    inside = bridged(mask.logits > 0, places.round().astype(int))
    return replace(mask, logits=np.where(inside, np.maximum(mask.logits, LEAST), mask.logits))


def _is_good(session: Session, number: int, mask: Mask) -> bool:
    """Automatic masks must be certain enough, as when the picture was segmented; a user's word is enough, but for nothing."""
    return mask.certainty >= (NOTHING if session.is_by_hand(number) else session.options.certainty)
