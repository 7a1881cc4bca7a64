"""A file becomes an Image: RGB, 8 bit, with a note for everything that was changed on the way."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps
import tifffile
from skimage.measure import label

from sac.config import LIMITS
from sac.errors import ImageError

PILLOW_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "MPO")
ACCEPTED = "PNG, JPEG, WebP, BMP or TIFF"
PIL.Image.MAX_IMAGE_PIXELS = None  # `_check_size` judges every header, in words
LARGEST_LABELS = 0.02
"""Distinct values, as a share of the pixels, from which a "label image" (of more than 256) is a photograph."""
PERCENTILES = (0.1, 99.9)
"""Intensities of more than 8 bit that become black and white."""


@dataclass(frozen=True)
class Image:
    """A picture as the method sees it.

    pixels (H, W, 3) uint8 RGB. microns: size of a pixel in µm, where the file knows it. notes: one sentence for
    each change from what was in the file.
    """

    name: str
    pixels: np.ndarray
    microns: float | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self):
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"an image is (H, W, 3) uint8, not {self.pixels.shape} {self.pixels.dtype}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]


def read_image(path: str | Path, name: str | None = None) -> Image:
    """Reads a PNG, JPEG, WebP, BMP or single-page TIFF file. Raises ImageError in one plain sentence.

    `name`: what to call it, without directory; the file's own name where None.
    """
    path = Path(path)
    name = name or path.name
    values, microns, notes = _read_values(path, name)
    pixels, more = _to_rgb(values, name)
    return Image(name, pixels, microns, (*notes, *more))


def _read_values(path: Path, name: str) -> tuple[np.ndarray, float | None, list[str]]:
    """What is in the file: values (H, W) or (H, W, C), µm per pixel, notes."""
    if not path.is_file():
        raise ImageError(f"{name}: no such file")
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
        is_tiff = magic[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
        return _read_tiff(path, name) if is_tiff else _read_pillow(path, name)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory; send a part of it") from error
    except Exception as error:  # the decoders raise whatever they like on a damaged file
        raise ImageError(f"{name} is not an image that can be read; {ACCEPTED} files are") from error


def read_labels(path: str | Path, size: tuple[int, int], name: str | None = None) -> np.ndarray:
    """A label image, or a binary mask, of a picture of `size` (height, width), as labels (H, W) int32.

    Distinct values, or distinct colours, are distinct nuclei, 0 or black is background; of two values, such as 0 and
    255, each connected component is a nucleus. Raises ImageError.
    """
    path = Path(path)
    name = name or path.name
    values = _read_values(path, name)[0]
    if values.ndim == 3 and values.shape[2] in (2, 4):
        values = values[..., :-1]
    if values.ndim == 3 and values.shape[2] == 3 and values.dtype.kind in "iu":
        values = values.astype(np.int64) @ np.array([65536**2, 65536, 1])
    if values.ndim != 2 or values.shape != tuple(size):
        raise ImageError(f"{name} is of {values.shape}, the picture of {tuple(size)} (height, width): they must agree")
    if not np.isfinite(values).all() or values.min() < 0 or (values != np.round(values)).any():
        raise ImageError(f"{name} holds values that are no labels: whole numbers from 0 on are")
    numbers, labels = np.unique(values, return_inverse=True)
    labels = labels.reshape(size).astype(np.int32) + int(numbers[0] > 0)
    if len(numbers) <= 2:
        return label(labels > 0, connectivity=1).astype(np.int32)
    if len(numbers) > max(256, LARGEST_LABELS * labels.size):
        raise ImageError(f"{name} has {len(numbers)} different values: a photograph rather than a label image")
    return labels


def _check_size(name: str, height: int, width: int) -> None:
    """Judges a picture by what its header claims, before anything is decoded."""
    if height * width > LIMITS.pixels:
        million = 1_000_000
        raise ImageError(
            f"{name} has {height * width / million:.0f} megapixels; up to {LIMITS.pixels // million} are accepted"
        )
    if min(height, width) < 1:
        raise ImageError(f"{name} has no pixels")


def _read_pillow(path: Path, name: str) -> tuple[np.ndarray, float | None, list[str]]:
    notes = []
    with PIL.Image.open(path, formats=PILLOW_FORMATS) as picture:
        _check_size(name, picture.height, picture.width)
        if getattr(picture, "n_frames", 1) > 1:
            notes.append(f"the first of {picture.n_frames} frames was used")
        turned = PIL.ImageOps.exif_transpose(picture)
        if picture.getexif().get(0x0112, 1) != 1:
            notes.append("turned upright as its EXIF orientation says")
        if turned.mode in ("L", "RGB") and turned.has_transparency_data:
            turned = turned.convert("LA" if turned.mode == "L" else "RGBA")
        if turned.mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV", "1"):
            wanted = "RGBA" if turned.has_transparency_data else "RGB"
            notes.append(f"converted from {turned.mode} to RGB")
            turned = turned.convert(wanted)
        return np.array(turned), None, notes


def _read_tiff(path: Path, name: str) -> tuple[np.ndarray, float | None, list[str]]:
    """The first page: pages are read one by one, so that no other file is ever followed."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        page = tiff.pages.first
        _check_size(name, page.imagelength, page.imagewidth)
        if page.samplesperpixel > LIMITS.samples or page.imagedepth > 1:
            raise ImageError(f"{name} has {page.samplesperpixel} samples per pixel; send RGB or grayscale")
        if page.is_tiled and max(page.tilelength, page.tilewidth) > LIMITS.tiff_tile:
            raise ImageError(f"{name} has tiles of {page.tilewidth} x {page.tilelength}; up to {LIMITS.tiff_tile} fit")
        notes = [f"the first of {len(tiff.pages)} pages was used"] if len(tiff.pages) > 1 else []
        values = page.asarray()
        if page.planarconfig == 2 and values.ndim == 3:
            values = np.moveaxis(values, 0, -1)
        indexed = page.photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None
        if page.bitspersample < 8 and not indexed:
            values = values.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
        if page.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            values = (np.iinfo(values.dtype).max if values.dtype.kind in "iu" else values.max()) - values
            notes.append("inverted, as the file says that white is zero")
        if page.photometric == tifffile.PHOTOMETRIC.SEPARATED:
            values = _from_cmyk(values, name)
            notes.append("converted from CMYK to RGB")
        if indexed:
            values = (page.colormap[:, values.astype(np.intp)].transpose(1, 2, 0) >> 8).astype(np.uint8)
            notes.append("converted from palette to RGB")
        return values, _tiff_microns(page), notes


