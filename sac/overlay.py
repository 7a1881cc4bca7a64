"""Pictures with nuclei and prompts drawn on them."""

from __future__ import annotations

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw

from sac.prompts import POSITIVE, Prompts

POSITIVE_COLOUR, NEGATIVE_COLOUR = (0, 200, 120), (235, 60, 80)
GOLDEN = 0.618034
"""Steps of this share of the colour circle keep neighbouring numbers apart in hue."""
SATURATION = 0.75
ROWS = 256
"""Rows that are tinted at once."""


def colours(numbers: np.ndarray) -> np.ndarray:
    """The colour of each number (N,), distinct for neighbouring ones; 0, the background, is black. (N, 3) uint8."""
    sector, rest = np.divmod(numbers * GOLDEN % 1 * 6, 1)
    low, falling, rising = 1 - SATURATION, 1 - SATURATION * rest, 1 - SATURATION * (1 - rest)
    full, low = np.ones_like(rest), np.full_like(rest, low)
    wheel = np.array([  # (6, 3, N): red, green and blue in each sixth of the circle
        (full, rising, low), (falling, full, low), (low, full, rising),
        (low, falling, full), (rising, low, full), (full, low, falling),
    ])  # fmt: skip
    chosen = wheel[sector.astype(int), :, np.arange(len(numbers))]
    return np.where(numbers[:, None] > 0, np.round(255 * chosen), 0).astype(np.uint8)


def palette(count: int) -> np.ndarray:
    """The colours of nuclei 1 to `count`; row 0 is the background's. (count + 1, 3) uint8."""
    return colours(np.arange(count + 1))


def outlined(pixels: np.ndarray, labels: np.ndarray, fill: float = 0.22, tints: np.ndarray | None = None) -> np.ndarray:
    """Pixels (H, W, 3) uint8 with each nucleus tinted and outlined in its own colour.

    fill: share of the colour inside. tints (N + 1, 3) uint8: the colour of each label; the palette where None.
    """
    tints = palette(int(labels.max(initial=0))) if tints is None else tints
    drawn, kept, tinted = pixels.copy(), np.float32(1 - fill), tints * np.float32(fill)
    for top in range(0, len(labels), ROWS) if fill else ():
        band, row = drawn[top : top + ROWS].reshape(-1, 3), labels[top : top + ROWS].ravel()
        inside = np.flatnonzero(row)
        band[inside] = (band[inside] * kept + tinted[row[inside]]).round()
    border = borders(labels)
    drawn[border] = tints[labels[border]]
    return drawn


def borders(labels: np.ndarray) -> np.ndarray:
    """Pixels of nuclei beside which, to one of four sides, the picture shows something else. (H, W) bool."""
    found = np.zeros(labels.shape, bool)
    across, down = labels[:, 1:] != labels[:, :-1], labels[1:] != labels[:-1]
    found[:, 1:] |= across
    found[:, :-1] |= across
    found[1:] |= down
    found[:-1] |= down
    return found & (labels > 0)


def with_points(pixels: np.ndarray, prompts: Prompts) -> np.ndarray:
    """Positive prompts as dots, negative ones as hollow squares: told apart by shape as well as by colour."""
    picture = PillowImage.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    radius = max(1, round(min(pixels.shape[:2]) / 400))
    for x, y, kind in prompts.shown:
        if kind == POSITIVE:
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=POSITIVE_COLOUR, outline="white")
        else:
            reach = 2 * radius
            draw.rectangle((x - reach, y - reach, x + reach, y + reach), outline=NEGATIVE_COLOUR)
    return np.array(picture)
