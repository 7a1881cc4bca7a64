"""Prompts from a nuclei map: how many, where, and whose neighbours."""

import numpy as np
import pytest
from scipy import ndimage

from sac.config import SegmentOptions
from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts, instance_prompts, seeds, semantic_prompts, spread

SIZE = (96, 128)
GRID = [(y, x) for y in (18, 48, 78) for x in (20, 60, 100)]
RADIUS = 10


def disc(y, x, radius, size=SIZE):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def map_of(discs, size=SIZE):
    """A perfect generator's map: 1 inside nuclei, and each one's own distance to the border, 0 to 1."""
    nuclei_map = np.zeros((2, *size), np.float32)
    for inside in discs:
        depth = ndimage.distance_transform_edt(inside)
        nuclei_map = np.maximum(nuclei_map, np.stack([inside, depth / depth.max()]).astype(np.float32))
    return nuclei_map


def grid_map():
    return map_of([disc(y, x, RADIUS) for y, x in GRID])


def positives(prompts):
    return prompts.points[:, 0]


@pytest.mark.parametrize("strategy", ["centroid", "probability"])
def test_one_positive_inside_each_nucleus(strategy):
    prompts = instance_prompts(grid_map(), SegmentOptions(strategy=strategy), diameter=2 * RADIUS)
    assert len(prompts) == len(GRID)
    assert (prompts.labels[:, 0] == POSITIVE).all()
    hit = [int(np.argmin([np.hypot(x - cx, y - cy) for cy, cx in GRID])) for x, y in positives(prompts)]
    assert sorted(hit) == list(range(len(GRID)))
    for (x, y), nucleus in zip(positives(prompts), hit):
        assert disc(*GRID[nucleus], RADIUS)[round(y), round(x)]


def test_the_centroid_strategy_takes_the_middle_and_the_other_the_summit():
    nuclei_map = map_of([disc(40, 60, 16)])
    nuclei_map[0] *= 0.6
    nuclei_map[1] = nuclei_map[1].clip(0, 0.5)  # a flat summit, some 16 pixels across
    x, y = 63, 38
    nuclei_map[0, y, x] = 0.9
    centroid = instance_prompts(nuclei_map, SegmentOptions(strategy="centroid"), diameter=32)
    probable = instance_prompts(nuclei_map, SegmentOptions(strategy="probability"), diameter=32)
    assert positives(centroid).tolist() == [[60, 40]]
    assert positives(probable).tolist() == [[x, y]]


def test_negatives_are_the_nearest_neighbours_positives():
    prompts = instance_prompts(grid_map(), SegmentOptions(negatives=3), diameter=2 * RADIUS)
    points = positives(prompts)
    for row in range(len(prompts)):
        distance = np.linalg.norm(points - points[row], axis=1)
        nearest = np.sort(distance)[1:4]  # the first is the nucleus itself
        near = nearest[nearest < 2.7 * 2 * RADIUS]
        negatives = prompts.points[row, 1:][prompts.labels[row, 1:] == NEGATIVE]
        assert np.sort(np.linalg.norm(negatives - points[row], axis=1)) == pytest.approx(near)
        assert {tuple(p) for p in negatives} <= {tuple(p) for p in np.delete(points, row, axis=0)}


@pytest.mark.parametrize("negatives", [0, 1, 2, 5])
def test_negatives_are_capped(negatives):
    prompts = instance_prompts(grid_map(), SegmentOptions(negatives=negatives), diameter=40)
    assert prompts.points.shape == (len(GRID), 1 + negatives, 2)
    assert ((prompts.labels == NEGATIVE).sum(axis=1) == negatives).all()  # all of the grid is within reach


def test_a_nucleus_out_of_reach_is_no_negative():
    prompts = instance_prompts(map_of([disc(48, 12, 8), disc(48, 115, 8)]), SegmentOptions(), diameter=16)
    assert len(prompts) == 2
    assert set(prompts.labels[:, 1:].ravel()) == {UNUSED}


