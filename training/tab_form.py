"""The form of a training: fields made from the options' own dataclasses, and what was filled in as a Task."""

from __future__ import annotations

import shlex
from typing import Any

import gradio as gr

from sac import hub
from sac.config import SACConfig
from sac.errors import OptionError
from sac.flags import field_docstrings
from sac.ui import models
from training.options import FitOptions, Task

STEPS = 240
"""Steps that the form suggests: about ten minutes of two cores."""
BATCH = 4
"""Crops per step that it suggests: two steps and a look at the tiles then take less than five seconds."""
RATE = 5e-4
LICENCES = ["unknown", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "apache-2.0", "mit"]
TOLD = {"steps": STEPS, "batch": BATCH, "learning_rate": RATE}
NUMBERS = ("steps", "batch", "learning_rate", "hold_out", "patience", "keep", "seed")
LORA = ("rank", "alpha", "projections", "blocks")
FIELDS = (*NUMBERS, "licence", *LORA)
"""Fields of the form under Settings, in their order."""


def settings_form() -> list[gr.components.Component]:
    """A component for each of `FIELDS`, the fields' docstrings beside them."""
    words, default = field_docstrings(FitOptions) | field_docstrings(SACConfig), FitOptions()
    made = [
        gr.Number(
            TOLD.get(name, getattr(default, name)), label=_label(name), info=words.get(name),
            precision=None if isinstance(getattr(default, name), float) else 0,
            elem_id=f"train-{name.replace('_', '-')}",
        )
        for name in NUMBERS
    ]  # fmt: skip
    made.append(
        gr.Dropdown(LICENCES, value=default.licence, label="Licence", info=words["licence"], allow_custom_value=True)
    )
    lora = hub.config_of(models.place(models.default()))
    return [
        *made,
        gr.Slider(1, 64, lora.rank, step=1, label="LoRA: rank", elem_id="train-rank"),
        gr.Number(lora.alpha, label="LoRA: alpha", elem_id="train-alpha"),
        gr.CheckboxGroup(
            ["q", "k", "v"], value=list(lora.projections), label="LoRA: projections", info=words["projections"]
        ),
        gr.Radio(["all", "late"], value=lora.blocks, label="LoRA: blocks", info=words["blocks"]),
    ]


def task_of(title: str, start: str, quick: bool, source: tuple[str, ...], values: tuple) -> Task:
    """What the form asks for. Raises OptionError."""
    told = dict(zip(FIELDS, values))
    if any(value is None or value == "" for value in told.values()):
        empty = next(name for name, value in told.items() if value is None or value == "")
        raise OptionError(f"{_label(empty)} is empty")
    before = hub.config_of(models.place(start))
    lora = {"rank": int(told["rank"]), "alpha": float(told["alpha"]), "projections": told["projections"]}
    changes = {k: v for k, v in {**lora, "blocks": told["blocks"]}.items() if _differs(getattr(before, k), v)}
    numbers = {name: told[name] for name in (*NUMBERS, "licence")}
    options = FitOptions(start=models.place(start), quick=quick, **numbers)
    SACConfig(**lora, blocks=told["blocks"])  # checks itself
    title = " ".join((title or "").split())[:60] or "mine"
    return Task(options, changes, title, source, _command(start, options, changes))


def _differs(one: Any, other: Any) -> bool:
    return list(one) != list(other) if isinstance(one, tuple) else one != other


def _command(start: str, options: FitOptions, changes: dict[str, Any]) -> str:
    """The command that does the same as the form."""
    default = FitOptions()
    shown = (*NUMBERS, "licence")
    told = {n: getattr(options, n) for n in shown if getattr(options, n) != getattr(default, n)} | changes
    words = [
        w
        for name, v in told.items()
        for w in (f"--{name.replace('_', '-')}", *map(str, v if isinstance(v, list) else [v]))
    ]
    quick = ["--quick"] if options.quick else []
    return shlex.join(
        ["python", "-m", "training", "fit", "--data", "DATA", "--start", models.title(start), *quick, *words]
    )


def _label(name: str) -> str:
    return {"hold_out": "Share held out for validation", "keep": "Share kept of the old weights"}.get(
        name, name.replace("_", " ").capitalize()
    )
