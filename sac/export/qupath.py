"""Nuclei as GeoJSON, as QuPath imports and exports its objects."""

from __future__ import annotations

from typing import Any

import numpy as np

from sac.export.measurements import Columns
from sac.export.outlines import Outline
from sac.export.result import Result
from sac.export.text import to_json
from sac.images import Place

SHAPE = {
    "area_um2": "Area µm^2", "perimeter_um": "Perimeter µm", "major_axis_um": "Major axis µm",
    "minor_axis_um": "Minor axis µm", "area_px": "Area px^2", "perimeter_px": "Perimeter px",
    "major_axis_px": "Major axis px", "minor_axis_px": "Minor axis px", "circularity": "Circularity",
    "solidity": "Solidity", "certainty": "certainty", "stability": "stability",
}  # fmt: skip
"""Columns, and what they are called in QuPath's manner; those in pixels only where µm are not known."""
CLASSES = {
    "automatic": {"name": "Nucleus", "color": [0, 200, 120]},
    "clicked": {"name": "Nucleus: clicked", "color": [60, 150, 235]},
    "edited": {"name": "Nucleus: edited", "color": [235, 160, 40]},
}
"""A class per origin: QuPath counts those after a colon with the class before it, and shows them in their own colour."""
EVERY_CHANNEL = -1
"""What QuPath calls the channel of an outline that belongs to none."""


def geojson(result: Result) -> bytes:
    """A FeatureCollection: each nucleus a detection along its pixels' edges, with holes, pieces and measurements.

    Coordinates are pixels of the whole file at full resolution, so that outlines of a region lie in their place on its
    slide; `coordinates` in the properties says how the picture's pixels became those.
    """
    place = result.image.place
    measured = _named(result.measurements)
    features = [
        {
            "type": "Feature",
            "geometry": _geometry(outline, place),
            "properties": {
                "objectType": "detection",
                "name": f"nucleus {number}",
                "classification": CLASSES[origin],
                "measurements": {name: column[index] for name, column in measured if column[index] is not None},
            },
        }
        for index, (number, origin, outline) in enumerate(
            zip(result.found.numbers.tolist(), result.found.origin, result.outlines)
        )
    ]
    lies = {"unit": "pixels of the whole file", "corner": list(place.corner), "downsample": place.downsample}
    return to_json({
        "type": "FeatureCollection", "features": features, "properties": {**result.about(), "coordinates": lies},
    })  # fmt: skip


def _named(columns: Columns) -> list[tuple[str, list[Any]]]:
    """Columns of numbers under the names that QuPath's users know."""
    in_pixels = "area_um2" not in columns
    told = [(name, columns[c]) for c, name in SHAPE.items() if c in columns and (in_pixels or not c.endswith("_px"))]
    for column, values in columns.items():
        kind, _, channel = column.partition("_")
        if kind in ("mean", "std"):
            told.append((f"{channel}: {'Mean' if kind == 'mean' else 'Std.Dev.'}", values))
    return told


def _geometry(outline: Outline, place: Place) -> dict[str, Any]:
    """A Polygon, or a MultiPolygon of several pieces, in the pixels of the whole file, on its plane of a stack."""
    scale = int(place.downsample) if float(place.downsample).is_integer() else place.downsample
    pieces = [[(np.array(place.corner) + scale * ring).tolist() for ring in piece] for piece in outline]
    plane = {"plane": dict(zip("czt", (EVERY_CHANNEL, *place.depth_and_time)))} if place.depth_and_time else {}
    if len(pieces) == 1:
        return {"type": "Polygon", "coordinates": pieces[0], **plane}
    return {"type": "MultiPolygon", "coordinates": pieces, **plane}
