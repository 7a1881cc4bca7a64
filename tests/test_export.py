"""The five files, read back by programs that know nothing of this one."""

import csv
import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import shapely
import tifffile
from PIL import Image as PillowImage
from scipy import ndimage
from shapely.geometry import shape

from sac import __version__
from sac.config import SegmentOptions
from sac.export import (
    FILES, Result, geojson, label_tiff, nuclei_csv, overlay_png, polygon, prompts_json, safe_stem, write_all, zipped,
)  # fmt: skip
from sac.images import Image
from sac.inference import edits
from sac.inference.instances import Instances
from sac.inference.session import Point, Session
from sac.prompts import NEGATIVE, Prompts

SIZE = (40, 50)
NAMES = {"labels.tif", "overlay.png", "prompts.json", "nuclei.csv", "geojson"}


def labels_by_hand():
    """A square with a hole, a bar that touches it, a single pixel in the corner, an L."""
    labels = np.zeros(SIZE, np.int32)
    labels[5:15, 5:15] = 1
    labels[9:11, 8:11] = 0
    labels[8:12, 15:25] = 2
    labels[39, 49] = 3
    labels[20:30, 20:22] = labels[28:30, 20:30] = 4
    return labels


AREAS = [94, 40, 1, 36]


def prompts_by_hand():
    points = np.array([[[9, 7], [19, 9]], [[19, 9], [9, 7]], [[49, 39], [0, 0]], [[20, 25], [19, 9]], [[1, 1], [0, 0]]])
    labels = np.array([[1, 0], [1, 0], [1, -1], [1, 0], [1, -1]], np.int8)
    return Prompts(points.astype(np.float32), labels)


def result(name="cells.png", microns=None, model="nuclei", mode="instances", labels=None):
    labels = labels_by_hand() if labels is None else labels
    count = int(labels.max())
    found = Instances(
        labels=labels,
        numbers=np.arange(1, count + 1),
        certainty=np.linspace(0.9, 0.6, count, dtype=np.float32),
        stability=np.linspace(0.8, 0.5, count, dtype=np.float32),
        prompts=prompts_by_hand(),
        prompt=np.arange(count) if mode == "instances" and count <= 4 else np.full(count, -1),
        origin=("automatic",) * count,
        notes=("a note",),
    )
    pixels = np.full((*labels.shape, 3), 100, np.uint8)
    return Result(Image(name, pixels, microns), found, model, SegmentOptions(mode=mode))


def nothing(**settings):
    empty = result(labels=np.zeros(SIZE, np.int32), **settings)
    none = Prompts(np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.int8))
    return replace(empty, found=replace(empty.found, prompts=none))


def strict(raw):
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(raw, parse_constant=refuse)


def table(raw):
    return pd.read_csv(io.BytesIO(raw))


# The label map.


def test_labels_are_read_back_to_the_pixel():
    made = result()
    read = tifffile.imread(io.BytesIO(label_tiff(made)))
    assert read.dtype == np.uint16 and np.array_equal(read, made.found.labels)
    assert np.array_equal(np.array(PillowImage.open(io.BytesIO(label_tiff(made)))), made.found.labels)


