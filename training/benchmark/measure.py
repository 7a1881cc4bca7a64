"""What a student's answers are worth, image by image, kept beside its weights."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch

from sac.model.sac import SAC
from training.baselines.methods import KNOWN
from training.baselines.subject import Subject
from training.benchmark.plan import WHOLE, Student
from training.benchmark.school import FACTS, Lessons, commit, taught
from training.benchmark.scores import scores
from training.benchmark.sets import Split, raw
from training.datasets.sample import Sample
from training.disk import read_json, write_json, written_whole


@dataclass(frozen=True)
class Task:
    """A student who is taught, where that is still to be done, and then asked: by which method, on which split."""

    student: Student
    asked: tuple[tuple[Split, str], ...]
    lessons: Lessons

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do; what is only taught has weights to show."""
        is_taught = self.student.learns == "nothing" or self.lessons.has_taught(self.student)
        return is_taught and all(self.path(*asked).exists() for asked in self.asked)

    def path(self, split: Split, method: str) -> Path:
        """The table of one method's answers."""
        slug = re.sub(r"[^a-z0-9]+", "-", method.lower())
        most = f"-{self.lessons.budget.most}" if split == "held-out" else ""
        return self.lessons.folder(self.student) / f"{split}{most}-{slug}.csv"


def work(task: Task, threads: int = 0) -> None:
    """Teaches and asks. threads: those that it may use (0: all)."""
    if threads:
        torch.set_num_threads(threads)
    sac = taught(task.student, task.lessons)
    for split in ("test", "held-out"):
        wanted = [method for where, method in task.asked if where == split and not task.path(where, method).exists()]
        if wanted:
            _ask(sac, task, split, wanted)


def _ask(sac: SAC, task: Task, split: Split, methods: list[str]) -> None:
    rows: dict[str, list[dict]] = {method: [] for method in methods}
    at_work = dict.fromkeys([read_json(task.lessons.folder(task.student) / FACTS).get("commit", ""), commit()])
    ground, scales = task.lessons.ground, _Scales(task, split)
    for whole, piece in ground.samples(split, task.lessons.budget.most):
        sample = raw(whole, piece)
        subject = Subject(sac, sample.image, sample.labels, scales.of(sac, sample))
        for method in methods:
            row = _row(subject, sample, method, glands=ground.name == "glas")
            rows[method].append(row | {"commit": " ".join(filter(None, at_work))})
    scales.keep()
    for method, found in rows.items():
        path = task.path(split, method)
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            pd.DataFrame(found).to_csv(partial, index=False)


def _row(subject: Subject, sample: Sample, method: str, glands: bool) -> dict:
    found, seconds = subject.timed(KNOWN[method])
    told = {"source": sample.source, "image": sample.name}
    return told | scores(sample.labels, found, glands) | {"seconds": round(seconds, 4)}


def scales_path(lessons: Lessons, split: Split) -> Path:
    """Where the magnifications that SAC measured are kept."""
    return lessons.folder(WHOLE) / f"{split}-scales.json"


class _Scales:
    """Magnifications of the split's pictures. SAC measures them, and all others are told: so they see the same."""

    def __init__(self, task: Task, split: Split):
        self.task, self.path = task, scales_path(task.lessons, split)
        self.is_measured = task.student == WHOLE
        self.known: dict[str, float] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def of(self, sac: SAC, sample: Sample) -> float:
        fixed = self.task.lessons.ground.scale
        if fixed:
            return fixed
        if sample.name not in self.known:
            if not self.is_measured:
                raise ValueError(f"SAC has not measured {sample.name}")
            self.known[sample.name] = Subject(sac, sample.image).scale
        return self.known[sample.name]

    def keep(self) -> None:
        if self.is_measured and self.known:
            write_json(self.path, self.known)
