"""How bright nuclei are, in each channel of their file and, on stained tissue, in each stain."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.color import hed_from_rgb

from sac.export.shape import bands
from sac.images import Image

RGB = ("red", "green", "blue")
STAINS = ("haematoxylin", "eosin")
ABSORBED = np.log(np.maximum(np.arange(256) / 255, 1e-6)) / np.log(1e-6)
"""How much of the light is gone at each grey level: its absorbance, in units of the one that a level of 0 counts as."""
NAME = 40
"""Most letters of a channel's name that a column takes on."""


@dataclass(frozen=True)
class Brightness:
    """Mean and standard deviation of one channel, or stain, over each nucleus's pixels: (N,) float64, NaN for none."""

    name: str
    mean: np.ndarray
    deviation: np.ndarray


def brightness(image: Image, ranks: np.ndarray, count: int) -> list[Brightness]:
    """Of each channel of `image.values`, in the file's own units; of haematoxylin and eosin, where it is stained.

    Values that are no finite number are left out.
    """
    names = channel_names(image)
    told = _over_nuclei(image.values, names, ranks, count)
    if names == RGB and image.is_stained:
        told += _over_nuclei(image.values, STAINS, ranks, count, stains)
    return told


def stains(colours: np.ndarray) -> np.ndarray:
    """Haematoxylin and eosin in colours (M, 3) uint8: (M, 2) float64, as skimage.color.rgb2hed has them.

    Colour deconvolution with the vectors of Ruifrok and Johnston (2001). Looked up per level instead of worked out per
    pixel, which is several times faster.
    """
    parts = ABSORBED[:, None] * hed_from_rgb[:, None, : len(STAINS)]  # (3, 256, 2): colour, level, stain
    return np.maximum(sum(part[levels] for part, levels in zip(parts, colours.T)), 0)


def channel_names(image: Image) -> tuple[str, ...]:
    """A name for each channel, all different, of a to z, 0 to 9 and _: its own one, or its number."""
    own = image.channels or (RGB if image.values is image.pixels else ())
    names: list[str] = []
    for number in range(1, image.values.shape[2] + 1):
        called = own[number - 1] if number <= len(own) else ""
        plain = unicodedata.normalize("NFKD", called.lower()).encode("ascii", "ignore").decode()
        name = re.sub(r"[^0-9a-z]+", "_", plain)[:NAME].strip("_") or f"channel_{number}"
        while name in names:
            name += f"_{number}"
        names.append(name)
    return tuple(names)


def _over_nuclei(
    values: np.ndarray,
    names: tuple[str, ...],
    ranks: np.ndarray,
    count: int,
    seen: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels,
) -> list[Brightness]:
    """Of values (H, W, C); `seen`: those of some pixels (M, C) -> what is measured of them, a column per name."""
    running = [Running(count) for _ in names]
    for rows, places, index in bands(ranks):
        pixels = values[rows].reshape(-1, values.shape[2])[places]
        for one, column in zip(running, seen(pixels).T):
            one.add(index, column.astype(np.float64))
    return [Brightness(name, *one.result()) for name, one in zip(names, running)]


class Running:
    """Mean and variance of `count` groups, fed in parts (Chan, Golub and LeVeque 1983): exact at any offset."""

    def __init__(self, count: int):
        self.number, self.mean, self.squares = np.zeros((3, count))

    def add(self, index: np.ndarray, values: np.ndarray) -> None:
        """More values (M,) float64, each of the group index[m]; those that are not finite are left out."""
        finite = np.isfinite(values)
        if not finite.all():
            index, values = index[finite], values[finite]
        count = len(self.number)
        with np.errstate(all="ignore"):
            number = np.bincount(index, minlength=count)
            mean = np.bincount(index, values, count) / np.maximum(number, 1)
            squares = np.bincount(index, (values - mean[index]) ** 2, count)
            total, step = np.maximum(self.number + number, 1), mean - self.mean
            self.squares += squares + step**2 * self.number * number / total
            self.mean += step * number / total
        self.number += number

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (of the group itself, not of a sample) per group; NaN for an empty one."""
        with np.errstate(all="ignore"):
            mean = np.where(self.number > 0, self.mean, np.nan)
            return mean, np.sqrt(np.where(self.number > 0, self.squares / self.number, np.nan))
