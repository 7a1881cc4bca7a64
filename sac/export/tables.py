"""Nuclei, and whole pictures, as tables that a spreadsheet or pandas opens."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np

from sac.export.measurements import rounded, significant
from sac.export.result import Result
from sac.export.text import to_csv
from sac.inference.instances import ORIGINS
from sac.metrics import score

FIRST = (
    "nucleus", "x_px", "y_px", "area_px", "perimeter_px", "major_axis_px", "minor_axis_px", "orientation_deg",
    "solidity", "certainty", "stability", "origin", "image", "model", "settings", "software",
    "x_um", "y_um", "area_um2", "perimeter_um",
)  # fmt: skip
"""The columns that a table begins with, those in µm where they are known: as it always was. The others follow."""


def nuclei_csv(result: Result) -> bytes:
    """A row per nucleus: position, size, shape and brightness, in pixels and, where known, in µm; certainty; origin."""
    count = len(result.found)
    columns = result.measurements | {name: [text] * count for name, text in _made_with(result).items()}
    order = [*(name for name in FIRST if name in columns), *(name for name in columns if name not in FIRST)]
    return to_csv(order, zip(*(columns[name] for name in order)))


def summary_csv(result: Result) -> bytes:
    """One row for the picture: how many nuclei, how large, how dense, how certain and how bright."""
    return summaries_csv([summary(result)])


def summaries_csv(rows: Sequence[dict[str, Any]]) -> bytes:
    """A row per picture in one table; a column that a picture lacks is empty."""
    header = list(dict.fromkeys(name for row in rows for name in row))
    return to_csv(header, ([row.get(name) for name in header] for row in rows))


def summary(result: Result) -> dict[str, Any]:
    """The row of one picture. Standard deviations are the sample's; brightness is the mean of the nuclei's means."""
    columns, (height, width), microns = result.measurements, result.image.size, result.image.microns
    count, covered = len(result.found), sum(columns["area_px"])
    area_mm2 = height * width * (microns or 0) ** 2 / 1e6
    return {
        "image": result.image.name,
        "nuclei": count,
        **_spread("area_px", columns["area_px"]),
        **_spread("area_um2", columns.get("area_um2", [])),
        "density_per_mm2": significant(np.array([count / area_mm2]))[0] if area_mm2 else None,
        "covered": round(covered / (height * width), 6),
        "mean_certainty": _mean(columns["certainty"]),
        **{origin: result.found.origin.count(origin) for origin in ORIGINS},
        "accepted": len(result.found.accepted),
        **{
            f"mean_intensity_{name.removeprefix('mean_')}": _mean(values)
            for name, values in columns.items()
            if name.startswith("mean_")
        },
        "width_px": width,
        "height_px": height,
        "micrometres_per_pixel": microns,
        **_scored(result),
        **{name: text for name, text in _made_with(result).items() if name != "image"},
    }


def _scored(result: Result) -> dict[str, float | int]:
    """How well it agrees with its ground truth, where there is one: the figures that the page shows."""
    if result.truth is None:
        return {}
    shown = score(result.truth, result.found.labels).shown()
    nuclei = len(np.unique(result.truth[result.truth > 0]))
    return {"ground_truth_nuclei": nuclei, **{name: round(value, 6) for name, value in shown.items()}}


def _spread(name: str, values: list[float]) -> dict[str, float | None]:
    count = len(values)
    told = [
        statistics.fmean(values) if count else np.nan,
        statistics.median(values) if count else np.nan,
        statistics.stdev(values) if count > 1 else np.nan,
    ]
    return dict(zip((f"mean_{name}", f"median_{name}", f"sd_{name}"), rounded(np.array(told), 3)))


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return significant(np.array([statistics.fmean(known)]))[0] if known else None


def _made_with(result: Result) -> dict[str, str]:
    """What every row says of how it was made, as text."""
    about = result.about()
    return {
        "image": about["image"],
        "model": about["model"],
        "settings": json.dumps(about["settings"]),
        "software": about["software"],
        "notes": "; ".join(about["notes"]),
        "place": json.dumps(about["place"]) if "place" in about else "",
    }
