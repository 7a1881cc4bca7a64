"""GeoJSON as QuPath takes it: detections, classes, measurements by name, and outlines in their place on the slide."""

import numpy as np
import pytest
import shapely
from export_cases import AREAS, case, drawn, features, result, strict, with_origins
from shapely.geometry import shape

from sac.export import geojson
from sac.images import Place


def measured(made):
    return [feature["properties"]["measurements"] for feature in features(made)]


def test_polygons_are_the_pixels():
    outlines = [shape(feature["geometry"]) for feature in features(result())]
    assert [outline.area for outline in outlines] == AREAS
    assert all(outline.geom_type == "Polygon" for outline in outlines)
    assert [len(outline.interiors) for outline in outlines] == [1, 0, 0, 0]
    assert outlines[0].interiors[0].bounds == (8, 9, 11, 11)  # the hole, x and y from pixels' edges
    assert outlines[2].bounds == (49, 39, 50, 40)
    assert shapely.intersection_all(outlines[:2]).area == 0 and outlines[0].touches(outlines[1])


def test_a_nucleus_in_pieces_is_one_feature():
    first, second = (shape(feature["geometry"]) for feature in features(case("in pieces")))
    assert first.geom_type == "MultiPolygon" and second.geom_type == "Polygon"
    assert [(len(piece.interiors), piece.area) for piece in first.geoms] == [(1, 35), (1, 191)]


def test_a_region_lies_in_its_place_on_the_slide():
    made = result(drawn((1, 3, 6, 10, 15)), place=Place((9000, 9000), (1000, 2000)))
    (feature,) = features(made)
    assert shape(feature["geometry"]).bounds == (1010, 2003, 1015, 2006)
    lies = strict(geojson(made))["properties"]["coordinates"]
    assert (lies["corner"], lies["downsample"]) == ([1000, 2000], 1)


def test_nuclei_of_a_stack_lie_on_their_plane():
    """As QuPath writes it: counted from 0 on, of no channel in particular; a file of one plane has none."""
    labels = drawn((1, 2, 8, 2, 8), (1, 20, 30, 20, 40), (2, 22, 25, 42, 45))
    made = features(result(labels, place=Place((40, 50), depth_and_time=(3, 1))))
    assert [f["geometry"]["type"] for f in made] == ["MultiPolygon", "Polygon"]
    assert [f["geometry"]["plane"] for f in made] == [{"c": -1, "z": 3, "t": 1}] * 2
    assert not any("plane" in f["geometry"] for f in features(result()))


@pytest.mark.parametrize("downsample", [4.0, 2.5])
def test_a_smaller_picture_is_scaled_up_to_the_file(downsample):
    made = result(drawn((1, 3, 6, 10, 15)), place=Place((1000, 1000), (100, 200), downsample))
    (feature,) = features(made)
    left, top, right, bottom = np.array([10, 3, 15, 6]) * downsample
    assert shape(feature["geometry"]).bounds == (100 + left, 200 + top, 100 + right, 200 + bottom)


def test_each_polygon_is_a_named_detection_with_its_certainty():
    properties = [feature["properties"] for feature in features(result())]
    assert [p["name"] for p in properties] == ["nucleus 1", "nucleus 2", "nucleus 3", "nucleus 4"]
    assert {p["objectType"] for p in properties} == {"detection"}
    assert [p["measurements"]["certainty"] for p in properties] == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_origins_are_classes_each_in_its_colour():
    made = with_origins(result(), "automatic", "clicked", "edited", "automatic")
    classes = [feature["properties"]["classification"] for feature in features(made)]
    assert [told["name"] for told in classes] == ["Nucleus", "Nucleus: clicked", "Nucleus: edited", "Nucleus"]
    assert len({tuple(told["color"]) for told in classes}) == 3


def test_measurements_have_qupaths_names_and_units():
    bar = measured(result(microns=0.5))[1]
    assert bar["Area µm^2"] == 10 and bar["Perimeter µm"] == 12 and bar["Solidity"] == 1
    assert bar["Circularity"] == pytest.approx(4 * np.pi * 10 / 144, abs=1e-4)
    assert bar["red: Mean"] == 100 and bar["red: Std.Dev."] == 0
    assert not any("px" in name for name in bar)
    bar = measured(result())[1]
    assert bar["Area px^2"] == 40 and bar["Perimeter px"] == 24 and not any("µm" in name for name in bar)


def test_what_was_not_measured_is_left_out():
    bar, pixel = measured(case("float values, some no numbers"))[1:3]
    assert set(bar) - set(pixel) == {"Circularity", "a: Mean", "a: Std.Dev.", "b: Mean", "b: Std.Dev."}
    assert all(isinstance(value, int | float) for value in (*bar.values(), *pixel.values()))
