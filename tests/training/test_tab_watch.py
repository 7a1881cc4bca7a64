"""How a training stands, in words, curves and pictures."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from training.disk import write_json
from training.jobs import ASKED, Jobs
from training.options import FitOptions, Task
from training.outcome import SCORES, Compared, Outcome
from training.places import LOG, LOOKS, PAUSE
from training.tab_watch import CURVES, LOGGED, STATES, curves, left, log, outcome_words, status, tiles

MARKS = {"loss": 1.0, "dice": 0.5, "msa": 0.25}


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path)


def begun(jobs, state: str, said: str = "", title: str = "mine", rows=()):
    """A job in that state, without a process."""
    job = jobs.draft()
    write_json(
        job.folder / ASKED, {"owner": "local", "made": 0, "task": asdict(Task(FitOptions(steps=10), title=title))}
    )
    job.tell(state, said)
    job.run.mkdir()
    (job.run / LOG).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return job


def timed(*steps: int, pace: float = 2.0) -> list[dict]:
    return [{"step": step, "at": 1000 + pace * step, "mask": 0.5} for step in steps]


def test_without_a_training_the_status_says_what_to_do(jobs):
    assert 'data-state="idle"' in status(None, jobs) and "press Start" in status(None, jobs)


@pytest.mark.parametrize("state", ["queued", "paused", "done", "worse", "failed", "cancelled"])
def test_every_state_has_its_words(jobs, state):
    told = status(begun(jobs, state, "So it is."), jobs)
    assert f'data-state="{state}"' in told and STATES[state] in told
    assert ("0 before it." if state == "queued" else "So it is.") in told


def test_a_training_whose_process_ended_was_interrupted(jobs):
    told = status(begun(jobs, "running", rows=timed(1, 2)), jobs)
    assert 'data-state="interrupted"' in told and 'data-step="2" data-steps="10"' in told and "resumed" in told


def test_a_running_one_says_its_step_and_the_time_left(jobs):
    job = begun(jobs, "running", "Training", rows=timed(1, 2, 3))
    with jobs.lock:
        assert "step 3 of 10, 14 s left" in status(job, jobs)
        (job.run / PAUSE).touch()
        assert "Stopping after this step." in status(job, jobs)


def test_what_a_user_named_is_escaped(jobs):
    told = status(begun(jobs, "failed", "<img src=x>", title="<script>"), jobs)
    assert "<script>" not in told and "<img" not in told and "&lt;script&gt;" in told


def test_the_time_left_follows_the_pace_of_the_last_steps():
    assert left(timed(1, 2), 10) == "" and left([], 10) == ""
    assert left([{"step": 0}, *timed(1, 2, 3, 4)], 10) == ", 12 s left"
    quicker = [*timed(*range(1, 31), pace=100), *[{"step": n, "at": 4000 + n} for n in range(31, 51)]]
    assert left(quicker, 60) == ", 10 s left"


def test_a_night_between_two_steps_is_no_pace():
    night = [*timed(*range(1, 31), pace=5), *[{"step": n, "at": 9 * 3600 + 5 * n} for n in (31, 32)]]
    assert left(night, 52) == ", 2 min left"


def test_while_it_judges_itself_it_says_so(jobs):
    job = begun(jobs, "running", "Comparing before and after: 3.png", rows=timed(1, 2, 3))
    with jobs.lock:
        assert "Comparing before and after: 3.png" in status(job, jobs) and "left" not in status(job, jobs)


def test_curves_are_tables_of_what_was_looked_at():
    rows = [{"step": 0, "training": MARKS, "validation": MARKS}, {"step": 1}, {"step": 2, "validation": MARKS}]
    loss, dice, msa = curves(rows)
    assert loss.to_dict("list") == {
        "step": [0, 0, 2], "images": ["training", "validation", "validation"], "loss": [1.0] * 3
    }  # fmt: skip
    assert dice["dice"].tolist() == [0.5] * 3 and msa["msa"].tolist() == [0.25] * 3


def test_nothing_to_draw_is_no_curve():
    assert curves([]) == curves([{"step": 1, "mask": 0.5}]) == [None] * len(CURVES)


def test_the_log_shows_the_last_steps():
    rows = [*timed(*range(1, 40)), {"step": 40, "at": 1.0, "iou": 0.125, "training": MARKS}]
    lines = log(rows).splitlines()
    assert len(lines) == LOGGED and lines[0].startswith("step 29 ")
    assert lines[-1] == "step 40  iou 0.125  training: loss 1.000, dice 0.500, msa 0.250"
    assert log([]) == ""


def test_tiles_are_shown_in_their_order(jobs, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    job = begun(jobs, "paused")
    (job.run / LOOKS).mkdir()
    for number in (1, 0):
        Image.fromarray(np.full((4, 4, 3), number, np.uint8)).save(job.run / LOOKS / f"{number}.png")
    (job.run / LOOKS / "2.partial").write_bytes(b"half a picture")
    assert [np.array(Image.open(path)).max() for path in tiles(job)] == [0, 1]


def test_the_outcome_is_a_table_and_a_loss_is_said():
    before, after = dict.fromkeys(SCORES, 0.5), dict.fromkeys(SCORES, 0.25)
    worse = outcome_words(Outcome((Compared("a", before, after),)))
    assert "It got worse" in worse and "| before | 0.500 | 0.500 | 0.500 | 0.500 |" in worse
    better = outcome_words(Outcome((Compared("a", after, before), Compared("b", after, before))))
    assert "**mSA +0.250**" in better and "(2 images, or parts of them)" in better
    assert "nothing to compare" in outcome_words(None)