def test_fewer_neighbours_than_negatives():
    prompts = instance_prompts(map_of([disc(48, 40, 9), disc(48, 70, 9)]), SegmentOptions(negatives=6), diameter=18)
    assert (prompts.labels == NEGATIVE).sum(axis=1).tolist() == [1, 1]
    assert prompts.points[0, 1].tolist() == positives(prompts)[1].tolist()


def test_touching_discs_stay_two():
    one, other = disc(48, 50, 14), disc(48, 74, 14)
    assert ndimage.label(one | other)[1] == 1
    nuclei_map = map_of([one, other])
    prompts = instance_prompts(nuclei_map, SegmentOptions(), diameter=28)
    assert len(prompts) == 2
    assert sorted(positives(prompts)[:, 0].tolist()) == pytest.approx([50, 74], abs=3)
    grown = spread(seeds(nuclei_map), nuclei_map)
    assert ((grown > 0) == (one | other)).all()
    assert grown[48, 50] != grown[48, 74]


@pytest.mark.parametrize("heights", [(1.0, 1.0), (1.0, 0.8)])
@pytest.mark.parametrize("valley, count", [(0.15, 1), (0.25, 2)])
def test_a_valley_parts_two_that_is_deep_enough_whatever_their_heights(heights, valley, count):
    at, height = (20, 48, 76), (heights[0], heights[1] - valley, heights[1])
    depth = np.interp(np.arange(SIZE[1]), (0, *at, SIZE[1] - 1), (0, *height, 0)).astype(np.float32)
    nuclei_map = np.stack([np.ones(SIZE, np.float32), np.tile(depth, (SIZE[0], 1))])
    assert seeds(nuclei_map, grain=0.1, prominence=0.2).max() == count


def test_summits_of_many_pieces_are_numbered_on():
    nuclei_map = grid_map()
    found = seeds(nuclei_map)
    assert np.unique(found).tolist() == list(range(len(GRID) + 1))
    assert (nuclei_map[0][found > 0] == 1).all()


@pytest.mark.parametrize("kinds", ["positive", "negative"])
def test_a_nucleus_of_its_own_keeps_its_positive_point_whatever_the_kinds(kinds):
    both = instance_prompts(grid_map(), SegmentOptions(), diameter=2 * RADIUS)
    prompts = instance_prompts(grid_map(), SegmentOptions(kinds=kinds), diameter=2 * RADIUS)
    assert np.array_equal(positives(prompts), positives(both)) and (prompts.labels[:, 0] == POSITIVE).all()
    assert (both.labels == NEGATIVE).any() and (prompts.labels[:, 1:] == UNUSED).all()


@pytest.mark.parametrize("kinds, left, gone", [("positive", POSITIVE, NEGATIVE), ("negative", NEGATIVE, POSITIVE)])
def test_semantic_points_of_one_kind_are_those_of_both_without_the_other(kinds, left, gone):
    both = semantic_prompts(grid_map(), SegmentOptions(mode="semantic"))
    prompts = semantic_prompts(grid_map(), SegmentOptions(mode="semantic", kinds=kinds))
    assert set(both.labels.ravel()) == {POSITIVE, NEGATIVE} and gone not in prompts.labels
    assert np.array_equal(prompts.points[prompts.labels == left], both.points[both.labels == left])


@pytest.mark.parametrize("strategy", ["centroid", "probability"])
def test_an_empty_map_gives_no_prompts(strategy):
    empty = np.zeros((2, 40, 50), np.float32)
    options = SegmentOptions(strategy=strategy)
    assert len(instance_prompts(empty, options, diameter=24)) == 0
    assert instance_prompts(empty, options, diameter=24).shown == []
    semantic = semantic_prompts(empty, options)
    assert POSITIVE not in semantic.labels and NEGATIVE in semantic.labels


