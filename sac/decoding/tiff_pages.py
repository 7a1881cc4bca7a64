"""Pages of a TIFF: judged by what their tags claim, then read one tile or strip at a time, and only those needed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import tifffile

from sac.config import LIMITS
from sac.errors import ImageError

CONVERTED_BY_CODEC = (6, 7, 34892, 33007, 50001)
"""Compressions (JPEG, WebP) whose decoders make RGB of YCbCr; of all others, values are as they are stored."""
UNREAD = {
    tifffile.PHOTOMETRIC.CIELAB: "CIELAB",
    tifffile.PHOTOMETRIC.ICCLAB: "ICCLAB",
    tifffile.PHOTOMETRIC.ITULAB: "ITULAB",
    tifffile.PHOTOMETRIC.LOGL: "LogL",
    tifffile.PHOTOMETRIC.LOGLUV: "LogLuv",
    tifffile.PHOTOMETRIC.CFA: "raw camera",
    tifffile.PHOTOMETRIC.LINEAR_RAW: "raw camera",
}
"""Photometric interpretations that are refused, and what they are called."""


def judge_page(name: str, page: tifffile.TiffPage) -> None:
    """Judges a page by what its tags claim, before anything is decoded. Raises ImageError."""
    if page.samplesperpixel > LIMITS.samples:
        raise ImageError(f"{name} has {page.samplesperpixel} samples per pixel; up to {LIMITS.samples} are accepted")
    if page.imagedepth > 1:
        raise ImageError(f"{name} holds a volume of {page.imagedepth} planes in one page; send a page for each")
    if page.is_tiled and max(page.tilelength, page.tilewidth) > LIMITS.tiff_tile:
        raise ImageError(f"{name} has tiles of {page.tilewidth} x {page.tilelength}; up to {LIMITS.tiff_tile} fit")
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise ImageError(f"{name} holds {page.dtype or 'unknown'} values; send whole or real numbers")
    colours = UNREAD.get(page.photometric)
    if page.photometric == tifffile.PHOTOMETRIC.YCBCR and page.compression not in CONVERTED_BY_CODEC:
        colours = "YCbCr"
    if colours:
        raise ImageError(f"{name} holds {colours} colours; send RGB or grayscale")


def read_page(page: tifffile.TiffPage | tifffile.TiffFrame, rows: slice, columns: slice, pixels: np.ndarray) -> bool:
    """Fills `pixels` (H, W, S) with rows and columns of a page. Returns whether all their tiles or strips are there.

    Raises ValueError, and what codecs raise, for a damaged file.
    """
    key = page.keyframe
    separate, complete = key.shaped[0] > 1, True
    for number in _segments(key, rows, columns):
        tables = {"jpegtables": page.jpegtables, "jpegheader": key.jpegheader}
        block, (sample, _, top, left, _), shape = key.decode(_encoded(page, number), number, **tables)
        if block is None:
            block, complete = np.full(shape, key.nodata, key.dtype), False
        (here, there), (across_here, across_there) = _shared(top, shape[1], rows), _shared(left, shape[2], columns)
        band = pixels[..., sample : sample + 1] if separate else pixels
        band[here, across_here] = block[0][there, across_there]
    return complete


def _segments(key: tifffile.TiffPage, rows: slice, columns: slice) -> Iterator[int]:
    """Numbers of the tiles or strips that rows and columns meet, of every sample."""
    separate, _, height, width, _ = key.shaped
    tall, wide = (key.tilelength, key.tilewidth) if key.is_tiled else (key.rowsperstrip, width)
    down, across = -(-height // tall), -(-width // wide)
    for sample in range(separate):
        for row in range(rows.start // tall, -(-rows.stop // tall)):
            for column in range(columns.start // wide, -(-columns.stop // wide)):
                yield (sample * down + row) * across + column


def _encoded(page: tifffile.TiffPage | tifffile.TiffFrame, number: int) -> bytes | None:
    """A tile or strip as it is in the file; None where the file leaves it out."""
    offset, count = page.dataoffsets[number], page.databytecounts[number]
    if not offset or not count:
        return None
    file = page.parent.filehandle
    if offset + count > file.size:
        raise ValueError(f"segment {number} ends behind the end of the file")
    file.seek(offset)
    return file.read(count)


def _shared(start: int, length: int, wanted: slice) -> tuple[slice, slice]:
    """Where a segment from `start` on meets what is wanted: its place in that, and in the segment."""
    first, last = max(start, wanted.start), min(start + length, wanted.stop)
    return slice(first - wanted.start, last - wanted.start), slice(first - start, last - start)
