"""How large the nuclei are, at a glance."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from sac.export.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = (8, 60)
"""Fewest and most bars; between them, Freedman and Diaconis's rule."""
INK, FAINT, FILL, MIDDLE = "#1f2933", "#7b8794", "#4f9d8b", "#c2410c"


def areas_png(result: Result) -> bytes:
    """A histogram of the nuclei's areas, in µm² where a pixel's size is known, with their median."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # takes most of a second: only who wants a chart waits
    from matplotlib.figure import Figure

    microns = result.image.microns
    areas = np.bincount(result.ranks.ravel(), minlength=1)[1:] * (microns or 1.0) ** 2
    figure = Figure(figsize=(6.4, 4), dpi=150, facecolor="white")
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.15)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw(axes, areas, "µm²" if microns else "px")
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": result.signature()})
    return stream.getvalue()


def _draw(axes: Axes, areas: np.ndarray, unit: str) -> None:
    count = len(areas)
    axes.set_title(f"{count:,} {'nucleus' if count == 1 else 'nuclei'}", loc="left", color=INK, fontsize=13, pad=14)
    axes.set_xlabel(f"Area ({unit})", color=INK)
    axes.set_ylabel("Nuclei", color=INK)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.tick_params(colors=FAINT, length=0)
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.grid(axis="y", color=FAINT, alpha=0.2)
    axes.set_axisbelow(True)
    if not count:
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[])
        return
    axes.hist(areas, bins=edges(areas), color=FILL, edgecolor="white", linewidth=0.6)
    axes.set_xlim(0, areas.max() * 1.2)
    median = float(np.median(areas))
    axes.axvline(median, color=MIDDLE, linewidth=1.2)
    said = f"median {median:,.0f} {unit}" if median >= 100 else f"median {median:.3g} {unit}"
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    axes.annotate(said, (median, 1), (5, 4), color=MIDDLE, fontsize=9, **place)


def edges(areas: np.ndarray) -> np.ndarray:
    """Where the bars of areas (N,), N > 0, begin and end: as many as the rule asks for, within BARS."""
    low, high = float(areas.min()), float(areas.max())
    if low == high:
        return np.array([low * 0.95, high * 1.05])
    quarter, three = np.percentile(areas, [25, 75])
    wide = 2 * (three - quarter) / len(areas) ** (1 / 3)
    bars = np.clip(np.ceil((high - low) / wide), *BARS) if wide else BARS[0]
    return np.linspace(low, high, int(bars) + 1)
