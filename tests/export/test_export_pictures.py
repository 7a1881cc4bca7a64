"""What is drawn, pixel by pixel, and what is left as it was."""

import io

import numpy as np
import pytest
from export_cases import SIZE, case, drawn, nothing, result
from PIL import Image as PillowImage
from skimage.segmentation import find_boundaries

from sac.export import outlines_png, overlay_png, preview_png
from sac.overlay import borders, colours, palette


def pixels(raw):
    with PillowImage.open(io.BytesIO(raw)) as read:
        assert read.format == "PNG" and read.mode == "RGB"
        return np.array(read)


def test_the_overlay_is_as_large_as_the_picture_and_marks_its_nuclei():
    made = result()
    changed = (pixels(overlay_png(made)) != 100).any(axis=2)
    assert changed.shape == SIZE and changed[made.found.labels > 0].all()
    assert not changed[32:, :40].any()


def test_outlines_leave_all_but_borders_as_it_was():
    made = result()
    changed = (pixels(outlines_png(made)) != 100).any(axis=2)
    assert np.array_equal(changed, find_boundaries(made.found.labels, mode="inner"))


def test_the_preview_has_one_colour_per_nucleus_on_black():
    made = result()
    shown = pixels(preview_png(made))
    assert np.array_equal(shown, palette(4)[made.found.labels])
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) == 5 and not shown[made.found.labels == 0].any()


def test_a_nucleus_keeps_its_colour_when_others_are_deleted():
    few, many = drawn((7, 0, 9, 0, 9)), drawn((7, 0, 9, 0, 9), (2, 20, 30, 20, 30), (2_000_000_000, 30, 40, 0, 9))
    for make in (preview_png, overlay_png, outlines_png):
        assert np.array_equal(pixels(make(result(few)))[:9, :9], pixels(make(result(many)))[:9, :9])


@pytest.mark.parametrize("make", [overlay_png, outlines_png])
def test_nothing_found_is_the_picture_itself(make):
    assert (pixels(make(nothing())) == 100).all()


def test_nothing_found_is_a_black_preview():
    assert not pixels(preview_png(nothing())).any()


@pytest.mark.parametrize("name", ["noise", "everything", "in pieces", "a nucleus in a hole of one in a hole"])
def test_borders_are_scikit_images_inner_ones(name):
    labels = case(name).found.labels
    assert np.array_equal(borders(labels), find_boundaries(labels, mode="inner"))


def test_colours_are_those_of_the_golden_ratio_about_the_circle():
    assert colours(np.array([0, 1, 2])).tolist() == [[0, 0, 0], [64, 120, 255], [175, 255, 64]]


def test_a_part_of_the_palette_is_the_palettes_part():
    numbers = np.array([5, 0, 900, 3])
    assert np.array_equal(colours(numbers), palette(1000)[numbers])
