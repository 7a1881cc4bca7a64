"""Trainings in processes of their own: a queue, owners, stops, deaths, and a word for whatever goes wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from kills import differing, kill, kill_and_resume, over, scenes, started, wait

from sac import hub
from sac.errors import OptionError, TrainingError
from training.augment import Zoom
from training.datasets.gather import gather
from training.disk import FULL, read_json, write_json
from training.exam import Exam, Marks
from training.examiner import Examiner
from training.jobs import BALLAST, MOST_EACH, MOST_WAITING, STALE, Job, Jobs, _environment
from training.options import FitOptions, Task
from training.places import SET, START
from training.worker import BUG, _train

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"generator_widths": (8, 16), "rank": 2}
LEAST = FitOptions(steps=2, batch=1, prompts=2, hold_out=0.0, generator_steps=2, look_every=100, save_every=1)
SHORT = Task(LEAST, SMALL, "short")
LONG = Task(replace(LEAST, steps=2000, generator_steps=2000), SMALL, "long")
"""Never comes to its end within these tests."""
GONE = Task(replace(LEAST, start="/no/such/folder"), {}, "gone")
"""Fails as soon as it begins."""


@pytest.fixture
def jobs(tmp_path):
    """A machine's jobs; what still runs at the end is killed."""
    jobs = Jobs(tmp_path / "jobs")
    yield jobs
    if jobs.worker and jobs.worker.poll() is None:
        kill(jobs)


@pytest.fixture
def idle(tmp_path, monkeypatch):
    """Jobs on a machine that starts none."""
    monkeypatch.setattr(Jobs, "start_next", lambda self: None)
    return Jobs(tmp_path / "jobs")


def waiting(jobs: Jobs, owner: str = "me", task: Task = SHORT) -> Job:
    job = jobs.draft()
    gather(scenes(1), job.folder / SET)
    jobs.begin(job, owner, task)
    return job


# the queue


def test_one_job_at_a_time_and_the_next_starts_by_itself(jobs):
    first, second = started(jobs, scenes(1), LONG), started(jobs, scenes(1), GONE)
    assert wait(lambda: len(first.rows()) > 2), first.status
    assert (jobs.state(first), jobs.state(second)) == ("running", "queued")
    assert (jobs.ahead(second), second.rows()) == (1, [])
    first.stop("pause")
    assert wait(lambda: second.status["state"] == "failed")  # asks the file alone: nothing here could start it
    assert jobs.state(first) == "paused"
    assert first.status["at"] < second.status["at"]
    assert second.status["said"] == "The checkpoint that this training starts from is no longer here."


def test_those_who_look_do_not_start_a_crowd(jobs):
    started(jobs, scenes(1), GONE)
    worker = jobs.worker
    for _ in range(20):
        jobs.start_next()
    assert jobs.worker is worker


def test_a_start_is_not_missed_because_someone_looks(jobs):
    """Who looks whether a machine is free holds its lock for an instant."""
    job, looks = jobs.draft(), threading.Event()
    gather(scenes(1), job.folder / SET)

    def look() -> None:
        with jobs.lock:
            looks.set()
            time.sleep(0.1)

    threading.Thread(target=look).start()
    looks.wait()
    jobs.begin(job, "me", GONE)
    assert jobs.worker is not None


def test_a_worker_that_only_ends_is_no_reason_to_wait(jobs):
    """It has looked for the last time, but its process is still there."""
    job = jobs.draft()
    gather(scenes(1), job.folder / SET)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as ending:
        jobs.worker = ending
        jobs.begin(job, "me", GONE)
        ending.kill()
    assert jobs.worker is not ending


def test_first_come_first_served(idle):
    first, second, third = (waiting(idle) for _ in range(3))
    assert [idle.next().id, idle.ahead(first), idle.ahead(second), idle.ahead(third)] == [first.id, 0, 1, 2]
    first.stop("pause")
    assert idle.next().id == second.id
    idle.resume(first)
    assert [idle.ahead(first), idle.ahead(second)] == [2, 0]


