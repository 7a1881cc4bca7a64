"""What is drawn on a picture, and what is left as it was."""

import numpy as np
import pytest

from sac.overlay import NEGATIVE_COLOUR, POSITIVE_COLOUR, outlined, palette, with_points
from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts

GREY = np.full((40, 50, 3), 100, np.uint8)


def test_background_is_black_and_neighbouring_numbers_differ():
    colours = palette(300).astype(int)
    assert colours.shape == (301, 3) and colours[0].tolist() == [0, 0, 0]
    assert colours[1:].max(axis=1).min() == 255
    assert np.abs(np.diff(colours[1:], axis=0)).sum(axis=1).min() > 150
    assert len(np.unique(palette(60), axis=0)) == 61
    assert palette(0).tolist() == [[0, 0, 0]]


def test_a_nucleus_is_tinted_inside_and_its_border_drawn():
    labels = np.zeros((40, 50), np.int32)
    labels[10:20, 10:20] = 1
    drawn, colour = outlined(GREY, labels, fill=0.25), palette(1)[1]
    border = np.zeros_like(labels, bool)
    border[10:20, 10:20] = True
    border[11:19, 11:19] = False
    assert (drawn[border] == colour).all()
    assert (drawn[11:19, 11:19] == np.round(75 + colour * 0.25)).all()
    assert (drawn[labels == 0] == 100).all()


def test_touching_nuclei_are_told_apart():
    labels = np.zeros((40, 50), np.int32)
    labels[10:20, 10:20], labels[10:20, 20:30] = 1, 2
    drawn = outlined(GREY, labels)
    assert drawn[15, 19].tolist() == palette(2)[1].tolist()
    assert drawn[15, 20].tolist() == palette(2)[2].tolist()


def test_no_nuclei_and_no_points_change_nothing():
    assert np.array_equal(outlined(GREY, np.zeros((40, 50), np.int32)), GREY)
    assert np.array_equal(with_points(GREY, Prompts(np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.int8))), GREY)


def test_the_picture_given_is_left_alone():
    labels = np.ones((40, 50), np.int32)
    before = GREY.copy()
    with_points(outlined(GREY, labels), one_prompt(20, 20, POSITIVE))
    assert np.array_equal(GREY, before)


def one_prompt(x, y, kind):
    return Prompts(np.array([[[x, y]]], np.float32), np.array([[kind]], np.int8))


def drawn_pixels(kind):
    return (with_points(GREY, one_prompt(30, 12, kind)) != GREY).any(axis=2)


@pytest.mark.parametrize("kind, colour", [(POSITIVE, POSITIVE_COLOUR), (NEGATIVE, NEGATIVE_COLOUR)])
def test_a_point_is_drawn_about_its_place_in_its_colour(kind, colour):
    drawn = with_points(GREY, one_prompt(30, 12, kind))
    rows, columns = np.nonzero(drawn_pixels(kind))
    assert (rows.mean(), columns.mean()) == (12, 30)
    assert np.ptp(rows) == np.ptp(columns) <= 8
    assert (drawn == colour).all(axis=2).any()


def test_the_two_kinds_differ_in_shape():
    positive, negative = drawn_pixels(POSITIVE), drawn_pixels(NEGATIVE)
    assert positive[12, 30] and (positive ^ negative).sum() >= 4


def test_unused_points_are_not_drawn_and_points_at_the_border_are_cut():
    assert np.array_equal(with_points(GREY, one_prompt(30, 12, UNUSED)), GREY)
    drawn = with_points(GREY, one_prompt(0, 39, POSITIVE))
    assert drawn.shape == GREY.shape and drawn[39, 0].tolist() == list(POSITIVE_COLOUR)
    assert (drawn[:30] == 100).all() and (drawn[:, 10:] == 100).all()
