"""Scores: values worked out by hand, a second implementation from the definitions, and invariants."""

import json
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from sac.metrics import THRESHOLDS, Mistakes, iou_matrix, score


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


# And once more from matrices of all true times all found nuclei: the same numbers, to the bit.


def dense(truth, found):
    """Shared pixels and unions of every pair (R, C), and the areas of either."""
    true, seen = (np.unique(labels[labels > 0]) for labels in (truth, found))
    inside = true[:, None] == truth.ravel(), seen[:, None] == found.ravel()
    areas, found_areas = (part.sum(axis=1) for part in inside)
    shared = inside[0].astype(int) @ inside[1].T.astype(int)
    return shared, areas[:, None] + found_areas - shared, areas, found_areas


def dense_scores(truth, found):
    shared, union, areas, found_areas = dense(truth, found)
    iou, total = shared / union, sum(shared.shape)
    hits = []
    for enough in (iou >= t for t in THRESHOLDS):
        hits.append(int(enough[linear_sum_assignment(enough, maximize=True)].sum()))
    precisions = [h / (total - h) if total else 1.0 for h in hits]
    return {
        "aji": dense_aji(iou, shared, union, areas, found_areas),
        "pq": 2 * float(iou[iou > 0.5].sum()) / total if total else 1.0,
        "f1": 2 * hits[0] / total if total else 1.0,
        "ap50": precisions[0],
        "msa": float(np.mean(precisions)),
    }


def dense_aji(iou, shared, union, areas, found_areas):
    if not iou.size:
        return float(iou.shape == (0, 0))
    best = np.arange(len(iou)), iou.argmax(axis=1)
    touched = shared[best] > 0
    unused = np.delete(found_areas, best[1][touched])
    return float(shared[best].sum() / (np.where(touched, union[best], areas).sum() + unused.sum()))


def dense_mistakes(truth, found):
    shared, union, areas, _ = dense(truth, found)
    matched, held = shared / union > 0.5, shared > areas[:, None] / 2
    merged = held.sum(axis=0) >= 2
    missed = ~matched.any(axis=1) & ~held[:, merged].any(axis=1)
    true, seen = (np.unique(labels[labels > 0]) for labels in (truth, found))
    told = true[missed], seen[~matched.any(axis=0) & ~merged], seen[merged]
    return Mistakes(*(tuple(numbers.tolist()) for numbers in told))


def random_blocks(seed):
    """Small patches of few numbers: ties, nuclei in pieces, and such as share nothing."""
    rng = np.random.default_rng(seed)
    size, most = rng.integers(1, 9, 2), rng.integers(1, 30)
    truth = rng.integers(0, most + 1, size) * rng.integers(0, 2, size)
    changed = rng.integers(0, most + 1, size) * rng.integers(0, 2, size)
    found = np.where(rng.random(size) < rng.random(), truth, changed)
    return tuple(labels.repeat(2, axis=1).astype(np.int32) for labels in (truth, found))


def random_halves(seed):
    """Two neighbours as they are, as one, in halves, one of them in halves, or missed: IoUs of one half."""
    rng = np.random.default_rng(seed)
    ways = np.array([(1, 1, 2, 2), (1, 1, 1, 1), (1, 2, 3, 4), (1, 2, 3, 3), (0, 0, 0, 0)])
    chosen = ways[rng.integers(0, len(ways), 12)]
    found = np.where(chosen, chosen + 4 * np.arange(12)[:, None], 0).reshape(4, 12)
    truth = np.arange(1, 25).reshape(4, 6).repeat(2, axis=1)
    return tuple(labels.repeat(3, axis=0).repeat(3, axis=1).astype(np.int32) for labels in (truth, found))


@pytest.mark.parametrize("pair", [random_pair, random_blocks, random_halves])
def test_scores_and_mistakes_are_those_of_whole_matrices(pair):
    for seed in range(200):
        truth, found = pair(seed)
        scores = score(truth, found).to_json()
        assert {name: scores[name] for name in ("aji", "pq", "f1", "ap50", "msa")} == dense_scores(truth, found)
        assert Mistakes.between(truth, found) == dense_mistakes(truth, found)


def test_only_what_overlaps_is_kept():
    """Of 2,500 nuclei on either map a matrix of all pairs would take 50 MB."""
    truth = np.arange(1, 2501, dtype=np.int32).reshape(50, 50).repeat(6, axis=0).repeat(6, axis=1)
    tracemalloc.start()
    try:
        score(truth, np.roll(truth, 1, axis=1))
        Mistakes.between(truth, np.roll(truth, 1, axis=1))
        assert tracemalloc.get_traced_memory()[1] < 8 * 2**20
    finally:
        tracemalloc.stop()


# Mistakes, by number.


