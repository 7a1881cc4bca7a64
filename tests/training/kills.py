"""`PYTHONPATH=. python tests/training/kills.py [--kills 20]`: is a training that was killed the same as one that was not?

Trains `nuclei` on generated scenes, or on a data folder, twice: once undisturbed, once with its process and all that it
started killed (-9) at moments drawn by chance, every third one while a state is being written, and resumed as a user
would. Prints a table.
"""

from __future__ import annotations

import argparse
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from safetensors.numpy import load_file

from sac.hub import ADAPTER, HEAD
from training.datasets import files
from training.datasets.gather import gather
from training.datasets.sample import Sample
from training.datasets.scenes import scene
from training.jobs import OVER, Job, Jobs
from training.options import FitOptions, Task
from training.places import SET, STATE

OPTIONS = FitOptions(
    start="nuclei", steps=48, batch=1, prompts=2, hold_out=0.0, patience=0, look_every=8, save_every=4, seed=5
)
LOOK = 0.005
"""Seconds between two looks at what a training writes; a state takes some hundredths."""
LONGEST = 600
"""Seconds after which a training counts as stuck."""


@dataclass
class Killed:
    """What was done to a training. lost: steps that were done again."""

    kills: int = 0
    in_writing: int = 0
    lost: int = 0


def scenes(count: int = 4) -> Iterator[Sample]:
    for number in range(count):
        image, labels = scene(np.random.default_rng(number))
        yield Sample(f"scene-{number}", image, labels)


def started(jobs: Jobs, samples: Iterator[Sample], task: Task) -> Job:
    job = jobs.draft()
    gather(samples, job.folder / SET)
    jobs.begin(job, "me", task)
    return job


def interrupt(monkeypatch, lesson: type, at: int) -> None:
    """Every training by that lesson ends at that step, as by Control-C."""
    forward = lesson.forward

    def interrupted(self, batch, step):
        if step == at:
            raise KeyboardInterrupt
        return forward(self, batch, step)

    monkeypatch.setattr(lesson, "forward", interrupted)


def wait(what: Callable[[], bool], seconds: float = LONGEST) -> bool:
    """Whether it came true in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(LOOK)
    return False


def over(jobs: Jobs, job: Job) -> bool:
    return jobs.state(job) in OVER


def kill(jobs: Jobs) -> None:
    """Ends the worker that `jobs` started last and its children at once: it leads a group of its own."""
    os.killpg(jobs.worker.pid, signal.SIGKILL)
    jobs.worker.wait()


def kill_and_resume(jobs: Jobs, job: Job, kills: int, seed: int) -> Killed:
    """Kills a job again and again, spread over its steps, resumes it each time, and lets it come to its end."""
    rng, steps, said = np.random.default_rng(seed), job.task.options.steps, Killed()
    moments = sorted(int(n) for n in rng.integers(1, steps, kills))
    for number, step in enumerate(moments):
        if number % 3 == 2:  # the next state that is begun is never finished
            wait(lambda: is_writing(job) or over(jobs, job))
        else:
            wait(lambda step=step: is_past(job, step) or over(jobs, job))
            time.sleep(rng.uniform(0, 0.3))
        if over(jobs, job):
            break
        kill(jobs)
        said.kills += 1
        said.in_writing += is_writing(job)
        said.lost += max(0, len(job.rows()) - 1) - saved(job)
        if not wait(lambda: jobs.state(job) == "interrupted", seconds=10):
            break  # it ended at this very moment
        jobs.resume(job)
    wait(lambda: over(jobs, job))
    return said


def is_training(job: Job) -> bool:
    return job.status.get("said") == "Training"


def is_past(job: Job, step: int) -> bool:
    return is_training(job) and len(job.rows()) > step


def is_writing(job: Job) -> bool:
    """Whether a state is being written, by a process that is not dead since long."""
    try:
        written = [path.stat().st_mtime for path in job.run.glob(f"{STATE}*.partial/*")]
    except FileNotFoundError:  # just renamed
        return False
    return is_training(job) and max(written, default=0) > job.status["at"]


def saved(job: Job) -> int:
    """Steps of the newest whole state."""
    names = (p.name.removeprefix(STATE) for p in job.run.glob(f"{STATE}*"))
    return max((int(name) for name in names if name.isdecimal()), default=0)


def differing(one: Job, other: Job) -> tuple[int, int]:
    """(weights that differ in a bit, all weights) of two trainings' checkpoints."""
    count = different = 0
    for name in (ADAPTER, HEAD):
        first, second = (load_file(job.run / name) for job in (one, other))
        assert first.keys() == second.keys()
        for key, values in first.items():
            count += values.size
            different += int((values.view(np.uint16) != second[key].view(np.uint16)).sum())
    return different, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--data", type=Path, help="a data folder, instead of generated scenes")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    told = parser.parse_args()
    with TemporaryDirectory(prefix="sac-kills-") as place:
        trained = []
        for name, kills in (("whole", 0), ("killed", told.kills)):
            jobs = Jobs(Path(place) / name)
            brought = files.samples([told.data], Path(place), links=True) if told.data else scenes()
            job = started(jobs, brought, Task(OPTIONS, title=name))
            trained.append((job, kill_and_resume(jobs, job, kills, told.seed)))
            state = jobs.state(job)
            if state != "done":
                raise SystemExit(f"the training that is {name} ended as {state}: {job.status.get('said')}")
        (whole, _), (killed, said) = trained
        different, count = differing(whole, killed)
        print("| kills -9 | while a state was written | steps | steps done again | weights | that differ in a bit |")
        print("|---|---|---|---|---|---|")
        print(f"| {said.kills} | {said.in_writing} | {OPTIONS.steps} | {said.lost} | {count} | {different} |")


if __name__ == "__main__":
    main()
