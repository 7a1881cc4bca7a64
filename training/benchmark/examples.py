"""One test picture as every rival sees it (paper, figures 1 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sac.metrics import score
from sac.overlay import outlined
from training.baselines.methods import KNOWN
from training.baselines.subject import Subject
from training.benchmark.measure import Task, scales_path
from training.benchmark.plan import WHOLE, Line
from training.benchmark.school import Lessons, taught
from training.benchmark.sets import raw
from training.datasets.sample import Sample
from training.disk import read_json

FREE = ("dsb2018",)
"""Sets whose pictures may be shown by others (CC0)."""
COLUMNS, SIDE = 5, 256
"""Panels of a row, and pixels of the picture that a panel shows, at most."""


@dataclass(frozen=True)
class Panel:
    """A picture (H, W, 3) uint8 with the nuclei (H, W) that somebody says there are."""

    title: str
    pixels: np.ndarray
    labels: np.ndarray


def draw(lessons: Lessons, lines: Sequence[Line], path: Path) -> None:
    """The truth, and what each line of the table makes of the test picture on which SAC has its median Dice."""
    sample = _typical(lessons)
    scale = lessons.ground.scale or read_json(scales_path(lessons, "test"))[sample.name]
    students = {line.student for line in lines}
    subjects = {who: Subject(taught(who, lessons), sample.image, sample.labels, scale) for who in students}
    panels = [Panel("truth", sample.image, sample.labels)]
    for line in lines:
        found = KNOWN[line.method](subjects[line.student])
        title = f"{line.label.replace('**', '')}\n{score(sample.labels, found).dice:.2f}"
        panels.append(Panel(title, sample.image, found))
    _draw(panels, path)


def _typical(lessons: Lessons) -> Sample:
    table = pd.read_csv(Task(WHOLE, (), lessons).path("test", "sac")).sort_values("dice", ignore_index=True)
    name = str(table["image"][len(table) // 2])
    return next(s for s in (raw(*where) for where in lessons.ground.samples("test", 0)) if s.name == name)


def _draw(panels: list[Panel], path: Path) -> None:
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(2.6 * COLUMNS, 3.1 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
    for axis, panel in zip(axes, panels):
        axis.imshow(outlined(panel.pixels, panel.labels)[:SIDE, :SIDE])
        axis.set_title(panel.title, fontsize=8, wrap=True)
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)