@pytest.mark.parametrize("count, kind", [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_widen_when_there_are_too_many(count, kind):
    labels = np.zeros((260, 260), np.int32)
    labels.ravel()[:count] = np.arange(1, count + 1)
    read = tifffile.imread(io.BytesIO(label_tiff(result(labels=labels))))
    assert read.dtype == kind and np.array_equal(read, labels)


def test_the_label_map_knows_its_pixel_size():
    with tifffile.TiffFile(io.BytesIO(label_tiff(result(microns=0.25)))) as tiff:
        tags = tiff.pages[0].tags
        over, under = tags["XResolution"].value
        assert (over / under, tags["YResolution"].value) == (40_000, (over, under))  # pixels per centimetre
        assert tags["ResolutionUnit"].value == 3
        assert "nuclei" in tags["Software"].value and __version__ in tags["Software"].value


@pytest.mark.parametrize("make", FILES.values(), ids=FILES)
def test_a_model_in_a_folder_of_any_name(make):
    assert make(result(model="modèles/細胞核", name="Gewebe ä 核.png"))


# Prompts.


def test_prompts_say_which_nucleus_they_became():
    told = strict(prompts_json(result()))
    assert [row["nucleus"] for row in told["prompts"]] == [1, 2, 3, 4, None]
    own, neighbour = {"x": 19, "y": 9, "label": 1, "by_hand": False}, {"x": 9, "y": 7, "label": 0, "by_hand": False}
    assert told["prompts"][1] == {"nucleus": 2, "points": [own, neighbour]}
    assert [len(row["points"]) for row in told["prompts"]] == [2, 2, 1, 2, 1]


def test_every_json_says_what_it_was_made_with():
    made = result(microns=0.5)
    for told in (strict(prompts_json(made)), strict(geojson(made))["properties"]):
        assert told["image"] == "cells.png" and told["model"] == "nuclei" and __version__ in told["software"]
        assert told["settings"]["mode"] == "instances" and told["settings"]["negatives"] == SegmentOptions().negatives
        assert told["micrometres_per_pixel"] == 0.5 and told["notes"] == ["a note"]


def test_semantic_prompts_belong_to_no_single_nucleus():
    told = strict(prompts_json(result(mode="semantic")))
    assert {row["nucleus"] for row in told["prompts"]} == {None}


# The table.


def test_the_table_has_the_numbers_worked_out_by_hand():
    read = table(nuclei_csv(result()))
    assert read["nucleus"].tolist() == [1, 2, 3, 4] and read["area_px"].tolist() == AREAS
    assert (read["x_px"][1], read["y_px"][1]) == (19.5, 9.5)  # columns 15 to 24, rows 8 to 11
    assert (read["x_px"][2], read["y_px"][2]) == (49, 39)
    assert read["certainty"].tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert read["stability"].tolist() == pytest.approx([0.8, 0.7, 0.6, 0.5]) and set(read["origin"]) == {"automatic"}
    assert read["solidity"][1] == 1 and read["solidity"][3] < 0.8
    assert read["major_axis_px"][1] > 2 * read["minor_axis_px"][1]
    assert not read.isna().any(axis=None) and np.isfinite(read.select_dtypes("number")).all(axis=None)
    assert set(read["image"]) == {"cells.png"} and json.loads(read["settings"][0])["mode"] == "instances"


def test_the_table_is_in_micrometres_where_they_are_known():
    read = table(nuclei_csv(result(microns=0.5)))
    assert read["area_um2"].tolist() == [area / 4 for area in AREAS]
    assert read["x_um"][1] == 9.75 and read["y_um"][1] == 4.75
    assert read["perimeter_um"].tolist() == pytest.approx((read["perimeter_px"] / 2).tolist(), abs=0.001)
    assert not any("um" in column.split("_") for column in table(nuclei_csv(result())).columns)


@pytest.mark.parametrize("name", ["=cmd.png", "+1.png", "-1.png", "@SUM(A1).png", "\tx.png", "\rx.png"])
def test_no_cell_is_a_formula(name):
    raw = nuclei_csv(result(name=name, model=name)).decode()
    header, *rows = csv.reader(io.StringIO(raw, newline=""))
    assert len(rows) == 4
    for row in rows:
        assert row[header.index("image")] == row[header.index("model")] == "'" + name
        assert not any(cell.startswith(("=", "+", "@", "\t", "\r")) for cell in row)


def test_commas_quotes_and_lines_stay_in_their_cell():
    name = 'a,"b"\nc.png'
    rows = list(csv.DictReader(io.StringIO(nuclei_csv(result(name=name)).decode(), newline="")))
    assert [row["image"] for row in rows] == [name] * 4


# Polygons.


def features(made):
    told = strict(geojson(made))
    assert told["type"] == "FeatureCollection" and all(f["type"] == "Feature" for f in told["features"])
    return told["features"]


def test_polygons_are_the_pixels():
    outlines = [shape(feature["geometry"]) for feature in features(result())]
    assert [outline.area for outline in outlines] == AREAS
    assert all(outline.is_valid and outline.geom_type == "Polygon" for outline in outlines)
    assert [len(outline.interiors) for outline in outlines] == [1, 0, 0, 0]
    assert outlines[0].interiors[0].bounds == (8, 9, 11, 11)  # the hole, x and y from pixels' edges
    assert outlines[2].bounds == (49, 39, 50, 40)
    assert shapely.intersection_all(outlines[:2]).area == 0 and outlines[0].touches(outlines[1])
    assert sum(outline.area for outline in outlines) == shapely.union_all(outlines).area


def test_each_polygon_is_a_named_detection_with_its_certainty():
    properties = [feature["properties"] for feature in features(result())]
    assert [p["name"] for p in properties] == ["nucleus 1", "nucleus 2", "nucleus 3", "nucleus 4"]
    assert {p["objectType"] for p in properties} == {"detection"}
    assert [p["measurements"]["certainty"] for p in properties] == pytest.approx([0.9, 0.8, 0.7, 0.6])


@pytest.mark.parametrize("seed", range(5))
def test_a_polygon_of_any_mask_holds_its_pixels_and_no_others(seed):
    inside = ndimage.uniform_filter(np.random.default_rng(seed).random((15, 18)), 2) > 0.5
    outline = polygon(inside, 7, 3)
    assert outline.is_valid and outline.area == inside.sum()
    rows, columns = np.indices(inside.shape)
    assert np.array_equal(shapely.contains_xy(outline, columns + 7.5, rows + 3.5), inside)


# A session's numbers.


@pytest.fixture(scope="module")
def edited():
    """Nucleus 2 deleted, 4 cut into 4 and 6, 1 with a point and a box set by hand: 1, 3, 4 and 6 are left."""
    made = result()
    session = edits.deleted(Session.begin(made.found, made.options), [2])
    session = edits.split(session, [(20, 26), (22, 26)])  # 10 rows of 2 pixels: 6 | cut | 3 and the bar below
    session, point = session.with_point(Point(7.125, 12, NEGATIVE, by_hand=True))
    row = session.rows[1]
    row = replace(row, points=(*row.points, (point, NEGATIVE)), box=(4.1, 5.0, 15.5, 15.0))
    return replace(made, found=replace(session, rows={**session.rows, 1: row}).instances())


GAPS = [1, 3, 4, 6]  # 5: the row that was asked in vain


def test_every_file_carries_the_sessions_numbers(edited):
    labels, read = tifffile.imread(io.BytesIO(label_tiff(edited))), table(nuclei_csv(edited))
    assert np.unique(labels).tolist() == [0, *GAPS] and np.array_equal(labels, edited.found.labels)
    assert read["nucleus"].tolist() == GAPS
    assert read["area_px"].tolist() == [(labels == number).sum() for number in GAPS]
    assert [f["properties"]["name"] for f in features(edited)] == [f"nucleus {number}" for number in GAPS]
    for number, feature in zip(GAPS, features(edited)):
        outline, (rows, columns) = shape(feature["geometry"]), np.nonzero(labels == number)
        assert outline.area == len(rows) and shapely.contains_xy(outline, columns + 0.5, rows + 0.5).all()
    told = strict(prompts_json(edited))["prompts"]
    assert [row["nucleus"] for row in told] == [1, 3, 4, None]
    assert told[2]["points"][0] == {"x": 20, "y": 25, "label": 1, "by_hand": False}


def test_facts_stay_with_their_numbers(edited):
    read = table(nuclei_csv(edited))
    assert read["certainty"].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.6])
    assert read["stability"].tolist() == pytest.approx([0.8, 0.6, 0.5, 0.5])
    assert read["origin"].tolist() == ["automatic", "automatic", "edited", "edited"]
    certainties = [feature["properties"]["measurements"]["certainty"] for feature in features(edited)]
    assert certainties == pytest.approx([0.9, 0.7, 0.6, 0.6])


