"""What is measured of each nucleus, as named columns that tables, outlines and charts share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from sac.export.channels import brightness
from sac.export.outlines import Outline, hull_areas
from sac.export.shape import shapes
from sac.images import Image
from sac.inference.instances import Instances

Columns = dict[str, list[Any]]
"""Columns by name, all equally long, in the table's order; None where a value is not defined."""


def measurements(image: Image, found: Instances, ranks: np.ndarray, drawn: list[Outline]) -> Columns:
    """A column per measurement, a value per nucleus in the order of their numbers.

    solidity: area by that of the convex hull of the exact outline. In µm too, where a pixel's size is known.
    """
    shape = shapes(ranks, len(found))
    columns: Columns = {
        "nucleus": found.numbers.tolist(),
        "x_px": rounded(shape["x"], 2),
        "y_px": rounded(shape["y"], 2),
        "area_px": shape["area"].astype(int).tolist(),
        "perimeter_px": rounded(shape["perimeter"], 2),
        "major_axis_px": rounded(shape["major_axis"], 2),
        "minor_axis_px": rounded(shape["minor_axis"], 2),
        "orientation_deg": rounded(shape["orientation"], 1),
        "solidity": rounded(shape["area"] / hull_areas(drawn), 4),
        "certainty": rounded(found.certainty.astype(float), 4),
        "stability": rounded(found.stability.astype(float), 4),
        "origin": list(found.origin),
    }
    if image.microns:
        columns |= _in_microns(shape, image.microns)
    columns["circularity"] = rounded(shape["circularity"], 4)
    for channel in brightness(image, ranks, len(found)):
        columns[f"mean_{channel.name}"] = significant(channel.mean)
        columns[f"std_{channel.name}"] = significant(channel.deviation)
    columns["accepted"] = [int(number in found.accepted) for number in found.numbers.tolist()]
    return columns


def _in_microns(shape: dict[str, np.ndarray], microns: float) -> Columns:
    return {
        "x_um": rounded(shape["x"] * microns, 3),
        "y_um": rounded(shape["y"] * microns, 3),
        "area_um2": rounded(shape["area"] * microns**2, 3),
        "perimeter_um": rounded(shape["perimeter"] * microns, 3),
        "major_axis_um": rounded(shape["major_axis"] * microns, 3),
        "minor_axis_um": rounded(shape["minor_axis"] * microns, 3),
    }


def rounded(values: np.ndarray, digits: int) -> list[float | None]:
    """Values (N,) to so many decimals; None for what is not a finite number."""
    return [round(value, digits) if math.isfinite(value) else None for value in values.tolist()]


def significant(values: np.ndarray) -> list[float | None]:
    """Values (N,) of any unit to six significant digits; None for what is not a finite number."""
    return [float(f"{value:.6g}") if math.isfinite(value) else None for value in values.tolist()]
