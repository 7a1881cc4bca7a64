"""Sizes and shapes: by hand where a hand can, and against scikit-image nucleus by nucleus."""

import numpy as np
import pytest
from export_cases import case, drawn
from skimage.measure import regionprops

from sac.export import shape as module
from sac.export.shape import bands, perimeters, shapes


def test_a_bar_by_hand():
    """4 rows of 10: centre (19.5, 9.5); variances (n² - 1) / 12; 24 pixels on its border, 20 of them not corners."""
    told = {name: values[0] for name, values in shapes(drawn((1, 8, 12, 15, 25)), 1).items()}
    assert (told["x"], told["y"], told["area"]) == (19.5, 9.5, 40)
    assert told["major_axis"] == pytest.approx(4 * np.sqrt(99 / 12))
    assert told["minor_axis"] == pytest.approx(4 * np.sqrt(15 / 12))
    assert abs(told["orientation"]) == pytest.approx(90)  # it lies along x
    assert told["perimeter"] == pytest.approx(24)  # 9 + 9 + 3 + 3, between the centres of corner pixels
    assert told["circularity"] == pytest.approx(4 * np.pi * 40 / 24**2)


@pytest.mark.parametrize("step, degrees", [(1, 45), (-1, -45), (0, 0)])
def test_orientation_is_from_the_rows_direction_down(step, degrees):
    labels = np.zeros((30, 30), np.int32)
    labels[np.arange(5, 15), 15 + step * np.arange(10)] = 1
    assert shapes(labels, 1)["orientation"].tolist() == pytest.approx([degrees])


def test_a_nucleus_far_from_the_corner_is_measured_as_one_near_it():
    near, far = np.zeros((2, 90_000, 20), np.int32)
    near[3:10, 3:10] = far[-8:-1, 3:10] = 1
    for own, theirs in zip(*(shapes(labels, 1).items() for labels in (near, far))):
        assert own[0] == "y" or own[1].tolist() == theirs[1].tolist(), own[0]
    assert shapes(far, 1)["orientation"].tolist() == [0]  # no direction of a square is longer


def test_no_circle_is_rounder_than_round_and_what_has_no_perimeter_has_no_circularity():
    rows, columns = np.indices((60, 60))
    disc = (np.hypot(rows - 30, columns - 30) < 20).astype(np.int32)
    told = shapes(disc, 1)["circularity"][0]
    assert 0.9 < told <= 1
    plus = np.zeros((9, 9), np.int32)
    plus[3:6, 4] = plus[4, 3:6] = 1  # area 5, perimeter 4 √2: more than round
    assert shapes(plus, 1)["circularity"].tolist() == [1]
    assert np.isnan(shapes(drawn((1, 5, 6, 5, 7)), 1)["circularity"]).all()


@pytest.mark.parametrize(
    "name", ["by hand", "noise", "in pieces", "a nucleus in a hole of one in a hole", "everything"]
)
def test_all_at_once_is_what_scikit_image_finds_one_by_one(name):
    ranks = case(name).ranks
    regions = regionprops(ranks)
    told = shapes(ranks, len(regions))
    pairs = {
        "area": "area", "perimeter": "perimeter", "major_axis": "axis_major_length", "minor_axis": "axis_minor_length",
    }  # fmt: skip
    for own, theirs in pairs.items():
        assert told[own] == pytest.approx([region[theirs] for region in regions], abs=1e-6)
    assert np.column_stack([told["y"], told["x"]]) == pytest.approx(np.array([region.centroid for region in regions]))
    long = [i for i, region in enumerate(regions) if region.axis_major_length > region.axis_minor_length + 1e-6]
    theirs = np.degrees([regions[i].orientation for i in long])
    assert np.sin(np.radians(told["orientation"][long] - theirs)) == pytest.approx(0, abs=1e-6)  # 90 is -90


def test_bands_are_the_whole_however_high_they_are(monkeypatch):
    ranks = case("noise").ranks
    whole = shapes(ranks, 5)
    monkeypatch.setattr(module, "ROWS", 7)
    assert sum(len(index) for _, _, index in bands(ranks)) == (ranks > 0).sum()
    for name, values in shapes(ranks, 5).items():
        assert values == pytest.approx(whole[name])


def test_a_border_at_the_pictures_edge_counts():
    assert perimeters(np.ones((5, 9), np.int32), 1).tolist() == [2 * (4 + 8)]
