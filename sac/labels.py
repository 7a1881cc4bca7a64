"""A label image, or a binary mask, becomes a label map."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from skimage.measure import label

from sac.config import View
from sac.decoding import decode
from sac.decoding.decoded import spoken
from sac.errors import ImageError

LARGEST_LABELS = 0.02
"""Distinct values, as a share of the pixels, from which a "label image" (of more than 256) is a photograph."""


def read_labels(path: str | Path, size: tuple[int, int], name: str | None = None) -> np.ndarray:
    """A label image, or a binary mask, of a picture of `size` (height, width), as labels (H, W) int32.

    Distinct values, or distinct colours, are distinct nuclei, 0 or black is background; of two values, such as 0 and
    255, each connected component is a nucleus. Raises ImageError.
    """
    path = Path(path)
    name = spoken(name or path.name)
    decoded = decode(path, name, View())
    values = decoded.values[..., :-1] if decoded.alpha else decoded.values
    if values.shape[:2] != tuple(size):
        raise ImageError(
            f"{name} is of {values.shape[:2]}, the picture of {tuple(size)} (height, width): they must agree"
        )
    if values.shape[2] == 3 and values.dtype.kind in "iu":
        values = values.astype(np.int64) @ np.array([65536**2, 65536, 1])
    elif values.shape[2] == 1:
        values = values[..., 0]
    else:
        raise ImageError(f"{name} has {values.shape[2]} channels; a label image has one, or colours")
    if not np.isfinite(values).all() or values.min() < 0 or (values != np.round(values)).any():
        raise ImageError(f"{name} holds values that are no labels: whole numbers from 0 on are")
    numbers, labels = np.unique(values, return_inverse=True)
    labels = labels.reshape(size).astype(np.int32) + int(numbers[0] > 0)
    if len(numbers) <= 2:
        return label(labels > 0, connectivity=1).astype(np.int32)
    if len(numbers) > max(256, LARGEST_LABELS * labels.size):
        raise ImageError(f"{name} has {len(numbers)} different values: a photograph rather than a label image")
    return labels
