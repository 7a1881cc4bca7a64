"""What the values of a TIFF's page mean: colours, inks, opacity or channels."""

from __future__ import annotations

import numpy as np
import PIL.Image
import tifffile

from sac.decoding.decoded import Decoded
from sac.decoding.ground import numbered
from sac.errors import ImageError

GREY = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE)
MULTIPLIED, PLAIN = tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA
ROWS = 256
"""Rows that are converted at once."""


def interpreted(
    values: np.ndarray, page: tifffile.TiffPage, name: str, channels: bool, stored: bool = False
) -> Decoded:
    """Values (H, W, C) as the photometric interpretation of their page says; as channels where they lie along one.

    stored: labels, which are the numbers in the file, however a program shows them.
    """
    if page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and not channels:
        palette = _of_8_bit(page.colormap)
        if stored:
            return Decoded(numbered(values, palette))
        return Decoded(palette[values[..., 0]], notes=("converted from palette to RGB",))
    if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
        return Decoded(_from_inks(values, name), notes=("converted from CMYK to RGB",))
    notes: tuple[str, ...] = ()
    bits = page.bitspersample if isinstance(page.bitspersample, int) else 8 * values.dtype.itemsize
    if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE and not (stored and _are_labels(values, page, bits)):
        values, notes = _inverted(values, bits), ("inverted, as the file says that white is zero",)
    if bits < 8:
        table = np.round(np.arange(2**bits) * (255 / (2**bits - 1))).astype(np.uint8)
        values, notes = table[values.astype(np.uint8)], (*notes, f"{bits}-bit intensities were spread over 0 to 255")
    bands, extra = values.shape[2], tuple(page.extrasamples)
    if channels and bands > 1:
        return Decoded(values, "channels", notes=notes)
    colours = 1 if page.photometric in GREY else 3
    if bands in (1, colours) or (bands == 3 and not extra):
        return Decoded(values, notes=notes)
    if bands == colours + 1 and extra and extra[0] in (MULTIPLIED, PLAIN):
        return Decoded(_divided(values) if extra[0] == MULTIPLIED else values, alpha=True, notes=notes)
    if bands == colours + 1 and colours == 3:
        return Decoded(values[..., :3], notes=(*notes, "the fourth band, of no stated meaning, was left out"))
    return Decoded(values, "channels", notes=notes)


def _of_8_bit(colormap: np.ndarray) -> np.ndarray:
    """A palette (3, N) uint16 as colours (N, 3) uint8. Some programs write palettes of 0 to 255."""
    return (colormap if colormap.max() < 256 else colormap >> 8).astype(np.uint8).T


def _are_labels(values: np.ndarray, page: tifffile.TiffPage, bits: int) -> bool:
    """Whether values of a page on which white is zero are numbers, rather than the black and white of a mask.

    ImageJ's always are: it turns its masks round for the eye alone, and calls what it found 255. So are those that
    tifffile makes of an array, whose truths it calls 1, and says that white is zero.
    """
    return page.parent.is_imagej or page.parent.is_shaped or not np.isin(values, (0, 2**bits - 1)).all()


def _inverted(values: np.ndarray, bits: int) -> np.ndarray:
    """Values with the ends of their range exchanged; of real numbers, those of the picture."""
    if values.dtype.kind == "f":
        return np.nanmax(values, initial=0.0, where=np.isfinite(values)) - values
    if values.dtype.kind == "i":
        return ~values
    return (values.astype(np.uint8) if values.dtype.kind == "b" else values) ^ values.dtype.type(2**bits - 1)


def _divided(values: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by their opacity, the last band, without it."""
    full = np.iinfo(values.dtype).max if values.dtype.kind in "iu" else 1.0
    divided = values.copy()
    for top in range(0, len(values), ROWS):
        block = values[top : top + ROWS].astype(np.float64)
        opacity = block[..., -1:]
        colours = np.divide(block[..., :-1] * full, opacity, out=np.zeros(block[..., :-1].shape), where=opacity > 0)
        divided[top : top + ROWS, :, :-1] = (
            np.clip(np.round(colours), 0, full) if values.dtype.kind in "iu" else colours
        )
    return divided


def _from_inks(values: np.ndarray, name: str) -> np.ndarray:
    """Inks (H, W, 4) uint8 as RGB."""
    if values.dtype != np.uint8 or values.shape[2] != 4:
        raise ImageError(f"{name} holds {values.shape[2]} inks of {values.dtype}; send RGB, or CMYK of 8 bit")
    colours = np.empty((*values.shape[:2], 3), np.uint8)
    for top in range(0, len(values), ROWS):
        block = np.ascontiguousarray(values[top : top + ROWS])
        colours[top : top + ROWS] = PIL.Image.fromarray(block, "CMYK").convert("RGB")
    return colours
