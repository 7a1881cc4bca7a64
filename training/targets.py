"""What a label map teaches: the nuclei map's distance channel, and prompts with the masks they ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

Array = np.ndarray

NEGATIVES = 4
"""Most negative points a nucleus's prompt carries; many background points harm SAM."""
POINTS = NEGATIVES + 2
BACKGROUND_SHARE = 0.12
"""Share of prompts put beside every nucleus, whose right answer is an empty mask."""
REACH = 64.0
"""Neighbours further than this, in pixels, are outside the decoding window."""


def border_distance(labels: Array) -> Array:
    """Distance to the nucleus's own border, 1 at its innermost pixel, 0 outside. (H, W) int -> float32."""
    inside = labels > 0
    borders = find_boundaries(labels, mode="inner")
    depth = ndimage.distance_transform_edt(inside & ~borders) + inside
    deepest = np.maximum(ndimage.maximum(depth, labels, np.arange(labels.max() + 1)), 1)
    return (depth / deepest[labels]).astype(np.float32)


@dataclass(frozen=True)
class PromptTargets:
    """K prompts of one image: points (K, POINTS, 2) float32 (x, y); labels (K, POINTS) int64; boxes (K, 4) float32;
    ids (K,) int64, the label-map value each prompt asks for, 0 where its mask must be empty."""

    points: Array
    labels: Array
    boxes: Array
    ids: Array


def sample_prompts(rng: np.random.Generator, labels: Array, distance: Array, count: int) -> PromptTargets:
    """Prompts as the generator will give them: one positive a nucleus, near its middle, neighbours as negatives."""
    present = np.unique(labels)
    present = present[present > 0]
    beside = (rng.random(count) < (BACKGROUND_SHARE if len(present) else 1.0)) & (labels == 0).any()
    ids = np.where(beside, 0, rng.permutation(np.resize(rng.permutation(present), count)) if len(present) else 0)
    middles = _middles(labels, distance, present)
    boxes = ndimage.find_objects(labels)
    found = [_prompt(rng, labels, distance, int(number), present, middles, boxes) for number in ids]
    points, kinds, corners = (np.stack(part) for part in zip(*found))
    return PromptTargets(points.astype(np.float32), kinds, corners.astype(np.float32), ids.astype(np.int64))


def _middles(labels: Array, distance: Array, present: Array) -> Array:
    """Innermost pixel (x, y) of each nucleus: (len(present), 2)."""
    if not len(present):
        return np.zeros((0, 2))
    places = np.array(ndimage.maximum_position(distance, labels, present), float)
    return places[:, ::-1]


def _prompt(rng, labels: Array, distance: Array, number: int, present: Array, middles: Array, boxes):
    """Points, their kinds and a box for nucleus `number`, or for a place on the ground where it is 0."""
    points, kinds = np.zeros((POINTS, 2)), np.full(POINTS, -1, np.int64)
    inner = _pick(rng, labels, distance, number, boxes)
    points[0], kinds[0] = inner[0], 1
    if number and rng.random() < 0.5:
        points[0] = middles[np.searchsorted(present, number)]
    if number and rng.random() < 0.15:
        points[1], kinds[1] = inner[1], 1
    around = middles[present != number]
    around = around[np.argsort(np.hypot(*(around - points[0]).T))][:NEGATIVES]
    around = around[(np.hypot(*(around - points[0]).T) < REACH) & (rng.random(len(around)) > 0.25)]
    points[2 : 2 + len(around)], kinds[2 : 2 + len(around)] = around, 0
    return points, kinds, _box(rng, number, boxes, points[0])


def _pick(rng, labels: Array, distance: Array, number: int, boxes) -> Array:
    """Two random pixels (x, y) of a nucleus, off its border, or of the ground."""
    if not number:
        places = np.argwhere(labels == 0)
        return places[rng.integers(len(places), size=2)][:, ::-1]
    window = boxes[number - 1]
    mine = (labels[window] == number) & (distance[window] > 0.35)
    places = np.argwhere(mine if mine.any() else labels[window] == number)
    chosen = places[rng.integers(len(places), size=2)]
    return (chosen + [window[0].start, window[1].start])[:, ::-1]


def _box(rng, number: int, boxes, point: Array) -> Array:
    """The nucleus's box (x0, y0, x1, y1), each side off by up to a tenth; a small random one on the ground."""
    if not number:
        half = rng.uniform(4, 24, 2)
        return np.concatenate([point - half, point + half])
    rows, columns = boxes[number - 1]
    corners = np.array([columns.start, rows.start, columns.stop - 1, rows.stop - 1], float)
    size = np.tile([columns.stop - columns.start, rows.stop - rows.start], 2)
    return corners + rng.uniform(-0.1, 0.1, 4) * size
