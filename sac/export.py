"""Instances become files that other programs open: label TIFF, overlay, prompts, table, GeoJSON."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import tifffile
from PIL import Image as PillowImage
from PIL.PngImagePlugin import PngInfo
from scipy import ndimage
from shapely.geometry import mapping
from skimage.measure import regionprops

from sac import __version__
from sac.config import SegmentOptions
from sac.images import Image
from sac.inference.instances import Instances
from sac.overlay import outlined, with_points
from sac.prompts import UNUSED, Prompts

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text cell that a spreadsheet would run."""


@dataclass(frozen=True)
class Result:
    """One segmented image, and what it was made with: all that an export says."""

    image: Image
    found: Instances
    model: str
    options: SegmentOptions

    def about(self) -> dict[str, Any]:
        """Model, settings, software and notes, as every export carries them."""
        return {
            "image": self.image.name,
            "model": self.model,
            "software": f"segment-any-cell {__version__}",
            "settings": asdict(self.options),
            "micrometres_per_pixel": self.image.microns,
            "notes": list(self.found.notes),
        }


def label_tiff(result: Result) -> bytes:
    """The label map, uint16, or uint32 where a number is above 65,535; pixel size where it is known."""
    kind = np.uint16 if result.found.labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    microns = result.image.microns
    resolution = {"resolution": (1e4 / microns,) * 2, "resolutionunit": "CENTIMETER"} if microns else {}
    stream = io.BytesIO()
    labels = result.found.labels.astype(kind)
    tifffile.imwrite(stream, labels, compression="zlib", metadata=None, software=_software(result), **resolution)
    return stream.getvalue()


def overlay_png(result: Result) -> bytes:
    """The picture with outlines and both kinds of points; model, settings and software as its text."""
    drawn = with_points(outlined(result.image.pixels, result.found.labels), result.found.prompts)
    stream, told = io.BytesIO(), PngInfo()
    told.add_text("Software", _software(result))
    PillowImage.fromarray(drawn).save(stream, "PNG", pnginfo=told)
    return stream.getvalue()


def prompts_json(result: Result) -> bytes:
    """The prompts, row by row, with the nucleus each row became (null where it became none)."""
    nucleus = {int(row): int(number) for row, number in zip(result.found.prompt, result.found.numbers)}
    rows = [
        {"nucleus": nucleus.get(row), **_asked(result.found.prompts[[row]])} for row in range(len(result.found.prompts))
    ]
    return _json({**result.about(), "prompts": rows})


def nuclei_csv(result: Result) -> bytes:
    """A row per nucleus: position, size and shape, in pixels and, where known, in µm; certainty."""
    stream = io.StringIO(newline="")
    rows = measurements(result)
    writer = csv.DictWriter(stream, [*COLUMNS, *(MICRON_COLUMNS if result.image.microns else ())])
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return stream.getvalue().encode(errors="backslashreplace")


COLUMNS = (
    "nucleus", "x_px", "y_px", "area_px", "perimeter_px", "major_axis_px", "minor_axis_px", "orientation_deg",
    "solidity", "certainty", "stability", "origin", "image", "model", "settings", "software",
)  # fmt: skip
MICRON_COLUMNS = ("x_um", "y_um", "area_um2", "perimeter_um")


def measurements(result: Result) -> list[dict[str, Any]]:
    """What the table holds, a dict per nucleus in the order of their numbers."""
    about = result.about()
    told = {"image": about["image"], "model": about["model"], "software": about["software"]}
    told["settings"] = json.dumps(about["settings"])
    rows = []
    found = result.found
    for region, certainty, stability, origin in zip(
        regionprops(found.labels), found.certainty, found.stability, found.origin
    ):
        y, x = region.centroid
        row = {
            "nucleus": region.label,
            "x_px": round(x, 2),
            "y_px": round(y, 2),
            "area_px": int(region.area),
            "perimeter_px": round(region.perimeter, 2),
            "major_axis_px": round(region.axis_major_length, 2),
            "minor_axis_px": round(region.axis_minor_length, 2),
            "orientation_deg": round(float(np.degrees(region.orientation)), 1),
            "solidity": round(float(region.solidity), 4),
            "certainty": round(float(certainty), 4),
            "stability": round(float(stability), 4),
            "origin": origin,
        }
        rows.append(row | told | _in_microns(row, result.image.microns))
    return rows


