"""The tables, read by pandas and as plain text: numbers worked out by hand, units, and no cell that runs."""

import csv
import io
import json

import numpy as np
import pandas as pd
import pytest
from export_cases import AREAS, SIZE, case, cells, drawn, nothing, result, with_origins

from sac import export
from sac.export import nuclei_csv, summaries_csv, summary_csv
from sac.export.tables import FIRST, summary


def table(raw):
    return pd.read_csv(io.BytesIO(raw))


def row_of(made):
    header, row = cells(summary_csv(made))
    return dict(zip(header, row))


# A row per nucleus.


def test_the_table_has_the_numbers_worked_out_by_hand():
    read = table(nuclei_csv(result()))
    assert read["nucleus"].tolist() == [1, 2, 3, 4] and read["area_px"].tolist() == AREAS
    assert (read["x_px"][1], read["y_px"][1]) == (19.5, 9.5)  # columns 15 to 24, rows 8 to 11
    assert (read["x_px"][2], read["y_px"][2]) == (49, 39)
    assert read["certainty"].tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert read["stability"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5]) and set(read["origin"]) == {"automatic"}
    assert read["major_axis_px"][1] > 2 * read["minor_axis_px"][1]
    assert set(read["image"]) == {"cells.png"} and json.loads(read["settings"][0])["mode"] == "instances"


def test_solidity_is_the_share_of_the_exact_outlines_hull():
    read = table(nuclei_csv(result()))["solidity"]
    assert read.tolist() == [0.94, 1, 1, round(36 / 68, 4)]  # the L: 10 x 10 without a triangle of 8 x 8


def test_columns_are_the_ones_they_always_were_and_then_the_others():
    pixels_only = [name for name in FIRST if not name.endswith(("um", "um2"))]
    header = cells(nuclei_csv(result()))[0]
    assert header == [
        *pixels_only, "circularity", "mean_red", "std_red", "mean_green", "std_green", "mean_blue", "std_blue",
        "accepted", "notes", "place",
    ]  # fmt: skip
    header = cells(nuclei_csv(result(microns=0.5)))[0]
    assert header[: len(FIRST)] == list(FIRST) and header[len(FIRST) :][:2] == ["major_axis_um", "minor_axis_um"]


def test_the_table_is_in_micrometres_where_they_are_known():
    read = table(nuclei_csv(result(microns=0.5)))
    assert read["area_um2"].tolist() == [area / 4 for area in AREAS]
    assert read["x_um"][1] == 9.75 and read["y_um"][1] == 4.75
    for name in ("perimeter", "major_axis", "minor_axis"):
        assert read[f"{name}_um"].tolist() == pytest.approx((read[f"{name}_px"] / 2).tolist(), abs=0.003)


def test_a_cell_without_a_value_is_empty():
    header, *rows = cells(nuclei_csv(result()))
    circularity = [row[header.index("circularity")] for row in rows]
    assert circularity[2] == "" and all(0 < float(circularity[n]) <= 1 for n in (0, 1, 3))  # the third is one pixel


def test_brightness_is_in_the_files_own_units():
    values = np.zeros((*SIZE, 2), np.uint16)
    values[5:15, 5:15, 0] = 40_000
    values[8:10, 15:25, 1], values[10:12, 15:25, 1] = 1000, 3000
    read = table(nuclei_csv(result(values=values, channels=("DAPI", ""))))
    assert read["mean_dapi"].tolist() == [40_000, 0, 0, 0] and read["std_dapi"].tolist() == [0] * 4
    assert read["mean_channel_2"].tolist() == [0, 2000, 0, 0] and read["std_channel_2"].tolist() == [0, 1000, 0, 0]


@pytest.mark.parametrize("side", [(1, 1), (1, 9), (9, 1), (2, 2), (1, 2)])
def test_the_thinnest_nuclei_have_numbers_for_all_but_circularity(side):
    read = table(nuclei_csv(result(drawn((1, 0, side[0], 0, side[1])), microns=0.1)))
    numbers = read.select_dtypes("number").drop(columns=["circularity", "place"], errors="ignore")
    assert np.isfinite(numbers).all(axis=None) and numbers["area_px"].tolist() == [side[0] * side[1]]


