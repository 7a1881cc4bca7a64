"""The handlers of the tab that teaches. They hold nothing but the machine's jobs; who may see which, is asked anew."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sac import hub
from sac.errors import SacError, TrainingError
from sac.ui import models
from sac.ui.desk import Desk
from sac.ui.errors import shows_errors
from sac.ui.serving.guests import members_only
from sac.ui.visitor import owner_of
from training import tab_after, tab_watch
from training.datasets.gather import Survey, TrainingSet, counted
from training.estimate import estimate
from training.jobs import RESUMABLE, Job, Jobs
from training.outcome import Outcome
from training.places import CANCEL, PAUSE
from training.tab_form import LORA, task_of
from training.tab_watch import CURVES

SHOWN = 18
"""Outputs of `Teaching.show`."""
Seen = tuple[str, str, int]
"""Job, state and rows of the log that a tab shows."""


class Teaching:
    """Starts, shows and steers trainings."""

    def __init__(self, jobs: Jobs):
        self.jobs = jobs

    def arrive(self, key: str, request: gr.Request) -> tuple:
        """A page was opened: finds the visitor's trainings again."""
        return self._lists(owner_of(key, request), None)

    def offer(self, desk: Desk | None, key: str, request: gr.Request) -> tuple:
        """A checkpoint came from the Hub: it stands beside the visitor's own."""
        return self._checkpoints(owner_of(key, request), desk)

    def estimate(self, draft: Job | None, title: str, start: str, quick: bool, *values: Any) -> tuple:
        """What a training would take, or why it cannot begin, as Markdown; and the button that starts it: not before."""
        if draft is None:
            return "", gr.update(interactive=False)
        try:
            said = estimate(task_of(title, start, quick, (), values), TrainingSet(draft.set).survey).sentence
        except SacError as error:
            said = f"⚠ {error}"
        return said, gr.update(interactive=True)

    def started_from(self, start: str) -> tuple:
        """The LoRA settings of the checkpoint that was chosen to start from."""
        config = hub.config_of(models.place(start))
        return tuple(list(v) if isinstance(v := getattr(config, name), tuple) else v for name in LORA)

    @members_only
    @shows_errors
    def start(
        self, request: gr.Request, draft: Job | None, key: str, title: str, start: str, quick: bool, *values: Any
    ) -> tuple:
        """Puts a training into the queue, if it fits this machine."""
        if draft is None:
            raise TrainingError("Bring some images with their masks first")
        survey = TrainingSet(draft.set).survey
        task = task_of(title, start, quick, sources(survey), values)
        estimate(task, survey).check()
        self.jobs.begin(draft, owner_of(key, request), task)
        return None, self._choice(owner_of(key, request), draft.id), gr.update(interactive=False)

    def watch(self, chosen: str | None, seen: Seen | None, key: str, request: gr.Request) -> tuple:
        """What changed since a tab last looked."""
        self.jobs.start_next()
        job = self._job(chosen, key, request)
        if job is None or self._seen(job) == seen:
            return tuple(gr.skip() for _ in range(SHOWN))
        return self._shown(job, seen)

    def show(self, chosen: str | None, key: str, request: gr.Request) -> tuple:
        """Everything of the training that was chosen."""
        return self._shown(self._job(chosen, key, request), None)

    @shows_errors
    def pause(self, chosen: str, key: str, request: gr.Request) -> tuple:
        return self._stopped(chosen, key, request, PAUSE)

    @shows_errors
    def cancel(self, chosen: str, key: str, request: gr.Request) -> tuple:
        return self._stopped(chosen, key, request, CANCEL)

    @shows_errors
    def resume(self, chosen: str, key: str, request: gr.Request) -> tuple:
        job = self._mine(chosen, key, request)
        self.jobs.resume(job)
        return self._shown(job, None)

    @shows_errors
    def delete(self, chosen: str, desk: Desk | None, key: str, request: gr.Request) -> tuple:
        self.jobs.delete(self._mine(chosen, key, request))
        return self._lists(owner_of(key, request), desk)

    def compare(self, chosen: str, number: int | None, key: str, request: gr.Request) -> Any:
        """Another validation image under the wipe."""
        job = self._job(chosen, key, request)
        return gr.skip() if job is None or number is None else tab_watch.before_after(job, int(number))

    @shows_errors
    def use(self, chosen: str, desk: Desk | None, key: str, request: gr.Request) -> tuple:
        return tab_after.use(self._mine(chosen, key, request), self.jobs, desk, owner_of(key, request))

    @shows_errors
    def rename(self, chosen: str, name: str, desk: Desk | None, key: str, request: gr.Request) -> tuple:
        tab_after.rename(self._mine(chosen, key, request), self.jobs, name)
        return self._lists(owner_of(key, request), desk, chosen)

    @members_only
    @shows_errors
    def push(self, chosen: str, name: str, token: str, private: bool, key: str, request: gr.Request) -> tuple[str, str]:
        """Sends a checkpoint to the Hub; the token leaves the page at once."""
        return "", tab_after.publish(self._mine(chosen, key, request), self.jobs, name, token, private)

    def _job(self, chosen: str | None, key: str, request: gr.Request) -> Job | None:
        return self.jobs.find(chosen, owner_of(key, request)) if chosen else None

    def _mine(self, chosen: str | None, key: str, request: gr.Request) -> Job:
        job = self._job(chosen, key, request)
        if job is None:
            raise TrainingError("This training is no longer here; choose another")
        return job

    def _stopped(self, chosen: str, key: str, request: gr.Request, how: str) -> tuple:
        job = self._mine(chosen, key, request)
        job.stop(how)
        return self._shown(job, None)

    def _lists(self, owner: str, desk: Desk | None, chosen: str | None = None) -> tuple:
        """A visitor's trainings, and the checkpoints to start from and to segment with."""
        return self._choice(owner, chosen), *self._checkpoints(owner, desk)

    def _checkpoints(self, owner: str, desk: Desk | None) -> tuple[dict, dict]:
        """Those to start from and to segment with: a visitor's own, and those that came from the Hub."""
        brought = desk.models if desk else []
        offered = gr.update(choices=models.choices([*tab_after.finished(self.jobs, owner), *brought]))
        return offered, offered

    def _choice(self, owner: str, chosen: str | None = None) -> dict:
        mine = self.jobs.of(owner)
        names = [(job.task.title, job.id) for job in mine]
        return gr.update(choices=names, value=chosen or (mine[0].id if mine else None))

    def _seen(self, job: Job) -> Seen:
        return job.id, self.jobs.state(job) + str(job.status.get("at")), len(job.rows())

    def _shown(self, job: Job | None, seen: Seen | None) -> tuple:
        """The outputs, from `seen` to the group with what came of it; `seen`: what the tab shows already."""
        if job is None:
            return None, tab_watch.status(None, self.jobs), *_nothing(), *_after()
        rows, state = job.rows(), self.jobs.state(job)
        pictures, curves = tab_watch.tiles(job), tab_watch.curves(rows)
        return (
            self._seen(job),
            tab_watch.status(job, self.jobs),
            *(gr.update(interactive=on) for on in _steering(state)),
            gr.update(visible=curves[0] is not None),
            *curves,
            gr.update(visible=bool(pictures)),
            pictures,
            tab_watch.log(rows),
            *(_after(job, self.jobs) if seen is None or seen[:2] != self._seen(job)[:2] else [gr.skip()] * 5),
        )


