"""Outlines become the pixels whose centres they hold."""

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from sac.errors import DataError
from training.datasets import coco, geojson
from training.datasets.outlines import LAYERS, Drawing, ring

SQUARE = [(2, 1), (6, 1), (6, 4), (2, 4)]


def drawn(*outlines, size=(8, 10)):
    drawing = Drawing(size)
    for outline in outlines:
        drawing.add_outline([[ring(corners) for corners in piece] for piece in outline])
    return drawing


def test_pixels_are_inside_where_their_centres_are():
    for shift, columns in ((0, slice(2, 6)), (0.4, slice(2, 6)), (0.6, slice(3, 7))):
        labels = drawn([[[(x + shift, y) for x, y in SQUARE]]]).labels
        expected = np.zeros((8, 10), np.int32)
        expected[1:4, columns] = 1
        assert np.array_equal(labels, expected)


def test_holes_and_pieces():
    drawing = drawn([[SQUARE, [(3, 2), (5, 2), (5, 3), (3, 3)]], [[(8, 6), (9, 6), (9, 8), (8, 8)]]])
    assert drawing.labels.sum() == 12 - 2 + 2 and drawing.labels[2, 3] == 0 and drawing.labels[7, 8] == 1
    assert not drawing.overlap


def test_the_later_one_lies_above():
    drawing = drawn([[SQUARE]], [[[(5, 0), (9, 0), (9, 8), (5, 8)]]])
    assert drawing.overlap and drawing.labels[2, 5] == 2 and (drawing.labels == 1).sum() == 9


def test_what_touches_does_not_overlap():
    drawing = drawn([[SQUARE]], [[[(6, 1), (9, 1), (9, 4), (6, 4)]]], [[[(2, 4), (6, 4), (4, 7.5)]]])
    assert not drawing.overlap and drawing.count == 3


def test_what_lies_beyond_the_picture_is_cut_off():
    drawing = drawn([[[(-50, -50), (3, -50), (3, 2), (-50, 2)]]], [[[(20, 20), (30, 20), (30, 30)]]])
    assert (drawing.labels == 1).sum() == 6 and drawing.count == 1


@pytest.mark.parametrize("corners", [[], [(1, 1)], [(1, 1), (5, 5)]])
def test_what_has_no_area_is_passed_over(corners):
    assert not drawn([[corners]], [[]], []).labels.any()


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), 1e308, -1e7])
def test_corners_in_no_picture_are_refused(odd):
    with pytest.raises(DataError, match="lies in no picture"):
        drawn([[[(1, 1), (odd, 1), (5, 5)]]])


@pytest.mark.parametrize("corners", [5, "abc", [1, 2, 3], [("x", "y")], [{}], [(10**400, 1)]])
def test_what_is_no_list_of_corners_is_refused(corners):
    with pytest.raises(DataError, match="no list of corners"):
        ring(corners)


def test_a_picture_is_not_covered_without_end():
    with pytest.raises(DataError, match="more than 50 times"):
        drawn(*[[[[(0, 0), (10, 0), (10, 8), (0, 8)]]]] * (LAYERS + 1))


# Runs of pixels


def noise(size=(37, 23)):
    """Blobs, with the first and the last pixel."""
    rng = np.random.default_rng(3)
    mask = np.kron(rng.random((5, 3)) > 0.5, np.ones((8, 8), bool))[: size[0], : size[1]]
    mask[0, 0] = mask[-1, -1] = True
    return mask


@pytest.mark.parametrize("mask", [noise(), noise()[:, ::-1], ~noise(), noise() & False, noise() | True])
@pytest.mark.parametrize("packed", [True, False])
def test_runs_are_what_pycocotools_says(mask, packed):
    encoded = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = encoded["counts"].decode()
    if not packed:
        flat = mask.ravel("F")
        counts = (
            np.diff(np.flatnonzero(np.diff(flat, prepend=False)), prepend=0, append=None) if False else lengths(flat)
        )
    drawing = Drawing(mask.shape)
    coco._add(drawing, {"size": list(mask.shape), "counts": counts})
    assert np.array_equal(drawing.labels, mask)


def lengths(flat):
    """Runs outside and inside, in turn."""
    edges = np.flatnonzero(np.diff(flat.astype(np.int8), prepend=0))
    return np.diff([0, *edges, len(flat)]).tolist()


@pytest.mark.parametrize(
    "counts", [[], [5], [3, 10**9], [-1, 81], [2**70, 1], [1.5, 78.5], None, "", "\xff", "zzz", "P" * 900, {"a": 1}]
)
def test_runs_that_are_none_are_refused(counts):
    listed = coco.Listed(
        {
            "images": [{"id": 1, "file_name": "a.png"}],
            "annotations": [{"image_id": 1, "segmentation": {"size": [8, 10], "counts": counts}}],
        },
        "l.json",
    )
    with pytest.raises(DataError, match="a.png: its nuclei in l.json are not built as COCO's are"):
        listed.drawn("a.png", (8, 10))


# What is hostile, or strange


@pytest.mark.parametrize(
    "document",
    [
        None, 5, "text", {}, {"type": "Topology"}, {"type": "FeatureCollection"}, {"type": "FeatureCollection", "features": [1]},
        [[[]]], {"type": "Polygon"}, {"type": "Polygon", "coordinates": 5}, [{"geometry": 7}], [{"properties": [1]}],
        {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[5]]}},
    ],
)  # fmt: skip
def test_what_is_no_geojson_is_refused(document):
    with pytest.raises(DataError, match="^x.json"):
        geojson.outlines(document, "x.json")


def feature(shape, kind=None, **more):
    told = {"objectType": kind} if kind else {}
    return {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [shape]}, "properties": told, **more}


def test_what_counts_as_a_nucleus():
    """Detections and cells rather than the annotations around them; of cells, the nucleus."""
    wide, small = [(0, 0), (9, 0), (9, 9)], [(1, 1), (2, 1), (2, 2)]
    point = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}, "properties": {}}

    def corners(*features):
        return [outline[0][0][:-1].tolist() for outline in geojson.outlines(json.loads(json.dumps(features)), "x")]

    def as_lists(*shapes):
        return [[list(map(float, corner)) for corner in shape] for shape in shapes]

    assert corners(feature(wide, "annotation"), point, feature(small, "tile")) == as_lists(wide)
    assert corners(feature(wide, "annotation"), feature(small, "detection")) == as_lists(small)
    nucleus = {"type": "Polygon", "coordinates": [small]}
    assert corners(feature(wide, "cell", nucleusGeometry=nucleus), feature(wide, "cell")) == as_lists(small, wide)
    assert corners(feature(wide, id="PathAnnotationObject"), feature(small, id="PathDetectionObject")) == as_lists(
        small
    )
    assert corners(feature(wide), feature(small)) == as_lists(wide, small)
