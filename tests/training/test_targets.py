"""Targets by hand: distance to the border, and prompts that lie where they say."""

from __future__ import annotations

import numpy as np
import pytest

from sac.prompts import REACH
from training.targets import NEGATIVES, POINTS, border_distance, sample_prompts

THIRDS = np.array([[1, 1, 1, 1, 1], [1, 2, 2, 2, 1], [1, 2, 3, 2, 1], [1, 2, 2, 2, 1], [1, 1, 1, 1, 1]], np.float32) / 3
"""A square of five: border 1, one step in 2, middle 3, of 3."""


def test_distance_in_a_square():
    labels = np.zeros((9, 9), np.int32)
    labels[2:7, 2:7] = 1
    distance = border_distance(labels)
    assert distance.dtype == np.float32
    assert np.allclose(distance[2:7, 2:7], THIRDS)
    assert distance.sum() == pytest.approx(THIRDS.sum())  # nothing outside


def test_touching_squares_are_parted_by_a_valley():
    labels = np.zeros((9, 14), np.int32)
    labels[2:7, 2:7], labels[2:7, 7:12] = 3, 8  # numbers need not be dense
    distance = border_distance(labels)
    assert np.allclose(distance[2:7, 2:12], np.hstack([THIRDS, THIRDS]))


def test_each_nucleus_reaches_one_whatever_its_size():
    labels = np.zeros((40, 40), np.int32)
    labels[1, 1], labels[5:8, 5:8], labels[12:38, 12:38] = 1, 2, 3
    distance = border_distance(labels)
    assert [distance[labels == n].max() for n in (1, 2, 3)] == [1, 1, 1]
    assert (distance[labels > 0] > 0).all()


def test_distance_without_nuclei_is_zero():
    assert not border_distance(np.zeros((6, 7), np.int32)).any()


def test_a_nucleus_that_fills_the_picture_has_a_distance():
    distance = border_distance(np.ones((6, 6), np.int32))
    assert (distance == 1).all()


def _labels() -> np.ndarray:
    """Five squares, two of them touching, with numbers missing between."""
    labels = np.zeros((96, 96), np.int32)
    for number, (y, x) in {1: (5, 5), 2: (5, 17), 5: (40, 60), 9: (70, 10), 12: (70, 75)}.items():
        labels[y : y + 12, x : x + 12] = number
    return labels


def _asked(labels, seed=0, count=40, diameter=24.0):
    return sample_prompts(np.random.default_rng(seed), labels, border_distance(labels), count, diameter)


def _farthest(asked):
    """Pixels between a prompt and the farthest of its negatives."""
    reach = np.hypot(*np.moveaxis(asked.points - asked.points[:, :1], -1, 0))
    return reach[asked.labels == 0].max()


@pytest.mark.parametrize("seed", range(5))
def test_positives_lie_inside_and_negatives_outside(seed):
    labels = _labels()
    asked = _asked(labels, seed)
    assert asked.points.shape == (40, POINTS, 2) and asked.points.dtype == np.float32
    assert asked.labels.shape == (40, POINTS) and asked.boxes.shape == (40, 4) and asked.ids.dtype == np.int64
    x, y = asked.points.astype(int)[..., 0], asked.points.astype(int)[..., 1]
    there = labels[y, x]
    ids = np.broadcast_to(asked.ids[:, None], there.shape)
    assert (there[asked.labels == 1] == ids[asked.labels == 1]).all()
    negative = asked.labels == 0
    assert negative.any() and (there[negative] != ids[negative]).all()
    assert (there[negative] > 0).all()  # negatives are neighbours' middles
    assert set(asked.ids.tolist()) <= {0, 1, 2, 5, 9, 12}


@pytest.mark.parametrize("seed", range(3))
def test_each_prompt_has_a_positive_first_and_few_near_negatives(seed):
    asked = _asked(_labels(), seed)
    assert (asked.labels[:, 0] == 1).all()
    assert ((asked.labels == 0).sum(axis=1) <= NEGATIVES).all()
    assert set(np.unique(asked.labels)) <= {-1, 0, 1}
    assert _farthest(asked) < REACH * 24


def test_neighbours_are_near_by_the_size_of_what_is_looked_for():
    """The farthest middles are 91 pixels apart: near for glands of 64 pixels, not for nuclei of 24, nor of 12."""
    small, usual, large = (_farthest(_asked(_labels(), diameter=diameter)) for diameter in (12, 24, 64))
    assert small < REACH * 12 < usual < REACH * 24 < large < REACH * 64


def test_every_nucleus_is_asked_for_about_as_often():
    asked = _asked(_labels(), count=500)
    counts = np.array([(asked.ids == n).sum() for n in (1, 2, 5, 9, 12)])
    assert counts.min() > 70 and counts.max() < 105  # 500 * 0.88 / 5 = 88
    assert 30 < (asked.ids == 0).sum() < 95  # 500 * 0.12 = 60


def test_a_box_is_its_nucleus_give_or_take_a_tenth():
    labels = _labels()
    asked = _asked(labels)
    for number, box in zip(asked.ids, asked.boxes):
        assert (box[2:] > box[:2]).all()
        if number:
            rows, columns = np.nonzero(labels == number)
            exact = np.array([columns.min(), rows.min(), columns.max(), rows.max()])
            assert np.abs(box - exact).max() <= 1.2 + 1e-5  # a tenth of 12


def test_without_nuclei_every_prompt_asks_for_nothing():
    asked = _asked(np.zeros((64, 64), np.int32), count=8)
    assert asked.points.shape == (8, POINTS, 2)
    assert not asked.ids.any()
    assert ((asked.labels == 1).sum(axis=1) == 1).all() and not (asked.labels == 0).any()


@pytest.mark.parametrize("ground", [0, 1, 40])
def test_prompts_for_nothing_never_lie_on_a_nucleus(ground):
    """A field full of nuclei has little or no ground to ask beside them."""
    labels = np.arange(1, 65, dtype=np.int32).reshape(8, 8).repeat(8, axis=0).repeat(8, axis=1)
    labels.ravel()[np.random.default_rng(0).permutation(labels.size)[:ground]] = 0
    asked = _asked(labels, count=200)
    x, y = asked.points[:, 0].astype(int).T
    assert (labels[y, x] == asked.ids).all()


def test_prompts_are_a_function_of_the_generator():
    first, second, other = _asked(_labels(), 1), _asked(_labels(), 1), _asked(_labels(), 2)
    assert np.array_equal(first.points, second.points) and np.array_equal(first.boxes, second.boxes)
    assert not np.array_equal(first.points, other.points)
