"""Nuclei as COCO annotations with run-length masks, which most training code reads."""

from __future__ import annotations

from typing import Any

import numpy as np
from pycocotools import mask as rle
from scipy import ndimage

from sac.export.result import Result
from sac.export.text import to_json

CATEGORY = {"id": 1, "name": "nucleus", "supercategory": "cell"}


def coco_json(result: Result) -> bytes:
    """One image, one category, an annotation per nucleus: id, its number; score, its certainty."""
    height, width = result.image.size
    picture = {"id": 1, "file_name": result.image.name, "width": width, "height": height}
    info = {"description": "Nuclei found by Segment Any Cell", **result.about()}
    return to_json({
        "info": info, "licenses": [], "images": [picture], "categories": [CATEGORY],
        "annotations": _annotations(result),
    })  # fmt: skip


def _annotations(result: Result) -> list[dict[str, Any]]:
    found, ranks = result.found, result.ranks
    windows = ndimage.find_objects(ranks, len(found))
    insides = [ranks[window] == rank for rank, window in enumerate(windows, start=1)]
    runs = [
        {"size": list(ranks.shape), "counts": _counts(inside, window, ranks.shape)}
        for inside, window in zip(insides, windows)
    ]
    masks = rle.frPyObjects(runs, *ranks.shape) if runs else []
    facts = zip(found.numbers.tolist(), found.certainty.tolist(), found.origin, windows, insides, masks)
    return [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "iscrowd": 0,
            "area": int(inside.sum()),
            "bbox": [x.start, y.start, x.stop - x.start, y.stop - y.start],
            "score": round(certainty, 4),
            "origin": origin,
            "segmentation": {"size": list(ranks.shape), "counts": mask["counts"].decode("ascii")},
        }
        for number, certainty, origin, (y, x), inside, mask in facts
    ]


def _counts(inside: np.ndarray, window: tuple[slice, slice], size: tuple[int, int]) -> list[int]:
    """Lengths of runs outside and inside, in turn, column by column of the whole picture (height, width).

    `inside`: the nucleus's pixels (h, w) bool in its window; no mask of the picture's size is ever made.
    """
    y, x = window
    height, width = size
    padded = np.zeros((inside.shape[1], inside.shape[0] + 2), bool)
    padded[:, 1:-1] = inside.T
    columns, rows = np.nonzero(padded[:, 1:] != padded[:, :-1])  # in each column: begins, ends, begins, ends
    places, times = np.unique((x.start + columns) * height + y.start + rows, return_counts=True)
    ends = places[times == 1]  # from the foot of a column to the head of the next, a run goes on
    return np.diff(np.union1d(ends, width * height), prepend=0).tolist()
