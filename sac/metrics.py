"""How well one label map agrees with another: (H, W) integers, 0 = background, numbers need not be dense.

Instances are compared by the intersection over union (IoU) of every pair that overlaps. Where both maps are empty
they agree, and every score is 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_bipartite_matching

THRESHOLDS = np.arange(50, 100, 5) / 100
"""IoU from which a pair counts as found, for mSA."""

FIGURES = ("dice", "iou", "aji", "pq", "f1", "msa")
"""The scores that people are shown, of all in `Scores`: AP@.5 says no more than F1."""


@dataclass(frozen=True)
class Scores:
    """All scores of one image."""

    dice: float
    iou: float
    aji: float
    pq: float
    f1: float
    ap50: float
    msa: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    def shown(self) -> dict[str, float]:
        """Those of `FIGURES`."""
        return {name: float(getattr(self, name)) for name in FIGURES}


def score(truth: np.ndarray, found: np.ndarray) -> Scores:
    """Every score of `found` against `truth`. Raises ValueError where their sizes differ."""
    overlap = Overlap.between(truth, found)
    return Scores(
        dice=pixel_dice(truth, found),
        iou=pixel_iou(truth, found),
        aji=overlap.aji(),
        pq=overlap.panoptic_quality(),
        f1=overlap.f1(0.5),
        ap50=overlap.average_precision(0.5),
        msa=overlap.mean_segmentation_accuracy(),
    )


def pixel_dice(truth: np.ndarray, found: np.ndarray) -> float:
    """2 |T and F| / (|T| + |F|) over foreground pixels."""
    both = np.count_nonzero((truth > 0) & (found > 0))
    total = np.count_nonzero(truth) + np.count_nonzero(found)
    return 2 * both / total if total else 1.0


def pixel_iou(truth: np.ndarray, found: np.ndarray) -> float:
    """|T and F| / |T or F| over foreground pixels (Jaccard index)."""
    either = np.count_nonzero((truth > 0) | (found > 0))
    return np.count_nonzero((truth > 0) & (found > 0)) / either if either else 1.0


def iou_matrix(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """IoU of each true nucleus (rows) with each found one (columns), in the order of their numbers."""
    overlap = Overlap.between(truth, found)
    return overlap.matrix(overlap.ious)


@dataclass(frozen=True)
class Overlap:
    """How R true and C found nuclei overlap: areas and numbers (R,) and (C,), and the P pairs that share pixels.

    pairs (P, 2): positions of a true and a found nucleus, in order; pixels (P,): how many they share. There are hardly
    more pairs than nuclei: what is not overlapping is not kept.
    """

    pairs: np.ndarray
    pixels: np.ndarray
    true_areas: np.ndarray
    found_areas: np.ndarray
    true_numbers: np.ndarray
    found_numbers: np.ndarray

    @classmethod
    def between(cls, truth: np.ndarray, found: np.ndarray) -> Overlap:
        if truth.shape != found.shape:
            raise ValueError(f"label maps of {truth.shape} and {found.shape} cannot be compared")
        truth, found, lengths = _runs(truth.ravel(), found.ravel())
        rows, row = np.unique(truth, return_inverse=True)
        columns, column = np.unique(found, return_inverse=True)
        counts = coo_array((lengths, (row, column)), shape=(len(rows), len(columns))).tocsr()
        areas = counts.sum(axis=1)[rows != 0], counts.sum(axis=0)[columns != 0]
        shared = counts[rows != 0][:, columns != 0].sorted_indices().tocoo()
        return cls(np.stack(shared.coords, axis=1), shared.data, *areas, rows[rows != 0], columns[columns != 0])

    @property
    def unions(self) -> np.ndarray:
        """Pixels of either nucleus of each pair (P,)."""
        return self.true_areas[self.pairs[:, 0]] + self.found_areas[self.pairs[:, 1]] - self.pixels

    @property
    def ious(self) -> np.ndarray:
        """IoU of each pair (P,)."""
        return self.pixels / self.unions

    def matrix(self, values: np.ndarray) -> np.ndarray:
        """Values of the pairs (P,) as (R, C), 0 where nothing overlaps: for pictures of few nuclei."""
        whole = np.zeros((len(self.true_areas), len(self.found_areas)), values.dtype)
        whole[tuple(self.pairs.T)] = values
        return whole

    def counts(self, threshold: float) -> tuple[int, int, int]:
        """True positives, false positives, false negatives: pairs of IoU >= threshold, one to one, as many as possible.

        Above an IoU of one half there is nothing to choose; at one half, a nucleus may have two equal partners.
        """
        enough = self.pairs[self.ious >= threshold]
        size = len(self.true_areas), len(self.found_areas)
        graph = coo_array((np.ones(len(enough), bool), tuple(enough.T)), shape=size).tocsr()
        hits = int(np.count_nonzero(maximum_bipartite_matching(graph) >= 0))
        return hits, len(self.found_areas) - hits, len(self.true_areas) - hits

    def f1(self, threshold: float) -> float:
        """2 TP / (2 TP + FP + FN)."""
        hits, extra, missed = self.counts(threshold)
        return _share(2 * hits, 2 * hits + extra + missed)

    def average_precision(self, threshold: float) -> float:
        """TP / (TP + FP + FN): the "AP" of the Data Science Bowl and of StarDist, segmentation accuracy elsewhere."""
        hits, extra, missed = self.counts(threshold)
        return _share(hits, hits + extra + missed)

    def mean_segmentation_accuracy(self) -> float:
        """mSA: `average_precision` averaged over IoU thresholds .50, .55 to .95."""
        return float(np.mean([self.average_precision(t) for t in THRESHOLDS]))

    def panoptic_quality(self) -> float:
        """Sum of the IoUs above .5, over TP + FP/2 + FN/2 (Kirillov et al. 2019), of one image."""
        ious = self.ious
        total = len(self.true_areas) + len(self.found_areas)
        return _share(2 * float(ious[ious > 0.5].sum()), total)

    def aji(self) -> float:
        """Aggregated Jaccard index (Kumar et al. 2017).

        Each true nucleus takes the found one of highest IoU, which may serve more than once; found ones that served
        for none add to the union.
        """
        if not len(self.true_areas) or not len(self.found_areas):
            return 1.0 if len(self.true_areas) == len(self.found_areas) else 0.0
        order = np.lexsort((-self.ious, self.pairs[:, 0]))
        touched, first = np.unique(self.pairs[order, 0], return_index=True)
        best = order[first]
        union = self.unions[best].sum() + np.delete(self.true_areas, touched).sum()
        unused = np.delete(self.found_areas, self.pairs[best, 1])
        return float(self.pixels[best].sum() / (union + unused.sum()))


@dataclass(frozen=True)
class Mistakes:
    """Nuclei of one map that the other lacks, by number.

    merged: found ones that hold more than half of two or more true ones. extra: other found ones without a true one of
    IoU > .5. missed: true ones without a found one of IoU > .5, except those that a merged one holds.
    """

    missed: tuple[int, ...]
    extra: tuple[int, ...]
    merged: tuple[int, ...]

    @classmethod
    def between(cls, truth: np.ndarray, found: np.ndarray) -> Mistakes:
        """Raises ValueError where the maps' sizes differ."""
        overlap = Overlap.between(truth, found)
        row, column = overlap.pairs.T
        matched, held = overlap.ious > 0.5, overlap.pixels > overlap.true_areas[row] / 2
        merged = np.bincount(column[held], minlength=len(overlap.found_areas)) >= 2
        missed, extra = np.ones(len(overlap.true_areas), bool), ~merged
        missed[row[matched | (held & merged[column])]] = False
        extra[column[matched]] = False
        numbers = (overlap.true_numbers[missed], overlap.found_numbers[extra], overlap.found_numbers[merged])
        return cls(*(tuple(n.tolist()) for n in numbers))


def _runs(truth: np.ndarray, found: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two rows of pixels (N,) as the values of runs in which neither changes, and the runs' lengths."""
    begins = np.ones(len(truth), bool)
    begins[1:] = (truth[1:] != truth[:-1]) | (found[1:] != found[:-1])
    first = np.flatnonzero(begins)
    return truth[first], found[first], np.diff(first, append=len(truth))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
