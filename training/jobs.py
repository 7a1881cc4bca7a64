"""Trainings that outlive the tab, the page and the server: a folder and a process each, one at a time on a machine.

A job's folder holds what was asked (`job.json`), how it stands (`status.json`), its training set (`set/`) and all that
the training writes (`run/`). Who holds the lock of the jobs' folder is the one that trains: a job that says "running"
while nobody holds it was interrupted.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from sac.config import data_folder
from sac.errors import TrainingError
from training.disk import read_json, room, write_json
from training.options import Task
from training.places import CANCEL, LOG, PAUSE, SET, START

ROOT = Path(__file__).parents[1]
RUN, ASKED, STATUS, LOCK = "run", "job.json", "status.json", "lock"
BALLAST, BALLAST_BYTES = "ballast", 2**16
"""A file that goes when a job fails: on a full disk, it makes room to say so."""
NAME = re.compile(r"[0-9a-f]{16}")
OVER = ("paused", "done", "worse", "failed", "cancelled", "interrupted")
"""States in which a job has no process."""
RESUMABLE = ("paused", "cancelled", "interrupted", "failed")
STALE = 24 * 3600
"""Seconds after which a training set goes for which no training was begun."""
MOST_WAITING, MOST_EACH = 20, 4
"""Jobs that may wait at once, and those of one owner: nobody fills the queue alone."""
PATIENCE = 0.2
"""Seconds for which the lock is tried before a machine counts as busy: pages that look hold it for an instant."""
SECRET = ("TOKEN", "SECRET", "PASSWORD")
"""Parts of the names of variables that a worker does not get."""


@dataclass(frozen=True)
class Job:
    """One training. Its folder's name is as good as a key: only its owner is told."""

    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def set(self) -> Path:
        return self.folder / SET

    @property
    def run(self) -> Path:
        return self.folder / RUN

    @property
    def asked(self) -> dict[str, Any]:
        """owner, made (seconds) and the fields of its Task. Empty while only its training set is there."""
        return read_json(self.folder / ASKED)

    @property
    def task(self) -> Task:
        return Task.of(self.asked["task"])

    @property
    def status(self) -> dict[str, Any]:
        """state, said (what it is doing, or what went wrong) and at (seconds)."""
        return read_json(self.folder / STATUS)

    def tell(self, state: str, said: str = "") -> None:
        write_json(self.folder / STATUS, {"state": state, "said": said, "at": time.time()})

    def rows(self) -> list[dict[str, Any]]:
        """What was logged, a dict a step."""
        try:
            lines = (self.run / LOG).read_text().splitlines(keepends=True)
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def fail(self, said: str) -> None:
        """Tells what went wrong, on a full disk, too."""
        (self.folder / BALLAST).unlink(missing_ok=True)
        self.tell("failed", said[:1].upper() + said[1:] + ("" if said.endswith(".") else "."))

    @property
    def is_stopping(self) -> bool:
        return any((self.run / flag).exists() for flag in (PAUSE, CANCEL))

    def stop(self, how: str) -> None:
        """Asks it to pause (at a step that is saved) or to be cancelled; it hears within a step."""
        self.run.mkdir(exist_ok=True)
        (self.run / how).touch()
        if self.status.get("state") == "queued":  # should it begin at this instant, it finds the file
            self.tell("paused" if how == PAUSE else "cancelled", "It had not begun.")

    def named(self, title: str) -> None:
        """Gives it another title."""
        asked = self.asked
        asked["task"]["title"] = title
        write_json(self.folder / ASKED, asked)


