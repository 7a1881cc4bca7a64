"""What a training will take: more for more, and a word with advice where it cannot fit."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from sac import hub
from sac.errors import TrainingError
from training import estimate as estimating
from training.datasets.gather import Facts, Survey
from training.estimate import Estimate, estimate, spoken
from training.options import FitOptions, Task

FACTS = Facts("a", "", 100, 200, 9, 20.0, 0.2, False, False, (), "")
SURVEY = Survey((FACTS,))
TASK = Task(FitOptions(start="nuclei", hold_out=0))
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine whose pace, memory and disk are known: a crop of the tiny base takes a second."""
    monkeypatch.setattr(estimating, "_pace", lambda: 1.0)
    monkeypatch.setattr(estimating, "_free_memory", lambda: 16e9)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2e9, 1e9, 1e9))


def told(**options) -> Estimate:
    return estimate(replace(TASK, options=replace(TASK.options, **options)), SURVEY)


def test_a_larger_batch_takes_more_memory_and_time():
    small, large = told(batch=2), told(batch=4)
    base = estimating._base("tiny")
    assert large.memory - small.memory == 2 * (estimating.CROP + base.kept)
    assert large.seconds - small.seconds == 2 * 1500 * estimating.STEP_SHARE[False]
    assert large.disk == small.disk


def test_more_steps_take_longer_and_no_more_memory():
    few, many = told(steps=100), told(steps=200)
    assert many.seconds - estimating.BEGIN == 2 * (few.seconds - estimating.BEGIN) and many.memory == few.memory


def test_what_is_held_out_is_judged_and_that_takes_time():
    """Ten images of 500 x 1000 pixels, nuclei as wide as they are looked for: of one held out 2 x 5 tiles of 256."""
    facts = replace(FACTS, height=500, width=1000, diameter=hub.config_of("nuclei").diameter)
    survey, tiles = Survey(tuple(replace(facts, name=f"{n}") for n in range(10))), 3 * 5
    kept, judged = (estimate(Task(replace(TASK.options, hold_out=share)), survey).seconds for share in (0.0, 0.1))
    assert judged - kept == pytest.approx(tiles * (estimating.READ + estimating.COMPARE))
    fresh = [estimate(Task(FitOptions(hold_out=share)), survey).seconds for share in (0.0, 0.2)]
    assert fresh[1] - fresh[0] == pytest.approx(2 * tiles * estimating.READ)  # there is no before


def test_the_quick_mode_takes_less():
    whole, quick = told(), told(quick=True)
    assert quick.memory < whole.memory and quick.seconds < whole.seconds


def test_the_quick_mode_keeps_its_embeddings():
    """192 crops of the tiny base, 128 channels on 32 x 32 tokens: they are made once, lie on the disk and in memory."""
    whole, quick = told(), told(quick=True)
    assert quick.disk - whole.disk == 192 * 128 * 32 * 32 * 4
    assert told(quick=True, steps=1).seconds > estimating.BEGIN + 192


def test_larger_images_take_more_memory():
    large = estimate(TASK, Survey((replace(FACTS, height=1100),)))
    assert large.memory - told().memory == 2 * 7 * 1000 * 200


def test_a_large_batch_of_the_largest_base_is_refused_with_advice():
    asked = Task(FitOptions(batch=64), {"base": "vit_h"})
    with pytest.raises(TrainingError, match=r"takes \d+\.\d GB of memory, 16\.0 are free: take a smaller batch"):
        estimate(asked, SURVEY).check()
    assert "GB of memory" in told().sentence


def test_a_full_disk_is_refused(monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2e9, 2e9, 1e6))
    with pytest.raises(TrainingError, match=r"takes \d+ MB of disk, 1 are free: delete old trainings first"):
        told().check()


def test_the_disk_is_that_of_the_data_folder_whether_or_not_it_is_there(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: asked.append(path) or Usage(2, 1, 1e9))
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path / "not" / "yet"))
    told()
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    "seconds, words", [(0, "1 s"), (59.6, "60 s"), (89, "89 s"), (90, "2 min"), (600, "10 min"), (5400, "1.5 h")]
)
def test_a_span_of_time_is_said(seconds, words):
    assert spoken(seconds) == words


def test_attention_in_pieces_keeps_no_logits():
    """Those of ViT-B's four blocks that attend to all tokens would be 9.7 GB an image."""
    assert estimate(Task(FitOptions(batch=1), {"base": "vit_b"}), SURVEY).memory < 8e9
