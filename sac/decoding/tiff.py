"""TIFF of every kind, by tifffile: OME, ImageJ, LSM, stacks, pyramids. No other file that it names is ever opened."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import tifffile

from sac.config import LIMITS, View
from sac.decoding import tiff_words as words
from sac.decoding.decoded import PREVIEW, Decoded, inside, preview_level
from sac.decoding.tiff_colours import interpreted
from sac.decoding.tiff_pages import judge_page
from sac.decoding.tiff_planes import Plane, all_planes, chosen, cut, told
from sac.decoding.upright import TURNED, as_stored, upright, upright_size
from sac.errors import ImageError

logging.getLogger("tifffile").setLevel(logging.CRITICAL)
ALONE = {"_multifile": False, "is_mmstack": False, "is_ndtiff": False, "is_mdgel": False, "is_eer": False}
"""Kinds that tifffile would read from several files, or whose values it would change, are read page by page."""


def read(path: Path, name: str, view: View, stored: bool = False) -> Decoded:
    """The plane, channel and region of a file that `view` asks for. stored: its numbers, as labels mean them."""
    with tifffile.TiffFile(path, **ALONE) as tiff:
        _judge(tiff, name)
        root = words.ome_root(tiff)
        notes = []
        if root is not None:
            words.judge_ome(name, root)
        elif tiff.is_ome:
            tiff.is_ome = False
            notes.append("its OME description is damaged; only its pages are read")
        planes = all_planes(tiff, name)
        number = chosen(planes, name, view)
        plane = planes[number - 1]
        if root is not None and plane.series.kind != "ome":
            notes.append("its OME description names other files, or is damaged; only the pages of this one are read")
        if len(planes) > 1:
            notes.append(told(planes, number))
        decoded = _preview(plane, name) if _too_large(plane, view) else _region(plane, name, view.region, stored)
        pixels = words.ome_pixels(root, plane.image)
        names, colours = words.channels(tiff, pixels, decoded.values.shape[2] if decoded.kind == "channels" else 0)
        return replace(
            decoded,
            channels=names,
            colours=colours,
            planes=tuple(p.called for p in planes) if len(planes) > 1 else ("",),
            plane=number,
            depth_and_time=plane.depth_and_time,
            microns=words.microns(tiff, pixels, plane.series.keyframe),
            notes=(*notes, *decoded.notes),
        )


def _judge(tiff: tifffile.TiffFile, name: str) -> None:
    """Judges a file by its first page and the length of its chain of pages, which may be a circle."""
    judge_page(name, tiff.pages.first)
    try:
        tiff.pages.get(LIMITS.pages)
    except IndexError:
        return
    raise ImageError(f"{name} has more than {LIMITS.pages} pages; up to that many are accepted")


def _too_large(plane: Plane, view: View) -> bool:
    """Whether a plane is opened by region only, and has smaller levels to choose that on."""
    height, width = plane.size
    return (
        not view.region
        and len(plane.series.levels) > 1
        and (height * width > LIMITS.pixels or _bytes(plane, height * width) > LIMITS.values)
    )


def _bytes(plane: Plane, pixels: int) -> int:
    return pixels * plane.bands * plane.series.keyframe.dtype.itemsize


def _preview(plane: Plane, name: str) -> Decoded:
    """One of the smaller levels of a pyramid, thinned out to a preview's size."""
    levels = [replace(plane, series=series) for series in plane.series.levels]
    level = levels[preview_level(name, [level.size for level in levels])]
    decoded = _region(level, name, ())
    step = -(-max(level.size) // PREVIEW)
    values = decoded.values[::step, ::step]
    size = upright_size(plane.size, words.orientation(level.series.keyframe))
    return replace(decoded, values=values, size=size, downsample=size[1] / values.shape[1])


def _region(plane: Plane, name: str, region: tuple[int, ...], stored: bool = False) -> Decoded:
    """A plane's values in a region, or in all of it."""
    series, page = plane.series, plane.series.keyframe
    judge_page(name, page)
    orientation = words.orientation(page)
    size = upright_size(plane.size, orientation)
    rows, columns = inside(name, region, size)
    needed = _bytes(plane, (rows.stop - rows.start) * (columns.stop - columns.start))
    if needed > LIMITS.values:
        raise ImageError(
            f"{name} holds {needed / 1e6:.0f} MB of intensities; up to {LIMITS.values // 10**6} fit: send a region"
        )
    values, complete = cut(plane, name, *as_stored(rows, columns, size, orientation))
    decoded = interpreted(values, page, name, "C" in series.axes and "S" not in series.axes, stored)
    notes = decoded.notes
    if not complete:
        notes = (*notes, "parts that are not in the file are black")
    if orientation != 1:
        notes = (*notes, TURNED)
    values = upright(decoded.values, orientation)
    return replace(decoded, values=values, size=size, corner=(columns.start, rows.start), notes=notes)
