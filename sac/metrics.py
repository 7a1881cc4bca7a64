"""How well one label map agrees with another: (H, W) integers, 0 = background, numbers need not be dense.

Instances are compared by the intersection over union (IoU) of every pair that overlaps. Where both maps are empty
they agree, and every score is 1.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

THRESHOLDS = np.arange(50, 100, 5) / 100
"""IoU from which a pair counts as found, for mSA."""


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
    return Overlap.between(truth, found).iou


@dataclass(frozen=True)
class Overlap:
    """How R true and C found nuclei overlap: shared pixels (R, C), areas and numbers (R,) and (C,)."""

    shared: np.ndarray
    true_areas: np.ndarray
    found_areas: np.ndarray
    true_numbers: np.ndarray
    found_numbers: np.ndarray

    @classmethod
    def between(cls, truth: np.ndarray, found: np.ndarray) -> Overlap:
        if truth.shape != found.shape:
            raise ValueError(f"label maps of {truth.shape} and {found.shape} cannot be compared")
        rows, row = np.unique(truth, return_inverse=True)
        columns, column = np.unique(found, return_inverse=True)
        counts = np.bincount(row.ravel() * len(columns) + column.ravel(), minlength=len(rows) * len(columns))
        counts = counts.reshape(len(rows), len(columns))
        nuclei = np.ix_(rows != 0, columns != 0)
        areas = counts.sum(axis=1)[rows != 0], counts.sum(axis=0)[columns != 0]
        return cls(counts[nuclei], *areas, rows[rows != 0], columns[columns != 0])

    @property
    def union(self) -> np.ndarray:
        return self.true_areas[:, None] + self.found_areas[None] - self.shared

    @property
    def iou(self) -> np.ndarray:
        return self.shared / np.maximum(self.union, 1)

    def matches(self, threshold: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (rows, columns) of IoU >= threshold, one to one, as many as possible (Hungarian assignment)."""
        iou = self.iou
        enough = iou >= threshold
        rows, columns = linear_sum_assignment(-(enough + iou / (2 * max(1, min(iou.shape)))))
        valid = enough[rows, columns]
        return rows[valid], columns[valid]

    def counts(self, threshold: float) -> tuple[int, int, int]:
        """True positives, false positives, false negatives."""
        hits = len(self.matches(threshold)[0])
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
        rows, columns = np.nonzero(self.iou > 0.5)
        total = len(self.true_areas) + len(self.found_areas)
        return _share(2 * float(self.iou[rows, columns].sum()), total)

    def aji(self) -> float:
        """Aggregated Jaccard index (Kumar et al. 2017).

        Each true nucleus takes the found one of highest IoU, which may serve more than once; found ones that served
        for none add to the union.
        """
        if not len(self.true_areas) or not len(self.found_areas):
            return 1.0 if len(self.true_areas) == len(self.found_areas) else 0.0
        best = self.iou.argmax(axis=1)
        rows = np.arange(len(best))
        touched = self.shared[rows, best] > 0
        shared = self.shared[rows, best].sum()
        union = np.where(touched, self.union[rows, best], self.true_areas).sum()
        unused = np.setdiff1d(np.arange(len(self.found_areas)), best[touched])
        return float(shared / (union + self.found_areas[unused].sum()))


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
        matched = overlap.iou > 0.5
        held = overlap.shared > overlap.true_areas[:, None] / 2
        merged = held.sum(axis=0) >= 2
        missed = ~matched.any(axis=1) & ~held[:, merged].any(axis=1)
        extra = ~matched.any(axis=0) & ~merged
        numbers = (overlap.true_numbers[missed], overlap.found_numbers[extra], overlap.found_numbers[merged])
        return cls(*(tuple(n.tolist()) for n in numbers))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 1.0
