"""Whole slides, by OpenSlide: a preview of all, or one region at full resolution, and never more than that."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import openslide
import PIL.Image
from tifffile import TiffFile

from sac.config import LIMITS, View
from sac.decoding.decoded import PREVIEW, Decoded, inside, judge_frames, microscopic, preview_level
from sac.errors import ImageError

VENDORS = ("aperio", "hamamatsu", "leica", "philips", "trestle", "ventana", "generic-tiff")
"""Scanners whose slide is one TIFF file. Formats of several files could name some that were not brought."""
Region = tuple[int, int, int, int]
"""Left, top, width and height in pixels at full resolution."""
BOUNDS = (
    openslide.PROPERTY_NAME_BOUNDS_X, openslide.PROPERTY_NAME_BOUNDS_Y, openslide.PROPERTY_NAME_BOUNDS_WIDTH,
    openslide.PROPERTY_NAME_BOUNDS_HEIGHT,
)  # fmt: skip
"""What a slide calls the region that was scanned, in OpenSlide's words."""
BLOCK = 2048
"""Side, in pixels, of what is read at once: of whole tiles, which are decoded for each block that meets them."""


def is_slide(path: Path) -> bool:
    """Whether a TIFF is a scanner's slide, or a pyramid that OpenSlide knows, in colours of 8 bit: it gives no other."""
    try:
        vendor = openslide.OpenSlide.detect_format(str(path))
        if vendor not in VENDORS or not (vendor == "hamamatsu" or _is_rgb(path)):
            return False
        with openslide.OpenSlide(str(path)) as slide:
            return vendor != "generic-tiff" or slide.level_count > 1
    except openslide.OpenSlideError:
        return False


def _is_rgb(path: Path) -> bool:
    with TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages.first
        return page.bitspersample == 8 and page.samplesperpixel == 3 and not tiff.is_ome


def read(path: Path, name: str, view: View) -> Decoded:
    """The region that `view` asks for; without one, all of a small slide, or the preview of a large one.

    A slide is what was scanned, as in QuPath: where the scanner says so, the glass around that is no part of it.
    """
    judge_frames(name, 1, view.plane)
    with openslide.OpenSlide(str(path)) as slide:
        scanned = _scanned(slide)
        sizes = _sizes(slide, scanned)
        size = sizes[0]
        whole = bool(view.region) or size[0] * size[1] <= LIMITS.whole
        level = 0 if whole else preview_level(name, sizes)
        rows, columns = inside(name, view.region, sizes[level])
        try:
            values, glass = _laid_on_white(slide, scanned[:2], level, rows, columns)
        except openslide.OpenSlideError as error:
            raise ImageError(f"{name} is damaged where it was to be read") from error
        values = values if whole else _preview(values)
        return Decoded(
            values,
            size=size,
            corner=(columns.start, rows.start),
            downsample=1.0 if whole else size[1] / values.shape[1],
            microns=_microns(slide),
            notes=("parts that were not scanned are white",) if glass else (),
        )


def _scanned(slide: openslide.OpenSlide) -> Region:
    """What was scanned, where the slide says so and it is there; else all of the slide."""
    everything = (0, 0, *slide.dimensions)
    try:
        left, top, width, height = (int(slide.properties[name]) for name in BOUNDS)
    except (KeyError, ValueError):
        return everything
    fits = 0 <= left < left + width <= everything[2] and 0 <= top < top + height <= everything[3]
    return (left, top, width, height) if fits else everything


def _sizes(slide: openslide.OpenSlide, scanned: Region) -> list[tuple[int, int]]:
    """(height, width) of what was scanned on each level, in whole pixels of it."""
    (width, height), (*_, across, down) = slide.dimensions, scanned
    return [(max(1, h * down // height), max(1, w * across // width)) for w, h in slide.level_dimensions]


def _laid_on_white(
    slide: openslide.OpenSlide, origin: tuple[int, int], level: int, rows: slice, columns: slice
) -> tuple[np.ndarray, bool]:
    """Rows and columns of a level, from `origin` (x, y) on at full resolution, as (H, W, 3) uint8.

    And whether parts of them were not scanned.
    """
    factor = slide.level_downsamples[level]
    pixels, glass = np.empty((rows.stop - rows.start, columns.stop - columns.start, 3), np.uint8), False
    for down, across in itertools.product(_blocks(rows), _blocks(columns)):
        corner = origin[0] + round(across.start * factor), origin[1] + round(down.start * factor)
        read = np.asarray(slide.read_region(corner, level, (across.stop - across.start, down.stop - down.start)))
        unseen = read[..., 3] == 0
        glass |= bool(unseen.any())
        room = pixels[down.start - rows.start : down.stop - rows.start, across.start - columns.start :]
        room[:, : read.shape[1]] = np.where(unseen[..., None], 255, read[..., :3])
    return pixels, glass


def _blocks(wanted: slice) -> list[slice]:
    """Rows, or columns, cut where blocks begin."""
    cuts = [wanted.start, *range(wanted.start // BLOCK * BLOCK + BLOCK, wanted.stop, BLOCK), wanted.stop]
    return [slice(start, stop) for start, stop in itertools.pairwise(cuts)]


def _preview(values: np.ndarray) -> np.ndarray:
    small = PIL.Image.fromarray(values)
    small.thumbnail((PREVIEW, PREVIEW))
    return np.asarray(small)


def _microns(slide: openslide.OpenSlide) -> float | None:
    """µm per pixel at full resolution, where the slide knows it."""
    try:
        return microscopic(float(slide.properties.get(openslide.PROPERTY_NAME_MPP_X) or 0))
    except ValueError:  # some other text
        return None
