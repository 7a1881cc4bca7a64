"""What a visitor does with a checkpoint that was trained here: use it, name it, take it away, send it to the Hub."""

from __future__ import annotations

import io
import json
import zipfile

import gradio as gr

from sac import hub
from sac.config import SACConfig
from sac.errors import TrainingError
from sac.export import safe_stem
from sac.publish import push
from sac.ui import models
from sac.ui.desk import Desk
from sac.ui.opening import FIRST
from sac.ui.served import served
from training.cards import sac_card
from training.disk import write_json
from training.jobs import Job, Jobs

FINISHED = ("done", "worse")


def finished(jobs: Jobs, owner: str) -> list[str]:
    """An owner's checkpoints that the page offers: those that did not get worse."""
    return [job.id for job in jobs.of(owner) if jobs.state(job) == "done"]


def use(job: Job, jobs: Jobs, desk: Desk | None, owner: str) -> tuple[Desk, dict, dict]:
    """Chooses it under Segment and goes there. Returns the desk, the choice of the checkpoint, and the tab."""
    _whole(job, jobs)
    desk = desk or Desk()
    desk.picked = True
    offered = models.choices([job.id, *finished(jobs, owner), *desk.models])
    return desk, gr.update(choices=offered, value=job.id), gr.update(selected=FIRST)


def rename(job: Job, jobs: Jobs, title: str) -> None:
    """Gives it another name, which its files and its card say."""
    _whole(job, jobs)
    title = " ".join((title or "").split())[:60]
    if not title:
        raise TrainingError("A name is needed")
    path = job.run / hub.CONFIG
    stored = json.loads(path.read_text())
    stored["provenance"]["title"] = title
    write_json(path, stored)
    (job.run / hub.CARD).write_text(sac_card(title, SACConfig.from_json(stored)), encoding="utf-8")
    job.named(title)


def download(job: Job, jobs: Jobs) -> str:
    """A zip of the checkpoint's files, in the folder that the page serves."""
    _whole(job, jobs)
    stream, stem = io.BytesIO(), safe_stem(job.task.title)
    with zipfile.ZipFile(stream, "w") as archive:
        for name in hub.FILES:
            archive.write(job.run / name, f"{stem}/{name}")
    return served(stream.getvalue(), f"{stem}.zip")


def publish(job: Job, jobs: Jobs, name: str, token: str, private: bool) -> str:
    """Sends it to the Hub with the visitor's own token. Returns what to tell."""
    _whole(job, jobs)
    if not (token or "").strip():
        raise TrainingError("Your own token with the right to write is needed; it is not kept")
    return f"It is at {push(job.run, (name or '').strip(), token.strip(), private)}"


def _whole(job: Job, jobs: Jobs) -> None:
    if jobs.state(job) not in FINISHED:
        raise TrainingError("This training has no checkpoint yet")
