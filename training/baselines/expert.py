"""Prompts as people who see the nuclei would set them, worked out from the truth (paper, figures 1 and 3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts
from training.targets import border_distance

Point = tuple[int, int]
RIM = 0.35
"""Distance to the border, of that of the innermost pixel, up to which a point is a careless one."""
INSIDE = 3
"""Points that a careful user sets into a nucleus."""
BESIDE = 4
"""Points that they set on the ground or on neighbours, close by."""
NEAR, FAR = 0.08, 0.25
"""Distances from the border, in diameters of the nucleus, between which those lie."""


@dataclass(frozen=True)
class Expert:
    """Who knows the label map `truth` (H, W), 0 = background. The same questions get the same answers."""

    truth: np.ndarray

    def careless(self) -> Prompts:
        """One point per nucleus, anywhere near its rim."""
        return self._prompts(lambda n: (self._chosen(n, self._depth(n) < RIM, 1), []))

    def good(self) -> Prompts:
        """One point per nucleus, at its innermost pixel."""
        return self._prompts(lambda n: ([self._middle(n)], []))

    def several(self) -> Prompts:
        """`INSIDE` points per nucleus, its innermost pixel among them."""
        return self._prompts(lambda n: (self._inner(n), []))

    def several_with_negatives(self) -> Prompts:
        """The same, and up to `BESIDE` points close beside the nucleus that are not of it."""
        return self._prompts(lambda n: (self._inner(n), self._beside(n)))

    def within(self, window: tuple[slice, slice], count: int) -> np.ndarray:
        """Middles, (N, 2) float32, (x, y), of up to `count` nuclei whose middle lies in a window of the picture."""
        shown = np.unique(self.truth[window])
        places = np.array([self._middle(int(n)) for n in shown[shown > 0]], np.float32).reshape(-1, 2)
        corners = np.array([[w.start, w.stop] for w in reversed(window)])
        places = places[((places >= corners[:, 0]) & (places < corners[:, 1])).all(axis=1)]
        return np.random.default_rng(len(places)).permutation(places)[:count].astype(np.float32)

    @cached_property
    def _distance(self) -> np.ndarray:
        return border_distance(self.truth)

    @cached_property
    def _boxes(self) -> list[tuple[slice, slice] | None]:
        return ndimage.find_objects(self.truth)

    def _prompts(self, asked: Callable[[int], tuple[list[Point], list[Point]]]) -> Prompts:
        """A row per nucleus. asked: its number to points inside and points beside."""
        rows = [asked(n) for n, box in enumerate(self._boxes, start=1) if box is not None]
        width = max((len(inside) + len(beside) for inside, beside in rows), default=1)
        points, labels = np.zeros((len(rows), width, 2), np.float32), np.full((len(rows), width), UNUSED, np.int8)
        for row, (inside, beside) in enumerate(rows):
            both = [*inside, *beside]
            points[row, : len(both)] = both
            labels[row, : len(both)] = [POSITIVE] * len(inside) + [NEGATIVE] * len(beside)
        return Prompts(points, labels)

    def _depth(self, number: int) -> np.ndarray:
        """Distance to the border in the nucleus's own window, infinite outside the nucleus."""
        box = self._boxes[number - 1]
        return np.where(self.truth[box] == number, self._distance[box], np.inf)

    def _middle(self, number: int) -> Point:
        depth = self._depth(number)
        return self._placed(number, np.argwhere(depth == depth[np.isfinite(depth)].max())[0])

    def _inner(self, number: int) -> list[Point]:
        depth = self._depth(number)
        return [self._middle(number), *self._chosen(number, np.isfinite(depth) & (depth > RIM), INSIDE - 1)]

    def _chosen(self, number: int, allowed: np.ndarray, count: int) -> list[Point]:
        """Up to `count` random pixels of a window's mask; its whole nucleus where the mask is empty."""
        places = np.argwhere(allowed if allowed.any() else np.isfinite(self._depth(number)))
        order = np.random.default_rng(number).permutation(len(places))[:count]
        return [self._placed(number, places[i]) for i in order]

    def _placed(self, number: int, place: np.ndarray) -> Point:
        rows, columns = self._boxes[number - 1]
        return int(place[1]) + columns.start, int(place[0]) + rows.start

    def _beside(self, number: int) -> list[Point]:
        rows, columns = self._boxes[number - 1]
        diameter = np.sqrt(np.isfinite(self._depth(number)).sum() * 4 / np.pi)
        far = max(2, round(FAR * diameter))
        top, left = max(0, rows.start - far), max(0, columns.start - far)
        around = self.truth[top : rows.stop + far, left : columns.stop + far] == number
        away = ndimage.distance_transform_edt(~around)
        places = np.argwhere((away > NEAR * diameter) & (away <= far))
        order = np.random.default_rng(number).permutation(len(places))[:BESIDE]
        return [(int(x) + left, int(y) + top) for y, x in places[order]]