def _in_microns(row: dict[str, Any], microns: float | None) -> dict[str, float]:
    if not microns:
        return {}
    return {
        "x_um": round(row["x_px"] * microns, 3),
        "y_um": round(row["y_px"] * microns, 3),
        "area_um2": round(row["area_px"] * microns**2, 3),
        "perimeter_um": round(row["perimeter_px"] * microns, 3),
    }


def geojson(result: Result) -> bytes:
    """A FeatureCollection as QuPath imports it: each nucleus a polygon along its pixels' edges, with holes."""
    features = []
    windows = ndimage.find_objects(result.found.labels)
    for number, certainty in zip(result.found.numbers.tolist(), result.found.certainty.tolist()):
        window = windows[number - 1]
        features.append({
            "type": "Feature",
            "geometry": mapping(polygon(result.found.labels[window] == number, window[1].start, window[0].start)),
            "properties": {
                "objectType": "detection",
                "name": f"nucleus {number}",
                "classification": {"name": "Nucleus", "color": [0, 200, 120]},
                "measurements": {"certainty": round(certainty, 4)},
            },
        })  # fmt: skip
    return _json({"type": "FeatureCollection", "features": features, "properties": result.about()})


def polygon(inside: np.ndarray, x: int, y: int) -> shapely.Geometry:
    """The outline of a mask (H, W) bool whose first pixel is (x, y): the union of its rows' runs."""
    edges = np.diff(np.pad(inside.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    rows, starts = np.nonzero(edges == 1)
    stops = np.nonzero(edges == -1)[1]
    return shapely.union_all(shapely.box(starts + x, rows + y, stops + x, rows + y + 1))


FILES: dict[str, Callable[[Result], bytes]] = {
    "labels.tif": label_tiff,
    "overlay.png": overlay_png,
    "prompts.json": prompts_json,
    "nuclei.csv": nuclei_csv,
    "geojson": geojson,
}
"""The five outputs, by what follows the image's stem."""


def write_all(result: Result, folder: Path) -> list[Path]:
    """STEM.labels.tif and the other four in `folder`. Returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = safe_stem(result.image.name)
    written = []
    for ending, make in FILES.items():
        path = folder / f"{stem}.{ending}"
        path.write_bytes(make(result))
        written.append(path)
    return written


def zipped(result: Result) -> bytes:
    """All five outputs in one zip."""
    stem, stream = safe_stem(result.image.name), io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for ending, make in FILES.items():
            archive.writestr(f"{stem}.{ending}", make(result))
    return stream.getvalue()


def safe_stem(name: str) -> str:
    """A file name without its ending, in characters that every system takes."""
    stem = name.rsplit(".", 1)[0] if "." in name[1:] else name
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in stem).strip(". ")
    return safe.encode()[:120].decode(errors="ignore").strip(". ") or "image"


def _asked(row: Prompts) -> dict[str, Any]:
    """One row's points, each with whether a user set it, and its box, where it has one."""
    by_hand = row.by_hand[0].tolist() if row.by_hand is not None else [False] * row.labels.shape[1]
    asked: dict[str, Any] = {
        "points": [
            {"x": round(x, 2), "y": round(y, 2), "label": kind, "by_hand": hand}
            for (x, y), kind, hand in zip(row.points[0].tolist(), row.labels[0].tolist(), by_hand)
            if kind != UNUSED
        ]
    }
    if row.boxes is not None and np.isfinite(row.boxes).all():
        asked["box"] = [round(v, 2) for v in row.boxes[0].tolist()]
    return asked


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _software(result: Result) -> str:
    said = f"segment-any-cell {__version__}; {result.model}; {json.dumps(asdict(result.options))}"
    return said.encode("ascii", "backslashreplace").decode()  # all that the tag may hold


def _json(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False).encode()