def test_the_queue_has_an_end(idle):
    for _ in range(MOST_WAITING):
        folder = idle.draft().folder
        write_json(folder / "status.json", {"state": "queued", "said": "", "at": 0})
    with pytest.raises(TrainingError, match="20 trainings are waiting already"):
        waiting(idle)


def test_nobody_fills_the_queue_alone(idle):
    for _ in range(MOST_EACH):
        write_json(waiting(idle).folder / "status.json", {"state": "queued", "said": "", "at": 0})
    with pytest.raises(TrainingError, match="4 of your trainings are waiting already"):
        waiting(idle)
    assert len(idle.of("me")) == MOST_EACH


# owners


def test_jobs_are_their_owners_alone(idle):
    mine, also_mine, theirs = waiting(idle, "me"), waiting(idle, "me"), waiting(idle, "you")
    assert [job.id for job in idle.of("me")] == [also_mine.id, mine.id]
    assert [job.id for job in idle.of("you")] == [theirs.id]
    assert idle.of("nobody") == []
    assert idle.find(mine.id, "me") == mine
    assert idle.find(mine.id, "you") is None
    assert theirs.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("id", ["", None, ".", "..", "0" * 16, "../jobs", "lock", "/etc"])
def test_what_is_no_jobs_name_finds_nothing(idle, id):
    waiting(idle)
    assert idle.find(id, "me") is None


def test_a_draft_is_nobodys(idle):
    draft = idle.draft()
    assert [idle.find(draft.id, owner) for owner in ("me", "", None)] == [None] * 3


# stops


def test_a_job_that_waits_is_stopped_at_once_and_goes_on(idle):
    job = waiting(idle)
    for how, state in (("pause", "paused"), ("cancel", "cancelled")):
        job.stop(how)
        assert (idle.state(job), idle.next()) == (state, None)
        idle.resume(job)
        assert (idle.state(job), idle.next(), job.is_stopping) == ("queued", job, False)


def test_a_job_under_way_is_neither_deleted_nor_resumed(idle):
    job = waiting(idle)
    with pytest.raises(TrainingError, match="under way: cancel it first"):
        idle.delete(job)
    with pytest.raises(TrainingError, match="cannot be resumed"):
        idle.resume(job)
    job.stop("cancel")
    idle.delete(job)
    assert not job.folder.exists() and idle.of("me") == []


def test_paused_cancelled_and_killed_come_to_the_same_weights(jobs):
    """Bit for bit, as one that was left in peace."""
    task = replace(SHORT, options=replace(LEAST, steps=24, generator_steps=20, save_every=4))
    whole = started(jobs, scenes(2), task)
    assert wait(lambda: over(jobs, whole)) and jobs.state(whole) == "done"
    assert [row["step"] for row in whole.rows()] == list(range(25))
    assert wait(lambda: not list(whole.run.glob("state-*")), seconds=10)
    with pytest.raises(TrainingError, match="cannot be resumed"):
        jobs.resume(whole)

    job = started(jobs, scenes(2), task)
    for how, state in (("pause", "paused"), ("cancel", "cancelled")):
        done = len(job.rows())
        assert wait(lambda done=done: len(job.rows()) > done + 2)
        job.stop(how)
        assert wait(lambda: over(jobs, job)) and jobs.state(job) == state
        if how == "pause":
            assert (job.run / f"state-{len(job.rows()) - 1}").is_dir()
        jobs.resume(job)
    said = kill_and_resume(jobs, job, kills=2, seed=1)
    assert (said.kills, jobs.state(job)) == (2, "done")
    assert [row["step"] for row in job.rows()] == list(range(25))
    different, count = differing(whole, job)
    assert different == 0 and count > 500_000
    assert hub.load(str(job.run)).config.provenance["title"] == "short"


CHILD = """
import sys
from kills import started, scenes
from test_jobs import Jobs, Path, SHORT
print(started(Jobs(Path(sys.argv[1])), scenes(1), SHORT).id)
"""


