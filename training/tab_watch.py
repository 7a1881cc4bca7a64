"""How a training stands, as the page shows it: words, curves, tiles, and what came of it."""

from __future__ import annotations

import html
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sac.ui.served import served
from training.datasets.gather import counted
from training.estimate import spoken
from training.fit import TRAINING
from training.jobs import Job, Jobs
from training.outcome import SCORES, Outcome
from training.places import COMPARED, LOOKS

CURVES = ("loss", "dice", "msa")
STATES = {
    "idle": "No training yet",
    "queued": "Waiting",
    "running": "Training",
    "paused": "Paused",
    "done": "Done",
    "worse": "Done, but no better",
    "failed": "Stopped by an error",
    "cancelled": "Cancelled",
    "interrupted": "Interrupted",
}
"""What `data-state` may be, in words."""
RECENT = 20
"""Steps by whose pace the time left is told."""
REST = 10
"""Times the usual gap between two steps from which on a gap is a pause."""
LOGGED = 12
"""Lines of the log that are shown."""
CSS = """
#train-status { border: 1px solid var(--border-color-primary); border-radius: 8px; padding: 10px 14px; }
#train-status b { margin-right: .6em; }
#train-status progress { width: 100%; height: 8px; margin-top: 8px; appearance: none; border: 0; accent-color: #0d9488; }
#train-status progress::-webkit-progress-value { background: #0d9488; border-radius: 4px; }
#train-status progress::-webkit-progress-bar { background: var(--border-color-primary); border-radius: 4px; }
#train-status progress::-moz-progress-bar { background: #0d9488; }
#train-status p { margin: 4px 0 0; opacity: .8; overflow-wrap: anywhere; }
"""


def status(job: Job | None, jobs: Jobs) -> str:
    """The status as HTML; what a user named is escaped."""
    if job is None:
        return _status("idle", 0, 0, "", "Bring images with their masks, then press Start.")
    state, rows, told = jobs.state(job), job.rows(), job.status.get("said", "")
    steps, done = job.task.options.steps, rows[-1]["step"] if rows else 0
    said = f"{jobs.ahead(job)} before it." if state == "queued" else told
    if state == "interrupted":
        said = "Its process ended, with the machine or by itself. It can be resumed from its last saved state."
    if state == "running" and told == TRAINING and 0 < done < steps:
        said = "Stopping after this step." if job.is_stopping else f"step {done} of {steps}{left(rows, steps)}"
    return _status(state, done, steps, job.task.title, said)


def _status(state: str, done: int, steps: int, title: str, said: str) -> str:
    bar = f'<progress max="{steps}" value="{done}"></progress>' if steps else ""
    return (
        f'<div id="train-status" data-state="{state}" data-step="{done}" data-steps="{steps}" role="status">'
        f"<b>{STATES[state]}</b>{html.escape(title)}{bar}<p>{html.escape(said)}</p></div>"
    )


def left(rows: list[dict[str, Any]], steps: int) -> str:
    """The time left, from the pace of the last steps."""
    timed = [row for row in rows if "at" in row][-RECENT:]
    if len(timed) < 3:
        return ""
    gaps = [later["at"] - sooner["at"] for sooner, later in pairwise(timed)]
    pace = np.mean([gap for gap in gaps if gap <= REST * np.median(gaps)])
    return f", {spoken(pace * (steps - timed[-1]['step']))} left"


def curves(rows: list[dict[str, Any]]) -> list[pd.DataFrame | None]:
    """A table for each of `CURVES`: step, value and of which images. None, which draws nothing, where there is none."""
    found = [
        (row["step"], side, row[side]) for row in rows for side in ("training", "validation") if side in row
    ]  # fmt: skip
    if not found:
        return [None] * len(CURVES)
    return [
        pd.DataFrame(
            {"step": [s for s, _, _ in found], "images": [w for _, w, _ in found], name: [m[name] for *_, m in found]}
        )
        for name in CURVES
    ]


def tiles(job: Job) -> list[str]:
    """Paths of pictures of the validation tiles, as they were last segmented."""
    return [_picture(path) for path in sorted((job.run / LOOKS).glob("*.png"))]


def before_after(job: Job, number: int) -> tuple[str, str]:
    """Paths of the pictures of a validation image before and after."""
    return tuple(_picture(job.run / COMPARED / f"{number}.{when}.png") for when in ("before", "after"))


def _picture(path: Path) -> str:
    """One of our own PNGs, where the page may fetch it."""
    return served(path.read_bytes(), path.name)


def log(rows: list[dict[str, Any]]) -> str:
    """The last steps, a line each."""
    return "\n".join(_line(row) for row in rows[-LOGGED:])


def _line(row: dict[str, Any]) -> str:
    parts = [f"step {row['step']}"]
    parts += [f"{name} {value:.3f}" for name, value in row.items() if isinstance(value, float) and name != "at"]
    sides = [
        f"{side}: {', '.join(f'{k} {v:.3f}' for k, v in row[side].items())}"
        for side in ("training", "validation")
        if side in row
    ]
    return "  ".join(parts + sides)


def outcome_words(outcome: Outcome | None) -> str:
    """Before and after as a table, and what it means. Markdown."""
    if outcome is None:
        return "There is nothing to compare: no image was held out, or it began from nothing."
    heads = {"dice": "Dice", "aji": "AJI", "pq": "PQ", "msa": "mSA"}
    figures = outcome.figures()
    rows = [f"| {when} | {' | '.join(f'{figures[when][name]:.3f}' for name in SCORES)} |" for when in figures]
    said = (
        "**It got worse on the images that were held out.** The checkpoint it started from stays in use."
        if outcome.is_worse
        else f"**mSA {outcome.gain():+.3f}** on what was held out ({counted(len(outcome.images))}, or parts of them)."
    )
    return "\n".join([said, "", f"| | {' | '.join(heads[name] for name in SCORES)} |", "|---" * 5 + "|", *rows])
