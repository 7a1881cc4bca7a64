"""Whole slides, by OpenSlide: a preview of all, or one region at full resolution, and never more than that."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import PIL.Image

from sac.config import LIMITS, View
from sac.decoding.decoded import PREVIEW, Decoded, inside, microscopic
from sac.errors import ImageError

VENDORS = ("aperio", "hamamatsu", "leica", "philips-tiff", "trestle", "ventana", "generic-tiff")
"""Scanners whose slide is one TIFF file. Formats of several files could name some that were not brought."""
ROWS = 512
"""Rows that are read at once."""


def is_slide(path: Path) -> bool:
    """Whether a TIFF is a scanner's slide, or a pyramid that OpenSlide knows."""
    try:
        vendor = openslide.OpenSlide.detect_format(str(path))
        if vendor not in VENDORS:
            return False
        with openslide.OpenSlide(str(path)) as slide:
            return vendor != "generic-tiff" or slide.level_count > 1
    except openslide.OpenSlideError:
        return False


def read(path: Path, name: str, view: View) -> Decoded:
    """The region that `view` asks for; without one, all of a small slide, or the preview of a large one."""
    if view.plane > 1:
        raise ImageError(f"{name} has 1 plane; there is no {view.plane}")
    with openslide.OpenSlide(str(path)) as slide:
        size = slide.dimensions[::-1]
        whole = bool(view.region) or size[0] * size[1] <= LIMITS.whole
        level = 0 if whole else slide.level_count - 1
        rows, columns = inside(name, view.region, size if whole else slide.level_dimensions[level][::-1])
        values, glass = _laid_on_white(slide, level, rows, columns)
        values = values if whole else _preview(values)
        return Decoded(
            values,
            size=size,
            corner=(columns.start, rows.start),
            downsample=1.0 if whole else size[1] / values.shape[1],
            microns=_microns(slide),
            notes=("parts that were not scanned are white",) if glass else (),
        )


def _laid_on_white(slide: openslide.OpenSlide, level: int, rows: slice, columns: slice) -> tuple[np.ndarray, bool]:
    """Rows and columns of a level as (H, W, 3) uint8, and whether parts of them were not scanned."""
    width, factor = columns.stop - columns.start, slide.level_downsamples[level]
    pixels, glass = np.empty((rows.stop - rows.start, width, 3), np.uint8), False
    for top in range(rows.start, rows.stop, ROWS):
        height = min(ROWS, rows.stop - top)
        corner = round(columns.start * factor), round(top * factor)
        read = np.asarray(slide.read_region(corner, level, (width, height)))
        unseen = read[..., 3] == 0
        glass |= bool(unseen.any())
        pixels[top - rows.start :][:height] = np.where(unseen[..., None], 255, read[..., :3])
    return pixels, glass


def _preview(values: np.ndarray) -> np.ndarray:
    small = PIL.Image.fromarray(values)
    small.thumbnail((PREVIEW, PREVIEW))
    return np.asarray(small)


def _microns(slide: openslide.OpenSlide) -> float | None:
    """µm per pixel at full resolution, where the slide knows it."""
    return microscopic(float(slide.properties.get(openslide.PROPERTY_NAME_MPP_X) or 0))
