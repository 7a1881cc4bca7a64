"""Watches a SAC learn: looks at tiles, keeps the best weights, ends when nothing is gained or a user says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from training.drawing import draw
from training.exam import Exam, Marks
from training.lesson import NucleiLesson
from training.loop import Watcher
from training.options import FitOptions
from training.places import CANCEL, LOOKS, PAUSE


class Examiner(Watcher):
    """Two exams, on training and validation tiles, a tile of each at a time.

    A curve shows the mean over all tiles, each as it was last seen. When all validation tiles were seen anew, a round
    is over: its mean mSA decides on the best weights and on whether there still is a gain. The last step's weights, at
    which the learning rate has come down to zero, are taken even so, unless earlier ones were surely better.
    """

    def __init__(self, exams: dict[str, Exam], options: FitOptions, out: Path):
        self.exams, self.options, self.out = exams, options, out
        self.marks: dict[str, list[Marks | None]] = {name: [None] * len(exam) for name, exam in exams.items()}
        self.best, self.idle = -1.0, 0
        self.of_best: list[float] = []
        """The best weights' mSA on each validation tile."""
        self.weights: dict[str, Tensor] = {}

    def begins(self, lesson: NucleiLesson) -> dict[str, Any]:
        """How it does before it learns, where it can do anything yet."""
        return {} if self.options.alone else self._whole(lesson)

    def after(self, step: int, lesson: NucleiLesson) -> dict[str, Any]:
        if step == self.options.steps:
            told = self._whole(lesson)
            if self.of_best and not surely_better(self.of_best, self._msa):
                self._keep(lesson)
            return told
        if step <= self.options.alone or step % self.options.look_every:
            return {}
        turn = step // self.options.look_every
        for name, exam in self.exams.items():
            if len(exam):
                self.marks[name][turn % len(exam)] = self._look(name, lesson, turn % len(exam))
        length = len(self.exams["validation"])
        over = length and turn % length == 0 and None not in self.marks["validation"]
        return self._curves() | (self._round(lesson) if over else {})

    def verdict(self) -> str:
        if (self.out / CANCEL).exists():
            return "cancel"
        if (self.out / PAUSE).exists():
            return "pause"
        return "enough" if self.options.patience and self.idle >= self.options.patience else ""

    def state_dict(self) -> dict[str, Any]:
        marks = {name: [m and asdict(m) for m in row] for name, row in self.marks.items()}  # exact, not rounded
        facts = {"best": self.best, "of_best": self.of_best, "idle": self.idle}
        return {"marks": marks, **facts, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.marks = {name: [m and Marks(**m) for m in row] for name, row in state["marks"].items()}
        self.best, self.idle, self.weights = state["best"], state["idle"], state["weights"]
        self.of_best = state.get("of_best", [])  # a training that was begun before it was kept goes on

    def restore(self, lesson: NucleiLesson, started: dict[str, Tensor]) -> None:
        """Gives the lesson the weights that were kept, and what `options.keep` asks of those it started from."""
        for name, weight in lesson.named_parameters():
            if name in self.weights:
                weight.data.copy_(self.weights[name])
            if name in started:
                weight.data.lerp_(started[name].to(weight.device), self.options.keep)

    def _whole(self, lesson: NucleiLesson) -> dict[str, Any]:
        """Every tile, as before the first step and after the last."""
        for name, exam in self.exams.items():
            self.marks[name] = [self._look(name, lesson, number) for number in range(len(exam))]
        return self._curves() | self._round(lesson)

    def _look(self, name: str, lesson: NucleiLesson, number: int) -> Marks:
        exam = self.exams[name]
        marks = exam.look(lesson, number)
        if name == "validation":
            draw(
                self.out / LOOKS / f"{number}.png",
                exam.tiles[number].image,
                exam.tiles[number].labels,
                exam.found[number],
            )
        return marks

    def _curves(self) -> dict[str, Any]:
        seen = {name: [m for m in row if m] for name, row in self.marks.items()}
        return {name: Marks.mean(row).to_json() for name, row in seen.items() if row}

    def _round(self, lesson: NucleiLesson) -> dict[str, Any]:
        """Judges the weights by the validation tiles, all seen by now."""
        if not len(self.exams["validation"]):
            return {}
        msa = Marks.mean(self.marks["validation"]).msa
        self.idle = 0 if msa > self.best else self.idle + 1
        if msa > self.best:
            self.best = msa
            self._keep(lesson)
        return {"round": round(msa, 5), "best": round(self.best, 5)}

    @property
    def _msa(self) -> list[float]:
        return [marks.msa for marks in self.marks["validation"]]

    def _keep(self, lesson: NucleiLesson) -> None:
        self.of_best = self._msa
        learnt = [(name, w) for name, w in lesson.named_parameters() if w.requires_grad]
        self.weights = {name: weight.detach().cpu().clone() for name, weight in learnt}


def surely_better(some: Sequence[float], others: Sequence[float], errors: float = 2.0) -> bool:
    """Whether scores are higher than others of the same images by more than `errors` standard errors of the difference."""
    gain = np.subtract(some, others)
    return bool(gain.mean() > errors * gain.std(ddof=1) / np.sqrt(len(gain))) if len(gain) > 1 else bool(gain.mean() > 0)