def test_points_by_hand_and_boxes_are_told(edited):
    first, second, *_ = strict(prompts_json(edited))["prompts"]
    assert first["points"][-1] == {"x": 7.12, "y": 12, "label": 0, "by_hand": True}
    assert [point["by_hand"] for point in first["points"]] == [False, False, True]
    assert first["box"] == [4.1, 5, 15.5, 15] and "box" not in second


def test_labels_widen_for_a_high_number_of_few_nuclei():
    labels = np.zeros(SIZE, np.int32)
    labels[3:9, 3:9] = 65_536
    one = replace(result(labels=(labels > 0).astype(np.int32)).found, labels=labels, numbers=np.array([65_536]))
    read = tifffile.imread(io.BytesIO(label_tiff(replace(result(), found=one))))
    assert read.dtype == np.uint32 and np.array_equal(read, labels)


# All five.


def test_the_overlay_is_as_large_as_the_picture_and_marks_its_nuclei():
    made = result()
    with PillowImage.open(io.BytesIO(overlay_png(made))) as drawn:
        assert drawn.format == "PNG" and drawn.mode == "RGB" and drawn.size == (SIZE[1], SIZE[0])
        changed = (np.array(drawn) != 100).any(axis=2)
    assert changed[made.found.labels > 0].all()
    assert not changed[32:, :40].any()


