"""What a training can be told: numbers within their ranges, in words where they are not."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import pytest

from sac.errors import OptionError
from training.options import RANGES, FitOptions, Task


@pytest.mark.parametrize(
    "told, words",
    [
        ({"learning_rate": 10}, "learning rate 10 is outside 1e-07 to 0.1"),
        ({"learning_rate": float("nan")}, "learning rate nan is outside"),
        ({"learning_rate": -1e-3}, "learning rate -0.001 is outside"),
        ({"learning_rate": "fast"}, "learning rate 'fast' is not a number"),
        ({"steps": 0}, "steps 0 is outside 1 to 1000000"),
        ({"steps": 1.5}, "steps 1.5 is not a whole number"),
        ({"steps": None}, "steps None is not a whole number"),
        ({"batch": True}, "batch True is not a whole number"),
        ({"batch": 0}, "batch 0 is outside 1 to 1024"),
        ({"hold_out": 1}, "hold out 1 is outside 0.0 to 0.9"),
        ({"hold_out": float("inf")}, "hold out inf is outside"),
        ({"patience": -1}, "patience -1 is outside"),
        ({"seed": -1}, "seed -1 is outside"),
        ({"licence": "mine\ntags: [other]"}, "is not an identifier"),
        ({"licence": ""}, "is not an identifier"),
        ({"finds": "glands]\nlicense: mit"}, "is not a word such as glands"),
    ],
)
def test_what_is_out_of_range_is_said(told, words):
    with pytest.raises(OptionError) as refused:
        FitOptions(**told)
    assert words in str(refused.value)


def test_every_number_has_a_range_that_holds_its_default():
    numbers = {f.name for f in fields(FitOptions) if f.type in ("int", "float")}
    assert numbers == set(RANGES)
    for name, ends in RANGES.items():
        for end in ends:
            assert getattr(FitOptions(**{name: end}), name) == end


@pytest.mark.parametrize(
    "told, alone",
    [({}, 50), ({"steps": 40}, 4), ({"start": "nuclei"}, 0), ({"start": "nuclei", "generator_steps": 7}, 7)],
)
def test_a_fresh_generator_learns_alone_at_first(told, alone):
    assert FitOptions(**told).alone == alone


def test_a_task_survives_json():
    task = Task(FitOptions(start="nuclei", quick=True), {"rank": 8, "blocks": "late"}, "ü", ("a/b", "c"), "fit")
    assert Task.of(json.loads(json.dumps(asdict(task)))) == task
