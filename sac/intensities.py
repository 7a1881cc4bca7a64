"""Values of any type become RGB of 8 bit, each by a rule that a note states."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from sac.config import View
from sac.decoding.decoded import Decoded
from sac.errors import ImageError

PERCENTILES = (0.1, 99.9)
"""Intensities of more than 8 bit that become black and white."""
SAMPLES = 4_000_000
"""Values that percentiles are taken of: evenly spread ones, where there are more."""
NUCLEAR = ("dapi", "hoechst", "draq", "syto", "to-pro", "topro", "nuclei", "nuclear", "nucleus", "h2b", "dna", "7-aad")
"""Stains of nuclei, as names of channels have them."""
COLOURS = ((0, 0, 255), (0, 255, 0), (255, 0, 0), (255, 255, 255), (0, 255, 255), (255, 0, 255), (255, 255, 0))
"""Of channels whose file says none: in the usual order, blue for the nuclear stain first."""
ROWS = 256
"""Rows that are mapped at once."""


class Range(NamedTuple):
    """Intensities that become black and white, and what they are in words."""

    low: float
    high: float
    words: str


FULL = Range(0.0, 255.0, "all")


def to_rgb(decoded: Decoded, view: View, name: str) -> tuple[np.ndarray, int, tuple[str, ...]]:
    """(H, W, 3) uint8, the channel that they show (-1: all of them), and a note for everything that this took.

    Raises ImageError for a channel that is not there.
    """
    values, alpha = decoded.values, None
    if decoded.alpha:
        values, alpha = values[..., :-1], values[..., -1]
    if view.channel > values.shape[2]:
        raise ImageError(f"{name} has {values.shape[2]} channels; there is no {view.channel}")
    chosen, notes = _chosen(decoded, view, values.shape[2])
    if chosen:
        values = values[..., chosen - 1 : chosen]
    if decoded.kind == "channels" and not chosen:
        pixels, more = _composite(values, decoded.colours)
    else:
        pixels, more = _mapped(values)
    notes += more
    if alpha is not None:
        pixels, more = _on_white(pixels, alpha)
        notes += more
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3))), chosen or -1, tuple(notes)


def _chosen(decoded: Decoded, view: View, count: int) -> tuple[int, list[str]]:
    """The channel to show alone, 0 for none, and what to say of it."""
    names = decoded.channels or ("",) * count
    if view.channel > 0 and count > 1:
        return view.channel, [f"channel {view.channel} of {count} is shown{_called(names[view.channel - 1])}"]
    for number, called in enumerate(names, start=1):
        if decoded.kind == "channels" and not view.channel and any(stain in called.lower() for stain in NUCLEAR):
            return number, [f"channel {number} of {count} is shown, the one that is called {called}"]
    return 0, []


def _called(name: str) -> str:
    return f": {name}" if name else ""


def _mapped(values: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Values (H, W, C) as (H, W, C) uint8, all bands by one rule, so that colours keep their hue."""
    if values.dtype == np.uint8:
        return values, []
    ends = _range(values)
    kept = f"{values.dtype} intensities from {ends.low:.6g} to {ends.high:.6g} ({ends.words}) were mapped to 0 to 255"
    return _to_bytes(values, ends), [kept, *_holes(values)]


def _composite(values: np.ndarray, colours: tuple[tuple[int, int, int], ...]) -> tuple[np.ndarray, list[str]]:
    """Channels (H, W, C), each in its colour, added up: (H, W, 3) uint8."""
    count = values.shape[2]
    tints = np.array([(colours or COLOURS)[n % len(colours or COLOURS)] for n in range(count)], np.float32) / 255
    pixels = np.empty((*values.shape[:2], 3), np.uint8)
    deep = values.dtype != np.uint8
    ranges = [_range(values[..., c]) if deep else FULL for c in range(count)]
    for top in range(0, len(values), ROWS):
        block = values[top : top + ROWS]
        bright = np.stack([_to_bytes(block[..., c], ranges[c]) for c in range(count)], axis=-1)
        pixels[top : top + ROWS] = (bright @ tints).clip(0, 255).round()
    how = f", each from {PERCENTILES[0]} to {PERCENTILES[1]} % of its {values.dtype} intensities" if deep else ""
    return pixels, [f"{count} channels were laid over each other in colours{how}", *_holes(values)]


def _range(values: np.ndarray) -> Range:
    """The percentiles of values; the least and the greatest where those are one, as where all but a speck is empty."""
    step = max(1, int(np.ceil(np.sqrt(values.size / SAMPLES))))
    sample = values[::step, ::step]
    finite = sample[np.isfinite(sample)].astype(np.float64)
    if not finite.size:
        return Range(0.0, 1.0, "none is a number")
    low, high = np.percentile(finite, PERCENTILES).tolist()
    if low < high:
        return Range(low, high, f"{PERCENTILES[0]} to {PERCENTILES[1]} %")
    return Range(float(finite.min()), float(finite.max()), "the least to the greatest")


def _to_bytes(values: np.ndarray, ends: Range) -> np.ndarray:
    """Values as uint8, `ends` as 0 and 255, what lies beyond them clipped; what is no number is black."""
    if values.dtype == np.uint8 and ends == FULL:
        return values
    if values.dtype.kind in "iu" and values.dtype.itemsize <= 2:
        unsigned = f"u{values.dtype.itemsize}"
        table = np.arange(256**values.dtype.itemsize, dtype=unsigned).view(values.dtype)
        return _shares(table, ends)[values.view(unsigned)]
    mapped = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), ROWS):
        mapped[top : top + ROWS] = _shares(values[top : top + ROWS], ends)
    return mapped


def _shares(values: np.ndarray, ends: Range) -> np.ndarray:
    """The same, computed value by value."""
    with np.errstate(over="ignore", invalid="ignore"):  # of numbers near the end of their type: clipped, as others
        share = (values.astype(np.float64) - ends.low) / ((ends.high - ends.low) or 1.0)
    return np.round(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1) * 255).astype(np.uint8)


def _holes(values: np.ndarray) -> list[str]:
    """What to say of values that are no numbers."""
    if values.dtype.kind != "f" or all(
        np.isfinite(values[top : top + ROWS]).all() for top in range(0, len(values), ROWS)
    ):
        return []
    return ["values that are not finite are black, +infinity is white"]


def _on_white(pixels: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Pixels (H, W, C) uint8 seen through their opacity (H, W) of any type."""
    full = np.iinfo(alpha.dtype).max if alpha.dtype.kind in "iu" else 1.0
    if not alpha.any():
        return pixels, ["its alpha channel is zero everywhere and was left out"]
    if alpha.min() >= full:
        return pixels, []
    laid = np.empty_like(pixels)
    for top in range(0, len(pixels), ROWS):
        share = np.nan_to_num(alpha[top : top + ROWS, :, None].astype(np.float32) / full).clip(0, 1)
        laid[top : top + ROWS] = np.round(pixels[top : top + ROWS] * share + 255 * (1 - share))
    return laid, ["transparent parts were laid on white"]
