"""What teaching and asking a student costs: weights, seconds, memory."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import torch

from training.baselines.methods import KNOWN
from training.baselines.subject import Subject
from training.benchmark.plan import Student
from training.benchmark.school import Lessons, built, course_of, taught
from training.benchmark.sets import raw
from training.loop import make_accelerator, run
from training.places import LOG


@dataclass(frozen=True)
class Cost:
    """What a student costs: weights that it learns, seconds a step, and the peak of memory in bytes."""

    learnt: int
    step: float
    memory: int


STEPS = 32
"""Steps of which all but the first eighth are timed; SAC's generator is not alone in any of them."""
TIMED = 6
"""Images that are timed, after one that warms up."""


def cost(student: Student, lessons: Lessons) -> Cost:
    """Of a training of a few steps, in a process of its own: its peak of memory is that of all that it did before."""
    accelerator = make_accelerator(lessons.seed)
    sac = built(student, lessons).to(accelerator.device)
    weights = sum(w.numel() for w in sac.parameters() if w.requires_grad)
    options = replace(lessons.budget.options(lessons.seed), steps=STEPS, generator_steps=0, save_every=STEPS + 1)
    with TemporaryDirectory(prefix="sac-") as place:
        run(accelerator, course_of(student, sac, lessons, options, Path(place)), resume=False)
        rows = [json.loads(line) for line in (Path(place) / LOG).read_text().splitlines()]
    at = [row["at"] for row in rows if "at" in row][STEPS // 8 :]
    return Cost(weights, (at[-1] - at[0]) / max(1, len(at) - 1), _peak())


def _peak() -> int:
    """Most bytes that the device, or without one this process, has held."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would say what the parent had held, too
        return 1024 * int(re.search(r"VmHWM:\s+(\d+)", status.read_text())[1])
    return psutil.Process().memory_info().rss


def seconds(student: Student, lessons: Lessons) -> float:
    """Seconds per image of a taught student: the mean over images that were held out."""
    sac, ground = taught(student, lessons), lessons.ground
    samples = [raw(whole, piece) for whole, piece in ground.samples("held-out", TIMED)]
    subjects = [Subject(sac, s.image, scale=ground.scale or 1.0) for s in [samples[0], *samples]]
    return statistics.mean([s.timed(KNOWN[student.asked])[1] for s in subjects][1:])