def sources(survey: Survey) -> tuple[str, ...]:
    """What a card says of the data: names on the Hub, but not those of a visitor's own files."""
    own = sum("/" not in f.source for f in survey.facts)
    named = dict.fromkeys(f.source for f in survey.facts if "/" in f.source)
    return *named, *([f"{counted(own)} of one's own"] if own else [])


def _nothing() -> tuple:
    """Buttons, curves, tiles and log where there is no training."""
    hidden = gr.update(visible=False)
    return *[gr.update(interactive=False)] * 4, hidden, *[None] * len(CURVES), hidden, None, ""


def _steering(state: str) -> tuple[bool, bool, bool, bool]:
    """Whether one can pause, resume, cancel and delete."""
    under_way = state in ("queued", "running")
    return under_way, state in RESUMABLE, under_way, not under_way


def _after(job: Job | None = None, jobs: Jobs | None = None) -> tuple:
    """The group that shows what came of a training: itself, words, images, wipe and file."""
    if job is None or jobs.state(job) not in tab_after.FINISHED:
        return gr.update(visible=False), "", gr.update(choices=[], value=None), None, None
    outcome = Outcome.read(job.run)
    names = [(image.name, number) for number, image in enumerate(outcome.images)] if outcome else []
    return (
        gr.update(visible=True),
        tab_watch.outcome_words(outcome),
        gr.update(choices=names, value=0 if names else None, visible=len(names) > 1),
        gr.update(value=tab_watch.before_after(job, 0) if names else None, visible=bool(names)),
        tab_after.download(job, jobs),
    )
