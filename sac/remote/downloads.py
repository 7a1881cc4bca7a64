"""Files of a repository on the Hub, checked against what the Hub says of them before anything reads them.

They lie where the Hub's own client keeps them and finds them again: `blobs/` by digest, `snapshots/COMMIT/` as links,
`refs/` from revisions to commits. The client's own download is not used: it tries for minutes where nothing comes, keeps
whatever came, and takes more than the Hub had said.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout
from httpx2 import TransportError
from huggingface_hub import HfApi, constants, get_session, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status, validate_repo_id

from sac.errors import CheckpointError
from sac.remote.patience import TICK, Meter, patiently
from sac.remote.promised import Promised
from sac.remote.repository import NAME, asked, gated, passes

REVISION = re.compile(r"(?!.*(\.\.|//))\w[\w./-]{0,250}(?<![/.])")
COMMIT = re.compile(r"[0-9a-f]{40}")
LATEST = "main"

Progress = Callable[[float, str], None]
"""Hears which share is done, 0 to 1, and what is being done."""


def silent(share: float, words: str) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Pinned:
    """A repository at one commit."""

    repository: str
    commit: str

    def __str__(self) -> str:
        return f"{self.repository}@{self.commit}"

    @property
    def folder(self) -> Path:
        """Where its files are found, whether they are there or not."""
        return _kept(self.repository) / "snapshots" / self.commit

    def holds(self, files: Mapping[str, int]) -> bool:
        return all((self.folder / file).is_file() for file in files)

    def is_sound(self, files: Mapping[str, int]) -> bool:
        """Whether all the files are here and what their digests say: a cache may be of another program's making."""
        return all(Promised.by_place(self.folder / file) for file in files)


def is_name(name: str) -> bool:
    """Whether `name` has the form owner/name or owner/name@revision."""
    repository, at, revision = name.partition("@")
    return bool(NAME.fullmatch(repository)) and (bool(REVISION.fullmatch(revision)) if at else True)


def at_hand(name: str, files: Mapping[str, int]) -> Pinned | None:
    """The files of owner/name or owner/name@revision as they were last fetched; None where one is missing."""
    repository, _, revision = name.partition("@")
    if not is_name(name):
        return None
    if not COMMIT.fullmatch(revision):
        try:
            revision = (_kept(repository) / "refs" / (revision or LATEST)).read_text().strip()
        except (OSError, ValueError):
            return None
    pinned = Pinned(repository, revision)
    return pinned if COMMIT.fullmatch(revision) and pinned.holds(files) else None


def fetch(name: str, files: Mapping[str, int], progress: Progress = silent) -> Pinned:
    """The files (name -> most bytes) of owner/name or owner/name@revision, all here and as the Hub describes them.

    One that names a commit whose files are here is not asked for; where the Hub does not answer, what was fetched
    before serves. Raises CheckpointError in one plain sentence, within seconds of silence.
    """
    repository, _, revision = name.partition("@")
    asked(name, lambda: validate_repo_id(repository))
    here = at_hand(name, files)
    if here and COMMIT.fullmatch(revision) and here.is_sound(files):
        return here
    progress(0.0, f"Asking the Hub for {name}")
    try:
        info = asked(name, lambda: patiently(lambda meter: _info(repository, revision)))
    except CheckpointError as error:
        if here and passes(error.__cause__) and here.is_sound(files):
            return here
        raise
    if info.gated:
        raise CheckpointError(gated(name))
    pinned = Pinned(repository, info.sha)
    _bring_all(name, pinned, [_promised(name, info, file, most) for file, most in files.items()], progress)
    if revision != info.sha:
        _remember(pinned, revision or LATEST)
    return pinned


def _info(repository: str, revision: str) -> ModelInfo:
    """What the Hub says of a repository. Raises ValueError where it is no such description.

    No token: the server's own must not open what a visitor names. So it does no harm that the Hub sends those who ask
    on to other hosts, as it does for large files.
    """
    try:
        info = HfApi(token=False).model_info(repository, revision=revision or None, files_metadata=True)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError("not a description of a repository") from error
    if not isinstance(info.sha, str) or not COMMIT.fullmatch(info.sha):
        raise ValueError("a repository without a commit")
    if COMMIT.fullmatch(revision) and info.sha != revision:
        raise ValueError("another commit than was asked for")
    return info


def _promised(name: str, info: ModelInfo, file: str, most: int) -> Promised:
    """What the Hub says of a file. Raises CheckpointError where there is none, or it is too large."""
    found = next((sibling for sibling in info.siblings or () if sibling.rfilename == file), None)
    if found is None:
        raise CheckpointError(f"{name} holds no {file}: it is not what is needed here")
    size, digest = (found.lfs.size, found.lfs.sha256) if found.lfs else (found.size, found.blob_id)
    promised = Promised(file, size, digest)
    if not promised.is_complete:
        raise CheckpointError(f"{name}: the Hub does not say which size and digest {file} has")
    if size > most:
        raise CheckpointError(f"{name}: {file} has {size / 2**20:.1f} MB; at most {most >> 20} are accepted")
    return promised


