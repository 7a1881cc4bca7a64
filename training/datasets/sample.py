"""One picture with its nuclei: what every source of data becomes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from skimage.measure import label

from sac.errors import DataError
from sac.labels import LabelImage


@dataclass(frozen=True)
class Sample:
    """image (H, W, 3) uint8 RGB; labels (H, W) int32, 0 = background."""

    name: str
    image: np.ndarray
    labels: np.ndarray
    source: str = ""
    """The folder, file or repository it comes from."""
    doubts: tuple[str, ...] = ()
    """What makes its labels doubtful: any of `DOUBTS`."""
    microns: float = 0.0
    """Size of a pixel in µm; 0 where it is not known."""

    def __post_init__(self):
        if self.image.shape[:2] != self.labels.shape:
            raise DataError(
                f"{self.name}: the image is of {self.image.shape[:2]}, its labels of {self.labels.shape} "
                "(height, width); they must agree"
            )


DOUBTS = {
    "binary": "are binary masks: nuclei that touch are learnt as one",
    "jpeg": "are JPEG files, whose borders are smeared: nuclei were cut at half intensity",
    "parts": "have numbers that each stand for several pieces: is it a class of nuclei that is numbered, not each nucleus?",
    "overlap": "have nuclei that overlap: the later one was given the pixels",
}
"""What may be doubtful about labels, as the end of "the labels of 3 images ..."."""

MOST_PIECES = 2
"""Pieces of a nucleus, in the mean over an image, above which numbers hardly stand for nuclei."""


def doubts_of(found: LabelImage) -> tuple[str, ...]:
    """A single nucleus in one piece may be binary."""
    doubtful = {
        "binary": found.is_binary and found.labels.max() > 1,
        "jpeg": found.is_jpeg,
        "parts": pieces(found.labels) > MOST_PIECES * len(np.unique(found.labels[found.labels > 0])),
    }
    return tuple(doubt for doubt, holds in doubtful.items() if holds)


def pieces(labels: np.ndarray) -> int:
    """Connected pieces of one number each, in labels (H, W)."""
    return int(label(labels, connectivity=2).max())
