"""TIFF of every kind, by tifffile: OME, ImageJ, LSM, stacks, pyramids. No other file that it names is ever opened."""

from __future__ import annotations

import itertools
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import PIL.Image
import tifffile

from sac.config import LIMITS, View
from sac.decoding.decoded import PREVIEW, TURNED, Decoded, inside, microscopic, upright
from sac.errors import ImageError

logging.getLogger("tifffile").setLevel(logging.CRITICAL)
OPACITY = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
AXES = {"Z": "z", "T": "time", "C": "channel", "P": "position", "R": "tile", "A": "angle", "H": "phase"}
"""What the letters of tifffile's axes are called; all others are pages."""
OME_UNITS = {"µm": 1.0, "um": 1.0, "μm": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6}
ORIENTATION = 274


@dataclass(frozen=True)
class Plane:
    """One plane of a file: an image series and the places along its axes other than Y, X, C and S."""

    series: tifffile.TiffPageSeries
    index: dict[str, int]
    number: int

    @property
    def called(self) -> str:
        counts = dict(zip(self.series.axes, self.series.shape))
        places = [f"{AXES.get(a, 'page')} {i + 1} of {counts[a]}" for a, i in self.index.items()]
        return ", ".join(places) or f"image {self.number}"


def read(path: Path, name: str, view: View) -> Decoded:
    """The plane, channel and region of a file that `view` asks for."""
    with tifffile.TiffFile(path, _multifile=False) as tiff:
        if len(tiff.pages) > LIMITS.pages:
            raise ImageError(f"{name} has {len(tiff.pages)} pages; up to {LIMITS.pages} are accepted")
        _judge_page(name, tiff.pages.first)
        planes = _planes(tiff, name)
        plane = planes[_chosen(planes, name, view) - 1]
        decoded = _preview(plane, name) if _too_large(plane, view) else _region(plane, name, view.region)
        called = tuple(p.called for p in planes) if len(planes) > 1 else ("",)
        notes = [_told(plane, len(planes))] if len(planes) > 1 else []
        if tiff.is_ome and plane.series.kind != "ome":
            notes.append("its OME description names other files, or is damaged; only the pages of this one are read")
        names, colours = _channels(tiff, decoded.values.shape[2] if decoded.kind == "channels" else 0)
        return replace(
            decoded,
            channels=names,
            colours=colours,
            planes=called,
            plane=plane.number,
            microns=_microns(tiff, plane.series.keyframe),
            notes=(*notes, *decoded.notes),
        )


def _judge_page(name: str, page: tifffile.TiffPage) -> None:
    """Judges a page by what its tags claim, before anything is decoded."""
    if page.samplesperpixel > LIMITS.samples or page.imagedepth > 1:
        raise ImageError(f"{name} has {page.samplesperpixel} samples per pixel; send RGB or grayscale")
    if page.is_tiled and max(page.tilelength, page.tilewidth) > LIMITS.tiff_tile:
        raise ImageError(f"{name} has tiles of {page.tilewidth} x {page.tilelength}; up to {LIMITS.tiff_tile} fit")
    if page.dtype is None or page.dtype.kind not in "biuf":
        raise ImageError(f"{name} holds {page.dtype or 'unknown'} values; send whole or real numbers")


def _planes(tiff: tifffile.TiffFile, name: str) -> list[Plane]:
    """Every plane of every series, in the order of the file. Raises ImageError for more than were written."""
    planes: list[Plane] = []
    for series in tiff.series:
        if "X" not in series.axes or "Y" not in series.axes:
            continue
        others = [(axis, length) for axis, length in zip(series.axes, series.shape) if axis in _others(series)]
        claimed = np.prod([length for _, length in others], dtype=np.float64) + len(planes)
        if claimed > LIMITS.pages:
            raise ImageError(f"{name} claims {claimed:.0f} planes; up to {LIMITS.pages} are accepted")
        for places in itertools.product(*(range(length) for _, length in others)):
            index = {axis: place for (axis, _), place in zip(others, places)}
            planes.append(Plane(series, index, len(planes) + 1))
    if not planes:
        raise ImageError(f"{name} holds no image")
    return planes


def _others(series: tifffile.TiffPageSeries) -> str:
    """Axes along which planes lie. Where pixels have samples, channels are planes."""
    return "".join(a for a in series.axes if a not in ("YXS" if "S" in series.axes else "YXC"))


