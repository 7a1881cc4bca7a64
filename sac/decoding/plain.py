"""PNG, JPEG, WebP and BMP: by imagecodecs where Pillow would drop bytes or take too much memory, else by Pillow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from sac.config import View
from sac.decoding import png, webp
from sac.decoding.decoded import Decoded, inside, judge_frames, judge_size, microscopic
from sac.decoding.ground import numbered
from sac.decoding.upright import TURNED, as_stored, upright, upright_size
from sac.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "MPO")
PIL.Image.MAX_IMAGE_PIXELS = None  # `judge_size` judges every header, in words
ORIENTATION = 0x0112
ROWS = 256
"""Rows that are copied out of Pillow's memory at once."""
CONVERTED = {"P": "palette", "PA": "palette", "CMYK": "CMYK"}
"""Pillow's modes that become RGB, and what they are called."""
FEW_BITS = {"BGR;15": "5-bit", "BGR;16": "5- and 6-bit"}
"""Pillow's raw modes of fewer bits than it delivers."""


@dataclass(frozen=True)
class Frame:
    """One picture of a file, as its header has it: size (height, width) and orientation as stored."""

    size: tuple[int, int]
    orientation: int
    number: int
    count: int
    microns: float | None
    is_still: bool


def read(path: Path, name: str, view: View, stored: bool = False) -> Decoded:
    """The frame and region of a file that `view` asks for. stored: of a palette, numbers rather than colours."""
    frame = _frame(path, name, view)
    size = upright_size(frame.size, frame.orientation)
    rows, columns = inside(name, view.region, size)
    where = as_stored(rows, columns, size, frame.orientation)
    values, alpha, notes = _values(path, frame, where, stored)
    if frame.count > 1:
        notes = (f"frame {frame.number} of {frame.count} was used", *notes)
    if frame.orientation != 1:
        notes = (*notes, TURNED)
    return Decoded(
        upright(values, frame.orientation),
        alpha=alpha,
        planes=tuple(f"frame {n}" for n in range(1, frame.count + 1)) if frame.count > 1 else ("",),
        plane=frame.number,
        size=size,
        corner=(columns.start, rows.start),
        microns=frame.microns,
        notes=notes,
    )


def _frame(path: Path, name: str, view: View) -> Frame:
    """What the header claims of the frame that is asked for. Raises ImageError where that is too much."""
    if claimed := webp.size(path):  # Pillow makes room for it before it says so
        judge_size(name, *claimed)
    with PIL.Image.open(path, formats=FORMATS) as picture:
        judge_size(name, picture.height, picture.width)
        count, number = getattr(picture, "n_frames", 1), view.plane or 1
        judge_frames(name, count, number, "frame")
        if number > 1:
            picture.seek(number - 1)
            judge_size(name, picture.height, picture.width)
        if picture.mode not in ("L", "LA", "RGB", "RGBA", "1", "I", "I;16", *CONVERTED):
            raise ImageError(f"{name} holds {picture.mode} colours; send RGB or grayscale")
        return Frame(
            (picture.height, picture.width),
            _orientation(picture, path),
            number,
            count,
            _microns(picture),
            is_still=count == 1 and picture.format in ("PNG", "WEBP") and picture.mode not in CONVERTED,
        )


def _values(
    path: Path, frame: Frame, where: tuple[slice, slice], stored: bool
) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """Values (H, W, C) of rows and columns, whether the last band is opacity, and what was converted."""
    bits = png.bits(path)
    if frame.is_still:
        values = (png if bits else webp).values(path)[where]
        notes = (f"{bits}-bit intensities were spread over 0 to 255",) if 0 < bits < 8 else ()
        return values, values.shape[2] in (2, 4), notes
    with PIL.Image.open(path, formats=FORMATS) as picture:
        picture.seek(frame.number - 1)
        if stored and picture.mode == "P":
            return _numbers(picture, *where), False, ()
        values, alpha, notes = _by_pillow(picture, *where)
    if bits == 16 and values.dtype == np.uint8:
        notes = (*notes, "its 16-bit values were cut to 8 bit")
    return values, alpha, notes


def _by_pillow(picture: PIL.Image.Image, rows: slice, columns: slice) -> tuple[np.ndarray, bool, tuple[str, ...]]:
    """The same, of an open picture."""
    mode, notes = picture.mode, []
    if mode in CONVERTED:
        notes.append(f"converted from {CONVERTED[mode]} to RGB")
        mode = "RGBA" if picture.has_transparency_data else "RGB"
    elif mode == "1":
        notes.append("1-bit intensities were spread over 0 to 255")
        mode = "L"
    elif mode in ("L", "RGB") and picture.has_transparency_data:
        mode = {"L": "LA", "RGB": "RGBA"}[mode]
    if picture.tile and picture.format == "BMP" and (few := FEW_BITS.get(str(picture.tile[0].args[0]))):
        notes.append(f"{few} colours were spread over 0 to 255")
    return _copied(picture, mode, rows, columns), mode in ("LA", "RGBA"), tuple(notes)


def _copied(picture: PIL.Image.Image, mode: str, rows: slice, columns: slice) -> np.ndarray:
    """(H, W, C) of an open picture's rows and columns in one of Pillow's modes."""
    height, width = rows.stop - rows.start, columns.stop - columns.start
    values: np.ndarray | None = None
    for top in range(0, height, ROWS):
        bottom = min(top + ROWS, height)
        band = picture.crop((columns.start, rows.start + top, columns.stop, rows.start + bottom))
        block = np.asarray(band if band.mode == mode else band.convert(mode)).reshape(bottom - top, width, -1)
        values = np.empty((height, width, block.shape[2]), block.dtype) if values is None else values
        values[top:bottom] = block
    return values


def _numbers(picture: PIL.Image.Image, rows: slice, columns: slice) -> np.ndarray:
    """Numbers (H, W, 1) of an open picture's colours, for labels."""
    palette = np.array(picture.getpalette("RGB"), np.uint8).reshape(-1, 3)
    return numbered(_copied(picture, "P", rows, columns), palette)


def _orientation(picture: PIL.Image.Image, path: Path) -> int:
    """The EXIF orientation, 1 to 8. Found without decoding, as Pillow would for a PNG that has none."""
    exif = PIL.Image.Image.getexif(picture)
    if not exif and picture.format == "PNG":
        exif.load(png.late_exif(path))
    told = exif.get(ORIENTATION, 1)
    return told if isinstance(told, int) and told in range(1, 9) else 1


def _microns(picture: PIL.Image.Image) -> float | None:
    """µm per pixel, where the resolution is a microscope's."""
    told = picture.info.get("dpi")
    per_inch = float(told[0]) if isinstance(told, tuple) else 0.0
    return microscopic(25_400 / per_inch) if per_inch else None
