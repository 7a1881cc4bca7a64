"""What the canvas asks for, checked, and turned into edits. Orders come from a browser: nothing in them is trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from sac.errors import EditError
from sac.inference import edits, reprompt
from sac.inference.history import History
from sac.inference.reprompt import Embedded
from sac.inference.session import Session
from sac.prompts import NEGATIVE, POSITIVE

Order = dict[str, Any]
LONGEST_STROKE = 5000
MOST_SELECTED = 20_000
FARTHEST = 1e9
"""Coordinates and numbers beyond this are none of ours."""

Edited = tuple[Session, int]
"""The session after an edit, and the nucleus to select then (0: none)."""


def order_of(event: gr.EventData) -> Order:
    """What the canvas sent with an event; nothing, where that is no object."""
    return event._data if isinstance(event._data, dict) else {}


def corners(order: Order) -> tuple[float, ...]:
    """The box of an order, (x0, y0, x1, y1). Raises EditError."""
    box = order.get("box")
    if not isinstance(box, list) or len(box) != 4:
        raise EditError("A box has four numbers: x0, y0, x1, y1.")
    return tuple(_finite(v) for v in box)


def obey(order: Order, history: History, embedded: Callable[[], Embedded]) -> tuple[History, int]:
    """One order carried out: the history after it, and the nucleus to select (0: none).

    `embedded` is called only where something must be decoded. Raises EditError in one plain sentence.
    """
    name = order.get("do") if isinstance(order, dict) else None
    if name == "undo":
        return history.undone(), 0
    if name == "redo":
        return history.redone(), 0
    if not isinstance(name, str) or name not in EDITS:
        raise EditError(f"unknown edit {str(name)[:40]!r}; it is one of {', '.join(['undo', 'redo', *EDITS])}")
    session, selected = EDITS[name](order, history.now, embedded)
    return history.then(session), selected


def _click(order: Order, session: Session, embedded: Callable[[], Embedded]) -> Edited:
    label = POSITIVE if order.get("positive", True) else NEGATIVE
    return reprompt.clicked(session, embedded(), place_of(order), label, number_of(order, "nucleus", 0))


def _box(order: Order, session: Session, embedded: Callable[[], Embedded]) -> Edited:
    return reprompt.boxed(session, embedded(), corners(order), number_of(order, "nucleus", 0))


def _switch(order: Order, session: Session, embedded: Callable[[], Embedded]) -> Edited:
    after = reprompt.switched(session, embedded(), number_of(order, "point"), bool(order.get("on")))
    return after, number_of(order, "nucleus", 0)


def _move(order: Order, session: Session, embedded: Callable[[], Embedded]) -> Edited:
    after = reprompt.moved(session, embedded(), number_of(order, "point"), place_of(order))
    return after, number_of(order, "nucleus", 0)


def _split(order: Order, session: Session, embedded: Callable[[], Embedded]) -> Edited:
    stroke = order.get("stroke")
    if not isinstance(stroke, list) or len(stroke) > LONGEST_STROKE:
        raise EditError(f"A stroke is a list of up to {LONGEST_STROKE} places.")
    return edits.split(session, [place_of({"x": p[0], "y": p[1]}) for p in stroke if _is_pair(p)]), 0


EDITS: dict[str, Callable[[Order, Session, Callable[[], Embedded]], Edited]] = {
    "click": _click,
    "box": _box,
    "switch": _switch,
    "move": _move,
    "split": _split,
    "delete": lambda order, session, embedded: (edits.deleted(session, _numbers(order)), 0),
    "merge": lambda order, session, embedded: edits.merged(session, _numbers(order)),
    "accept": lambda order, session, embedded: (edits.accepted(session, number_of(order, "nucleus")), 0),
    "clear": lambda order, session, embedded: (edits.cleared(session), 0),
}
"""Every edit by its name on the canvas."""


def _finite(value: Any) -> float:
    """A coordinate; NaN and what is beyond any picture are none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -FARTHEST < value < FARTHEST:
        raise EditError(f"{str(value)[:40]} is no place on a picture.")
    return float(value)


def place_of(order: Order) -> tuple[float, float]:
    return _finite(order.get("x")), _finite(order.get("y"))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2


def number_of(order: Order, name: str, default: int | None = None) -> int:
    value = order.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < FARTHEST:
        raise EditError(f"{str(value)[:40]} is no number of a {name}.")
    return value


def _numbers(order: Order) -> list[int]:
    chosen = order.get("nuclei")
    if not isinstance(chosen, list) or len(chosen) > MOST_SELECTED:
        raise EditError("Select the nuclei first.")
    return [number_of({"nucleus": n}, "nucleus") for n in chosen]