def _bring_all(name: str, pinned: Pinned, files: list[Promised], progress: Progress) -> None:
    lacking = [file for file in files if not file.is_at(pinned.folder / file.path)]
    total, done = max(1, sum(file.size for file in lacking)), 0
    asked(name, lambda: _make_room(pinned, total))
    for file in lacking:
        _bring_checked(name, pinned, file, partial(_tell, progress, name, total, done))
        done += file.size
    progress(1.0, f"{name} is here")


def _tell(progress: Progress, name: str, total: int, done: int, count: int) -> None:
    have, all_of_it = (done + count) / 2**20, total / 2**20
    progress(min(1.0, have / all_of_it), f"Fetching {name}: {have:.0f} of {all_of_it:.0f} MB")


def _bring_checked(name: str, pinned: Pinned, file: Promised, watch: Callable[[int], None]) -> None:
    wrong = asked(name, lambda: patiently(lambda meter: _bring(pinned, file, meter), watch))
    if wrong:
        raise CheckpointError(f"{name}: {wrong}")


def _make_room(pinned: Pinned, size: int) -> None:
    (_kept(pinned.repository) / "blobs").mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(_kept(pinned.repository)).free < size:
        raise OSError(errno.ENOSPC, "no room")


def _bring(pinned: Pinned, file: Promised, meter: Meter) -> str:
    """Fetches one file, unless it lies here under another commit. Returns what is wrong with what came, "" if nothing."""
    blob = _kept(pinned.repository) / "blobs" / file.digest
    part = blob.with_name(f"{blob.name}.incomplete")
    with _alone(blob, part, file.size, meter):
        with meter.here():
            is_there = file.is_at(blob)
        if not is_there:
            _stream(hf_hub_url(pinned.repository, file.path, revision=pinned.commit), file, part, meter)
        with meter.here():
            if not is_there and (wrong := _settled(file, part, blob)):
                return wrong
            _link(blob, pinned.folder / file.path)
    return ""


def _settled(file: Promised, part: Path, blob: Path) -> str:
    """Lets what came reach the disk, and its place, where it is what was promised. Returns what is wrong with it."""
    with part.open("ab") as written:
        os.fsync(written.fileno())
    if wrong := file.wrong_with(part):
        part.unlink()
        return wrong
    os.replace(part, blob)
    return ""


@contextmanager
def _alone(blob: Path, part: Path, size: int, meter: Meter):
    """Waits while another thread or process fetches the same file; what that gets counts as news, until it has all."""
    folder = Path(constants.HF_HUB_CACHE) / ".locks" / blob.parent.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / f"{blob.name}.lock")
    while not meter.given_up:
        try:
            with lock.acquire(timeout=TICK):
                meter.is_here = False
                yield
                return
        except Timeout:
            meter.bytes = part.stat().st_size if part.exists() else 0
            meter.is_here = meter.bytes >= size
    raise InterruptedError("given up")


def _stream(url: str, file: Promised, part: Path, meter: Meter) -> None:
    """Writes a file's bytes to `part`, from where an earlier try ended; a connection that breaks is taken up again."""
    with part.open("ab") as written:
        if written.tell() > file.size:
            _empty(written)
        best = -1
        while best < written.tell() < file.size:  # a try that brings nothing new is the last
            best = written.tell()
            try:
                _once(url, file, written, meter)
            except TransportError:
                if written.tell() <= best:
                    raise
            except HfHubHTTPError as error:
                if error.response.status_code != 416:  # nothing there: the file is shorter than was said
                    raise


def _once(url: str, file: Promised, written, meter: Meter) -> None:
    headers = {**build_hf_headers(token=False), "Accept-Encoding": "identity"}
    if written.tell():
        headers["Range"] = f"bytes={written.tell()}-"
    with get_session().stream("GET", url, headers=headers) as answer:
        hf_raise_for_status(answer)
        if answer.status_code != 206:
            _empty(written)
        for piece in answer.iter_bytes():
            written.write(piece)
            meter.bytes = written.tell()
            if meter.given_up:
                raise InterruptedError("given up")
            if meter.bytes > file.size:
                return


def _empty(written) -> None:
    written.seek(0)
    written.truncate()


def _link(blob: Path, place: Path) -> None:
    """Makes `place` show a blob; a copy where the file system has no links."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    beside.unlink(missing_ok=True)
    try:
        beside.symlink_to(os.path.relpath(blob, place.parent))
    except (OSError, NotImplementedError):
        shutil.copyfile(blob, beside)
    os.replace(beside, place)


def _remember(pinned: Pinned, revision: str) -> None:
    """Which commit a revision was: a convenience for when the Hub does not answer."""
    place = _kept(pinned.repository) / "refs" / revision
    with suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(pinned.commit)


def _kept(repository: str) -> Path:
    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model")
