"""What a TIFF says about an image in words: names and colours of its channels, and the size of a pixel."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree

import numpy as np
import tifffile

from sac.decoding.decoded import judge_frames, microscopic

UNITS = {
    "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4,
    "m": 1e6, "in": 25_400.0, "inch": 25_400.0,
}  # fmt: skip
"""µm in a unit, as OME and ImageJ write them; the two first signs of µm are different characters."""
PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}
"""µm in TIFF's inch and centimetre."""

Colour = tuple[int, int, int]


def ome_root(tiff: tifffile.TiffFile) -> ElementTree.Element | None:
    """The OME description; None where there is none, where it is damaged, or where it brings its own entities."""
    text = tiff.pages.first.description if tiff.is_ome else ""
    try:
        return ElementTree.fromstring(text) if text and "<!DOCTYPE" not in text else None
    except (ElementTree.ParseError, ValueError):
        return None


def judge_ome(name: str, root: ElementTree.Element) -> None:
    """Judges an OME description by the planes that it claims: the reader makes room for them. Raises ImageError."""
    for pixels in root.iterfind("{*}Image/{*}Pixels"):
        judge_frames(name, math.prod(_whole(pixels.get(f"Size{axis}")) for axis in "ZTC"), 0)
        for told in pixels.iterfind("{*}TiffData"):
            judge_frames(name, max(_whole(told.get(count)) for count in ("PlaneCount", "NumPlanes", "IFD")), 0)


def _whole(text: str | None) -> int:
    """A count that a description gives; 1 where it gives none."""
    return int(text) if text and re.fullmatch(r"\d{1,18}", text) else 1


def channels(
    tiff: tifffile.TiffFile, pixels: ElementTree.Element | None, count: int
) -> tuple[tuple[str, ...], tuple[Colour, ...]]:
    """A name for each of `count` channels, and a colour each, where the file gives every one its own."""
    names: Sequence[Any] = ()
    colours: list[Colour] = []
    if pixels is not None:
        told = pixels.findall("{*}Channel")
        names = [c.get("Name") or "" for c in told]
        colours = [_unpacked(int(c.get("Color"))) for c in told if re.fullmatch(r"-?\d{1,10}", c.get("Color", ""))]
    elif tiff.is_imagej:
        colours = [_brightest(lut) for lut in (tiff.imagej_metadata or {}).get("LUTs", ())]
    elif tiff.is_lsm:
        told = (tiff.lsm_metadata or {}).get("ChannelColors", {})
        names = [str(n) for n in told.get("ColorNames", ())]
        colours = [tuple(int(v) & 255 for v in c[:3]) for c in told.get("Colors", ())]
    distinct = len(colours) == count and len(set(colours)) == count and all(map(any, colours))
    return tuple(names) if len(names) == count else ("",) * count, tuple(colours) if distinct else ()


def _unpacked(rgba: int) -> Colour:
    """OME's signed 32 bit of red, green, blue and alpha."""
    return rgba >> 24 & 255, rgba >> 16 & 255, rgba >> 8 & 255


def _brightest(lut: np.ndarray) -> Colour:
    """The last colour of a lookup table (3, 256)."""
    red, green, blue = np.asarray(lut)[:, -1].tolist()
    return red, green, blue


def ome_pixels(root: ElementTree.Element | None, image: int) -> ElementTree.Element | None:
    """The Pixels element of an image, counted from 1 on; the first one's where the description has fewer."""
    found = [] if root is None else root.findall("{*}Image/{*}Pixels")
    return found[image - 1 if image <= len(found) else 0] if found else None


def microns(tiff: tifffile.TiffFile, pixels: ElementTree.Element | None, page: tifffile.TiffPage) -> float | None:
    """µm per pixel: OME's, LSM's or Aperio's own, else of the resolution tags, where it is a microscope's."""
    told = 0.0
    if pixels is not None:
        told = UNITS.get(pixels.get("PhysicalSizeXUnit", "µm"), 0.0) * _number(pixels.get("PhysicalSizeX"))
    elif tiff.is_lsm:
        told = 1e6 * _number((tiff.lsm_metadata or {}).get("VoxelSizeX"))
    elif aperio := re.search(r"\|\s*MPP\s*=\s*(\d*\.?\d+)", str(page.description)):
        told = _number(aperio[1])
    return microscopic(told or _by_resolution(page))


def _by_resolution(page: tifffile.TiffPage) -> float:
    """µm per pixel from tags whose unit is inch, centimetre or ImageJ's own; 0 where there is none."""
    told = page.tags.valueof("XResolution")
    if not isinstance(told, tuple) or len(told) != 2 or not all(told):
        return 0.0
    per_unit = _number(told[0]) / _number(told[1])
    imagej = re.search(r"^unit=(\S+)", str(page.description).replace("\\u00B5", "µ"), re.MULTILINE)
    unit = UNITS.get(imagej[1], 0.0) if imagej else 0.0
    return (unit or PER_RESOLUTION_UNIT.get(_tag(page, "ResolutionUnit", 1), 0.0)) / per_unit


def _tag(page: tifffile.TiffPage, name: str, default: int) -> int:
    told = page.tags.valueof(name)
    return int(told) if isinstance(told, int) else default


def orientation(page: tifffile.TiffPage) -> int:
    """1 to 8, as in EXIF."""
    told = _tag(page, "Orientation", 1)
    return told if told in range(1, 9) else 1


def _number(told: Any) -> float:
    """A number as a description gives it, 0 where it is none."""
    try:
        return float(told or 0)
    except (TypeError, ValueError):
        return 0.0
