"""Nuclei to look at, as PNG: over the picture, around what it shows, or as colours alone."""

from __future__ import annotations

import struct
import zlib

import imagecodecs
import numpy as np

from sac.export.result import Result
from sac.overlay import colours, outlined, with_points

EFFORT = 1
"""How hard zlib tries, 1 to 9: at 6, a picture of 4000 x 4000 takes seconds longer and is hardly smaller."""
HEADER = 8 + 25
"""Bytes of a PNG before its other chunks: the signature and the chunk IHDR."""


def overlay_png(result: Result) -> bytes:
    """The picture with nuclei tinted and outlined, and both kinds of points."""
    return _png(result, with_points(_outlined(result), result.found.prompts))


def outlines_png(result: Result) -> bytes:
    """The picture with nothing but outlines: what is inside them is as it was."""
    return _png(result, _outlined(result, fill=0))


def preview_png(result: Result) -> bytes:
    """The label map to look at: each nucleus in its colour of the overlay, on black."""
    return _png(result, colours(np.append(0, result.found.numbers))[result.ranks])


def _outlined(result: Result, **settings: float) -> np.ndarray:
    tints = colours(np.append(0, result.found.numbers))
    return outlined(result.image.pixels, result.ranks, tints=tints, **settings)


def _png(result: Result, pixels: np.ndarray) -> bytes:
    """Pixels (H, W, 3) uint8; software, model and settings are its only text.

    By libpng with one filter for all rows: half of Pillow's time, which tries all filters on each, and no larger.
    """
    packed = imagecodecs.png_encode(pixels, level=EFFORT, filter=imagecodecs.PNG.FILTER.UP)
    return packed[:HEADER] + _text("Software", result.signature()) + packed[HEADER:]


def _text(name: str, said: str) -> bytes:
    """A chunk of text in ASCII, as the PNG specification has it (11.3.3.2): length, type, name, text, checksum."""
    chunk = b"tEXt" + name.encode("ascii") + b"\0" + said.encode("ascii")
    return struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
