"""Undo and redo: the sessions of a picture, each step kept as what it changed."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sac.config import LIMITS
from sac.inference.session import Session

ENTRY = 400
"""Bytes of a nucleus, a point or a row of prompts, about: 410, 190 and 640 were measured."""


@dataclass(frozen=True, eq=False)
class Step:
    """One edit. `before` and `after` are the two sessions with their labels cut down to the `window` that differs.

    nbytes: memory that it keeps beside the steps before it, with which it shares what it left alone.
    """

    window: tuple[slice, slice]
    before: Session
    after: Session
    nbytes: int

    @classmethod
    def between(cls, before: Session, after: Session) -> Step:
        window = changed(before.labels, after.labels)
        cut = [replace(s, labels=s.labels[window].copy()) for s in (before, after)]
        facts = ((getattr(s, name) for s in (before, after)) for name in ("nuclei", "points", "rows"))
        return cls(window, *cut, sum(s.labels.nbytes for s in cut) + sum(_added(*known) for known in facts))


def _added(before: dict[int, Any], after: dict[int, Any]) -> int:
    """Bytes, about, that `after` takes beside `before`, of which it may be a copy with entries in common."""
    if after is before:
        return 0
    return sys.getsizeof(after) + ENTRY * sum(before.get(number) is not entry for number, entry in after.items())


def changed(before: np.ndarray, after: np.ndarray) -> tuple[slice, slice]:
    """The smallest window in which two label maps (H, W) differ; empty where they do not."""
    differs = before != after if before is not after else np.zeros((1, 1), bool)
    rows, columns = (np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0)))
    if not len(rows):
        return slice(0, 0), slice(0, 0)
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True, eq=False)
class History:
    """The session as it is, the steps that led to it, and those that were undone, the next one last.

    window: where the labels of `now` may differ from those of the history that this one came from.
    """

    now: Session
    past: tuple[Step, ...] = ()
    future: tuple[Step, ...] = ()
    window: tuple[slice, slice] = (slice(0, 0), slice(0, 0))

    def then(self, session: Session) -> History:
        """`session` becomes the present; what had been undone is gone."""
        step = Step.between(self.now, session)
        return History(session, _affordable((*self.past, step)), window=step.window)

    def undone(self) -> History:
        """One step back; the same session where there is none."""
        if not self.past:
            return History(self.now, self.past, self.future)
        step = self.past[-1]
        return History(_put(self.now, step.window, step.before), self.past[:-1], (*self.future, step), step.window)

    def redone(self) -> History:
        """One undone step again; the same session where there is none."""
        if not self.future:
            return History(self.now, self.past, self.future)
        step = self.future[-1]
        return History(_put(self.now, step.window, step.after), (*self.past, step), self.future[:-1], step.window)


def _put(now: Session, window: tuple[slice, slice], other: Session) -> Session:
    """`other`, whose labels are those of `window`, on the whole map of `now`."""
    if other.labels.shape == now.labels.shape:
        return other
    labels = now.labels.copy()
    labels[window] = other.labels
    return replace(other, labels=labels)


def _affordable(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The newest steps that fit the memory of one picture's history; always the last."""
    room, kept = LIMITS.undo, len(steps)
    while kept and (room := room - steps[kept - 1].nbytes) >= 0:
        kept -= 1
    return steps[min(kept, len(steps) - 1) :]
