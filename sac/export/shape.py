"""Size, place and shape of nuclei, of all at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sac.overlay import borders

ROWS = 512
"""Rows that are measured at once: memory grows with them, not with the picture."""
AROUND = ((-1, -1, 10), (-1, 0, 2), (-1, 1, 10), (0, -1, 2), (0, 1, 2), (1, -1, 10), (1, 0, 2), (1, 1, 10))
"""(dy, dx, code) of a border pixel's neighbours: 1 + the codes of those on the border tell how the border runs there."""
LENGTHS = np.zeros(50)
LENGTHS[[5, 7, 15, 17, 25, 27]] = 1
LENGTHS[[21, 33]] = np.sqrt(2)
LENGTHS[[13, 23]] = (1 + np.sqrt(2)) / 2
"""Length of the border in a pixel, by that code (Benkrid and Crookes 2000, as skimage.measure.perimeter has it)."""


def bands(ranks: np.ndarray) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """The pixels of nuclei on a map (H, W), some rows at a time: the rows; places (M,) in them, row by row; nuclei (M,).

    Nuclei are told by their index, from 0 on.
    """
    for top in range(0, len(ranks), ROWS):
        rows = slice(top, top + ROWS)
        band = ranks[rows].ravel()
        places = np.flatnonzero(band)
        yield rows, places, band[places].astype(np.intp) - 1


def shapes(ranks: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Area, centroid, perimeter, axes and orientation of the nuclei 1 to `count` of a map (H, W): (N,) float64 each.

    In pixels, the centre of the first one at (0, 0). Axes and orientation are those of the ellipse with the same second
    moments, as skimage.measure.regionprops has them: orientation in degrees between the rows' direction, down, and the
    major axis, -90 to 90; 0 where no direction is longer. circularity: 4 pi area / perimeter², at most 1; NaN where a
    nucleus is too thin to have a perimeter.
    """
    sums = np.zeros((6, count))
    for rows, places, index in bands(ranks):
        y, x = np.divmod(places, ranks.shape[1])
        y, x = (y + rows.start).astype(float), x.astype(float)
        for total, weight in zip(sums, (None, x, y, x * x, y * y, x * y)):
            total += np.bincount(index, weight, count)
    area, x, y = sums[0], sums[1] / sums[0], sums[2] / sums[0]
    across, down, both = _variances(sums)
    middle, apart = (across + down) / 2, np.hypot((across - down) / 2, both)
    perimeter = perimeters(ranks, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        circularity = np.where(perimeter > 0, np.minimum(4 * np.pi * area / perimeter**2, 1), np.nan)
    return {
        "x": x,
        "y": y,
        "area": area,
        "perimeter": perimeter,
        "major_axis": 4 * np.sqrt(middle + apart),
        "minor_axis": 4 * np.sqrt(np.maximum(middle - apart, 0)),
        "orientation": np.degrees(np.arctan2(2 * both, down - across) / 2),
        "circularity": circularity,
    }


def _variances(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Variance of x, of y, and covariance, from sums (6, N) of 1, x, y, x², y² and xy: (N,) float64 each.

    In Python's integers, which are exact: far from the picture's corner, floats would leave a square a direction.
    """
    area, x, y, xx, yy, xy = sums.astype(np.int64).astype(object)
    moments = (area * xx - x * x, area * yy - y * y, area * xy - x * y)
    across, down, both = ((moment / area**2).astype(float) for moment in moments)
    return across, down, both


def perimeters(ranks: np.ndarray, count: int) -> np.ndarray:
    """The length of each nucleus's border, in pixels, from centre to centre of its border pixels: (N,) float64.

    A pixel is on the border where one of its four neighbours is not of its nucleus, or lies beyond the picture.
    """
    own = np.pad(ranks, 1)
    border = borders(own)
    y, x = np.nonzero(border)
    rank = own[y, x]
    code = np.ones(len(y), np.int64)
    for dy, dx, worth in AROUND:
        code += worth * (border[y + dy, x + dx] & (own[y + dy, x + dx] == rank))
    return np.bincount(rank - 1, LENGTHS[code], count)
