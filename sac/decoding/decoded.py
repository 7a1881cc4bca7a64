"""What a file holds, as it holds it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sac.config import LIMITS, MICRONS
from sac.errors import ImageError

ACCEPTED = "PNG, JPEG, WebP, BMP, TIFF and whole-slide"


@dataclass(frozen=True)
class Decoded:
    """The values of one plane of a file, upright, not mapped to 8 bit yet.

    values (H, W, C) of any number type. kind: "colour" (grey or RGB) or "channels"; alpha: whether the last band is
    opacity. channels: a name each, "" where the file has none; colours: (r, g, b) each, where the file says so.
    planes: what the file's planes are called; plane: the one that was read, from 1 on; depth_and_time: its places along
    z and time, from 0 on, where the file has several. size: (height, width) of the whole file; corner: (x, y) of the
    values in it; downsample: its pixels along one pixel of the values, above 1 for the preview of a whole slide.
    microns: µm per pixel of the file.
    """

    values: np.ndarray
    kind: str = "colour"
    alpha: bool = False
    channels: tuple[str, ...] = ()
    colours: tuple[tuple[int, int, int], ...] = ()
    planes: tuple[str, ...] = ("",)
    plane: int = 1
    depth_and_time: tuple[int, ...] = ()
    size: tuple[int, int] = (0, 0)
    corner: tuple[int, int] = (0, 0)
    downsample: float = 1.0
    microns: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self):
        if self.values.ndim != 3 or 0 in self.values.shape:
            raise ValueError(f"decoded values are (H, W, C), not {self.values.shape}")

    def facts(self) -> dict[str, Any]:
        """All but the values, and what those are in this machine's byte order, for JSON."""
        told = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "values"}
        return told | {"shape": self.values.shape, "dtype": self.values.dtype.newbyteorder("=").str}

    @classmethod
    def of(cls, values: np.ndarray, facts: dict[str, Any]) -> Decoded:
        """Facts that went through JSON, put together with their values again."""
        return cls(values, **{name: _tuples(fact) for name, fact in facts.items()})


def _tuples(fact: Any) -> Any:
    return tuple(_tuples(f) for f in fact) if isinstance(fact, list) else fact


NAME = 100
"""Characters of a file's name that a sentence says."""


def spoken(name: str) -> str:
    """A file's name as a sentence says it: on one line, and not too long for it."""
    line = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    return line if len(line) <= NAME else f"{line[: NAME // 2]}…{line[-NAME // 2 :]}"


def judge_size(name: str, height: int, width: int) -> None:
    """Judges a picture by what its header claims, before anything is decoded. Raises ImageError."""
    million = 1_000_000
    if height * width > LIMITS.pixels:
        raise ImageError(
            f"{name} has {height * width / million:.0f} megapixels; up to {LIMITS.pixels // million} are accepted at once"
        )
    if min(height, width) < 1:
        raise ImageError(f"{name} has no pixels")


def judge_frames(name: str, frames: int, wanted: int, called: str = "plane") -> None:
    """Judges the number of planes that a file claims, and the one that is asked for. Raises ImageError."""
    if frames > LIMITS.pages:
        raise ImageError(f"{name} claims {frames} {called}s; up to {LIMITS.pages} are accepted")
    if wanted > frames:
        raise ImageError(f"{name} has no {called} {wanted}; it has {frames}")


def inside(name: str, region: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, slice]:
    """(rows, columns) of a region (left, top, width, height) of a file of `size`; all of it for no region.

    Raises ImageError where the region reaches beyond the file, or is too large.
    """
    if not region:
        judge_size(name, *size)
        return slice(0, size[0]), slice(0, size[1])
    left, top, width, height = region
    if left + width > size[1] or top + height > size[0]:
        raise ImageError(f"{name} is {size[1]} x {size[0]} pixels: region {','.join(map(str, region))} reaches beyond")
    judge_size(f"{name}: that region", height, width)
    return slice(top, top + height), slice(left, left + width)


PREVIEW = 1600
"""Longest side, in pixels, of the preview of a file that is too large to be opened at once."""


def preview_level(name: str, sizes: list[tuple[int, int]]) -> int:
    """Which of a pyramid's levels, of `sizes` (height, width), a preview is made of.

    The smallest that is no smaller than the preview; else the largest. Raises ImageError where all are too large.
    """
    fit = [level for level, (height, width) in enumerate(sizes) if 0 < height * width <= LIMITS.whole]
    if not fit:
        height, width = sizes[0]
        raise ImageError(
            f"{name} is of {width} x {height} pixels and holds no small copy of itself: say which part of it to read"
        )
    enough = [level for level in fit if max(sizes[level]) >= PREVIEW]
    return min(enough or fit, key=lambda level: max(sizes[level]) * (1 if enough else -1))


def microscopic(microns: float) -> float | None:
    """µm per pixel, where it can be a microscope's; a screen's or a printer's resolution is none."""
    return microns if MICRONS[0] < microns < MICRONS[1] else None
