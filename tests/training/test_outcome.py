"""Before and after: figures are means over the images, a loss is said, pictures and figures are written."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sac import hub
from sac.inference.segment import segment
from sac.ui.examples import generated_field
from training.datasets.division import Piece
from training.datasets.sample import Sample
from training.outcome import MOST_IMAGES, MOST_PIXELS, SCORES, Compared, Outcome, compare, judged
from training.places import COMPARED, FIGURES


def scores(value: float) -> dict[str, float]:
    return dict.fromkeys(SCORES, value)


def outcome(*pairs: tuple[float, float]) -> Outcome:
    return Outcome(tuple(Compared(f"{n}", scores(before), scores(after)) for n, (before, after) in enumerate(pairs)))


def test_figures_are_means_over_the_images():
    found = outcome((0.2, 0.5), (0.4, 0.8))
    assert found.figures() == {"before": scores(0.3), "after": scores(0.65)}
    assert found.gain() == pytest.approx(0.35) and not found.is_worse
    assert found.sentence == (
        "mSA 0.300 before, 0.650 after, Dice 0.300 before, 0.650 after, on what was held out "
        "(2 images, or parts of them)."
    )  # fmt: skip


def test_that_it_got_worse_is_said():
    found = outcome((0.5, 0.4))
    assert found.is_worse and found.gain() == pytest.approx(-0.1)
    assert found.sentence.startswith("It got worse: mSA 0.500 before, 0.400 after")
    assert "(1 image, or parts of them)" in found.sentence and "started from is the better one" in found.sentence


def test_no_change_is_not_worse():
    assert not outcome((0.5, 0.5)).is_worse


@pytest.mark.parametrize("rise, worse", [(0.02, False), (0.0, True)])
def test_a_little_less_of_one_score_is_no_loss_where_another_rose_by_more(rise, worse):
    after = scores(0.5) | {"msa": 0.49, "dice": 0.5 + rise}
    assert Outcome((Compared("0", scores(0.5), after),)).is_worse is worse


def test_a_sac_against_itself_is_no_gain(sac, samples, tmp_path):
    told = []
    found = compare(sac, sac, [(sample, {}) for sample in samples], tmp_path, told.append)
    assert told == ["sample-0", "sample-1"] and found.gain() == 0
    assert [image.before for image in found.images] == [image.after for image in found.images]
    pictures = sorted(p.name for p in (tmp_path / COMPARED).iterdir())
    assert pictures == ["0.after.png", "0.before.png", "1.after.png", "1.before.png"]
    with Image.open(tmp_path / COMPARED / "0.after.png") as picture:
        assert picture.size == (160, 160)
    assert Outcome.read(tmp_path) == found and len(json.loads((tmp_path / FIGURES).read_text())) == 2


def test_each_image_is_read_by_its_own_thresholds_after(tmp_path):
    field, nuclei = generated_field(0, side=160, count=12), hub.load("nuclei")
    sample = Sample("field", field.pixels, segment(field, nuclei).labels)
    first, second = compare(nuclei, nuclei, [(sample, {}), (sample, {"certainty": 1.0})], tmp_path).images
    assert first.before == first.after and first.before["f1"] > 0
    assert second.before["f1"] > 0 and second.after["f1"] == 0  # no mask is as certain


def test_where_nothing_was_compared_there_is_no_outcome(tmp_path):
    assert Outcome.read(tmp_path) is None


def test_no_more_images_are_judged_by_than_a_minute_allows():
    tiny = Sample("a", np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.int32))
    named = [replace(tiny, name=str(n)) for n in range(MOST_IMAGES + 3)]
    found = judged(named, [Piece(n) for n in range(1, len(named))])
    assert len(found) == MOST_IMAGES


def test_of_a_large_image_the_middle_is_judged_by():
    labels = np.arange(1200 * 30, dtype=np.int32).reshape(1200, 30)
    (found,) = judged([Sample("a", np.zeros((1200, 30, 3), np.uint8), labels)], [Piece(0)])
    assert found.labels.shape == (MOST_PIXELS, 30) and np.array_equal(found.labels, labels[88 : 88 + MOST_PIXELS])
    small = Sample("b", np.zeros((20, 30, 3), np.uint8), labels[:20])
    assert np.array_equal(judged([small], [Piece(0)])[0].labels, small.labels)


def test_images_that_judge_are_spread_over_all_that_were_held_out():
    whole = [Sample(f"{n}", np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.int32)) for n in range(20)]
    names = [int(sample.name) for sample in judged(whole, [Piece(n) for n in range(20)])]
    assert len(names) == MOST_IMAGES and names[0] == 0 and names[-1] == 19 and max(np.diff(names)) == 3
    assert [sample.name for sample in judged(whole, [Piece(4), Piece(7)])] == ["4", "7"] and judged(whole, []) == []
