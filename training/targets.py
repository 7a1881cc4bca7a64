"""What a label map teaches: the nuclei map's distance channel, and prompts with the masks they ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

from sac.prompts import REACH

Array = np.ndarray

NEGATIVES = 4
"""Most negative points a nucleus's prompt carries; many background points harm SAM."""
POINTS = NEGATIVES + 2
BACKGROUND_SHARE = 0.12
"""Share of prompts put beside every nucleus, whose right answer is an empty mask."""


def border_distance(labels: Array) -> Array:
    """Distance to the nucleus's own border, 1 at its innermost pixel, 0 outside. (H, W) int -> float32."""
    inside = labels > 0
    borders = find_boundaries(labels, mode="inner")
    within = inside & ~borders
    depth = inside + (0.0 if within.all() else ndimage.distance_transform_edt(within))  # no border is in sight of one alone
    deepest = np.ones(labels.max() + 1)
    np.maximum.at(deepest, labels, depth)
    return (depth / deepest[labels]).astype(np.float32)


@dataclass(frozen=True)
class PromptTargets:
    """K prompts of one image: points (K, POINTS, 2) float32 (x, y); labels (K, POINTS) int64; boxes (K, 4) float32;
    ids (K,) int64, the label-map value each prompt asks for, 0 where its mask must be empty."""

    points: Array
    labels: Array
    boxes: Array
    ids: Array


def sample_prompts(
    rng: np.random.Generator, labels: Array, distance: Array, count: int, diameter: float
) -> PromptTargets:
    """Prompts as the generator will give them: one positive a nucleus, near its middle, neighbours as negatives.

    diameter: of a typical nucleus, in pixels of the labels; neighbours are near within `REACH` of it.
    """
    crop = _Crop.of(labels, distance, REACH * diameter)
    beside = (rng.random(count) < (BACKGROUND_SHARE if len(crop.present) else 1.0)) & (labels == 0).any()
    drawn = rng.permutation(np.resize(rng.permutation(crop.present), count)) if len(crop.present) else 0
    ids = np.where(beside, 0, drawn)
    points, kinds, corners = (np.stack(part) for part in zip(*(crop.prompt(rng, int(number)) for number in ids)))
    return PromptTargets(points.astype(np.float32), kinds, corners.astype(np.float32), ids.astype(np.int64))


@dataclass(frozen=True)
class _Crop:
    """A crop's label map (H, W) and distances, the numbers that are present, the innermost pixel (x, y) of each and
    their boxes; reach: pixels within which a neighbour is near."""

    labels: Array
    distance: Array
    reach: float
    present: Array
    middles: Array
    boxes: list[tuple[slice, slice] | None]

    @classmethod
    def of(cls, labels: Array, distance: Array, reach: float) -> _Crop:
        present = np.unique(labels)
        present = present[present > 0]
        places = ndimage.maximum_position(distance, labels, present) if len(present) else []
        middles = np.array(places, float).reshape(-1, 2)[:, ::-1]
        return cls(labels, distance, reach, present, middles, ndimage.find_objects(labels))

    def prompt(self, rng: np.random.Generator, number: int) -> tuple[Array, Array, Array]:
        """Points, their kinds and a box for nucleus `number`, or for a place on the ground where it is 0."""
        points, kinds = np.zeros((POINTS, 2)), np.full(POINTS, -1, np.int64)
        inner = self._pick(rng, number)
        points[0], kinds[0] = inner[0], 1
        if number and rng.random() < 0.5:
            points[0] = self.middles[np.searchsorted(self.present, number)]
        if number and rng.random() < 0.15:
            points[1], kinds[1] = inner[1], 1
        around = self.middles[self.present != number]
        around = around[np.argsort(np.hypot(*(around - points[0]).T))][:NEGATIVES]
        around = around[(np.hypot(*(around - points[0]).T) < self.reach) & (rng.random(len(around)) > 0.25)]
        points[2 : 2 + len(around)], kinds[2 : 2 + len(around)] = around, 0
        return points, kinds, self._box(rng, number, points[0])

    def _pick(self, rng: np.random.Generator, number: int) -> Array:
        """Two random pixels (x, y) of a nucleus, off its border, or of the ground."""
        if not number:
            places = np.argwhere(self.labels == 0)
            return places[rng.integers(len(places), size=2)][:, ::-1]
        window = self.boxes[number - 1]
        mine = (self.labels[window] == number) & (self.distance[window] > 0.35)
        places = np.argwhere(mine if mine.any() else self.labels[window] == number)
        chosen = places[rng.integers(len(places), size=2)]
        return (chosen + [window[0].start, window[1].start])[:, ::-1]

    def _box(self, rng: np.random.Generator, number: int, point: Array) -> Array:
        """The nucleus's box (x0, y0, x1, y1), each side off by up to a tenth; a small random one on the ground."""
        if not number:
            half = rng.uniform(4, 24, 2)
            return np.concatenate([point - half, point + half])
        rows, columns = self.boxes[number - 1]
        corners = np.array([columns.start, rows.start, columns.stop - 1, rows.stop - 1], float)
        size = np.tile([columns.stop - columns.start, rows.stop - rows.start], 2)
        return corners + rng.uniform(-0.1, 0.1, 4) * size