@pytest.mark.parametrize("strategy", ["centroid", "probability"])
@pytest.mark.parametrize("pairs", [1, 4, 8, 20])
def test_semantic_pairs_lie_inside_and_outside(strategy, pairs):
    nuclei_map = grid_map()
    prompts = semantic_prompts(nuclei_map, SegmentOptions(mode="semantic", strategy=strategy, pairs=pairs))
    assert prompts.labels.shape == (1, 2 * pairs)
    columns, rows = prompts.points[0].round().astype(int).T
    inside = nuclei_map[0, rows, columns] > 0.5
    positive, negative = prompts.labels[0] == POSITIVE, prompts.labels[0] == NEGATIVE
    assert 1 <= positive.sum() <= pairs and 1 <= negative.sum() <= pairs
    assert inside[positive].all() and not inside[negative].any()
    assert len(prompts.shown) == positive.sum() + negative.sum()


def test_the_centroid_strategy_takes_the_largest_components():
    nuclei_map = map_of([disc(30, 30, 5), disc(30, 90, 15), disc(75, 60, 10)])
    prompts = semantic_prompts(nuclei_map, SegmentOptions(mode="semantic", strategy="centroid", pairs=2))
    assert prompts.points[0, :2].tolist() == [[90, 30], [60, 75]]


def test_a_map_full_of_nucleus_has_no_negatives():
    prompts = semantic_prompts(np.ones((2, 40, 40), np.float32), SegmentOptions(mode="semantic"))
    assert NEGATIVE not in prompts.labels and POSITIVE in prompts.labels


def test_maps_are_left_as_they_were():
    nuclei_map = grid_map()
    before = nuclei_map.copy()
    instance_prompts(nuclei_map, SegmentOptions(), diameter=20)
    semantic_prompts(nuclei_map, SegmentOptions(mode="semantic"))
    assert np.array_equal(nuclei_map, before)


@pytest.mark.parametrize("shape", [(3, 2), (2, 4), (2,), (2, 3, 1)])
def test_each_point_needs_one_label(shape):
    with pytest.raises(ValueError, match="one label"):
        Prompts(np.zeros((2, 3, 2), np.float32), np.zeros(shape, np.int8))


def test_rows_are_prompts_again():
    prompts = instance_prompts(grid_map(), SegmentOptions(), diameter=20)
    some = prompts[[4, 1]]
    assert len(some) == 2 and np.array_equal(some.points[0], prompts.points[4])


def test_rows_keep_their_hands_and_boxes():
    points, labels = np.zeros((2, 3, 2), np.float32), np.ones((2, 3), np.int8)
    by_hand = np.array([[True, False, False], [False, False, True]])
    boxes = np.array([[1, 2, 3, 4], [np.nan] * 4], np.float32)
    turned = Prompts(points, labels, by_hand, boxes)[[1, 0]]
    assert turned.by_hand.tolist() == by_hand[::-1].tolist()
    assert np.isnan(turned.boxes[0]).all() and turned.boxes[1].tolist() == [1, 2, 3, 4]
    automatic = Prompts(points, labels)[[0]]
    assert automatic.by_hand is None and automatic.boxes is None


@pytest.mark.parametrize("by_hand, boxes", [((2, 2), (2, 4)), ((3, 2), (2, 4)), ((2, 3), (2, 2)), ((2, 3), (1, 4))])
def test_hands_and_boxes_fit_the_rows(by_hand, boxes):
    with pytest.raises(ValueError, match="by_hand|one box"):
        Prompts(np.zeros((2, 3, 2), np.float32), np.zeros((2, 3), np.int8), np.zeros(by_hand, bool), np.zeros(boxes))


def test_each_point_is_shown_once():
    points = np.array([[[1, 2], [3, 4]], [[3, 4], [1, 2]], [[3, 4], [9, 9]]], np.float32)
    labels = np.array([[POSITIVE, NEGATIVE], [POSITIVE, NEGATIVE], [POSITIVE, UNUSED]], np.int8)
    assert sorted(Prompts(points, labels).shown) == [(1, 2, 0), (1, 2, 1), (3, 4, 0), (3, 4, 1)]
