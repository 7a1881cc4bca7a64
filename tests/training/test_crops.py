"""Training examples: functions of their number, drawn so that rare kinds are not forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from training.augment import Zoom
from training.crops import POOL, Crops, _chances
from training.datasets.division import Pieces, divide
from training.datasets.gather import Facts
from training.options import FitOptions
from training.prompting import PAIRS, pairs

OPTIONS = FitOptions(steps=4, batch=1, prompts=4, generator_steps=1)


def crops(whole, **told) -> Crops:
    pieces = Pieces(whole, divide(whole.survey.facts, 0)[0])
    return Crops(pieces, Zoom(24.0), 256, replace(OPTIONS, **told))


def same(one: dict, other: dict) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one | other)


def test_crops_are_functions_of_their_number(two):
    first, second = (crops(two)[5] for _ in range(2))
    assert same(first, second)
    assert not np.array_equal(first["image"], crops(two)[6]["image"])
    assert not np.array_equal(first["image"], crops(two, seed=1)[5]["image"])


def test_there_is_a_crop_for_each_place_of_each_batch(two):
    assert len(crops(two, steps=7, batch=3)) == 21


def test_the_quick_mode_shows_crops_of_its_pool_with_new_prompts(two):
    made = crops(two, quick=True)
    shown = [made[k] for k in range(40)]
    assert all(0 <= int(item["crop"]) < POOL for item in shown)
    assert all(np.array_equal(i["image"].transpose(1, 2, 0), made.cut(int(i["crop"]))[0]) for i in shown[:4])
    assert same(shown[3], crops(two, quick=True)[3])
    assert "crop" not in crops(two)[0]
    pairs = [(a, b) for n, a in enumerate(shown) for b in shown[:n] if a["crop"] == b["crop"]]
    assert pairs and all(np.array_equal(a["labels"], b["labels"]) for a, b in pairs)
    assert any(not np.array_equal(a["points"], b["points"]) for a, b in pairs)


def test_rare_kinds_are_drawn_more_often_than_their_share():
    """Source a: four dark and one bright, by the roots of their counts 2 : 1. Source b: one, as often as all of a."""
    fact = Facts("n", "a", 100, 100, 5, 20.0, 0.1, False, False, (), "")
    facts = [fact] * 4 + [replace(fact, bright=True), replace(fact, source="b")]
    assert _chances(facts) == pytest.approx([1 / 12] * 4 + [1 / 6, 1 / 2])


def test_four_kinds_share_alike():
    fact = Facts("n", "a", 100, 100, 5, 20.0, 0.1, False, False, (), "")
    kinds = [replace(fact, coloured=c, bright=b) for c in (False, True) for b in (False, True)]
    assert _chances(kinds) == pytest.approx([1 / 4] * 4)


def test_a_larger_image_is_drawn_more_often_by_the_fourth_root_of_its_area():
    fact = Facts("n", "a", 100, 100, 5, 20.0, 0.1, False, False, (), "")
    assert _chances([fact, replace(fact, height=400, width=400)]) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("seed", range(6))
def test_semantic_points_lie_where_they_say(seed):
    labels = np.zeros((64, 64), np.int32)
    labels[10:40, 20:50] = 1
    distance = (labels > 0).astype(np.float32)
    points, kinds = pairs(np.random.default_rng(seed), labels, distance).values()
    assert points.shape == (2 * max(PAIRS), 2) and kinds.shape == (2 * max(PAIRS),)
    x, y = points.astype(int).T
    assert (labels[y, x][kinds == 1] == 1).all() and (labels[y, x][kinds == 0] == 0).all()
    assert (kinds == 1).sum() == (kinds == 0).sum() and (kinds == 1).sum() in PAIRS
