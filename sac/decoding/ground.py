"""Which values of a label image are its ground, where 0 does not say so."""

from __future__ import annotations

import numpy as np


def border(values: np.ndarray) -> np.ndarray:
    """What lies along the four sides of values (H, W, ...), in one row."""
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def numbered(numbers: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Numbers (H, W, 1) of colours in a palette (N, 3), so that 0 is the ground.

    It is by itself, whatever its colour; but of a palette that a program put together, black may be another number.
    Where neither is missing, the one that fills more of the picture's border is the ground.
    """
    if not palette[0].any():
        return numbers
    black = np.isin(numbers, np.flatnonzero(~palette.any(axis=1)))
    if border(black).sum() <= border(numbers == 0).sum():
        return numbers
    return np.where(black, 0, numbers.astype(np.int32) + 1)
