"""What is filled in becomes a task, and a command that does the same."""

from __future__ import annotations

import shlex
from dataclasses import fields

import pytest

from sac import hub
from sac.config import SACConfig
from sac.errors import OptionError
from sac.flags import read_flags
from training.__main__ import _parser
from training.options import FitOptions
from training.tab_form import BATCH, FIELDS, LORA, RATE, STEPS, _command, settings_form, task_of

NUCLEI = hub.config_of("nuclei")
FILLED = {
    "steps": 240, "batch": 4, "learning_rate": 5e-4, "hold_out": 0.1, "patience": 6, "keep": 0, "seed": 0, "licence": "unknown",
    "rank": NUCLEI.rank, "alpha": NUCLEI.alpha, "projections": list(NUCLEI.projections), "blocks": NUCLEI.blocks,
}  # fmt: skip


def filled(title="mine", start="nuclei", quick=False, **told):
    return task_of(title, start, quick, ("one",), tuple((FILLED | told)[name] for name in FIELDS))


def test_a_form_that_is_left_alone_changes_nothing_of_the_checkpoint():
    task = filled()
    assert task.options == FitOptions(start="nuclei", steps=STEPS, batch=BATCH, learning_rate=RATE)
    assert (task.changes, task.title, task.data) == ({}, "mine", ("one",))


def test_the_form_has_a_component_for_each_field():
    made = settings_form()
    assert len(made) == len(FIELDS)
    assert task_of("mine", "nuclei", False, ("one",), tuple(c.value for c in made)) == filled()


def test_only_what_differs_from_the_checkpoint_is_a_change():
    assert filled(rank=NUCLEI.rank + 1).changes == {"rank": NUCLEI.rank + 1}
    assert filled(projections=["q", "k", "v"], blocks="late").changes.keys() == {"projections", "blocks"}


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"quick": True, "steps": 7, "batch": 2},
        {"learning_rate": 1e-3, "hold_out": 0, "patience": 0, "seed": 5},
        {"licence": "cc-by-4.0"},
        {"rank": 16, "alpha": 3, "projections": ["k", "v"], "blocks": "late"},
    ],
)
def test_the_command_does_the_same(told):
    task = filled(**told)
    words = shlex.split(task.command)
    assert words[:4] == ["python", "-m", "training", "fit"]
    parsed = _parser().parse_args([*words[3:], "--out", "there"])
    changes = {f.name: getattr(parsed, f.name) for f in fields(SACConfig) if hasattr(parsed, f.name)}
    assert read_flags(FitOptions, parsed) == task.options and changes == task.changes


def test_a_title_is_one_short_line():
    assert filled(title="  my\n cells | <b> ").title == "my cells | <b>"
    assert filled(title=None).title == filled(title=" ").title == "mine"
    assert len(filled(title="x" * 500).title) == 60


@pytest.mark.parametrize(
    "told, words",
    [
        ({"steps": None}, "Steps is empty"),
        ({"licence": ""}, "Licence is empty"),
        ({"hold_out": None}, "Share held out for validation is empty"),
        ({"steps": 0}, "steps 0 is outside"),
        ({"learning_rate": 10}, "learning rate 10 is outside"),
        ({"rank": 0}, "rank 0 is outside"),
        ({"rank": None}, "Rank is empty"),
        ({"alpha": -1}, "alpha -1.0 is outside"),
        ({"projections": []}, "are not of q, k, v"),
        ({"projections": ["o"]}, "are not of q, k, v"),
        ({"blocks": "early"}, "neither 'all' nor 'late'"),
        ({"licence": "a: b\nc"}, "is not an identifier"),
        ({"start": "../other"}, "unknown model"),
    ],
)
def test_what_cannot_be_is_said(told, words):
    with pytest.raises(OptionError) as refused:
        filled(**told)
    assert words in str(refused.value)


def test_a_trained_start_is_named_by_its_title_in_the_command(checkpoint, tmp_path, monkeypatch):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))
    (tmp_path / "jobs" / ("a" * 16)).mkdir(parents=True)
    (tmp_path / "jobs" / ("a" * 16) / "run").symlink_to(checkpoint)
    lora = {name: getattr(hub.config_of(str(checkpoint)), name) for name in LORA}
    task = filled(start="a" * 16, **lora | {"projections": list(lora["projections"])})
    assert task.changes == {} and task.options.start.endswith("run")
    assert "--start before" in task.command and str(tmp_path) not in task.command


def test_words_with_spaces_stay_together():
    assert shlex.split(_command("nuclei", FitOptions(licence="mit"), {"projections": ["q", "v"]}))[-2:] == ["q", "v"]