def _chosen(planes: list[Plane], name: str, view: View) -> int:
    """The number of the plane to read: as asked for, or the middle of a z-stack, or the first."""
    if view.plane > len(planes):
        raise ImageError(f"{name} has {len(planes)} planes; there is no {view.plane}")
    if view.plane:
        return view.plane
    first = planes[0].series
    depth = dict(zip(first.axes, first.shape)).get("Z", 1)
    return next(p.number for p in planes if p.index.get("Z", 0) == (depth - 1) // 2)


def _told(plane: Plane, count: int) -> str:
    one_axis = len(plane.index) == 1 and plane.called.endswith(f"of {count}")
    return f"{plane.called} was used" if one_axis else f"plane {plane.number} of {count} ({plane.called}) was used"


def _size(series: tifffile.TiffPageSeries) -> tuple[int, int]:
    lengths = dict(zip(series.axes, series.shape))
    return lengths["Y"], lengths["X"]


def _too_large(plane: Plane, view: View) -> bool:
    """Whether a plane is opened by region only, and has a smaller level to choose that on."""
    height, width = _size(plane.series)
    return not view.region and height * width > LIMITS.pixels and len(plane.series.levels) > 1


def _preview(plane: Plane, name: str) -> Decoded:
    """The smallest level of a pyramid, thinned out to a preview's size."""
    size, level = _size(plane.series), plane.series.levels[-1]
    decoded = _region(replace(plane, series=level), name, ())
    step = -(-max(_size(level)) // PREVIEW)
    values = decoded.values[::step, ::step]
    return replace(decoded, values=values, size=size, downsample=size[1] / values.shape[1])


def _region(plane: Plane, name: str, region: tuple[int, ...]) -> Decoded:
    """A plane's values in a region, or in all of it, as the photometric interpretation of its page says."""
    series, page = plane.series, plane.series.keyframe
    rows, columns = inside(name, region, _size(series))
    _judge_page(name, page)
    bands = np.prod([n for axis, n in zip(series.axes, series.shape) if axis in "CS"], dtype=np.float64)
    needed = bands * (rows.stop - rows.start) * (columns.stop - columns.start) * page.dtype.itemsize
    if needed > LIMITS.values:
        raise ImageError(
            f"{name} holds {needed / 1e6:.0f} MB of intensities; up to {LIMITS.values // 10**6} fit: send a region"
        )
    whole = (rows.stop - rows.start, columns.stop - columns.start) == _size(series)
    decoded = _interpreted(_cut(plane, rows, columns), page, name, "C" in series.axes and "S" not in series.axes)
    tag = page.tags.get(ORIENTATION)
    turned = tag is not None and int(tag.value) in range(2, 9) and whole
    values = upright(decoded.values, int(tag.value)) if turned else decoded.values
    size = values.shape[:2] if whole else _size(series)
    notes = (*decoded.notes, TURNED) if turned else decoded.notes
    return replace(decoded, values=values, size=size, corner=(columns.start, rows.start), notes=notes)


def _cut(plane: Plane, rows: slice, columns: slice) -> np.ndarray:
    """(H, W, C) of a plane's rows and columns: of a large file no more is read than its tiles that meet them."""
    series = plane.series
    where = {**plane.index, "Y": rows, "X": columns}
    index = tuple(where.get(axis, slice(None)) for axis in series.axes)
    axes = [axis for axis in series.axes if axis not in plane.index]
    if series.dataoffset is not None:
        memory = series.keyframe.parent.filehandle.memmap_array
        cut = np.asarray(
            memory(series.keyframe.parent.byteorder + series.dtype.char, series.shape, series.dataoffset)[index]
        )
    else:
        import zarr  # slow to import, and only packed pixels need it

        cut = np.asarray(zarr.open(series.aszarr(level=0), mode="r")[index])
    cut = np.moveaxis(cut, (axes.index("Y"), axes.index("X")), (0, 1))
    return cut if cut.ndim == 3 else cut[..., None]


def _interpreted(values: np.ndarray, page: tifffile.TiffPage, name: str, channels: bool) -> Decoded:
    """Values (H, W, C) as colours or channels."""
    photometric, extra = page.photometric, tuple(page.extrasamples)
    if photometric == tifffile.PHOTOMETRIC.PALETTE and page.colormap is not None and not channels:
        colours = (page.colormap[:, values[..., 0].astype(np.intp)].transpose(1, 2, 0) >> 8).astype(np.uint8)
        return Decoded(colours, notes=("converted from palette to RGB",))
    if photometric == tifffile.PHOTOMETRIC.SEPARATED:
        return Decoded(_from_cmyk(values, name), notes=("converted from CMYK to RGB",))
    notes: tuple[str, ...] = ()
    if page.bitspersample < 8:
        values = values.astype(np.uint8) * np.uint8(255 // (2**page.bitspersample - 1))
    if photometric == tifffile.PHOTOMETRIC.MINISWHITE:
        values = (np.iinfo(values.dtype).max if values.dtype.kind in "iu" else values.max()) - values
        notes = ("inverted, as the file says that white is zero",)
    bands = values.shape[2]
    if channels and bands > 1:
        return Decoded(values, "channels", notes=notes)
    colours = 1 if photometric in (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.MINISWHITE) else 3
    if bands == colours or (bands == 3 and not extra):
        return Decoded(values, notes=notes)
    if bands == colours + 1 and extra and extra[0] in OPACITY:
        return Decoded(values, alpha=True, notes=notes)
    if bands == colours + 1 and colours == 3:
        return Decoded(values[..., :3], notes=(*notes, "the fourth band, of no stated meaning, was left out"))
    return Decoded(values, "channels", notes=notes)


def _from_cmyk(values: np.ndarray, name: str) -> np.ndarray:
    """Inks (H, W, 4) uint8 as RGB."""
    if values.dtype != np.uint8 or values.shape[2] != 4:
        raise ImageError(f"{name} holds inks of {values.dtype}; send RGB, or CMYK of 8 bit")
    return np.asarray(PIL.Image.fromarray(values, "CMYK").convert("RGB"))


Colour = tuple[int, int, int]


def _channels(tiff: tifffile.TiffFile, count: int) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """A name for each of `count` channels, and a colour each, where the file gives every one its own."""
    told: list[dict[str, Any]] = []
    if tiff.is_ome and count:
        told = (
            [dict(c.attrib) for c in _ome_pixels(tiff).iterfind("{*}Channel")] if _ome_pixels(tiff) is not None else []
        )
    names = tuple(str(c.get("Name") or "") for c in told) if len(told) == count else ("",) * count
    colours = [_unpacked(int(c["Color"])) for c in told if re.fullmatch(r"-?\d{1,10}", c.get("Color", ""))]
    if tiff.is_imagej and count:
        colours = [
            tuple(int(v) for v in np.asarray(lut)[:, -1]) for lut in (tiff.imagej_metadata or {}).get("LUTs", ())
        ]
    distinct = len(colours) == count and len(set(colours)) == count
    return names, tuple(colours) if distinct else ()


def _unpacked(rgba: int) -> Colour:
    """OME's signed 32 bit of red, green, blue and alpha."""
    return rgba >> 24 & 255, rgba >> 16 & 255, rgba >> 8 & 255


def _ome_pixels(tiff: tifffile.TiffFile) -> ElementTree.Element | None:
    """The first image's Pixels element; None where the description is damaged."""
    try:
        return ElementTree.fromstring(tiff.ome_metadata or "").find("{*}Image/{*}Pixels")
    except ElementTree.ParseError:
        return None


def _microns(tiff: tifffile.TiffFile, page: tifffile.TiffPage) -> float | None:
    """µm per pixel: OME's, LSM's or Aperio's own, else of the resolution tags, where it is a microscope's."""
    told = 0.0
    if tiff.is_ome and (pixels := _ome_pixels(tiff)) is not None:
        unit = OME_UNITS.get(pixels.get("PhysicalSizeXUnit", "µm"), 0.0)
        told = unit * float(pixels.get("PhysicalSizeX") or 0)
    elif tiff.is_lsm and tiff.lsm_metadata:
        told = 1e6 * float(tiff.lsm_metadata.get("VoxelSizeX") or 0)
    elif aperio := re.search(r"\|\s*MPP\s*=\s*([\d.]+)", str(page.description)):
        told = float(aperio[1])
    return microscopic(told or _by_resolution(page))


def _by_resolution(page: tifffile.TiffPage) -> float:
    """µm per pixel from tags whose unit is inch, centimetre or ImageJ's µm; 0 where there is none."""
    tag = page.tags.get("XResolution")
    if tag is None or not tag.value[0]:
        return 0.0
    per_unit = tag.value[0] / max(1, tag.value[1])
    imagej = re.search(r"^unit=(\\u00B5m|µm|um|micron)", str(page.description), re.MULTILINE)
    return (1.0 if imagej else {2: 25_400.0, 3: 10_000.0}.get(int(page.resolutionunit or 1), 0.0)) / per_unit
