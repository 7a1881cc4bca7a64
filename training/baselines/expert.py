"""Prompts as people who see the nuclei would set them, worked out from the truth (paper, figures 1 and 3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts
from training.targets import border_distance

RIM = 0.35
"""Distance to the border, of that of the innermost pixel, up to which a point is a careless one."""
INSIDE = 3
"""Points that a careful user sets into a nucleus."""
BESIDE = 4
"""Points that they set on the ground or on neighbours, close by."""
NEAR, FAR = 2, 6
"""Pixels beside the border between which those lie."""


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
        """Middles of up to `count` nuclei that show in a window of the picture, (N, 2) float32, (x, y), from its corner."""
        shown = np.unique(self.truth[window])
        inside = [self._middle(int(n)) for n in shown[shown > 0]]
        corner = np.array([window[1].start, window[0].start])
        places = np.array(inside, np.float32).reshape(-1, 2) - corner
        size = np.array([window[1].stop, window[0].stop]) - corner
        places = places[((places >= 0) & (places < size)).all(axis=1)]
        return np.random.default_rng(len(places)).permutation(places)[:count].astype(np.float32)

    @cached_property
    def _distance(self) -> np.ndarray:
        return border_distance(self.truth)

    @cached_property
    def _boxes(self) -> list[tuple[slice, slice] | None]:
        return ndimage.find_objects(self.truth)

    def _prompts(self, asked) -> Prompts:
        """A row per nucleus; asked: its number to (points inside, points beside), lists of (x, y)."""
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

    def _middle(self, number: int) -> tuple[int, int]:
        depth = self._depth(number)
        return self._placed(number, np.argwhere(depth == depth[np.isfinite(depth)].max())[0])

    def _inner(self, number: int) -> list[tuple[int, int]]:
        depth = self._depth(number)
        return [self._middle(number), *self._chosen(number, np.isfinite(depth) & (depth > RIM), INSIDE - 1)]

    def _chosen(self, number: int, allowed: np.ndarray, count: int) -> list[tuple[int, int]]:
        """Up to `count` random pixels of a window's mask; its whole nucleus where the mask is empty."""
        places = np.argwhere(allowed if allowed.any() else np.isfinite(self._depth(number)))
        order = np.random.default_rng(number).permutation(len(places))[:count]
        return [self._placed(number, places[i]) for i in order]

    def _placed(self, number: int, place: np.ndarray) -> tuple[int, int]:
        rows, columns = self._boxes[number - 1]
        return int(place[1]) + columns.start, int(place[0]) + rows.start

    def _beside(self, number: int) -> list[tuple[int, int]]:
        rows, columns = self._boxes[number - 1]
        top, left = max(0, rows.start - FAR), max(0, columns.start - FAR)
        around = self.truth[top : rows.stop + FAR, left : columns.stop + FAR] == number
        away = ndimage.distance_transform_edt(~around)
        places = np.argwhere((away > NEAR) & (away <= FAR))
        order = np.random.default_rng(number).permutation(len(places))[:BESIDE]
        return [(int(x) + left, int(y) + top) for y, x in places[order]]
