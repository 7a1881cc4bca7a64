"""ImageJ's ROI set, as roifile reads it: what kind, where, and what it says."""

import numpy as np
import pytest
from export_cases import case, drawn, nothing, result, rois
from roifile import ROI_TYPE


def test_names_are_numbers_and_middles():
    made = rois(result())
    assert list(made) == ["0001-0010-0010.roi", "0002-0010-0020.roi", "0003-0039-0049.roi", "0004-0025-0025.roi"]
    assert [roi.name + ".roi" for roi in made.values()] == list(made)


def test_a_plain_nucleus_is_traced_along_its_pixels_edges():
    (roi,) = rois(result(drawn((1, 3, 6, 10, 15)))).values()
    assert roi.roitype == ROI_TYPE.TRACED and not roi.composite
    assert (roi.left, roi.top, roi.right, roi.bottom) == (10, 3, 15, 6)
    assert sorted(map(tuple, roi.coordinates().tolist())) == [(10, 3), (10, 6), (15, 3), (15, 6)]
    assert roi.props == "Certainty: 0.9000\nOrigin: automatic\n"


def test_holes_and_pieces_are_composites():
    with_hole, bar, *_ = rois(result()).values()
    in_pieces, inside = rois(case("in pieces")).values()
    assert [roi.composite for roi in (with_hole, bar, in_pieces, inside)] == [True, False, True, False]
    assert with_hole.roitype == ROI_TYPE.RECT and len(with_hole.coordinates(multi=True)) == 2
    assert len(in_pieces.coordinates(multi=True)) == 4  # two pieces, a hole in each
    assert (with_hole.left, with_hole.top, with_hole.right, with_hole.bottom) == (5, 5, 15, 15)


def test_a_path_is_a_move_lines_and_a_close_for_each_ring():
    (roi,) = rois(result(drawn((1, 0, 4, 0, 4), (0, 1, 2, 1, 2)))).values()
    path = roi.multi_coordinates
    assert len(path) == roi.shape_roi_size == 2 * (4 * 3 + 1)
    assert path[[0, 3, 6, 9, 12]].tolist() == [0, 1, 1, 1, 4] == path[13:][[0, 3, 6, 9, 12]].tolist()


@pytest.mark.parametrize("end", [60_535, 60_536, 65_536, 70_000, 200_000])
def test_far_coordinates_survive_sixteen_bits(end):
    """ImageJ takes 60,536 to 65,535 for -5000 to -1: from there on it needs floats."""
    labels = np.zeros((end + 3, 12), np.int32)
    labels[:2, :2] = 1
    labels[end - 20 : end - 10, 2:9] = 2
    labels[end - 15, 3:5] = 0
    labels[end - 7 : end, 2:9] = 3
    near, holed, far = rois(result(labels)).values()
    assert near.coordinates().max() == 2 and near.subpixel_coordinates is None
    assert holed.coordinates(multi=True)[0].max(axis=0).tolist() == [9, end - 10]
    assert far.coordinates().min(axis=0).tolist() == [2, end - 7]
    assert far.coordinates().max(axis=0).tolist() == [9, end]
    assert (far.subpixel_coordinates is not None) == (end > 60_535)


def test_nothing_found_is_an_empty_set():
    assert rois(nothing()) == {}
