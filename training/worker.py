"""`python -m training.worker FOLDER`: the process that carries out one job, then starts the next."""

from __future__ import annotations

import logging
import os
import re
import shutil
import sys
from pathlib import Path

from filelock import Timeout

from sac.errors import SacError
from training.disk import room
from training.jobs import Job, Jobs
from training.places import EMBEDDINGS, STATE

NICE = 10
"""Whoever segments meanwhile comes first."""
PATIENCE = 3
"""Seconds to wait for the lock: pages that look whether it is free hold it for an instant."""
STATES = {"pause": "paused", "cancel": "cancelled", "done": "done", "enough": "done"}
SAID = {
    "pause": "It goes on from here when you resume it.",
    "cancel": "It can go on from its last saved state.",
    "done": "All steps are done.",
    "enough": "It ended early: nothing was gained any more.",
}
FULL = "There is not enough memory: take a smaller batch, or the quick mode."
NO_MEMORY = re.compile("(not enough|out of) memory", re.IGNORECASE)
"""As torch says it, with no error of its own."""
BUG = "Something unforeseen went wrong; the server's log says more. It can be resumed."


def work(folder: Path) -> None:
    """Trains the job that has waited longest, if no other process does."""
    jobs = Jobs(folder)
    try:
        with jobs.lock.acquire(timeout=PATIENCE):
            jobs.bury()
            job = jobs.next()
            if job is None:
                return
            if hasattr(os, "nice"):
                os.nice(max(0, NICE - os.nice(0)))  # whoever started this process may be as nice already
            _train(job)
    except Timeout:
        return
    jobs.start_next()


def _train(job: Job) -> None:
    """Carries a job out; whatever happens, its status says so."""
    try:
        with room():
            job.tell("running", "Starting")
            _carry_out(job)
    except SacError as error:
        job.fail(str(error))
    except Exception as error:
        logging.getLogger(__name__).exception("job %s", job.id)
        job.fail(FULL if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)) else BUG)


def _carry_out(job: Job) -> None:
    from training.datasets.gather import TrainingSet  # seconds, for which the lock is held already
    from training.fit import fit

    fitted = fit(job.run, TrainingSet(job.set), job.task, resume=True, told=lambda said: job.tell("running", said))
    worse = fitted.outcome is not None and fitted.outcome.is_worse
    job.tell("worse" if worse else STATES[fitted.verdict], SAID[fitted.verdict])
    tidy(job.run, fitted.verdict)  # afterwards: killed in between, it would begin anew


def tidy(run: Path, verdict: str) -> None:
    """Removes what only a training that goes on needs, once it is over."""
    if STATES[verdict] == "done":
        for state in run.glob(f"{STATE}*"):
            shutil.rmtree(state, ignore_errors=True)
        (run / EMBEDDINGS).unlink(missing_ok=True)


if __name__ == "__main__":
    work(Path(sys.argv[1]))
