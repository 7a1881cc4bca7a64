"""The scores of the GlaS challenge, of one image: label maps (H, W) integers, 0 = background.

Sirinukunwattana et al., "Gland segmentation in colon histology images: the GlaS challenge contest", Medical Image
Analysis 35 (2017), 489-502, and the contest's page "Evaluation". S are the found objects, G the true ones. Each object
is held against its counterpart: the one of the other map that shares most pixels with it, of several the one of lowest
number. One object may be the counterpart of many.

The contest pools all objects of all images; here each image has its own scores, and whoever averages them says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.ndimage import binary_erosion, find_objects
from scipy.spatial import cKDTree

from sac.metrics import Overlap


@dataclass(frozen=True)
class GlandScores:
    """object_dice, object_f1: 0 to 1, more is better. object_hausdorff: in pixels, less is better.

    Where both maps are empty they agree: 1, 1 and 0. Where one of them is: 0, 0 and infinity, as in the contest's code
    the distance between something and nothing is.
    """

    object_dice: float
    object_f1: float
    object_hausdorff: float


def gland_scores(truth: np.ndarray, found: np.ndarray) -> GlandScores:
    """Every score of `found` against `truth`. Raises ValueError where their sizes differ."""
    overlap = Overlap.between(truth, found)
    there = [len(overlap.true_areas) > 0, len(overlap.found_areas) > 0]
    if not all(there):
        return GlandScores(0.0, 0.0, np.inf) if any(there) else GlandScores(1.0, 1.0, 0.0)
    true, seen = _objects(truth, overlap.true_numbers), _objects(found, overlap.found_numbers)
    return GlandScores(_object_dice(overlap), _object_f1(overlap), _object_hausdorff(overlap, true, seen))


def _object_dice(overlap: Overlap) -> float:
    """1/2 [sum_i w_i Dice(G_i, S_i) + sum_j v_j Dice(G_j, S_j)], i over S, j over G, each with its counterpart.

    w_i = |S_i| / sum_k |S_k|, and v_j likewise of G. An object without a counterpart has a Dice of 0.
    """
    shared = overlap.matrix(overlap.pixels)
    dice = 2 * shared / (overlap.true_areas[:, None] + overlap.found_areas)
    of_true = np.take_along_axis(dice, shared.argmax(axis=1)[:, None], axis=1).ravel()
    of_found = np.take_along_axis(dice, shared.argmax(axis=0)[None], axis=0).ravel()
    return _both_ways(overlap, of_true, of_found)


def _object_f1(overlap: Overlap) -> float:
    """2 TP / (2 TP + FP + FN).

    A found object is a true positive where it covers more than half of its counterpart, else a false positive; FN are
    the true objects less the true positives. The paper says "at least 50 %": the contest's code counts what is more,
    so that two halves of one object are not two of it.
    """
    shared = overlap.matrix(overlap.pixels)
    counterparts = shared.argmax(axis=0)
    hits = int(np.count_nonzero(2 * shared.max(axis=0) > overlap.true_areas[counterparts]))
    return 2 * hits / (len(overlap.true_areas) + len(overlap.found_areas))


def _object_hausdorff(overlap: Overlap, true: list[_Object], seen: list[_Object]) -> float:
    """1/2 [sum_i w_i H(G_i, S_i) + sum_j v_j H(G_j, S_j)], with the counterparts and weights of `_object_dice`.

    H is the Hausdorff distance of all pixels' centres. An object without a counterpart is held against the one of the
    other map for which H is least.
    """
    shared = overlap.matrix(overlap.pixels)

    @cache
    def distance(row: int, column: int) -> float:
        return max(true[row].reach(seen[column]), seen[column].reach(true[row]))

    def of_true(row: int) -> float:
        return _nearest(shared[row], true[row], seen, lambda column: distance(row, column))

    def of_found(column: int) -> float:
        return _nearest(shared[:, column], seen[column], true, lambda row: distance(row, column))

    return _both_ways(overlap, [of_true(n) for n in range(len(true))], [of_found(n) for n in range(len(seen))])


def _nearest(shared: np.ndarray, own: _Object, others: list[_Object], distance: Callable[[int], float]) -> float:
    """Distance to the counterpart, else the least to any other: those that cannot be nearer are not measured."""
    if shared.any():
        return distance(int(shared.argmax()))
    least, bounds = np.inf, [own.bound(other) for other in others]
    for number in np.argsort(bounds, kind="stable"):
        if bounds[number] >= least:
            break
        least = min(least, distance(int(number)))
    return least


def _both_ways(overlap: Overlap, of_true: Sequence[float], of_found: Sequence[float]) -> float:
    """The mean of both maps' values, one for each object, each weighted by its area."""
    values = np.average(of_true, weights=overlap.true_areas), np.average(of_found, weights=overlap.found_areas)
    return float(sum(values) / 2)


class _Object:
    """One object. inside (h, w) bool: its pixels in its box, whose first row and column are `corner`."""

    def __init__(self, inside: np.ndarray, corner: np.ndarray):
        self._inside, self._corner = inside, corner
        self._pixels = np.argwhere(inside) + corner
        # what lies outside is nearest to a pixel that has a neighbour outside
        self._edge = cKDTree(np.argwhere(inside & ~binary_erosion(inside)) + corner)

    def bound(self, other: _Object) -> float:
        """The Hausdorff distance is at least as far as their boxes' sides are apart."""
        return float(np.abs(self._sides - other._sides).max())

    @property
    def _sides(self) -> np.ndarray:
        return np.concatenate([self._corner, self._corner + self._inside.shape])

    def reach(self, other: _Object) -> float:
        """How far the farthest pixel of the other lies from the nearest of this one."""
        places = other._pixels - self._corner
        near = ((places >= 0) & (places < self._inside.shape)).all(axis=1)
        near[near] = self._inside[tuple(places[near].T)]
        return float(self._edge.query(other._pixels[~near])[0].max(initial=0.0))


def _objects(labels: np.ndarray, numbers: np.ndarray) -> list[_Object]:
    """In the order of their numbers (N,), which need not be dense."""
    dense = np.searchsorted(np.concatenate([[0], numbers]), labels)
    boxes = find_objects(dense)
    return [_Object(dense[box] == n, np.array([s.start for s in box])) for n, box in enumerate(boxes, 1)]
