"""Nuclei of many images in one list, as COCO has it: outlines, or runs of pixels."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from sac.bundle import alike
from sac.errors import DataError
from training.datasets.outlines import Drawing, ring

STRANGE = (TypeError, KeyError, AttributeError, ValueError, LookupError, OverflowError)
"""What comes of a list that is not built as COCO is."""


def is_list(document: Any) -> bool:
    return isinstance(document, dict) and all(isinstance(document.get(k), list) for k in ("images", "annotations"))


class Listed:
    """A COCO list, by its images. Raises DataError for what is none."""

    def __init__(self, document: dict[str, Any], name: str):
        self.name = name
        self._images: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._nuclei: dict[Any, list[dict[str, Any]]] = defaultdict(list)
        try:
            for image in document["images"]:
                self._images[_path(image["file_name"])].append(image)
            for nucleus in document["annotations"]:
                if not nucleus.get("iscrowd"):
                    self._nuclei[nucleus["image_id"]].append(nucleus)
        except STRANGE as error:
            raise DataError(f"{name} is not built as a COCO list is") from error
        self._alike = defaultdict(list)
        for told in self._images:
            self._alike[PurePosixPath(told).name].append(told)

    @property
    def names(self) -> list[str]:
        return list(self._images)

    def drawn(self, path: str, size: tuple[int, int]) -> Drawing:
        """The nuclei of an image of `size` (height, width) that lies at `path`. Raises DataError."""
        drawing = Drawing(size)
        try:
            image = self._image(path)
            told = image.get("height", size[0]), image.get("width", size[1])
            if told != size:
                raise DataError(f"of {told} in {self.name}, and of {size} as a file (height, width): they must agree")
            for nucleus in self._nuclei[image["id"]]:
                _add(drawing, nucleus["segmentation"])
        except DataError as error:
            raise DataError(f"{path}: {error}") from error
        except STRANGE as error:
            raise DataError(f"{path}: its nuclei in {self.name} are not built as COCO's are") from error
        return drawing

    def _image(self, path: str) -> dict[str, Any]:
        """The one whose path agrees with the end of `path`, else whose file name does."""
        path = _path(path)
        alike = self._alike[PurePosixPath(path).name]
        fits = [told for told in alike if f"/{path}".endswith(f"/{told}")] or alike
        images = self._images[max(fits, key=len)]
        if len(images) > 1:
            raise DataError(f"{self.name} lists it more than once")
        return images[0]


def _path(told: str) -> str:
    return alike(told.replace("\\", "/"))


def _add(drawing: Drawing, segmentation: Any) -> None:
    """A nucleus of polygons, as lists x, y, x, y ..., or of runs of pixels."""
    if isinstance(segmentation, dict):
        size = tuple(segmentation["size"])
        if size != drawing.labels.shape:
            raise DataError(f"a run-length mask claims {size}, the image is of {drawing.labels.shape} (height, width)")
        drawing.add_runs(*_runs(segmentation["counts"], drawing.labels.size))
    else:
        drawing.add_outline([[ring(zip(flat[0::2], flat[1::2], strict=True))] for flat in segmentation])


def _runs(counts: str | list[int], pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Where runs inside start and end, of lengths outside and inside in turn. Raises ValueError."""
    lengths = np.array(_unpacked(counts) if isinstance(counts, str) else counts)
    if lengths.dtype != np.int64 or lengths.ndim != 1 or lengths.min() < 0 or lengths.max() > pixels:
        raise ValueError("no lengths of runs")
    edges = np.cumsum(lengths)
    if edges[-1] != pixels:
        raise ValueError("runs of more or fewer pixels")
    ends = edges[1::2]
    return edges[0::2][: len(ends)], ends


def _unpacked(text: str) -> list[int]:
    """Lengths from COCO's packed form: 5 bits a character, the least first; from the fourth on, what changed.

    Each is told as the difference from the one two before it. The character's sixth bit says that more follow.
    """
    lengths: list[int] = []
    value = shift = 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if not 0 <= bits < 64 or shift > 35:
            raise ValueError("no packed run lengths")
        if not bits & 32:
            value -= (bits & 16) << (shift - 4)
            lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
            value = shift = 0
    return lengths