class Jobs:
    """All jobs of a machine."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or data_folder() / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.worker: subprocess.Popen | None = None
        """The process that was started last from here."""
        self.called: tuple[str, float] = "", 0.0
        """The job for which it was started, and since when that waited."""

    @property
    def lock(self) -> FileLock:
        return FileLock(self.folder / LOCK, timeout=0)

    def draft(self) -> Job:
        """A job with nothing in it yet. Those that were never begun go after a day."""
        for old in self._all():
            with suppress(FileNotFoundError):  # it may be discarded meanwhile
                if not old.asked and time.time() - old.folder.stat().st_mtime > STALE:
                    shutil.rmtree(old.folder, ignore_errors=True)
        job = Job(self.folder / secrets.token_hex(8))
        job.folder.mkdir(mode=0o700)
        return job

    def begin(self, job: Job, owner: str, task: Task) -> None:
        """Puts a job whose training set is there into the queue. Raises TrainingError where that is full."""
        self._judge_queue(owner)
        with room():
            (job.folder / BALLAST).write_bytes(bytes(BALLAST_BYTES))
            task = replace(task, options=replace(task.options, start=_brought(task.options.start, job.folder / START)))
            write_json(job.folder / ASKED, {"owner": owner, "made": time.time(), "task": asdict(task)})
            job.tell("queued")
        self.start_next()

    def resume(self, job: Job) -> None:
        """Puts a job that was stopped, or died, into the queue again."""
        if self.state(job) not in RESUMABLE:
            raise TrainingError("This training cannot be resumed: it is under way, or done")
        self._judge_queue(job.asked["owner"])
        for flag in (PAUSE, CANCEL):
            (job.run / flag).unlink(missing_ok=True)
        with room():
            (job.folder / BALLAST).write_bytes(bytes(BALLAST_BYTES))
            job.tell("queued")
        self.start_next()

    def delete(self, job: Job) -> None:
        """Removes a job and all that it made. Raises TrainingError while it is under way."""
        if self.state(job) in ("running", "queued"):
            raise TrainingError("This training is under way: cancel it first")
        shutil.rmtree(job.folder)

    def discard(self, draft: Job) -> None:
        """Removes a training set for which no training was begun."""
        if not draft.asked:
            shutil.rmtree(draft.folder, ignore_errors=True)

    def find(self, id: str, owner: str) -> Job | None:
        """A job by its name, if it is that owner's."""
        if not NAME.fullmatch(id or ""):
            return None
        job = Job(self.folder / id)
        return job if job.asked and job.asked["owner"] == owner else None

    def of(self, owner: str) -> list[Job]:
        """An owner's jobs, newest first."""
        mine = [job for job in self._all() if job.asked.get("owner") == owner]
        return sorted(mine, key=lambda job: -job.asked["made"])

    def state(self, job: Job) -> str:
        """Of `OVER`, or "queued", "running"."""
        state = job.status.get("state", "interrupted")
        if state == "running" and self.is_free():
            state = job.status.get("state")  # it may have ended between the two looks
            return "interrupted" if state == "running" else state
        return state

    def ahead(self, job: Job) -> int:
        """Jobs that come before a queued one."""
        return sum(other.status["at"] < job.status["at"] for other in self._queued()) + (not self.is_free())

    def is_free(self, patience: float = 0) -> bool:
        """Whether nothing is being trained here. patience: seconds to wait for others who only look, as this does."""
        try:
            with self.lock.acquire(timeout=patience):
                return True
        except Timeout:
            return False

    def start_next(self) -> None:
        """Starts a process for the job that has waited longest, where none is under way."""
        job = self.next()
        if job is None or self._is_called(job) or not self.is_free(PATIENCE):
            return
        self.called = job.id, job.status["at"]
        command = [sys.executable, "-m", "training.worker", str(self.folder)]
        with (self.folder / "worker.log").open("ab") as log:
            self.worker = subprocess.Popen(
                command, cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip

    def _is_called(self, job: Job) -> bool:
        """Whether a process that was started for it is on its way: it takes seconds until that holds the lock."""
        is_alive = self.worker is not None and self.worker.poll() is None
        return is_alive and self.called == (job.id, job.status["at"])

    def bury(self) -> None:
        """Called by who holds the lock: whatever else says that it is running was killed."""
        for job in self._all():
            if job.status.get("state") == "running":
                (job.folder / BALLAST).unlink(missing_ok=True)
                job.tell("interrupted", "Its process was ended from outside.")

    def next(self) -> Job | None:
        """The job that has waited longest."""
        return min(self._queued(), key=lambda job: job.status["at"], default=None)

    def _queued(self) -> list[Job]:
        return [job for job in self._all() if job.status.get("state") == "queued"]

    def _judge_queue(self, owner: str) -> None:
        waiting = self._queued()
        if len(waiting) >= MOST_WAITING:
            raise TrainingError(f"{MOST_WAITING} trainings are waiting already; try again later")
        if sum(job.asked.get("owner") == owner for job in waiting) >= MOST_EACH:
            raise TrainingError(f"{MOST_EACH} of your trainings are waiting already; cancel one, or try again later")

    def _all(self) -> Iterable[Job]:
        return (Job(path) for path in list(self.folder.iterdir()) if NAME.fullmatch(path.name))


def _brought(start: str, place: Path) -> str:
    """A checkpoint's name; one in a folder is copied to `place`, as it may be deleted before the training is over."""
    if not (os.path.isabs(start) and os.path.isdir(start)):
        return start
    place.mkdir(exist_ok=True)
    for file in Path(start).iterdir():
        if file.is_file():
            shutil.copy(file, place)
    return str(place)


def _environment() -> dict[str, str]:
    """The worker's: no token, and threads that sleep while they wait, so that the page stays quick."""
    kept = {name: value for name, value in os.environ.items() if not any(part in name.upper() for part in SECRET)}
    return {**kept, "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}
