"""Outlines as GeoJSON, as QuPath and this program write them."""

from __future__ import annotations

from typing import Any

from sac.errors import DataError
from training.datasets.outlines import Piece, ring

AREAS = ("Polygon", "MultiPolygon")
NUCLEI = ("detection", "cell")
"""QuPath's objects that are one thing; annotations beside them are regions that hold them."""
OTHERS = ("tile", "tma", "root")
"""QuPath's objects that are none."""


def outlines(document: Any, name: str) -> list[list[Piece]]:
    """The pieces of each nucleus. Raises DataError for what is no GeoJSON."""
    try:
        features = [feature for feature in _features(document) if _kind(feature) not in OTHERS]
        nuclei = [feature for feature in features if _kind(feature) in NUCLEI]
        shapes = [_shape(feature) for feature in nuclei or features]
        return [_pieces(shape) for shape in shapes if shape.get("type") in AREAS]
    except (TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{name} is neither GeoJSON, as QuPath writes it, nor a COCO list") from error
    except DataError as error:
        raise DataError(f"{name}: {error}") from error


def _features(document: Any) -> list[dict[str, Any]]:
    """Of a collection, a list or a single feature; a geometry alone is one, too."""
    if isinstance(document, list):
        return document
    kind = document["type"]
    if kind == "FeatureCollection":
        return document["features"]
    if kind not in ("Feature", *AREAS):
        raise KeyError(kind)
    return [document if kind == "Feature" else {"geometry": document}]


def _kind(feature: dict[str, Any]) -> str:
    """What QuPath calls it: by its properties, or, in older versions, by its id; "annotation" where it does not say."""
    told = (feature.get("properties") or {}).get("objectType") or feature.get("id")
    words = str(told).lower().removeprefix("path")
    return next((kind for kind in (*NUCLEI, *OTHERS) if words.startswith(kind)), "annotation")


def _shape(feature: dict[str, Any]) -> dict[str, Any]:
    """Of a cell, its nucleus, where it has one."""
    return feature.get("nucleusGeometry") or feature.get("geometry") or {}


def _pieces(shape: dict[str, Any]) -> list[Piece]:
    pieces = shape["coordinates"] if shape["type"] == "MultiPolygon" else [shape["coordinates"]]
    return [[ring(corners) for corners in piece] for piece in pieces]
