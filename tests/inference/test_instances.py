"""Masks that overlap become one label map."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import perimeter

from sac.config import SegmentOptions
from sac.inference.instances import CORE, Instances, Mask, from_mask, merge, merge_on, smoothed, stability
from sac.model.auto_prompt import SAY
from sac.prompts import Prompts

SIZE = (40, 60)
OPTIONS = SegmentOptions(certainty=0.4)


def asked(count):
    return Prompts(np.zeros((count, 1, 2), np.float32), np.ones((count, 1), np.int8))


def box(x, y, width, height, certainty=0.9, prompt=0, logit=1.0):
    return Mask(x, y, np.full((height, width), logit, np.float32), certainty, prompt)


def merged(*masks, **changes):
    return merge(list(masks), asked(len(masks)), SIZE, OPTIONS, **changes)


def test_masks_apart_are_copied():
    found = merged(box(2, 3, 10, 8, 0.9, 0), box(30, 20, 6, 5, 0.7, 1))
    expected = np.zeros(SIZE, np.int32)
    expected[3:11, 2:12], expected[20:25, 30:36] = 1, 2
    assert np.array_equal(found.labels, expected) and found.labels.dtype == np.int32
    assert found.certainty == pytest.approx([0.9, 0.7])
    assert found.prompt.tolist() == [0, 1] and found.numbers.tolist() == [1, 2] and len(found) == 2
    assert found.origin == ("automatic", "automatic")


def test_the_most_certain_duplicate_stays():
    found = merged(box(5, 5, 10, 10, 0.7, 0), box(6, 5, 10, 10, 0.95, 1), box(5, 5, 9, 9, 0.8, 2))
    assert found.prompt.tolist() == [1] and found.certainty == pytest.approx([0.95])
    assert np.array_equal(np.argwhere(found.labels)[[0, -1]], [[5, 6], [14, 15]])


def test_three_tenths_covered_is_not_yet_a_duplicate():
    assert len(merged(box(5, 5, 10, 10, 0.9), box(12, 5, 10, 10, 0.8))) == 2  # 30 of 100 pixels taken
    assert len(merged(box(5, 5, 10, 10, 0.9), box(11, 5, 10, 10, 0.8))) == 1  # 40 of 100
    assert len(merged(box(5, 5, 10, 10, 0.9), box(11, 5, 10, 10, 0.8), duplicate=1.0)) == 2


def test_a_shared_pixel_goes_to_the_stronger_logit_not_to_the_surer_mask():
    found = merged(box(5, 5, 10, 10, 0.9, 0, logit=1.0), box(13, 5, 10, 10, 0.8, 1, logit=3.0))
    assert found.labels[8, 12:14].tolist() == [1, 2]
    assert [(found.labels == n).sum() for n in (1, 2)] == [80, 100]


def test_of_equal_logits_the_surer_mask_wins():
    found = merged(box(13, 5, 10, 10, 0.8, 0), box(5, 5, 10, 10, 0.9, 1))
    assert found.prompt.tolist() == [1, 0] and found.labels[8, 14:16].tolist() == [1, 2]


def test_low_certainty_is_dropped():
    found = merged(box(5, 5, 8, 8, 0.39, 0), box(30, 5, 8, 8, 0.41, 1))
    assert found.prompt.tolist() == [1] and (found.labels > 0).sum() == 64


def test_where_no_mask_is_certain_enough_it_is_said():
    unsure = [box(5, 5, 8, 8, 0.38), box(20, 5, 8, 8, 0.1)]
    assert merged(*unsure).notes == ("no mask is certain enough: the surest of 2 has 0.38, and 0.40 is the least",)
    assert merged(*unsure, box(35, 5, 8, 8, 0.4)).notes == merged().notes == ()


def test_numbers_stay_dense_when_a_nucleus_loses_all_its_pixels():
    covered = box(10, 5, 10, 10, 0.8, 1, logit=1.0)
    found = merged(box(2, 5, 10, 10, 0.9, 0, logit=2.0), covered, box(12, 5, 40, 10, 0.7, 2, logit=3.0))
    assert found.prompt.tolist() == [0, 2] and found.certainty == pytest.approx([0.9, 0.7])
    assert np.unique(found.labels).tolist() == [0, 1, 2]
    assert found.labels[8, 4] == 1 and found.labels[8, 22] == 2


def test_holes_are_filled_but_not_where_another_nucleus_lies():
    ring = box(5, 5, 12, 12, 0.9, 0)
    ring.logits[4:8, 4:8] = -1
    assert (merged(ring).labels == 1).sum() == 144
    found = merged(ring, box(9, 9, 4, 3, 0.8, 1))
    assert [(found.labels == n).sum() for n in (1, 2)] == [132, 12]


@pytest.mark.parametrize("certainties", [(0.9, 0.8), (0.8, 0.9)])
def test_a_ring_in_a_ring_keeps_its_own_hole(certainties):
    outer, inner = box(5, 5, 20, 20, certainties[0], 0), box(9, 9, 12, 12, certainties[1], 1)
    outer.logits[2:18, 2:18] = inner.logits[4:8, 4:8] = -1
    found = merged(outer, inner)
    assert [(found.labels == n + 1).sum() for n in found.prompt.argsort()] == [400 - 144, 144]


def test_only_the_largest_piece_stays():
    two = box(5, 5, 20, 6)
    two.logits[:, 12:14] = -1
    found = merged(two)
    assert (found.labels == 1).sum() == 72 and found.labels[:, 17:].sum() == 0


def test_a_lost_piece_leaves_no_hole_in_the_nucleus_around_it():
    ring = box(5, 5, 12, 12, 0.9, 0)
    ring.logits[5:7, 5:7] = -1
    two = box(10, 10, 30, 10, 0.8, 1, logit=-1.0)
    two.logits[:2, :2] = two.logits[:, 15:] = 1  # 4 pixels in the ring's hole, 150 elsewhere
    found = merged(ring, two)
    assert [(found.labels == n).sum() for n in (1, 2)] == [144, 150]


def test_specks_are_no_nuclei():
    assert len(merged(box(5, 5, 2, 2))) == 0
    assert len(merged(box(5, 5, 4, 4))) == 1


@pytest.mark.filterwarnings("error")
def test_a_mask_with_nothing_inside_is_no_nucleus():
    assert len(merged(box(5, 5, 6, 6, logit=-1.0))) == 0


@pytest.mark.parametrize("masks", [[], [box(5, 5, 8, 8, 0.1)]])
def test_nothing_found(masks):
    found = merge(masks, asked(1), SIZE, OPTIONS)
    assert len(found) == 0 and found.labels.shape == SIZE and not found.labels.any()
    assert found.numbers.shape == found.certainty.shape == found.stability.shape == found.prompt.shape == (0,)


def random_masks(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for prompt in range(25):
        height, width = rng.integers(6, 16, 2)
        y, x = rng.integers(0, SIZE[0] - height), rng.integers(0, SIZE[1] - width)
        logits = ndimage.gaussian_filter(rng.normal(size=(height, width)), 1.2) * 4 + 0.6
        masks.append(Mask(int(x), int(y), logits.astype(np.float32), float(rng.random()), prompt))
    return masks


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_masks_nuclei_are_whole_and_numbered_by_certainty(seed):
    masks = random_masks(seed)
    found = merge(masks, asked(len(masks)), SIZE, OPTIONS)
    assert np.unique(found.labels[found.labels > 0]).tolist() == list(range(1, len(found) + 1))
    assert len(found) and (np.diff(found.certainty) <= 0).all() and (found.certainty >= 0.4).all()
    assert found.certainty == pytest.approx([masks[row].certainty for row in found.prompt])
    for number in range(1, len(found) + 1):
        mine = found.labels == number
        assert ndimage.label(mine)[1] == 1
        holes = ndimage.binary_fill_holes(mine) & ~mine
        assert (found.labels[holes] > 0).all()


def test_a_ragged_border_becomes_smooth_and_the_nucleus_keeps_its_size():
    rows, columns = np.ogrid[:60, :60]
    round_one = np.hypot(rows - 30, columns - 30) < 20
    rough = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(60, 60)), 1) * 8
    ragged = np.hypot(rows - 30, columns - 30) + rough < 20
    ragged = ndimage.label(ragged)[0] == 1
    smooth = smoothed(ragged.astype(np.int32)) == 1
    assert perimeter(ragged) > 1.5 * perimeter(round_one)
    assert perimeter(smooth) < 1.1 * perimeter(round_one)
    assert smooth.sum() == pytest.approx(ragged.sum(), rel=0.03)
    assert (smooth & round_one).sum() / (smooth | round_one).sum() > 0.9


@pytest.mark.parametrize("seed", range(20))
def test_smoothing_loses_no_nucleus_and_leaves_each_whole(seed):
    masks = random_masks(seed)
    before = merge(masks, asked(len(masks)), SIZE, OPTIONS).labels
    after = smoothed(before)
    assert np.unique(after).tolist() == np.unique(before).tolist()
    assert all(ndimage.label(after == number)[1] == 1 for number in np.unique(after)[1:])


def test_what_is_thin_is_not_smoothed_away():
    labels = np.zeros((400, 400), np.int32)
    labels[10, 10:390] = 1
    labels[100:200, 100:200] = 2
    labels[150, 150] = 3
    after = smoothed(labels)
    assert (after[10] == 1).sum() == 380
    assert np.unique(after).tolist() == [0, 1, 2, 3]


def test_the_order_of_masks_does_not_matter():
    masks = random_masks(3)
    one, other = (merge(m, asked(len(masks)), SIZE, OPTIONS) for m in (masks, masks[::-1]))
    assert np.array_equal(one.labels, other.labels) and np.array_equal(one.prompt, other.prompt)


def test_a_semantic_mask_becomes_its_components():
    inside = np.zeros(SIZE, bool)
    inside[2:6, 2:6] = inside[10:12, 20:50] = True
    found = from_mask(inside, asked(1))
    assert len(found) == 2 and [(found.labels == n).sum() for n in (1, 2)] == [16, 60]
    assert found.numbers.tolist() == [1, 2] and found.certainty.tolist() == found.stability.tolist() == [1, 1]
    assert found.prompt.tolist() == [-1, -1]  # a tile's row is no nucleus's own
    assert len(from_mask(np.zeros(SIZE, bool), asked(1))) == 0


def test_a_nucleus_keeps_the_stability_of_its_mask():
    masks = [replace(box(2, 3, 10, 8, 0.7, 0), stability=0.25), replace(box(30, 20, 6, 5, 0.9, 1), stability=0.5)]
    assert merged(*masks).stability.tolist() == [0.5, 0.25]  # numbered by certainty


def test_stability_is_the_iou_of_a_higher_and_a_lower_cut():
    steps = np.array([[-2, -1, -0.9, 0], [0.9, 1, 1.1, 5]], np.float32)
    assert stability(steps) == 2 / 6  # 2 above 1, 6 above -1
    assert stability(np.full((3, 3), 9.0)) == 1
    assert stability(np.full((3, 3), -9.0)) == 0 == stability(np.zeros((0, 0)))


FACTS = {
    "numbers": np.array([1, 3]),
    "certainty": np.ones(2, np.float32),
    "stability": np.ones(2, np.float32),
    "prompt": np.array([0, -1]),
    "origin": ("automatic", "edited"),
}


def test_numbers_may_have_gaps():
    assert len(Instances(np.array([[0, 1], [3, 3]], np.int32), prompts=asked(1), **FACTS)) == 2


@pytest.mark.parametrize("fact", FACTS)
def test_each_nucleus_needs_every_fact(fact):
    with pytest.raises(ValueError, match=r"facts for \[1, 2\] nuclei"):
        Instances(np.array([[0, 1], [3, 3]], np.int32), prompts=asked(1), **FACTS | {fact: FACTS[fact][:1]})


@pytest.mark.parametrize("highest", [0, 2, 4])
def test_the_highest_number_is_the_maps(highest):
    labels = np.array([[0, 1], [highest, highest]], np.int32)
    with pytest.raises(ValueError, match=f"numbers up to {max(1, highest)} in the map"):
        Instances(labels, prompts=asked(1), **FACTS)


def two_that_touch():
    """A map (2, 40, 60) of nuclei on columns 5 to 25 and 25 to 45 of rows 5 to 25, the deepest in their middles."""
    nuclei_map = np.zeros((2, *SIZE))
    nuclei_map[0, 5:25, 5:45] = 0.9
    rows, columns = np.ogrid[5:25, 5:45]
    nearest = np.minimum(abs(columns - 14.5), abs(columns - 34.5))
    nuclei_map[1, 5:25, 5:45] = 1 - np.maximum(abs(rows - 14.5), nearest) / 10.5
    return nuclei_map


def grown(*masks, least=0.4):
    options = SegmentOptions(certainty=least)
    return merge_on(two_that_touch(), list(masks), asked(len(masks)), options)


def test_a_mask_grows_over_what_it_left_of_its_nucleus():
    found = grown(box(8, 8, 14, 14, 0.9, 0, logit=9.0), box(28, 8, 14, 14, 0.8, 1, logit=9.0))
    assert (found.labels > 0).sum() == pytest.approx(800, abs=20)  # corners are round
    assert set(found.labels[10:20, 5:25].ravel()) == {1} and set(found.labels[10:20, 25:45].ravel()) == {2}


def test_the_generator_alone_makes_no_core():
    assert CORE >= SAY


def test_between_two_cores_the_valley_of_the_map_decides():
    far = box(5, 5, 26, 20, 0.9, 0, logit=CORE / 2)  # reaches six pixels into the neighbour, but is not sure there
    far.logits[:, :18] = CORE + 1
    found = grown(far, box(31, 5, 14, 20, 0.8, 1, logit=CORE + 1))
    assert set(found.labels[10:20, 5:25].ravel()) == {1} and set(found.labels[10:20, 25:45].ravel()) == {2}


def test_a_mask_without_a_core_is_its_own():
    found = grown(box(8, 8, 14, 14, 0.9, 0, logit=CORE / 2), box(28, 8, 14, 14, 0.8, 1, logit=CORE + 1))
    assert found.prompt.tolist() == [0, 1] and set(found.labels[10:20, 5:25].ravel()) == {1}


def test_a_mask_stays_where_the_map_sees_no_nucleus():
    found = grown(box(50, 28, 8, 8, 0.9, 0, logit=CORE / 2))
    assert found.labels[30:34, 52:56].all() and not found.labels[:26].any()


@pytest.mark.parametrize("nucleus, left", [(0.6, {0}), (0.9, {1})])
def test_what_is_dropped_is_the_grounds_or_on_tissue_its_neighbours(nucleus, left):
    kept = box(8, 8, 14, 14, 0.9, 0, logit=9.0)
    dropped = replace(box(28, 8, 14, 14, 0.3, 1, logit=9.0), nucleus=nucleus)
    found = grown(kept, dropped)
    assert found.prompt.tolist() == [0] and found.certainty == pytest.approx([0.9])
    assert set(found.labels[10:20, 30:43].ravel()) == left and set(found.labels[10:20, 5:25].ravel()) == {1}


def test_where_all_are_dropped_nothing_is_found_and_it_is_said():
    found = grown(replace(box(8, 8, 14, 14, 0.3, 0, logit=9.0), nucleus=0.5))
    assert not found.labels.any() and len(found) == 0 and "the surest of 1 has 0.30" in found.notes[0]


@pytest.mark.parametrize("seed", range(10))
def test_whatever_the_masks_what_has_grown_is_whole_and_numbered(seed):
    masks = [replace(m, logits=4 * m.logits, nucleus=1 - m.certainty / 2) for m in random_masks(seed)]
    found = grown(*masks)
    assert np.unique(found.labels[found.labels > 0]).tolist() == list(range(1, len(found) + 1))
    assert len(found) and (found.certainty >= 0.4).all()
    assert found.certainty == pytest.approx([masks[row].certainty for row in found.prompt])
    assert all(ndimage.label(found.labels == n, np.ones((3, 3)))[1] == 1 for n in found.numbers)
