"""Pictures with nuclei and prompts drawn on them."""

from __future__ import annotations

import colorsys

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageDraw
from skimage.segmentation import find_boundaries

from sac.prompts import POSITIVE, Prompts

POSITIVE_COLOUR, NEGATIVE_COLOUR = (0, 200, 120), (235, 60, 80)
GOLDEN = 0.618034
"""Steps of this share of the colour circle keep neighbouring numbers apart in hue."""


def palette(count: int) -> np.ndarray:
    """A distinct colour per nucleus; row 0, the background, is black. (count + 1, 3) uint8."""
    colours = [colorsys.hsv_to_rgb(n * GOLDEN % 1, 0.75, 1.0) for n in range(1, count + 1)]
    return np.array([(0, 0, 0), *(tuple(round(255 * c) for c in colour) for colour in colours)], np.uint8)


def outlined(pixels: np.ndarray, labels: np.ndarray, fill: float = 0.22) -> np.ndarray:
    """Pixels (H, W, 3) uint8 with each nucleus tinted and outlined in its own colour."""
    colours = palette(int(labels.max(initial=0)))[labels]
    drawn = pixels.copy()
    inside = labels > 0
    drawn[inside] = (pixels[inside] * (1 - fill) + colours[inside] * fill).round().astype(np.uint8)
    border = find_boundaries(labels, mode="inner")
    drawn[border] = colours[border]
    return drawn


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
