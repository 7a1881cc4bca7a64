"""What is learnt from and what is held out: shares, strips, and no pixel on both sides."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from training.datasets.division import FEW, Piece, Pieces, divide
from training.datasets.gather import Facts, gather
from training.datasets.sample import Sample


def facts(*names, height=40, width=60):
    return [Facts(str(name), "", height, width, 3, 9.0, 0.1, False, False, (), "") for name in names]


@pytest.mark.parametrize(
    "images, share, held", [(10, 0.1, 1), (10, 0.3, 3), (20, 0.9, 18), (5, 0.01, 1), (5, 0.9, 4), (100, 0.25, 25)]
)
def test_the_share_of_the_images_is_held_out(images, share, held):
    learn, keep = divide(facts(*range(images)), share)
    assert len(keep) == held
    assert sorted(p.index for p in learn + keep) == list(range(images))
    assert {(p.begin, p.end) for p in learn + keep} == {(0.0, 1.0)}


@pytest.mark.parametrize("images", [1, 4, 5, 50])
def test_nothing_is_held_out_when_the_share_is_zero(images):
    assert divide(facts(*range(images)), 0) == ([Piece(i) for i in range(images)], [])


def test_sides_depend_on_names_alone():
    names = [f"cell {n}.png" for n in range(30)]
    held = {names[p.index] for p in divide(facts(*names), 0.3)[1]}
    turned = names[::-1]
    others = [replace(f, nuclei=99, height=7, source="elsewhere") for f in facts(*turned)]
    assert {turned[p.index] for p in divide(others, 0.3)[1]} == held
    more = [*names, "another"]
    assert len(held - {more[p.index] for p in divide(facts(*more), 0.3)[1]}) <= 1


@pytest.mark.parametrize("height, width", [(40, 60), (61, 40), (33, 33), (1, 8), (9, 3)])
def test_of_a_few_images_a_strip_of_each_is_held_out(height, width):
    """Pixels are numbered: each is on one side, and the strip is a quarter of the longer side."""
    labels = np.arange(height * width, dtype=np.int32).reshape(height, width)
    sample = Sample("a", np.repeat(labels[..., None].astype(np.uint8), 3, axis=2), labels)
    learn, keep = divide(facts(*range(FEW - 1), height=height, width=width), 0.1)
    assert [p.index for p in learn] == [p.index for p in keep] == list(range(FEW - 1))
    taught, held = learn[0].cut(sample), keep[0].cut(sample)
    numbers = np.concatenate([taught.labels.ravel(), held.labels.ravel()])
    assert np.array_equal(np.sort(numbers), labels.ravel())
    assert max(held.labels.shape) > 0 and abs(held.labels.size / labels.size - 0.25) <= 1 / max(height, width)
    assert held.image.shape[:2] == held.labels.shape


@pytest.mark.parametrize("height, width", [(1, 1), (2, 2), (7, 5)])
def test_an_image_too_small_for_a_strip_teaches_whole(height, width):
    assert divide(facts("a", height=height, width=width), 0.1) == ([Piece(0)], [])


def test_of_one_of_few_that_is_small_nothing_is_held_out():
    learn, keep = divide([*facts("a", height=2, width=2), *facts("b")], 0.5)
    assert (learn, keep) == ([Piece(0), Piece(1, 0.0, 0.75)], [Piece(1, 0.75)])


def test_pieces_are_cut_drawn_to_the_full_range_and_survive_the_way_to_a_process(tmp_path):
    image = np.repeat(np.linspace(10, 60, 80).astype(np.uint8)[None, :, None].repeat(50, 0), 3, axis=2)
    labels = np.zeros((50, 80), np.int32)
    labels[10:20, 70:78] = 5
    whole = gather([Sample("a", image, labels)], tmp_path)
    pieces = Pieces(whole, divide(whole.survey.facts, 0.1)[1])
    (held,) = pieces
    assert held.labels.shape == (50, 20) and (held.labels[10:20, 10:18] == 5).all()
    assert held.image.max() > 200  # 60 of 255 before
    (again,) = pickle.loads(pickle.dumps(pieces))
    assert np.array_equal(again.image, held.image) and pieces.facts == list(whole.survey.facts)
