"""Planes of a TIFF: images, and the places along their z, time and page axes."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import tifffile

from sac.config import LIMITS, View
from sac.decoding.decoded import judge_frames
from sac.decoding.tiff_pages import read_page
from sac.errors import ImageError

AXES = {"Z": "z", "T": "time", "C": "channel", "P": "position", "R": "tile", "A": "angle", "H": "phase"}
"""What the letters of tifffile's axes are called; all others are pages."""


@dataclass(frozen=True)
class Plane:
    """One plane of a file: an image series and the places along its axes other than Y, X, C and S."""

    series: tifffile.TiffPageSeries
    index: dict[str, int]
    image: int = 1
    images: int = 1
    """Which image of how many in the file it is of."""

    @property
    def called(self) -> str:
        counts = dict(zip(self.series.axes, self.series.shape))
        places = [f"{AXES.get(a, 'page')} {i + 1} of {counts[a]}" for a, i in self.index.items()]
        image = [f"image {self.image} of {self.images}"] if self.images > 1 else []
        return ", ".join(image + places)

    @property
    def depth_and_time(self) -> tuple[int, ...]:
        """Its places along z and time, from 0 on; empty where its image has one plane along both."""
        counts = dict(zip(self.series.axes, self.series.shape))
        several = any(counts.get(axis, 1) > 1 for axis in "ZT")
        return tuple(self.index.get(axis, 0) for axis in "ZT") if several else ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels as stored."""
        lengths = dict(zip(self.series.axes, self.series.shape))
        return lengths["Y"], lengths["X"]

    @property
    def bands(self) -> int:
        """Channels and samples of a pixel."""
        return math.prod(length for axis, length in zip(self.series.axes, self.series.shape) if axis in "CS")


def all_planes(tiff: tifffile.TiffFile, name: str) -> list[Plane]:
    """Every plane of every image, in the order of the file. Raises ImageError for more than are accepted."""
    planes: list[Plane] = []
    series = [s for s in tiff.series if "X" in s.axes and "Y" in s.axes]
    images = [s for s in series if not s.keyframe.is_reduced] or series  # without thumbnails
    for number, series in enumerate(images, start=1):
        others = [(axis, length) for axis, length in zip(series.axes, series.shape) if axis in _others(series)]
        judge_frames(name, len(planes) + math.prod(length for _, length in others), 0)
        for places in itertools.product(*(range(length) for _, length in others)):
            index = {axis: place for (axis, _), place in zip(others, places)}
            planes.append(Plane(series, index, number, len(images)))
    if not planes:
        raise ImageError(f"{name} holds no image")
    return planes


def _others(series: tifffile.TiffPageSeries) -> str:
    """Axes along which planes lie. Where pixels have samples, channels are planes."""
    return "".join(a for a in series.axes if a not in ("YXS" if "S" in series.axes else "YXC"))


def chosen(planes: list[Plane], name: str, view: View) -> int:
    """The number of the plane to read: as asked for, or the middle of a z-stack, or the first."""
    judge_frames(name, len(planes), view.plane)
    if view.plane:
        return view.plane
    first = planes[0].series
    depth = dict(zip(first.axes, first.shape)).get("Z", 1)
    return next(n for n, p in enumerate(planes, start=1) if p.index.get("Z", 0) == (depth - 1) // 2)


def told(planes: list[Plane], number: int) -> str:
    """Which plane was used, in words."""
    called = planes[number - 1].called
    one_axis = called.endswith(f"of {len(planes)}") and ", " not in called
    return f"{called} was used" if one_axis else f"plane {number} of {len(planes)} ({called}) was used"


def cut(plane: Plane, name: str, rows: slice, columns: slice) -> tuple[np.ndarray, bool]:
    """(H, W, C) of a plane's rows and columns, as stored, and whether the file holds all of them.

    Of a large file no more is read than the tiles that meet them.
    """
    if plane.bands > LIMITS.samples:
        raise ImageError(f"{name} has {plane.bands} channels; up to {LIMITS.samples} are accepted")
    if plane.series.dataoffset is not None:
        return _mapped(plane, rows, columns), True
    key, pages = plane.series.keyframe, [plane.series.pages[number] for number in _pages(plane)]
    samples, complete = key.shaped[0] * key.shaped[4], True
    pixels = np.zeros((rows.stop - rows.start, columns.stop - columns.start, samples * len(pages)), key.dtype)
    for number, page in enumerate(pages):
        room = pixels[..., number * samples : (number + 1) * samples]
        complete &= page is not None and read_page(page, rows, columns, room)
    return pixels, complete


def _mapped(plane: Plane, rows: slice, columns: slice) -> np.ndarray:
    """The same, of a series whose numbers lie in the file as one block."""
    series, tiff = plane.series, plane.series.keyframe.parent
    dtype = series.dtype.newbyteorder(tiff.byteorder)
    block = tiff.filehandle.memmap_array(dtype, series.shape, series.dataoffset)
    where = {**plane.index, "Y": rows, "X": columns}
    pixels = np.asarray(block[tuple(where.get(axis, slice(None)) for axis in series.axes)])
    axes = [axis for axis in series.axes if axis not in plane.index]
    pixels = np.moveaxis(pixels, (axes.index("Y"), axes.index("X")), (0, 1))
    return pixels.reshape(*pixels.shape[:2], -1)


def _pages(plane: Plane) -> list[int]:
    """Numbers of the pages, in the series, that hold a plane: one, or one for each of its channels."""
    series = plane.series
    count, leading = len(series.pages), 0
    while math.prod(series.shape[:leading]) < count:
        leading += 1
    if math.prod(series.shape[:leading]) != count or leading > len(series.shape) - 2:
        raise ValueError(f"{count} pages do not make up {series.shape}")
    places = [
        [plane.index[axis]] if axis in plane.index else range(length)
        for axis, length in zip(series.axes[:leading], series.shape)
    ]
    return [
        int(np.ravel_multi_index(place, series.shape[:leading])) if leading else 0
        for place in itertools.product(*places)
    ]