def test_nothing_found_is_five_valid_files():
    made = nothing(microns=0.5)
    assert not tifffile.imread(io.BytesIO(label_tiff(made))).any()
    assert (np.array(PillowImage.open(io.BytesIO(overlay_png(made)))) == 100).all()
    assert strict(prompts_json(made))["prompts"] == [] and features(made) == []
    assert len(table(nuclei_csv(made))) == 0 and "area_um2" in table(nuclei_csv(made)).columns


@pytest.mark.parametrize("side", [(1, 1), (1, 9), (9, 1), (2, 2), (1, 2)])
def test_the_thinnest_nuclei_have_numbers_only(side):
    labels = np.zeros(SIZE, np.int32)
    labels[: side[0], : side[1]] = 1
    made = result(labels=labels, microns=0.1)
    assert shape(features(made)[0]["geometry"]).area == side[0] * side[1]
    numbers = table(nuclei_csv(made)).select_dtypes("number")
    assert np.isfinite(numbers).all(axis=None) and numbers["area_px"].tolist() == [side[0] * side[1]]
    strict(prompts_json(made))


def test_files_are_named_after_the_image(tmp_path):
    paths = write_all(result(name="slide 3.v2.png"), tmp_path / "new" / "folder")
    assert {path.name for path in paths} == {f"slide 3.v2.{ending}" for ending in NAMES}
    assert set((tmp_path / "new" / "folder").iterdir()) == set(paths)
    assert np.array_equal(tifffile.imread(tmp_path / "new" / "folder" / "slide 3.v2.labels.tif"), labels_by_hand())


def test_the_zip_holds_the_five_files():
    made = result()
    with zipfile.ZipFile(io.BytesIO(zipped(made))) as archive:
        assert archive.testzip() is None
        assert set(archive.namelist()) == {f"cells.{ending}" for ending in NAMES}
        assert archive.read("cells.geojson") == geojson(made)
        assert np.array_equal(tifffile.imread(io.BytesIO(archive.read("cells.labels.tif"))), labels_by_hand())


@pytest.mark.parametrize(
    "name, stem",
    [
        ("cells.png", "cells"), ("cells", "cells"), ("a.b.tif", "a.b"), ("x.ome.tif", "x.ome"), (".hidden", "hidden"),
        (".hidden.png", "hidden"), ("Gewebe ä 核.png", "Gewebe ä 核"), ("a/b\\c:d*e?f.png", "a_b_c_d_e_f"),
        ("a\nb\0c.png", "a_b_c"), (" spaced .png", "spaced"), ("", "image"), ("...", "image"), (" ", "image"),
    ],
)  # fmt: skip
def test_a_stem_is_what_is_left_without_ending_and_odd_characters(name, stem):
    assert safe_stem(name) == stem


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/root/x.png", "..\\..\\x.png", "C:\\x.png", "\udcff.png"])
def test_a_stem_never_leaves_its_folder(tmp_path, name):
    paths = write_all(result(name=name), tmp_path)
    assert len(paths) == 5 and set(tmp_path.iterdir()) == set(paths)


@pytest.mark.parametrize("name", ["n" * 400 + ".png", "核" * 100 + ".png", "n" * 119 + " m.png"])
def test_a_long_name_is_cut_to_what_every_system_takes(tmp_path, name):
    stem = safe_stem(name)
    assert name.startswith(stem) and stem == stem.strip(". ")
    assert len(write_all(result(name=name), tmp_path)) == 5