def _from_cmyk(values: np.ndarray, name: str) -> np.ndarray:
    """Inks (H, W, 4) uint8 as RGB."""
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[2] != 4:
        raise ImageError(f"{name} holds inks of {values.dtype}; send RGB, or CMYK of 8 bit")
    return np.array(PIL.Image.fromarray(values, "CMYK").convert("RGB"))


def _tiff_microns(page: tifffile.TiffPage) -> float | None:
    """µm per pixel from the resolution tags, where their unit is inch, centimetre or ImageJ's µm."""
    tag = page.tags.get("XResolution")
    if tag is None or not tag.value[0]:
        return None
    per_unit = tag.value[0] / max(1, tag.value[1])
    imagej = re.search(r"^unit=(\\u00B5m|µm|um|micron)", str(page.description), re.MULTILINE)
    unit = 1.0 if imagej else {2: 25_400.0, 3: 10_000.0}.get(int(page.resolutionunit or 1), 0.0)
    microns = unit / per_unit
    return microns if 0.01 < microns < 20 else None


def _to_rgb(values: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
    """Any (H, W) or (H, W, C) array as (H, W, 3) uint8, and what that took."""
    if values.ndim not in (2, 3) or (values.ndim == 3 and values.shape[2] > 4):
        bands = values.shape[2] if values.ndim == 3 else values.shape
        raise ImageError(f"{name} has {bands} bands; send grayscale (1), RGB (3) or RGBA (4)")
    if values.dtype.kind not in "iuf":
        raise ImageError(f"{name} holds {values.dtype} values; send whole or real numbers")
    notes = []
    if values.ndim == 2:
        values = values[..., None]
    values, alpha = (values[..., :-1], values[..., -1]) if values.shape[2] in (2, 4) else (values, None)
    if values.dtype != np.uint8:
        notes.append(f"{values.dtype} intensities, {PERCENTILES[0]} to {PERCENTILES[1]} %, were mapped to 0 to 255")
        alpha = None if alpha is None else _to_bytes(alpha, 0.0, float(alpha.max()))
        values = _by_percentile(values)
    if alpha is not None and (alpha < 255).any():
        share = alpha[..., None].astype(np.float32) / 255
        values = np.round(values * share + 255 * (1 - share)).astype(np.uint8)
        notes.append("transparent parts were laid on white")
    return np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:2], 3))), notes


def _by_percentile(values: np.ndarray) -> np.ndarray:
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, PERCENTILES) if finite.size else (0.0, 1.0)
    return _to_bytes(np.nan_to_num(values, nan=low, posinf=high, neginf=low), float(low), float(high))


def _to_bytes(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = (values.astype(np.float64) - low) / max(high - low, 1e-12)
    return np.round(share.clip(0, 1) * 255).astype(np.uint8)