def test_nothing_found_is_a_table_of_no_rows():
    read = table(nuclei_csv(nothing(microns=0.5)))
    assert len(read) == 0 and {"area_um2", "mean_red", "circularity"} <= set(read.columns)


@pytest.mark.parametrize("name", ["=cmd.png", "+1.png", "-1.png", "@SUM(A1).png", "\tx.png", "\rx.png"])
@pytest.mark.parametrize("make", [nuclei_csv, summary_csv])
def test_no_cell_is_a_formula(make, name):
    made = result(name=name, model=name, values=np.zeros((*SIZE, 2)), channels=(name, name))
    header, *rows = csv.reader(io.StringIO(make(made).decode(), newline=""))
    for row in (header, *rows):
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)
    for row in rows:
        assert row[header.index("image")] == row[header.index("model")] == "'" + name


@pytest.mark.parametrize("make, count", [(nuclei_csv, 4), (summary_csv, 1)])
def test_commas_quotes_and_lines_stay_in_their_cell(make, count):
    name = 'a,"b"\nc.png'
    rows = list(csv.DictReader(io.StringIO(make(result(name=name)).decode(), newline="")))
    assert [row["image"] for row in rows] == [name] * count


# A row per picture.


def test_the_summary_has_the_numbers_worked_out_by_hand():
    values = np.zeros((*SIZE, 1), np.float32)
    values[5:15, 5:15] = 8  # nucleus 1 alone: the mean of (8, 0, 0, 0) is 2
    made = with_origins(
        result(microns=0.5, values=values, channels=("DAPI",)), "automatic", "clicked", "automatic", "edited"
    )
    told = row_of(made)
    assert (told["image"], told["nuclei"], told["width_px"], told["height_px"]) == ("cells.png", "4", "50", "40")
    assert float(told["mean_area_px"]) == 171 / 4 and float(told["median_area_px"]) == 38
    assert float(told["sd_area_px"]) == pytest.approx(np.std(AREAS, ddof=1), abs=5e-4)
    assert float(told["mean_area_um2"]) == 10.688  # 171 / 16 is 10.6875
    assert float(told["median_area_um2"]) == 9.5
    assert float(told["density_per_mm2"]) == 8000  # 4 on 20 x 25 µm, 0.0005 mm²
    assert float(told["covered"]) == 171 / 2000 and float(told["mean_certainty"]) == pytest.approx(0.75)
    assert (told["automatic"], told["clicked"], told["edited"]) == ("2", "1", "1")
    assert float(told["mean_intensity_dapi"]) == 2 and told["micrometres_per_pixel"] == "0.5"


def test_what_is_not_known_is_empty_in_the_summary():
    told = row_of(result())
    assert {told[name] for name in told if name.endswith(("um2", "mm2"))} == {""}
    told = row_of(result(drawn((1, 0, 3, 0, 3))))
    assert told["mean_area_px"] == "9.0" and told["sd_area_px"] == ""
    told = row_of(nothing(microns=0.5))
    empty = ("mean_area_px", "median_area_um2", "sd_area_px", "mean_certainty", "mean_intensity_red")
    assert told["nuclei"] == "0" and float(told["density_per_mm2"]) == 0 and {told[name] for name in empty} == {""}


def test_a_nucleus_of_no_numbers_is_left_out_of_the_mean():
    made = case("float values, some no numbers")
    means = table(nuclei_csv(made))["mean_a"]
    assert means.isna().tolist() == [False, False, True, False]  # the third: a single pixel, infinitely bright
    assert float(row_of(made)["mean_intensity_a"]) == pytest.approx(means.mean(), rel=1e-5)


def test_pictures_of_other_channels_share_one_table():
    one, other = result(name="one.png"), case("five channels")
    first, second = table(summaries_csv([summary(one), summary(other)])).to_dict("records")
    assert (first["image"], second["image"]) == ("one.png", "cells.png")
    assert first["mean_intensity_red"] == 100 and np.isnan(first["mean_intensity_dapi"])
    assert second["mean_intensity_dapi"] > 0 and np.isnan(second["mean_intensity_red"])


def test_no_pictures_are_an_empty_table():
    assert cells(summaries_csv([])) == [[]]


def test_the_packages_face_has_all_that_it_names():
    assert [name for name in export.__all__ if not hasattr(export, name)] == []
