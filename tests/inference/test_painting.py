"""Masks put on a map of three nuclei: who wins a pixel, who is gone, and what is known of each then."""

import numpy as np
import pytest

from sac.inference.instances import Mask
from sac.inference.painting import around, drawn, erase, measured, paint
from sac.inference.session import Nucleus


def mask(x, y, width, height, outside=()):
    """A mask of which `outside` (x, y, width, height), on the map, is not inside."""
    logits = np.ones((height, width), np.float32)
    for left, top, across, down in outside:
        logits[top - y : top - y + down, left - x : left - x + across] = -1
    return Mask(x, y, logits, certainty=0.5, prompt=0, stability=0.25)


def painted(field, number, asked, over):
    labels, nuclei = field.labels.copy(), dict(field.nuclei)
    paint(labels, nuclei, number, asked, over)
    return labels, nuclei


def test_a_mask_on_the_ground_is_copied_and_measured(field):
    labels, nuclei = painted(field, 7, mask(50, 5, 8, 6), over=False)
    assert (labels[5:11, 50:58] == 7).all() and (labels == 7).sum() == 48
    assert nuclei == {**field.nuclei, 7: Nucleus((50, 5, 58, 11), 48, 0.5, 0.25)}


@pytest.mark.parametrize("over, areas", [(True, (50, 150)), (False, (100, 100))])
def test_only_a_mask_laid_over_takes_pixels_of_others(field, over, areas):
    """5 columns of nucleus 2, which has columns 30 to 39, and 10 columns of ground."""
    labels, nuclei = painted(field, 7, mask(35, 10, 15, 10), over)
    assert ((labels == 2).sum(), (labels == 7).sum()) == (nuclei[2].area, nuclei[7].area) == areas
    assert nuclei[2].window == ((30, 10, 35, 20) if over else (30, 10, 40, 20))
    assert nuclei[7].window == ((35, 10, 50, 20) if over else (40, 10, 50, 20))


def test_the_largest_free_piece_counts_not_the_largest_piece(field):
    """Six columns before nuclei 1 and 2, four behind them."""
    labels, nuclei = painted(field, 7, mask(4, 12, 40, 6), over=False)
    assert (labels[12:18, 4:10] == 7).all() and nuclei[7].area == (labels == 7).sum() == 36


@pytest.mark.parametrize("left, stays", [(3, True), (2, False)])
def test_a_nucleus_with_less_than_a_quarter_left_is_gone(field, left, stays):
    labels, nuclei = painted(field, 7, mask(30, 10, 10 - left, 10), over=True)
    assert (2 in nuclei) == stays and (labels == 2).sum() == (10 * left if stays else 0)
    assert (labels == 7).sum() == 100 - 10 * left


def test_a_nucleus_cut_through_keeps_its_largest_piece(field):
    """Columns 10 to 13 | 14 to 16 go | 17 to 29."""
    labels, nuclei = painted(field, 7, mask(14, 8, 3, 14), over=True)
    assert (labels[10:20, 17:30] == 1).all() and not labels[10:20, 10:14].any()
    assert (nuclei[1].area, nuclei[1].window) == (130, (17, 10, 30, 20))


def test_the_largest_piece_is_painted_without_its_holes(field):
    pieces = mask(42, 22, 20, 10, outside=[(45, 25, 2, 2), (52, 22, 1, 10)])  # 10 columns | 9 columns
    labels, _ = painted(field, 7, pieces, over=True)
    assert (labels[22:32, 42:52] == 7).all() and (labels == 7).sum() == 100


@pytest.mark.parametrize("over", [True, False])
def test_a_hole_with_a_nucleus_in_it(field, over):
    """A ring round nucleus 3: laid over, it swallows it; else the hole stays."""
    labels, nuclei = painted(field, 7, mask(58, 38, 14, 14, outside=[(60, 40, 10, 10)]), over)
    assert (labels == 7).sum() == nuclei[7].area == (196 if over else 96)
    assert (3 in nuclei) == (not over)


def test_a_mask_as_large_as_a_speck_is_not_painted(field):
    for asked, over in ((mask(50, 5, 5, 1), True), (mask(12, 12, 9, 6), False), (mask(38, 12, 3, 5), False)):
        labels, nuclei = painted(field, 7, asked, over)
        assert np.array_equal(labels, field.labels) and nuclei == field.nuclei


def test_erasing_leaves_others_in_the_same_window(field):
    labels = field.labels.copy()
    labels[15, 15] = 3
    erase(labels, field.nuclei[1], 1)
    erase(labels, None, 2)
    assert labels[15, 15] == 3 and not (labels == 1).any() and (labels == 2).sum() == 100


def test_a_nucleus_is_measured_within_a_window(field):
    window = (slice(5, 30), slice(5, 60))
    assert measured(field.labels, 2, window, Nucleus((0, 0, 0, 0), 0, 0.75, 0.5)) == field.nuclei[2]


def test_a_window_around_nuclei_ends_with_the_map(field):
    one, three = field.nuclei[1], field.nuclei[3]
    assert around([one, three], (60, 80), 4) == (slice(6, 54), slice(6, 74))
    assert around([one, three], (60, 80), 11) == (slice(0, 60), slice(0, 80))


def test_a_stroke_is_every_pixel_from_place_to_place_on_the_map():
    rows, columns = drawn([(1.4, 2), (4, 2), (4, -3)], (10, 10))
    assert sorted(set(zip(columns.tolist(), rows.tolist()))) == [(1, 2), (2, 2), (3, 2), (4, 0), (4, 1), (4, 2)]
