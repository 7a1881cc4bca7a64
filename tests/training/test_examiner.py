"""What an examiner makes of marks: curves, rounds, best weights, an early end. The marks are told beforehand."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from torch import nn

from training.datasets.sample import Sample
from training.exam import Marks
from training.examiner import Examiner
from training.options import FitOptions
from training.places import CANCEL, LOOKS, PAUSE

TILE = Sample("tile", np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.int32))


class Told:
    """An exam whose marks, in the order in which it is looked at, are known."""

    def __init__(self, *msa: float, tiles: int = 2):
        self.msa, self.seen = list(msa), []
        self.tiles, self.found = [TILE] * tiles, [TILE.labels] * tiles

    def __len__(self) -> int:
        return len(self.tiles)

    def look(self, lesson, number: int) -> Marks:
        self.seen.append(number)
        return Marks(1.0, 0.5, self.msa.pop(0))


class Lesson(nn.Module):
    def __init__(self):
        super().__init__()
        self.learnt = nn.Parameter(torch.zeros(1))
        self.frozen = nn.Parameter(torch.zeros(1), requires_grad=False)


def examiner(tmp_path, validation: Told, **told) -> Examiner:
    options = FitOptions(**{"start": "nuclei", "steps": 100, "look_every": 2, "patience": 2} | told)
    return Examiner({"training": Told(tiles=0), "validation": validation}, options, tmp_path)


def test_a_curve_is_the_mean_over_tiles_as_they_were_last_seen(tmp_path):
    told = Told(0.2, 0.4, 0.8, 0.1)
    watching, lesson = examiner(tmp_path, told), Lesson()
    begun = watching.begins(lesson)
    assert begun["validation"]["msa"] == pytest.approx(0.3) and begun["round"] == 0.3 and "training" not in begun
    assert watching.after(1, lesson) == {}  # every second step only
    once = watching.after(2, lesson)
    assert once["validation"]["msa"] == pytest.approx((0.2 + 0.8) / 2) and "round" not in once
    assert watching.after(4, lesson)["round"] == pytest.approx((0.1 + 0.8) / 2)
    assert told.seen == [0, 1, 1, 0]
    assert sorted(p.name for p in (tmp_path / LOOKS).iterdir()) == ["0.png", "1.png"]


def test_the_best_weights_come_back_after_it_got_worse(tmp_path):
    watching, lesson = examiner(tmp_path, Told(0.2, 0.2, 0.6, 0.6, 0.1, 0.1)), Lesson()
    watching.begins(lesson)
    lesson.learnt.data.fill_(1)
    watching.after(2, lesson), watching.after(4, lesson)
    lesson.learnt.data.fill_(2)
    watching.after(6, lesson), watching.after(8, lesson)
    lesson.frozen.data.fill_(7)
    watching.restore(lesson, {})
    assert (lesson.learnt.item(), lesson.frozen.item()) == (1, 7)


@pytest.mark.parametrize(("last", "kept"), [((0.59, 0.3), 2), ((0.4, 0.39), 1), ((0.7, 0.7), 2)])
def test_the_last_weights_are_taken_unless_others_were_surely_better(tmp_path, last, kept):
    """0.6 and 0.6 are ahead by .155 ± .145, which is in doubt, by .205 ± .005, or not at all."""
    watching, lesson = examiner(tmp_path, Told(0.2, 0.2, 0.6, 0.6, *last), steps=6, patience=0), Lesson()
    watching.begins(lesson)
    lesson.learnt.data.fill_(1)
    watching.after(2, lesson), watching.after(4, lesson)
    lesson.learnt.data.fill_(2)
    assert watching.after(6, lesson)["best"] == max(0.6, *last)
    lesson.learnt.data.fill_(3)
    watching.restore(lesson, {})
    assert lesson.learnt.item() == kept


def test_it_ends_when_patience_does(tmp_path):
    watching, lesson = examiner(tmp_path, Told(*[0.5] * 2, *[0.6] * 2, *[0.6] * 4)), Lesson()
    watching.begins(lesson)
    verdicts = []
    for step in range(2, 14, 2):
        watching.after(step, lesson)
        verdicts.append(watching.verdict())
    assert verdicts == ["", "", "", "", "", "enough"]  # 0.6 is a gain, then two rounds without


def test_without_patience_it_never_ends_early(tmp_path):
    watching, lesson = examiner(tmp_path, Told(*[0.5] * 20), patience=0), Lesson()
    watching.begins(lesson)
    for step in range(2, 20, 2):
        watching.after(step, lesson)
    assert watching.idle == 4 and watching.verdict() == ""


def test_a_generator_that_learns_alone_is_not_looked_at(tmp_path):
    told = Told(*[0.5] * 4)
    watching, lesson = examiner(tmp_path, told, generator_steps=6), Lesson()
    assert watching.begins(lesson) == {}
    assert [watching.after(step, lesson) for step in (2, 4, 6)] == [{}, {}, {}] and told.seen == []
    assert "round" not in watching.after(8, lesson)  # one of the two tiles was not seen yet
    watching.after(10, lesson)
    assert watching.after(12, lesson)["round"] == 0.5


def test_all_tiles_are_seen_after_the_last_step(tmp_path):
    told = Told(0.1, 0.3)
    assert examiner(tmp_path, told, steps=5).after(5, Lesson())["round"] == 0.2 and told.seen == [0, 1]


def test_nothing_held_out_is_no_round_and_no_early_end(tmp_path):
    watching = examiner(tmp_path, Told(tiles=0), patience=1)
    watching.exams["training"], watching.marks["training"] = Told(0.3, 0.5, 0.7), [None]
    watching.exams["training"].tiles = [TILE]
    lesson = Lesson()
    rows = [watching.begins(lesson), watching.after(2, lesson), watching.after(100, lesson)]
    assert [row["training"]["msa"] for row in rows] == [0.3, 0.5, 0.7]
    assert all("round" not in row and "validation" not in row for row in rows) and watching.verdict() == ""
    lesson.learnt.data.fill_(3)
    watching.restore(lesson, {})
    assert lesson.learnt.item() == 3


def test_a_user_stops_it_by_a_file(tmp_path):
    watching = examiner(tmp_path, Told())
    (tmp_path / PAUSE).touch()
    assert watching.verdict() == "pause"
    (tmp_path / CANCEL).touch()
    assert watching.verdict() == "cancel"


def test_a_share_of_the_old_weights_is_kept(tmp_path):
    watching, lesson = examiner(tmp_path, Told(0.2, 0.2), keep=0.25), Lesson()
    lesson.learnt.data.fill_(8)
    watching.begins(lesson)
    watching.restore(lesson, {"learnt": torch.full_like(lesson.learnt, 4)})
    assert (lesson.learnt.item(), lesson.frozen.item()) == (0.75 * 8 + 0.25 * 4, 0)


def test_its_state_survives(tmp_path):
    first, lesson = examiner(tmp_path, Told(0.2, 0.4, 0.8, 0.1)), Lesson()
    first.begins(lesson), first.after(2, lesson)
    stream = io.BytesIO()
    torch.save(first.state_dict(), stream)
    stream.seek(0)
    second = examiner(tmp_path, Told(0.1, 0.1))
    second.load_state_dict(torch.load(stream, weights_only=True))
    assert (second.best, second.of_best, second.idle) == (first.best, first.of_best, first.idle)
    assert second.marks == first.marks and first.of_best == [0.2, 0.4]
    assert second.after(4, lesson) == first.after(4, lesson)
    lesson.learnt.data.fill_(9)
    second.restore(lesson, {})
    assert lesson.learnt.item() == 0
    older = {name: value for name, value in first.state_dict().items() if name != "of_best"}
    second.load_state_dict(older)
    assert second.of_best == [] and second.best == first.best
