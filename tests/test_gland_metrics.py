"""The GlaS challenge's scores: values worked out by hand, a second implementation from the definitions, invariants."""

import time
from dataclasses import astuple

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from sac.gland_metrics import GlandScores, gland_scores


def square(shape, *corners, side=10, first=1):
    """A label map with a square of `side` at each (row, column), numbered from `first` on."""
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(corners, start=first):
        labels[y : y + side, x : x + side] = number
    return labels


def test_a_map_against_itself_is_perfect():
    labels = square((60, 60), (0, 0), (0, 10), (45, 50), first=7)
    assert gland_scores(labels, labels) == GlandScores(1.0, 1.0, 0.0)
    assert {type(score) for score in astuple(gland_scores(labels, labels))} == {float}
    assert gland_scores(labels, labels * np.int64(10**9)) == GlandScores(1.0, 1.0, 0.0)  # numbers name, no more


@pytest.mark.parametrize(
    "shift, hit", [(0, True), (1, True), (4, True), (5, False), (9, False), (10, False), (25, False)]
)
def test_a_shifted_square(shift, hit):
    """Squares of 10: they share 10 (10 - shift) pixels; the farthest pixels are `shift` apart."""
    truth = square((20, 50), (5, 5))
    scores = gland_scores(truth, np.roll(truth, shift, axis=1))
    assert scores.object_dice == pytest.approx(max(0, 10 - shift) / 10)
    assert scores.object_f1 == float(hit)
    assert scores.object_hausdorff == shift


def test_a_shift_along_both_sides_is_a_diagonal():
    truth = square((40, 40), (5, 5))
    assert gland_scores(truth, np.roll(truth, (3, 4), (0, 1))).object_hausdorff == 5
    assert gland_scores(truth, np.roll(truth, (15, 20), (0, 1))).object_hausdorff == 25


def test_a_split_gland():
    """A true square of 10 x 10 as two parts of 10 x 6 and 10 x 4."""
    truth, found = square((20, 20), (5, 5)), square((20, 20), (5, 5))
    found[5:15, 11:15] = 2
    scores = gland_scores(truth, found)
    large, small = 2 * 60 / 160, 2 * 40 / 140
    assert scores.object_dice == pytest.approx((0.6 * large + 0.4 * small + large) / 2)
    assert scores.object_f1 == pytest.approx(2 / 3)  # TP 1, FP 1, FN 0
    assert scores.object_hausdorff == pytest.approx((0.6 * 4 + 0.4 * 6 + 4) / 2)
    found[5:15, 5:10], found[5:15, 10:15] = 1, 2
    assert gland_scores(truth, found).object_f1 == 0  # two halves: none is more than half


def test_two_glands_found_as_one():
    """Squares of 100 and 36 pixels, side by side, and one object of both."""
    truth = square((30, 30), (5, 5))
    truth[5:11, 15:21] = 2
    scores = gland_scores(truth, (truth > 0).astype(int))
    large, small = 2 * 100 / 236, 2 * 36 / 172
    assert scores.object_dice == pytest.approx((large + (100 * large + 36 * small) / 136) / 2)
    assert scores.object_f1 == pytest.approx(2 / 3)  # TP 1 for the large one, FN 1
    # the object's far corner (5, 20) is 6 from the large one; its corner (14, 5) is (4, 10) from the small one
    assert scores.object_hausdorff == pytest.approx((6 + (100 * 6 + 36 * np.hypot(4, 10)) / 136) / 2)


def test_without_a_counterpart_the_nearest_counts():
    """Found: the first square as it is, and one of 5 x 5 that touches nothing."""
    truth = square((60, 100), (10, 10), (10, 80))
    found = square((60, 100), (10, 10))
    found[40:45, 40:45] = 2
    scores = gland_scores(truth, found)
    assert scores.object_dice == pytest.approx((100 / 125 + 1 / 2) / 2)
    assert scores.object_f1 == pytest.approx(2 / 4)
    # stray to the first square: (10, 10) to (40, 40); second square to the stray: (10, 89) to (40, 44)
    assert scores.object_hausdorff == pytest.approx((25 * np.hypot(30, 30) / 125 + np.hypot(30, 45) / 2) / 2)


def test_the_farthest_pixel_may_lie_inside():
    """A ring around a square: the square's middle is farther from the ring than its border."""
    truth = np.zeros((31, 31), int)
    truth[0:31, 0:31] = 1
    truth[1:30, 1:30] = 0
    found = np.ones((31, 31), int)
    assert gland_scores(truth, found).object_hausdorff == 15


def test_empty_maps():
    empty, one = np.zeros((20, 20), np.int32), square((20, 20), (5, 5))
    assert gland_scores(empty, empty) == GlandScores(1.0, 1.0, 0.0)
    assert gland_scores(one, empty) == gland_scores(empty, one) == GlandScores(0.0, 0.0, np.inf)


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        gland_scores(np.zeros((4, 5), int), np.zeros((5, 4), int))


def by_definition(truth, found):
    """The three scores, object by object, on whole masks."""
    true, seen = ([labels == n for n in np.unique(labels[labels > 0])] for labels in (truth, found))

    def hausdorff(a, b):
        return max(distance_transform_edt(~a)[b].max(), distance_transform_edt(~b)[a].max())

    def one_way(objects, others):
        dice = distance = 0.0
        for own in objects:
            shared = [np.sum(own & other) for other in others]
            other = others[int(np.argmax(shared))]
            weight = own.sum() / sum(o.sum() for o in objects)
            dice += weight * 2 * max(shared) / (own.sum() + other.sum()) if max(shared) else 0
            distance += weight * (hausdorff(own, other) if max(shared) else min(hausdorff(own, o) for o in others))
        return np.array([dice, distance])

    hits = 0
    for own in seen:
        other = true[int(np.argmax([np.sum(own & other) for other in true]))]
        hits += np.sum(own & other) / other.sum() > 0.5
    dice, distance = (one_way(true, seen) + one_way(seen, true)) / 2
    return dice, 2 * hits / (len(true) + len(seen)), distance


def boxes(seed, count, shape=(40, 60), largest=14):
    """Boxes that may lie on each other, may be in pieces, and may touch the border."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(shape, np.int32)
    for number in rng.permutation(3 * count)[:count] + 1:
        (y, x), (height, width) = rng.integers(-4, shape), rng.integers(1, largest, 2)
        labels[max(0, y) : max(0, y + height), max(0, x) : max(0, x + width)] = number
    return labels


@pytest.mark.parametrize("seed", range(12))
def test_scores_follow_their_definition(seed):
    truth, found = boxes(seed, 5), boxes(seed + 100, 6)
    assert truth.any() and found.any()
    scores = gland_scores(truth, found)
    assert (scores.object_dice, scores.object_f1, scores.object_hausdorff) == pytest.approx(by_definition(truth, found))


def test_twenty_glands_take_less_than_a_second():
    """As large as an image of GlaS; all glands found with a shift, and none at all."""
    truth = square((522, 775), *((y, x) for y in (10, 140, 270, 400) for x in range(5, 700, 150)), side=100)
    apart = np.zeros_like(truth)
    for n, (y, x) in enumerate((y, x) for y in (112, 242, 372, 502) for x in range(5, 700, 150)):
        apart[y : y + 20, x : x + 100] = n + 1
    before = time.process_time()
    assert gland_scores(truth, np.roll(truth, 20, axis=1)).object_hausdorff == 20
    middle = time.process_time()
    assert gland_scores(truth, apart).object_dice == 0
    after = time.process_time()
    assert middle - before < 1 and after - middle < 1