def test_a_job_outlives_whoever_began_it(jobs):
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)])}
    command = [sys.executable, "-c", CHILD, str(jobs.folder)]
    begun = subprocess.run(
        command, env={**os.environ, **paths}, capture_output=True, text=True, timeout=200, check=False
    )
    assert begun.returncode == 0, begun.stderr
    job = jobs.find(begun.stdout.strip(), "me")
    assert jobs.state(job) in ("queued", "running")
    assert wait(lambda: job.status["state"] == "done")


# deaths


def test_who_died_is_interrupted_although_another_trains(jobs):
    dead = started(jobs, scenes(1), LONG)
    assert wait(lambda: dead.status["state"] == "running")
    os.kill(jobs.worker.pid, signal.SIGSTOP)
    assert jobs.state(dead) == "running"
    kill(jobs)
    assert wait(lambda: jobs.state(dead) == "interrupted", seconds=5)
    other = started(jobs, scenes(1), LONG)
    assert wait(lambda: other.status["state"] == "running")
    assert jobs.state(dead) == "interrupted"
    jobs.delete(dead)
    assert jobs.of("me") == [other]


def test_a_job_that_was_never_put_into_the_queue_can_go(idle):
    """The disk was full, or the power went, between its two files."""
    job = waiting(idle)
    (job.folder / "status.json").unlink()
    assert idle.state(job) == "interrupted"
    idle.resume(job)
    assert idle.state(job) == "queued"


def test_an_examiner_goes_on_with_exactly_what_it_knew(tmp_path):
    """Marks that came back rounded could turn a tie into a gain, and so keep other weights."""
    third = Marks(1 / 3, 1 / 3, 1 / 3)
    exams = {name: Exam([], Zoom(24.0), 256, 0) for name in ("training", "validation")}
    knew, new = (Examiner(exams, LEAST, tmp_path) for _ in range(2))
    knew.marks = {"training": [None], "validation": [third, None]}
    knew.best, knew.idle, knew.weights = 1 / 3, 2, {"w": torch.tensor([0.1])}
    torch.save(knew.state_dict(), tmp_path / "state")
    new.load_state_dict(torch.load(tmp_path / "state"))
    assert (new.marks, new.best, new.idle) == ({"training": [None], "validation": [third, None]}, 1 / 3, 2)
    assert torch.equal(new.weights["w"], torch.tensor([0.1]))


# drafts


def test_drafts_go_after_a_day_and_jobs_stay(idle):
    old, young, begun = idle.draft(), idle.draft(), waiting(idle)
    for job, age in ((old, STALE + 60), (young, STALE - 60), (begun, STALE + 60)):
        then = job.folder.stat().st_mtime - age
        os.utime(job.folder, (then, then))
    idle.draft()
    assert [job.folder.exists() for job in (old, young, begun)] == [False, True, True]


def test_only_a_draft_is_discarded(idle):
    draft, begun = idle.draft(), waiting(idle)
    for job in (draft, begun):
        idle.discard(job)
    assert [job.folder.exists() for job in (draft, begun)] == [False, True]


# failures, in words


def test_too_large_a_learning_rate_cannot_be_asked_for():
    with pytest.raises(OptionError, match=r"learning rate 1.0 is outside 1e-07 to 0.1"):
        FitOptions(learning_rate=1.0)


def told(job: Job) -> tuple[str, str]:
    _train(job)
    return job.status["state"], job.status["said"]


def test_a_job_that_asks_for_too_much_says_so(idle):
    job = waiting(idle)
    asked = read_json(job.folder / "job.json")
    asked["task"]["options"]["learning_rate"] = 1.0
    write_json(job.folder / "job.json", asked)
    assert told(job) == ("failed", "Learning rate 1.0 is outside 1e-07 to 0.1.")
    assert idle.state(job) == "failed"


@pytest.mark.usefixtures("no_trace")
def test_a_checkpoint_that_cannot_be_so_changed_says_so(idle):
    job = waiting(idle, task=Task(replace(LEAST, start="nuclei"), {"tile": 512}))
    state, said = told(job)
    assert state == "failed" and said.startswith("Tile of a checkpoint cannot be changed")