def test_equal_maps_hold_no_mistake():
    labels = square((40, 40), (0, 0), (0, 10), (25, 25), first=7)
    assert Mistakes.between(labels, labels) == Mistakes((), (), ())


def test_empty_maps_and_mistakes():
    empty, full = np.zeros((40, 40), np.int32), square((40, 40), (5, 5), (25, 25), first=3)
    assert Mistakes.between(empty, empty) == Mistakes((), (), ())
    assert Mistakes.between(full, empty) == Mistakes(missed=(3, 4), extra=(), merged=())
    assert Mistakes.between(empty, full) == Mistakes(missed=(), extra=(3, 4), merged=())


def test_one_missed_and_one_extra():
    truth = square((40, 40), (2, 2), (25, 25), first=5)
    found = square((40, 40), (2, 3), (25, 2), first=8)  # 8: 90 shared pixels of 110; 9 is on nothing
    assert Mistakes.between(truth, found) == Mistakes(missed=(6,), extra=(9,), merged=())


def test_an_iou_of_one_half_is_a_miss_and_an_extra():
    truth, found = np.zeros((2, 6, 14), np.int32)
    truth[1:5, 0:10], found[1:5, 4:12] = 3, 4  # 6 columns in common of 12
    assert Mistakes.between(truth, found) == Mistakes(missed=(3,), extra=(4,), merged=())
    found[1:5, 3] = 4  # 7 of 12
    assert Mistakes.between(truth, found) == Mistakes((), (), ())


def test_a_found_one_over_two_true_ones_is_merged_and_neither_is_missed():
    truth = square((20, 40), (5, 5), (5, 15), (5, 28), first=1)
    found = square((20, 40), (5, 28), first=9)
    found[5:15, 5:25] = 4
    assert Mistakes.between(truth, found) == Mistakes(missed=(), extra=(), merged=(4,))


def test_a_merged_one_that_also_matches_is_merged_all_the_same():
    truth = np.zeros((20, 40), np.int32)
    truth[5:15, 2:27], truth[5:15, 27:32] = 1, 2
    found = (truth > 0) * np.int32(6)  # IoU 250/300 with the large one; the small one is held, too
    assert Mistakes.between(truth, found) == Mistakes(missed=(), extra=(), merged=(6,))


def test_holding_half_of_a_true_one_is_not_holding_it():
    truth = square((20, 40), (5, 5), (5, 15), first=1)
    found = np.zeros((20, 40), np.int32)
    found[5:15, 5:20] = 3  # all of 1 and exactly half of 2: IoU 100/150 with 1
    assert Mistakes.between(truth, found) == Mistakes(missed=(2,), extra=(), merged=())
    found[5:15, 5:21] = 3
    assert Mistakes.between(truth, found) == Mistakes(missed=(), extra=(), merged=(3,))


def test_a_true_one_in_pieces_is_missed_and_the_pieces_are_extra():
    truth = square((20, 20), (5, 5))
    found = np.zeros((20, 20), np.int32)
    found[5:10, 5:15], found[10:15, 5:15] = 2, 3  # an IoU of one half each
    assert Mistakes.between(truth, found) == Mistakes(missed=(1,), extra=(2, 3), merged=())


@pytest.mark.parametrize("seed", range(12))
def test_mistakes_follow_their_definition(seed):
    truth, found = random_pair(seed)
    true, seen = nuclei_of(truth), nuclei_of(found)
    true_numbers, found_numbers = (sorted({int(n) for n in labels.ravel()} - {0}) for labels in (truth, found))
    matches = {(i, j) for i, a in enumerate(true) for j, b in enumerate(seen) if iou_of(a, b) > Fraction(1, 2)}
    held = {(i, j) for i, a in enumerate(true) for j, b in enumerate(seen) if 2 * len(a & b) > len(a)}
    merged = [j for j in range(len(seen)) if sum(k == j for _, k in held) >= 2]
    missed = [i for i in range(len(true)) if not any(k == i for k, _ in matches)]
    missed = [i for i in missed if not any((i, j) in held for j in merged)]
    extra = [j for j in range(len(seen)) if j not in merged and not any(k == j for _, k in matches)]
    assert Mistakes.between(truth, found) == Mistakes(
        tuple(true_numbers[i] for i in missed),
        tuple(found_numbers[j] for j in extra),
        tuple(found_numbers[j] for j in merged),
    )


def test_mistakes_are_plain_numbers():
    found = Mistakes.between(square((40, 40), (2, 2)), square((40, 40), (25, 25)))
    assert json.dumps([found.missed, found.extra, found.merged]) == "[[1], [1], []]"


def test_mistakes_of_maps_of_two_sizes_are_refused():
    with pytest.raises(ValueError, match=r"\(4, 5\).*\(5, 4\)"):
        Mistakes.between(np.zeros((4, 5), int), np.zeros((5, 4), int))
