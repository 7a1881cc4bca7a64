"""What of a data folder is worth keeping elsewhere: which files, copies of them at one moment, and how they come back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from sac.cases import Cases
from sac.cases.store import DATABASE as CASES_FILE
from sac.config import LIMITS

SECRET, CASES, JOBS, RUN = "secret", "cases", "jobs", "run"
DATABASE = f"{CASES}/{CASES_FILE}"
ASKED, STATUS = "job.json", "status.json"
FINISHED = ("done", "worse")
"""States of a training whose checkpoint will not change any more: others are not kept."""
ONLY_TO_GO_ON = ("state-", "embeddings.safetensors", "pause", "cancel")
"""How the names begin of what a training leaves that only a training would read."""
PATH = re.compile(rf"{SECRET}|{DATABASE}|{JOBS}/[0-9a-f]{{16}}/({ASKED}|{STATUS}|{RUN}/.+)")
WHO = "keeper"
"""File with the name by which a data folder knows its own snapshots."""
STAGE = ".keeping"
"""Folder of what is on its way."""
FORMAT = 1

Marks = dict[str, tuple[int, ...]]
"""For each file to keep, by its path: when it was changed, in nanoseconds, and its size; of the database's log, too."""


@dataclass(frozen=True)
class File:
    """What a file holds."""

    size: int
    sha256: str

    @classmethod
    def at(cls, path: Path) -> File:
        with path.open("rb") as file:
            return cls(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


@dataclass(frozen=True)
class Snapshot:
    """What was kept. by: the data folder it was taken of; at: seconds; files: by their paths in it."""

    by: str
    at: float = 0.0
    files: dict[str, File] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1, sort_keys=True).encode()

    @classmethod
    def of_bytes(cls, content: bytes) -> Snapshot:
        """Raises ValueError where it is none, or names a file that is none of a data folder's."""
        try:
            told = json.loads(content)
            files = {path: File(int(file["size"]), str(file["sha256"])) for path, file in told["files"].items()}
            made = cls(str(told["by"]), float(told["at"]), files)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("no snapshot") from error
        if told["format"] != FORMAT or not all(is_path(path) for path in files):
            raise ValueError("not a snapshot of this version")
        return made


def is_path(path: str) -> bool:
    """Whether a file of that path may come into a data folder."""
    harmless = path.isprintable() and "\\" not in path and not {"", ".", ".."} & {*path.split("/")}
    return harmless and bool(PATH.fullmatch(path))


def is_fresh(folder: Path) -> bool:
    """Whether no page ever ran on a data folder: each makes the secret, and here it comes back last."""
    return not (folder / SECRET).exists()


def keeper(folder: Path) -> str:
    """The name of a data folder, which it gets now if it has none."""
    path = folder / WHO
    if not path.exists():
        path.write_text(secrets.token_hex(8))
    return path.read_text()


def marks(folder: Path) -> Marks:
    """What is to be kept as it stands now."""
    paths = [folder / SECRET, folder / DATABASE]
    for status in sorted((folder / JOBS).glob(f"*/{STATUS}")):
        if _state(status) in FINISHED:
            run = (p for p in sorted((status.parent / RUN).rglob("*")) if p.is_file())
            paths += [status.parent / ASKED, status, *(p for p in run if not _is_left_out(p, status.parent / RUN))]
    found = {path.relative_to(folder).as_posix(): _mark(path) for path in paths}
    log = _mark(folder / f"{DATABASE}-wal")
    return {path: mark + (log if path == DATABASE else ()) for path, mark in found.items() if mark and is_path(path)}


def copied(folder: Path, paths: Iterable[str], stage: Path) -> dict[str, Path]:
    """Copies of files as they are at one moment, by their paths. What vanishes meanwhile is not among them."""
    found = {}
    for path in paths:
        copy = stage / path
        copy.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileNotFoundError):
            if path == DATABASE:
                Cases(folder / CASES).backup(copy)
            else:
                shutil.copyfile(folder / path, copy)
            found[path] = copy
    return found


def put_back(folder: Path, stage: Path) -> None:
    """Moves files from `stage` into a fresh data folder. Killed half-way, it is still fresh."""
    for job in (stage / JOBS).glob("*"):
        target = folder / JOBS / job.name
        shutil.rmtree(target, ignore_errors=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(job, target)
    if (stage / DATABASE).is_file():
        Cases(folder / CASES).restore(stage / DATABASE)
    if (stage / SECRET).is_file():
        (stage / SECRET).chmod(0o600)
        os.replace(stage / SECRET, folder / SECRET)


@contextmanager
def staged(folder: Path, size: int = 0) -> Iterator[Path]:
    """A folder for `size` bytes on their way, on the same disk. Raises OSError where there is no room for them."""
    if shutil.disk_usage(folder).free < size + LIMITS.disk_reserve:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    stage = folder / STAGE / f"{time.time_ns()}"
    stage.mkdir(parents=True, mode=0o700)
    try:
        yield stage
    finally:
        shutil.rmtree(folder / STAGE, ignore_errors=True)


def _is_left_out(path: Path, run: Path) -> bool:
    return path.suffix == ".partial" or path.relative_to(run).parts[0].startswith(ONLY_TO_GO_ON)


def _mark(path: Path) -> tuple[int, ...]:
    """Nothing where there is no such file."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return ()
    return told.st_mtime_ns, told.st_size


def _state(status: Path) -> str:
    try:
        return json.loads(status.read_text())["state"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
