"""Scores: values worked out by hand, a second implementation from the definitions, and invariants."""

from fractions import Fraction

import numpy as np
import pytest

from sac.metrics import iou_matrix, score


def square(shape, *corners, side=10, first=1):
    """A label map with a square of `side` at each (row, column), numbered from `first` on."""
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(corners, start=first):
        labels[y : y + side, x : x + side] = number
    return labels


def test_shifted_square_has_known_scores():
    truth = square((20, 20), (5, 5))
    shifted = np.roll(truth, 5, axis=1)  # 50 shared pixels of 150
    assert iou_matrix(truth, shifted).tolist() == [[50 / 150]]
    scores = score(truth, shifted)
    assert scores.dice == pytest.approx(100 / 200)
    assert scores.iou == pytest.approx(50 / 150)
    assert scores.aji == pytest.approx(50 / 150)
    assert (scores.pq, scores.f1, scores.ap50, scores.msa) == (0, 0, 0, 0)


def test_one_found_one_missed_one_invented():
    truth = square((40, 40), (2, 2), (25, 25))
    found = np.roll(square((40, 40), (2, 2)), 2, axis=1)  # 80 shared pixels of 120: IoU 2/3
    found[30:33, 2:5] = 2  # 9 pixels on nothing
    scores = score(truth, found)
    assert scores.dice == pytest.approx(2 * 80 / (200 + 109))
    assert scores.iou == pytest.approx(80 / 229)
    assert scores.aji == pytest.approx(80 / (120 + 100 + 9))
    assert scores.pq == pytest.approx((2 / 3) / (1 + 1 / 2 + 1 / 2))
    assert scores.f1 == pytest.approx(2 / 4)
    assert scores.ap50 == pytest.approx(1 / 3)
    assert scores.msa == pytest.approx((4 * 1 / 3) / 10)  # found at .50, .55, .60 and .65 of ten thresholds


def test_a_found_nucleus_over_two_true_ones_serves_aji_twice():
    truth = np.zeros((6, 10), np.int32)
    truth[1:5, 1:5], truth[1:5, 5:9] = 1, 2
    scores = score(truth, (truth > 0).astype(np.int32))
    assert scores.aji == pytest.approx((16 + 16) / (32 + 32))
    assert scores.dice == scores.iou == 1
    assert scores.pq == 0  # an IoU of one half is not above one half
    assert scores.ap50 == pytest.approx(1 / 2)  # but it is at least one half: TP 1, FN 1


def test_a_true_nucleus_in_two_halves_is_found_once():
    truth, found = square((20, 20), (5, 5)), square((20, 20), (5, 5))
    found[10:15, 5:15] = 2
    scores = score(truth, found)
    assert scores.f1 == pytest.approx(2 / 3)
    assert scores.ap50 == pytest.approx(1 / 2)
    assert scores.msa == pytest.approx(1 / 20)
    assert scores.aji == pytest.approx(50 / (100 + 50))


def test_a_map_against_itself_is_perfect():
    labels = square((40, 40), (0, 0), (0, 10), (25, 25), first=7)
    assert set(score(labels, labels).to_json().values()) == {1.0}


def test_empty_maps():
    empty, full = np.zeros((20, 20), np.int32), square((20, 20), (5, 5))
    assert set(score(empty, empty).to_json().values()) == {1.0}
    assert set(score(full, empty).to_json().values()) == {0.0}
    assert set(score(empty, full).to_json().values()) == {0.0}
    assert iou_matrix(empty, full).shape == (0, 1)


def test_maps_without_background():
    full = np.full((4, 6), 3, np.int32)
    assert set(score(full, full).to_json().values()) == {1.0}


def test_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        score(np.zeros((4, 5), int), np.zeros((5, 4), int))


# The definitions once more, in exact fractions and plain loops, to hold the fast ones against.


def nuclei_of(labels):
    """The pixels of each nucleus as a set, in the order of the numbers."""
    numbers = sorted({int(n) for n in labels.ravel()} - {0})
    return [{(int(y), int(x)) for y, x in np.argwhere(labels == n)} for n in numbers]


def iou_of(one, other):
    return Fraction(len(one & other), len(one | other))