def test_a_job_takes_the_checkpoint_that_it_starts_from_along(idle, tmp_path):
    """Whoever deletes that takes nothing away from it."""
    own = shutil.copytree(hub.folder_of("nuclei"), tmp_path / "own")
    job = waiting(idle, task=Task(replace(LEAST, start=str(own)), {}, "second"))
    shutil.rmtree(own)
    assert job.task.options.start == str(job.folder / START)
    assert hub.load(job.task.options.start).config == hub.config_of("nuclei")
    named = waiting(idle, task=Task(replace(LEAST, start="nuclei"), {}, "third"))
    assert named.task.options.start == "nuclei" and not (named.folder / START).exists()


def test_a_disk_that_is_full_when_its_turn_comes_is_said(idle, monkeypatch):
    """Or it would wait for ever, and all behind it."""
    job, flush = waiting(idle), os.fsync

    def full(handle: int) -> None:
        if (job.folder / BALLAST).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert told(job) == ("failed", FULL[0].upper() + FULL[1:] + ".")


@pytest.mark.usefixtures("no_trace")
def test_a_full_disk_is_said_and_the_job_goes_on(idle, monkeypatch):
    """Nothing can be flushed any more, from the first state on, until the ballast goes."""
    job, flush = waiting(idle), os.fsync

    def full(handle: int) -> None:
        if (job.folder / BALLAST).exists() and list(job.run.glob("state-*.partial")):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        flush(handle)

    monkeypatch.setattr(os, "fsync", full)
    assert told(job) == ("failed", FULL[0].upper() + FULL[1:] + ".")
    idle.resume(job)
    assert (job.folder / BALLAST).stat().st_size > 0  # the next time, too
    assert idle.state(job) == "queued"


@pytest.mark.usefixtures("no_trace")
def test_a_bug_is_no_riddle_to_the_user(idle, caplog):
    job = waiting(idle)
    (job.set / "samples.arrow").write_bytes(b"")
    assert told(job) == ("failed", BUG)
    assert job.id in caplog.text


# the process


def test_no_secret_goes_to_the_worker(monkeypatch):
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "hf_token", "OAUTH_CLIENT_SECRET", "MY_PASSWORD"):
        monkeypatch.setenv(name, "hf_" + "x" * 30)
    given = _environment()
    assert "x" * 30 not in " ".join(given.values())
    assert given["HF_HUB_DISABLE_IMPLICIT_TOKEN"] == "1"
    assert given["PATH"] == os.environ["PATH"]


def test_a_status_is_never_half_written(idle):
    """Two write, one reads: it sees what either wrote, whole."""
    job, ends, wrong = idle.draft(), threading.Event(), []
    words = {"running": "a" * 20_000, "queued": "b" * 10}
    job.tell("running", words["running"])

    def write(state: str) -> None:
        try:
            while not ends.is_set():
                job.tell(state, words[state])
        except OSError as error:
            wrong.append(error)

    writers = [threading.Thread(target=write, args=[state]) for state in words]
    for writer in writers:
        writer.start()
    for _ in range(500):
        status = job.status
        assert status["said"] == words[status["state"]]
    ends.set()
    for writer in writers:
        writer.join()
    assert wrong == [] and [p.name for p in job.folder.iterdir()] == ["status.json"]


def test_what_cannot_be_written_leaves_what_was_there(tmp_path):
    write_json(tmp_path / "a.json", {"x": 1})
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert json.loads((tmp_path / "a.json").read_text()) == {"x": 1}
    assert len(list(tmp_path.iterdir())) == 1


def test_a_task_comes_back_from_its_json(idle):
    task = Task(replace(LEAST, start="nuclei"), {"rank": 8}, "title", ("a", "b"), "command")
    job = waiting(idle, task=task)
    assert job.task == task
    job.named("another")
    assert job.task == replace(task, title="another") and job.asked["owner"] == "me"
    assert asdict(job.task)["options"]["steps"] == 2
