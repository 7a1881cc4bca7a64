"""A picture while it is worked on: nuclei, points and rows of prompts, as values that edits replace."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy import ndimage

from sac.config import SegmentOptions
from sac.inference.instances import Instances
from sac.prompts import POSITIVE, UNUSED, Prompts

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Point:
    """A prompt point, in pixels of the picture. `kind`: what it was set as; `by_hand`: by a user."""

    x: float
    y: float
    kind: int
    by_hand: bool = False
    on: bool = True


@dataclass(frozen=True)
class Row:
    """What a nucleus (in semantic mode: a tile) is asked with: (number of a point, its label here) and a box.

    A point's label belongs to the row: a nucleus's own positive point is its neighbours' negative one.
    """

    points: tuple[tuple[int, int], ...]
    box: Box | None = None


@dataclass(frozen=True)
class Nucleus:
    """What is known of a nucleus on the map. window: (x0, y0, x1, y1), half open, around its `area` pixels."""

    window: tuple[int, int, int, int]
    area: int
    certainty: float
    stability: float
    origin: str = "automatic"
    accepted: bool = False

    @property
    def slices(self) -> tuple[slice, slice]:
        x0, y0, x1, y1 = self.window
        return slice(y0, y1), slice(x0, x1)


@dataclass(frozen=True, eq=False)
class Session:
    """One picture's nuclei and how they are asked for. Never changed: an edit makes another.

    labels (H, W) int32. nuclei: those on the map, by number. points, by number. rows: by the nucleus's number in
    instance mode (also where the model found nothing), by tile from 1 on in semantic mode. last: the highest
    nucleus number ever given out: none is given twice.
    """

    labels: np.ndarray
    options: SegmentOptions
    nuclei: dict[int, Nucleus] = field(default_factory=dict)
    points: dict[int, Point] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    last: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def begin(cls, found: Instances, options: SegmentOptions) -> Session:
        """The session in which nothing was edited yet."""
        numbers = np.arange(1, len(found.prompts) + 1)
        last = int(found.labels.max(initial=0))
        if options.mode == "instances":
            numbers = np.zeros(len(found.prompts), np.int64)
            answered = found.prompt >= 0
            numbers[found.prompt[answered]] = found.numbers[answered]
            numbers[numbers == 0] = last + 1 + np.arange((numbers == 0).sum())
            last = max(last, int(numbers.max(initial=0)))
        points, rows = _asked(found.prompts, numbers.tolist())
        return cls(found.labels, options, _nuclei(found), points, rows, last, found.notes)

    def instances(self) -> Instances:
        """The same as exports and metrics take it; points that are off are left out."""
        numbers = sorted(self.nuclei)
        order = {number: index for index, number in enumerate(sorted(self.rows))}
        own = self.options.mode == "instances"
        known = [self.nuclei[n] for n in numbers]
        return Instances(
            labels=self.labels,
            numbers=np.array(numbers, np.int64),
            certainty=np.array([n.certainty for n in known], np.float32),
            stability=np.array([n.stability for n in known], np.float32),
            prompts=self.prompts(sorted(self.rows)),
            prompt=np.array([order.get(n, -1) if own else -1 for n in numbers], np.int64),
            origin=tuple(n.origin for n in known),
            notes=self.notes,
            accepted=frozenset(n for n in numbers if self.nuclei[n].accepted),
        )

    def prompts(self, numbers: list[int]) -> Prompts:
        """The rows of these numbers, without the points that are off."""
        asked = [[(self.points[p], label) for p, label in self.rows[n].points if self.points[p].on] for n in numbers]
        width = max(1, max(map(len, asked), default=1))
        points = np.zeros((len(asked), width, 2), np.float32)
        labels = np.full((len(asked), width), UNUSED, np.int8)
        by_hand = np.zeros((len(asked), width), bool)
        boxes = np.full((len(asked), 4), np.nan, np.float32)
        for index, (number, row) in enumerate(zip(numbers, asked)):
            for column, (point, label) in enumerate(row):
                points[index, column], labels[index, column] = (point.x, point.y), label
                by_hand[index, column] = point.by_hand and label == point.kind
            boxes[index] = self.rows[number].box or np.nan
        boxed = np.isfinite(boxes).any()
        return Prompts(points, labels, by_hand if by_hand.any() else None, boxes if boxed else None)

    def is_asked(self, number: int) -> bool:
        """Whether a row has a positive point that is on: without one there is nothing to decode."""
        return any(label == POSITIVE and self.points[p].on for p, label in self.rows[number].points)

    def is_by_hand(self, number: int) -> bool:
        """Whether a user had a say in a row: by a box, or by a point that was set for this row."""
        row = self.rows[number]
        own = [self.points[p] for p, label in row.points if label == self.points[p].kind]
        return row.box is not None or any(point.by_hand and point.on for point in own)

    def with_point(self, point: Point) -> tuple[Session, int]:
        """The session with one more point, and its number."""
        number = len(self.points) + 1
        return replace(self, points={**self.points, number: point}), number


def _nuclei(found: Instances) -> dict[int, Nucleus]:
    areas = np.bincount(found.labels.ravel())
    windows = ndimage.find_objects(found.labels)
    facts = zip(found.numbers.tolist(), found.certainty.tolist(), found.stability.tolist(), found.origin)
    return {
        number: Nucleus(corners(windows[number - 1]), int(areas[number]), certainty, stability, origin)
        for number, certainty, stability, origin in facts
    }


def corners(window: tuple[slice, slice]) -> tuple[int, int, int, int]:
    """(x0, y0, x1, y1), half open, of a window of an array."""
    return window[1].start, window[0].start, window[1].stop, window[0].stop


def _asked(prompts: Prompts, numbers: list[int]) -> tuple[dict[int, Point], dict[int, Row]]:
    """Points, each place once, and rows of prompts by number."""
    numbered: dict[tuple[float, float], int] = {}
    points: dict[int, Point] = {}
    rows: dict[int, Row] = {}
    for index, number in enumerate(numbers):
        asked = []
        hands = prompts.by_hand[index].tolist() if prompts.by_hand is not None else [False] * prompts.labels.shape[1]
        for (x, y), label, hand in zip(prompts.points[index].tolist(), prompts.labels[index].tolist(), hands):
            if label == UNUSED:
                continue
            p = numbered.setdefault((x, y), len(numbered) + 1)
            kind = POSITIVE if p in points and points[p].kind == POSITIVE else label
            points[p] = Point(x, y, kind, hand)
            asked.append((p, label))
        box = None
        if prompts.boxes is not None and np.isfinite(prompts.boxes[index]).all():
            box = tuple(prompts.boxes[index].tolist())
        rows[number] = Row(tuple(asked), box)
    return points, rows