def reference_scores(truth, found):
    true, seen = nuclei_of(truth), nuclei_of(found)
    one, other = set().union(*true), set().union(*seen)
    thresholds = [Fraction(t, 100) for t in range(50, 100, 5)]
    return {
        "dice": Fraction(2 * len(one & other), len(one) + len(other)) if one or other else Fraction(1),
        "iou": iou_of(one, other) if one or other else Fraction(1),
        "aji": reference_aji(true, seen),
        "pq": reference_pq(true, seen),
        "f1": reference_rate(true, seen, Fraction(1, 2), weight=2),
        "ap50": reference_rate(true, seen, Fraction(1, 2), weight=1),
        "msa": sum(reference_rate(true, seen, t, weight=1) for t in thresholds) / len(thresholds),
    }


def reference_rate(true, seen, threshold, weight):
    """weight TP / (weight TP + FP + FN). From one half on a greedy matching is a largest one."""
    free, hits = list(seen), 0
    for nucleus in true:
        match = next((other for other in free if iou_of(nucleus, other) >= threshold), None)
        if match is not None:
            free.remove(match)
            hits += 1
    total = weight * hits + len(free) + len(true) - hits
    return Fraction(weight * hits, total) if total else Fraction(1)


def reference_pq(true, seen):
    """Kirillov et al. 2019, equation 1; above one half a match is the only one."""
    ious = [iou_of(a, b) for a in true for b in seen if iou_of(a, b) > Fraction(1, 2)]
    missed, invented = len(true) - len(ious), len(seen) - len(ious)
    total = len(ious) + Fraction(missed, 2) + Fraction(invented, 2)
    return sum(ious) / total if total else Fraction(1)


def reference_aji(true, seen):
    """Kumar et al. 2017, algorithm 1."""
    shared = union = 0
    used = set()
    for nucleus in true:
        best = max(range(len(seen)), key=lambda j: iou_of(nucleus, seen[j]), default=None)
        if best is None or not nucleus & seen[best]:
            union += len(nucleus)
            continue
        shared += len(nucleus & seen[best])
        union += len(nucleus | seen[best])
        used.add(best)
    union += sum(len(other) for j, other in enumerate(seen) if j not in used)
    return Fraction(shared, union) if union else Fraction(1)


def random_pair(seed):
    """Boxes with odd numbers, and the same ones moved, some missing, some new, under other odd numbers."""
    rng = np.random.default_rng(seed)
    truth, found = np.zeros((2, 26, 30), np.int32)
    numbers = rng.choice(5000, 40, replace=False) + 1
    for i in range(rng.integers(1, 12)):
        y, x, height, width = rng.integers((0, 0, 2, 2), (20, 24, 9, 9))
        truth[y : y + height, x : x + width] = numbers[i]
        if rng.random() < 0.8:
            dy, dx = rng.integers(0, 3, 2)
            found[y + dy : y + dy + height, x + dx : x + dx + width] = numbers[20 + i]
    for i in range(rng.integers(0, 4)):
        y, x = rng.integers(0, 24, 2)
        found[y : y + 4, x : x + 3] = numbers[36 + i]
    return truth, found


@pytest.mark.parametrize("seed", range(24))
def test_scores_follow_their_definitions(seed):
    truth, found = random_pair(seed)
    assert score(truth, found).to_json() == pytest.approx(
        {name: float(value) for name, value in reference_scores(truth, found).items()}, abs=1e-12
    )


def test_the_random_maps_are_worth_comparing():
    values = np.array([list(score(*random_pair(seed)).to_json().values()) for seed in range(24)])
    assert (values.std(axis=0) > 0.05).all()


@pytest.mark.parametrize("seed", range(6))
def test_numbers_do_not_matter(seed):
    truth, found = random_pair(seed)
    renumbered = np.random.default_rng(seed).permutation(np.arange(1, 6001))
    other_truth = np.where(truth, renumbered[truth], 0)
    other_found = np.where(found, renumbered[found] + 70_000, 0)
    assert score(other_truth, other_found).to_json() == pytest.approx(score(truth, found).to_json())


@pytest.mark.parametrize("seed", range(6))
def test_all_but_aji_are_symmetric(seed):
    one, other = (score(*pair).to_json() for pair in (random_pair(seed), random_pair(seed)[::-1]))
    del one["aji"], other["aji"]
    assert one == pytest.approx(other)
