"""The histogram: bars that hold every nucleus, however their areas lie, and no trouble with one or none."""

import io
import warnings

import numpy as np
import pytest
from export_cases import case, nothing, result
from matplotlib.figure import Figure
from PIL import Image as PillowImage

from sac.export import areas_png, chart


def drawn_on(areas, unit="px"):
    axes = Figure().add_subplot()
    chart._draw(axes, np.array(areas, float), unit)
    return axes


def bars(axes):
    return [(bar.get_x(), bar.get_width(), int(bar.get_height())) for bar in axes.patches]


@pytest.mark.parametrize(
    "areas", [[7], [7, 7, 7], [1, 2], [1] * 99 + [10**9], [1, 2, 3, 4] * 25 + [5000], list(range(1, 5001))]
)
def test_bars_hold_every_nucleus(areas):
    shown = bars(drawn_on(areas))
    assert sum(height for *_, height in shown) == len(areas)
    assert shown[0][0] <= min(areas) and shown[-1][0] + shown[-1][1] >= max(areas) * (1 - 1e-9)
    assert len(shown) <= chart.BARS[1]


def test_the_median_and_the_number_are_told():
    axes = drawn_on([10, 20, 1200], "µm²")
    assert axes.get_title(loc="left") == "3 nuclei" and axes.get_xlabel() == "Area (µm²)"
    assert [text.get_text() for text in axes.texts] == ["median 20 µm²"]
    assert [text.get_text() for text in drawn_on([12_345.6]).texts] == ["median 12,346 px"]
    assert drawn_on([5]).get_title(loc="left") == "1 nucleus"


def test_nothing_found_has_no_bars():
    axes = drawn_on([])
    assert axes.get_title(loc="left") == "0 nuclei" and bars(axes) == [] and not axes.texts


def test_areas_are_the_nuclei_in_square_micrometres_where_known(monkeypatch):
    told = []
    monkeypatch.setattr(chart, "_draw", lambda axes, areas, unit: told.append((areas.tolist(), unit)))
    areas_png(result())
    areas_png(result(microns=0.5))
    areas_png(case("numbers with gaps"))
    assert told == [([94, 40, 1, 36], "px"), ([23.5, 10, 0.25, 9], "µm²"), ([81, 100, 300], "px")]


@pytest.mark.parametrize("made", [result(name="$_{核.png", microns=0.5), nothing()])
def test_a_chart_is_a_picture_and_warns_of_nothing(made):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with PillowImage.open(io.BytesIO(areas_png(made))) as picture:
            assert picture.format == "PNG" and picture.size == (960, 600)
            assert len(np.unique(np.array(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 10
