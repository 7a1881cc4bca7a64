"""A label image, or a binary mask, becomes a label map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.measure import label

from sac.config import View
from sac.decoding import Decoder, decode
from sac.decoding.decoded import spoken
from sac.decoding.ground import border
from sac.errors import ImageError

LARGEST_LABELS = 0.02
"""Distinct values, as a share of the pixels, from which a "label image" (of more than 256) is a photograph."""


SMEARED = 0.1
"""Share of a JPEG's pixels that may lie between a quarter and three quarters of its range: those of borders."""
FAINT = 64
"""Grey levels below which a JPEG's range is no mask's, but what its packing left of a blank or of small numbers."""
SOLID = 0.25
"""Share of a smeared mask's foreground that is as bright as its brightest pixel, at least."""
FLAT = 0.05
"""Share of a smeared mask's greys that may have four neighbours of their own grey."""
CROSS = ndimage.generate_binary_structure(2, 1)
"""A pixel and its four neighbours."""


@dataclass(frozen=True)
class LabelImage:
    """labels (H, W) int32, 0 is background. is_binary: there were two values, and each component became a nucleus.

    Borders that drawing, resizing or a JPEG smeared were cut at half intensity before; is_jpeg: by a JPEG.
    """

    labels: np.ndarray
    is_binary: bool = False
    is_jpeg: bool = False


def read_labels(path: str | Path, size: tuple[int, int], name: str | None = None) -> np.ndarray:
    """A label image, or a binary mask, of a picture of `size` (height, width), as labels (H, W) int32.

    Distinct values, or distinct colours, are distinct nuclei, 0 or black is background; of two values, such as 0 and
    255, each connected component is a nucleus, and where neither is 0 the one that fills most of the border is
    background. Of a palette, its numbers are what counts. Raises ImageError.
    """
    return read_label_image(path, name, size=size).labels


def read_label_image(
    path: str | Path, name: str | None = None, decoder: Decoder | None = None, size: tuple[int, int] | None = None
) -> LabelImage:
    """The same of a file on its own, with what is doubtful about it. decoder: where many are read."""
    path = Path(path)
    name = spoken(name or path.name)
    decoded = (decoder.decode if decoder else decode)(path, name, View(), stored=True)
    values = decoded.values[..., :-1] if decoded.alpha else decoded.values
    if size and values.shape[:2] != tuple(size):
        raise ImageError(
            f"{name} is of {values.shape[:2]}, the picture of {tuple(size)} (height, width): they must agree"
        )
    if _is_jpeg(path):
        return LabelImage(_components(_cut(values, name)), is_binary=True, is_jpeg=True)
    whole = _whole(values, name)
    if _is_smeared(values):
        return LabelImage(_components(values[..., 0] > values.max() / 2), is_binary=True)
    labels, count = _numbered(whole, name)
    return LabelImage(_components(labels != _ground(labels)), is_binary=True) if count <= 2 else LabelImage(labels)


def _is_jpeg(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(3) == b"\xff\xd8\xff"


def _cut(values: np.ndarray, name: str) -> np.ndarray:
    """Where a JPEG (H, W, C) uint8 of a mask is bright: (H, W) bool. Raises ImageError where it is no black and white."""
    grey = values.mean(axis=2)
    spread = int((values.max(axis=2).astype(np.int16) - values.min(axis=2)).max())
    low, high = float(grey.min()), float(grey.max())
    if high < FAINT / 4:
        return np.zeros(grey.shape, bool)
    between = (grey > low + (high - low) / 4) & (grey < high - (high - low) / 4)
    if spread > FAINT or high - low < FAINT or between.mean() > SMEARED:
        raise ImageError(f"{name} is a JPEG, which smears labels into each other: save them as PNG or TIFF")
    return grey > (low + high) / 2


def _is_smeared(values: np.ndarray) -> bool:
    """Whether values (H, W, C) are a mask whose borders run through all greys, as drawing and resizing leave them.

    No label image is: its highest number has few of its pixels, and its nuclei are flat and end at the ground at once.
    """
    grey = values[..., 0]
    top = grey.max()
    between = (grey > 0) & (grey < top)
    if values.dtype != np.uint8 or top < FAINT or not between.any() or (values != grey[..., None]).any():
        return False
    if (grey == top).sum() < SOLID * (grey > 0).sum():
        return False
    lowest, highest = (ndimage.rank_filter(grey, rank, footprint=CROSS) for rank in (0, -1))
    flat, ends = between & (lowest == highest), lowest[(grey == top) & (lowest < top)]
    return bool(flat.sum() < FLAT * between.sum() and (ends > 0).mean() > 0.5)


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    """Values (H, W, C) as one whole number a pixel, (H, W). Raises ImageError for what is no label."""
    if values.shape[2] == 3 and values.dtype.kind in "iu":
        values = values.astype(np.int64) @ np.array([65536**2, 65536, 1])
    elif values.shape[2] == 1:
        values = values[..., 0]
    else:
        raise ImageError(f"{name} has {values.shape[2]} channels; a label image has one, or colours")
    if not np.isfinite(values).all() or values.min() < 0 or (values != np.round(values)).any():
        raise ImageError(f"{name} holds values that are no labels: whole numbers from 0 on are")
    return values


def _numbered(values: np.ndarray, name: str) -> tuple[np.ndarray, int]:
    """Values (H, W) as labels (H, W) int32 without gaps, and how many values there are."""
    numbers, labels = np.unique(values, return_inverse=True)
    if len(numbers) > max(256, LARGEST_LABELS * values.size):
        raise ImageError(f"{name} has {len(numbers)} different values: a photograph rather than a label image")
    return labels.reshape(values.shape).astype(np.int32) + int(numbers[0] > 0), len(numbers)


def _ground(labels: np.ndarray) -> int:
    """Of labels (H, W) of one or two values the background: 0, or of two others the one that fills the border."""
    if labels.min() == 0 or labels.max() == 1:
        return 0
    return 2 if (border(labels) == 2).mean() > 0.5 else 1


def _components(mask: np.ndarray) -> np.ndarray:
    return label(mask, connectivity=1).astype(np.int32)
