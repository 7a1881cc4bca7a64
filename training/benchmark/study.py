"""The paper's comparison: students are taught, asked, and put into tables. What is done already is not done again."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from sac import hub
from training.benchmark import examples
from training.benchmark.costs import Cost, cost, seconds
from training.benchmark.measure import Task, work
from training.benchmark.plan import ABLATIONS, CURVES, NOBODY, RIVALS, WHOLE, Budget, Line, Student
from training.benchmark.school import Lessons, commit
from training.benchmark.sets import Split, ground
from training.datasets import official
from training.disk import read_json, write_json
from training.places import LOG

WORDS = dict.fromkeys(("source", "image", "commit"), str)
"""Columns that are never numbers, not even where a commit looks like one."""
PARTS = ("rivals", "ablations", "curves", "efficiency")


@dataclass(frozen=True)
class Study:
    """On one data set. data: its folder. parts: of PARTS. seeds: each teaches anew. jobs: processes at once.

    tables: of ABLATIONS, and rivals: of RIVALS, those that are asked for.
    """

    data: Path
    parts: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path
    jobs: int
    budget: Budget
    tables: tuple[str, ...] = tuple(ABLATIONS)
    rivals: tuple[Line, ...] = RIVALS

    @cached_property
    def name(self) -> str:
        """What the set is called. Raises DataError where it is not known."""
        return official.recognised(self.data).name

    def run(self) -> Found:
        """Does what is still to be done, and gathers all of it. Raises DataError, CheckpointError or TrainingError."""
        hub.base_path(self.budget.base)  # where it is not at hand, nothing need be begun
        there = ground(self.data, self.out, self.budget.hold_out)
        classes = [Lessons(there, self.budget, seed, self.out) for seed in self.seeds]
        tasks = [task for lessons in classes for task in self._tasks(lessons)]
        mine, others = ([task for task in tasks if (task.student == WHOLE) == is_mine] for is_mine in (True, False))
        self._work([*mine, *(replace(task, asked=()) for task in others)])
        self._work(others)  # asked afterwards, as they ask for the scales that SAC measures
        example = classes[0].folder(WHOLE) / "example.png"
        shown = any((line.student, line.method) == (WHOLE, "sac") for line in self.rivals)  # its picture is the typical one
        if "rivals" in self.parts and shown and self.name in examples.FREE and not example.exists():
            examples.draw(classes[0], self.rivals, example)
        return Found(
            rivals=self._rows("rivals", classes),
            ablations=self._rows("ablations", classes),
            curves=self._curves(classes) if "curves" in self.parts else pd.DataFrame(),
            costs=self._costs(classes[0]) if "efficiency" in self.parts else pd.DataFrame(),
            example=example,
        )

    def _lines(self, part: str, lessons: Lessons) -> Iterable[tuple[str, Split, Line]]:
        """Tables, splits and lines of a part that is asked for: those that differ with what there is to learn from."""
        if part not in self.parts:
            return
        if part == "rivals":
            yield from (("rivals", "test", line) for line in self.rivals)
        if part == "ablations":
            there = len(lessons.ground.learn(0, 0))
            lines = ((table, "held-out", line) for table in self.tables for line in ABLATIONS[table])
            yield from (line for line in lines if line[2].student.images < there)

    @property
    def _learners(self) -> list[Student]:
        """Of CURVES, those of the rivals that are asked for."""
        return [student for student in CURVES if any(line.student == student for line in self.rivals)]

    def _tasks(self, lessons: Lessons) -> list[Task]:
        """A task per student, whatever the parts that ask them."""
        asked: dict[Student, list[tuple[Split, str]]] = {}
        for part in ("rivals", "ablations"):
            for _, split, line in self._lines(part, lessons):
                asked.setdefault(line.student, []).append((split, line.method))
        if "curves" in self.parts or "efficiency" in self.parts:
            for student in self._learners:
                asked.setdefault(student, [])
        if asked and WHOLE not in asked:
            asked[WHOLE] = []
        if lessons.seed != self.seeds[0]:
            asked.pop(NOBODY, None)  # who learns nothing says the same with any seed
        return [Task(student, tuple(dict.fromkeys(what)), lessons) for student, what in asked.items()]

    def _work(self, tasks: list[Task]) -> None:
        tasks = [task for task in tasks if not task.is_done]
        bar = tqdm(total=len(tasks), unit="model", disable=not tasks)
        if self.jobs == 1:
            for task in tasks:
                work(task)
                bar.update()
        elif tasks:
            threads = max(1, (os.cpu_count() or 1) // self.jobs)
            with _processes(self.jobs) as pool:
                for done in as_completed([pool.submit(work, task, threads) for task in tasks]):
                    if done.exception():
                        pool.shutdown(cancel_futures=True)
                    done.result()
                    bar.update()
        bar.close()

    def _rows(self, part: str, classes: list[Lessons]) -> pd.DataFrame:
        """A row per image of every line of a part; `data` is what its means are taken over.

        A test of several parts, such as GlaS's A and B, is reported as its authors do: each by itself.
        """
        found = []
        for lessons in classes:
            for table, split, line in self._lines(part, lessons):
                path = Task(line.student, (), lessons).path(split, line.method)
                if line.student == NOBODY and lessons.seed != self.seeds[0]:
                    continue
                rows = pd.read_csv(path, dtype=WORDS, keep_default_na=False)
                is_one = rows["source"].nunique() == 1
                facts = {"data": f"{self.name}, {split}" if is_one else rows["source"], "table": table}
                told = facts | {"label": line.label.format(base=self.budget.base), "seed": lessons.seed}
                found.append(rows.assign(**told))
        return pd.concat(found, ignore_index=True) if found else pd.DataFrame()

    def _curves(self, classes: list[Lessons]) -> pd.DataFrame:
        """Dice on held-out tiles by epoch, of each student and seed."""
        rows = []
        for lessons in classes:
            for student in self._learners:
                folder = lessons.folder(student)
                epoch = lessons.epoch / self.budget.batch
                logged = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
                told = {"data": self.name, "student": student.name, "seed": lessons.seed}
                rows += [told | {"epoch": r["step"] / epoch, "dice": r["dice"]} for r in logged if "dice" in r]
        return pd.DataFrame(rows)

    def _costs(self, lessons: Lessons) -> pd.DataFrame:
        """What each student costs, each in a process of its own, one after the other, nothing beside it."""
        rows = []
        for student in self._learners:
            path = self.out / "costs" / f"{lessons.folder(student).name}.json"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                with _processes(1) as pool:
                    found: Cost = pool.submit(cost, student, lessons).result()
                    image = pool.submit(seconds, student, lessons).result()
                told = {"image": image, "epoch": lessons.epoch, "commit": commit()}
                write_json(path, asdict(found) | told)
            rows.append({"data": self.name, "student": student.name, **read_json(path)})
        return pd.DataFrame(rows)


@dataclass(frozen=True)
class Found:
    """Rows per image of rivals and ablations, points of the curves, costs of the students; empty where not asked.

    example: a picture as all rivals see it, there where those are asked.
    """

    rivals: pd.DataFrame
    ablations: pd.DataFrame
    curves: pd.DataFrame
    costs: pd.DataFrame
    example: Path


def _processes(count: int) -> ProcessPoolExecutor:
    """Each task in a process of its own: what one leaves in memory is not the next one's."""
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1)
