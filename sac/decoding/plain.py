"""PNG, JPEG, WebP and BMP, by Pillow; PNGs of 16 bit by imagecodecs, since Pillow drops their low bytes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from sac.config import View
from sac.decoding.decoded import TURNED, Decoded, inside, judge_size, microscopic, upright
from sac.errors import ImageError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "MPO")
PIL.Image.MAX_IMAGE_PIXELS = None  # `judge_size` judges every header, in words
ORIENTATION = 0x0112
DEPTH = 24
"""Where a PNG says how many bits a sample has."""


def read(path: Path, name: str, view: View) -> Decoded:
    """The frame and region of a file that `view` asks for."""
    with PIL.Image.open(path, formats=FORMATS) as picture:
        judge_size(name, picture.height, picture.width)
        frames = getattr(picture, "n_frames", 1)
        frame = view.plane or 1
        if frame > frames:
            raise ImageError(f"{name} has {frames} frames; there is no {frame}")
        notes = [f"frame {frame} of {frames} was used"] if frames > 1 else []
        picture.seek(frame - 1)
        microns, orientation = _microns(picture), picture.getexif().get(ORIENTATION, 1)
        values, alpha = _deep(path) if _depth(path) == 16 and frames == 1 else _values(picture, notes)
    if orientation in range(2, 9):
        values = upright(values, orientation)
        notes.append(TURNED)
    rows, columns = inside(name, view.region, values.shape[:2])
    return Decoded(
        values[rows, columns],
        alpha=alpha,
        planes=tuple(f"frame {n}" for n in range(1, frames + 1)),
        plane=frame,
        size=values.shape[:2],
        corner=(columns.start, rows.start),
        microns=microns,
        notes=tuple(notes),
    )


def _values(picture: PIL.Image.Image, notes: list[str]) -> tuple[np.ndarray, bool]:
    """(H, W, C) and whether the last band is opacity; `notes` gets what was converted."""
    if picture.mode in ("L", "RGB") and picture.has_transparency_data:
        picture = picture.convert("LA" if picture.mode == "L" else "RGBA")
    if picture.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "1"):
        wanted = "RGBA" if picture.has_transparency_data else "RGB"
        notes.append(f"converted from {picture.mode} to RGB")
        picture = picture.convert(wanted)
    values = np.asarray(picture)
    return (values if values.ndim == 3 else values[..., None]), picture.mode in ("LA", "RGBA")


def _depth(path: Path) -> int:
    """Bits per sample of a PNG; 8 for any other file."""
    with path.open("rb") as stream:
        head = stream.read(DEPTH + 1)
    return head[DEPTH] if head.startswith(b"\x89PNG") else 8


def _deep(path: Path) -> tuple[np.ndarray, bool]:
    """A PNG of 16 bit."""
    from imagecodecs import png_decode

    values = png_decode(path.read_bytes())
    values = values if values.ndim == 3 else values[..., None]
    return values, values.shape[2] in (2, 4)


def _microns(picture: PIL.Image.Image) -> float | None:
    """µm per pixel, where the resolution is a microscope's."""
    per_inch = picture.info.get("dpi", (0, 0))[0]
    return microscopic(25_400 / float(per_inch)) if per_inch else None
