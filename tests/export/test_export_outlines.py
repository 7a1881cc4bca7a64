"""Outlines hold their pixels and no others, whatever the mask."""

import numpy as np
import pytest
import shapely
from export_cases import drawn
from scipy import ndimage

from sac.export.outlines import hull_areas, outlines


def geometry(outline):
    return shapely.multipolygons([shapely.Polygon(piece[0], piece[1:]) for piece in outline])


@pytest.mark.parametrize("seed", range(20))
def test_an_outline_of_any_mask_holds_its_pixels_and_no_others(seed):
    rng = np.random.default_rng(seed)
    inside = ndimage.uniform_filter(rng.random((15, 18)), rng.integers(1, 4)) > 0.5
    (outline,) = outlines(inside.astype(np.int32), 1)
    shape = geometry(outline)
    assert shape.is_valid and shape.area == inside.sum()
    rows, columns = np.indices(inside.shape)
    assert np.array_equal(shapely.contains_xy(shape, columns + 0.5, rows + 0.5), inside)


def test_a_ring_turns_at_each_of_its_corners_and_nowhere_else():
    ((ring,),) = outlines(drawn((1, 3, 6, 10, 15)), 1)[0]
    assert ring.dtype == np.int64 and ring[0].tolist() == ring[-1].tolist()
    assert sorted(map(tuple, ring[:-1].tolist())) == [(10, 3), (10, 6), (15, 3), (15, 6)]


def test_pixels_that_meet_at_a_corner_are_pieces_and_a_hole_belongs_to_its_piece():
    corner, holed = outlines(drawn((1, 0, 1, 0, 1), (1, 1, 2, 1, 2), (2, 10, 20, 10, 20), (0, 12, 14, 12, 14)), 2)
    assert [len(piece) for piece in corner] == [1, 1]
    assert [len(piece) for piece in holed] == [2]
    assert shapely.polygons(holed[0][1]).bounds == (12, 12, 14, 14)


def test_touching_nuclei_share_an_edge_and_no_area():
    left, right = (geometry(o) for o in outlines(drawn((1, 5, 15, 5, 15), (2, 8, 12, 15, 25)), 2))
    assert shapely.intersection(left, right).equals(shapely.linestrings([(15, 8), (15, 12)]))


def test_a_hull_spans_all_pieces_and_fills_holes():
    square = (1, 0, 10, 0, 10), (0, 4, 6, 4, 6)
    apart = (2, 20, 21, 20, 21), (2, 20, 21, 29, 30)  # two pixels at the ends of a row of ten
    corner = (3, 30, 34, 30, 32), (3, 32, 34, 30, 34)  # an L: 4 x 4 without a 2 x 2, whose hull cuts a triangle of 2
    assert hull_areas(outlines(drawn(*square, *apart, *corner), 3)).tolist() == [100, 10, 14]


def test_no_nuclei_have_no_outlines():
    assert outlines(np.zeros((5, 5), np.int32), 0) == [] and len(hull_areas([])) == 0
