"""Pictures that are stored lying, on their head or mirrored, as EXIF and TIFF number it: orientation 1 to 8."""

from __future__ import annotations

import numpy as np

TURNED = "turned upright as its EXIF orientation says"


def upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Values (H, W, ...) turned as the EXIF (or TIFF) orientation, 1 to 8, says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def upright_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(height, width) of a picture that is stored with another."""
    return size[::-1] if orientation in (5, 6, 7, 8) else size


def as_stored(rows: slice, columns: slice, size: tuple[int, int], orientation: int) -> tuple[slice, slice]:
    """Where rows and columns of the upright picture, of `size` (height, width), lie in the file."""
    if orientation in (2, 3, 6, 7):
        columns = slice(size[1] - columns.stop, size[1] - columns.start)
    if orientation in (3, 4, 7, 8):
        rows = slice(size[0] - rows.stop, size[0] - rows.start)
    return (columns, rows) if orientation in (5, 6, 7, 8) else (rows, columns)
