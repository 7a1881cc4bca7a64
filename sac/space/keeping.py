"""What a restart would lose is kept in a private data set of the owner's on the Hub, and comes back from there."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

from huggingface_hub import CommitInfo, CommitScheduler, HfApi, RepoUrl, get_session, get_token, hf_hub_url
from huggingface_hub.hf_api import DatasetInfo
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from sac.config import data_folder
from sac.errors import HubError, SacError
from sac.remote.patience import Meter, patiently
from sac.remote.uploading import CLIENTS, commit, judge, refused, sent, status_of
from sac.space.snapshot import File, Snapshot, copied, is_fresh, keeper, marks, put_back, staged

EVERY = 5
"""Minutes between two snapshots."""
LIST = "kept.json"
"""What lies in the data set, and whose it is."""
LIST_BYTES = 16 * 2**20
OFF, ON, UNFETCHED, OVERTAKEN = "off", "on", "unfetched", "overtaken"
"""Nothing is kept; all goes well; the Hub did not give what is kept; another page writes to the same data set."""

T = TypeVar("T")
LOG = logging.getLogger(__name__)


def begun(told: str) -> Keeping:
    """Keeping in the data set that SAC_KEEP names, "" for none: what is there comes back to an empty data folder.

    To be called before anything else uses that. Raises HubError where nothing could be kept: no token, one that may not
    write there, a public data set, or one that keeps another page's work.
    """
    if not told:
        return Keeping()
    token = get_token()
    if not token:
        raise HubError(f"SAC_KEEP needs a token that may write to {told}: set HF_TOKEN, on a Space as a secret")
    keeping = Keeping(told, token, data_folder())
    keeping.begin()
    return keeping


class Keeping:
    """The work of one page. state: see OFF; at: when it was last kept, in seconds, 0 for never; is_late: whether it
    could not be since."""

    def __init__(self, name: str = "", token: str = "", folder: Path | None = None):
        if name:
            judge(name, token, HubError)
        self.name, self.folder, self.api, self.token = name, folder, HfApi(token=token or False), token
        self.state, self.at, self.is_late = OFF, 0.0, False
        self._lock = threading.Lock()
        self._scheduler: Scheduler | None = None
        self._former: Any = None
        self._head, self._there, self._marks = "", Snapshot(""), {}
        self._has_history = False

    def begin(self) -> None:
        """Looks at what is kept, and brings it back where this data folder is fresh."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.state = UNFETCHED
        with suppress(Unanswered, OSError):
            self._answer(partial(self.api.create_repo, self.name, repo_type="dataset", private=True, exist_ok=True))
            self._head, self._there = self._looked()
            if self._there.by not in ("", keeper(self.folder)):
                if not is_fresh(self.folder):
                    raise HubError(
                        f"{self.name} keeps the work of another page: name another data set in SAC_KEEP,"
                        " or begin with an empty data folder"
                    )
                self._bring_all()
            self.state = ON

    def __enter__(self) -> Self:
        """Takes snapshots from now on; the last one when this ends, also by a signal."""
        if self.state == ON:
            if threading.current_thread() is threading.main_thread():
                self._former = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
            self._scheduler = Scheduler(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._scheduler:
            self._scheduler.stop()
            if self._former is not None:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough
            try:
                self.snapshot()
            except (SacError, OSError) as error:
                LOG.error("What was changed last is not kept: %s", error)
            if self._former is not None:
                signal.signal(signal.SIGTERM, self._former)

    def snapshot(self) -> CommitInfo | None:
        """Sends what has changed, and removes what was deleted, with its history. Raises HubError."""
        with self._lock:
            if self.state != ON:
                return None
            is_done = False
            try:
                now = marks(self.folder)
                done = self._sent(now) if now != self._marks else None
                is_done, self.at = True, time.time()
            finally:
                self.is_late = not is_done
            if self._has_history:
                self._forget()
            return done

    def _sent(self, now: dict[str, Any]) -> CommitInfo | None:
        """One commit, or none where nothing but times has changed."""
        there, done = self._there, None
        anew = [path for path in now if now[path] != self._marks.get(path) or path not in there.files]
        with staged(self.folder) as stage:
            copies = copied(self.folder, anew, stage)
            told = {path: file for path, file in there.files.items() if path in now and path not in anew}
            told |= {path: File.at(copy) for path, copy in copies.items()}
            snapshot = Snapshot(keeper(self.folder), time.time(), told)
            if told != there.files or there.by != snapshot.by:
                files = {path: copy for path, copy in copies.items() if told[path] != there.files.get(path)}
                gone = tuple(path for path in there.files if path not in told)
                done = sent(self.name, lambda: self._commit({**files, LIST: snapshot.to_bytes()}, gone), HubError)
                self._head, self._there, self._has_history = done.oid, snapshot, True
        self._marks = now
        return done

    def _commit(self, files: dict[str, Path | bytes], gone: tuple[str, ...]) -> CommitInfo:
        self._info()
        try:
            return commit(self.api, self.name, files, "Kept", "dataset", gone, self._head)
        except CLIENTS as error:
            if status_of(error) == 412:  # the data set is no longer as it was left
                self._met()
            raise

    def _met(self) -> None:
        """Finds out who wrote: this page, whose answer was lost on its way, or another."""
        head, there = self._looked()
        if there.by == keeper(self.folder):
            self._head, self._there, self._marks, self._has_history = head, there, {}, True
        else:
            self.state = OVERTAKEN

    def _forget(self) -> None:
        """Leaves nothing of former snapshots: deleted is deleted there, too. What fails is tried again."""
        try:
            sent(self.name, self._squash, HubError)
            self._has_history = False
        except HubError as error:
            LOG.error("What was deleted is still in the history of %s: %s", self.name, error)

    def _squash(self) -> None:
        self.api.super_squash_history(self.name, repo_type="dataset")
        self._head = self._info().sha
        used = {file.sha256 for file in self._there.files.values()}
        old = [f for f in self.api.list_lfs_files(self.name, repo_type="dataset") if f.file_oid not in used]
        self.api.permanently_delete_lfs_files(self.name, old, rewrite_history=False, repo_type="dataset")

    def _info(self) -> DatasetInfo:
        """Raises HubError for a public data set: cases are nobody's business, and the secret opens them."""
        info = self.api.dataset_info(self.name)
        if not info.private:
            raise HubError(
                f"{self.name} is public: make it private in its settings, or name another data set in SAC_KEEP"
            )
        return info

    def _looked(self) -> tuple[str, Snapshot]:
        """The last commit, and what is kept."""
        info = self._answer(self._info)
        if LIST not in [sibling.rfilename for sibling in info.siblings or ()]:
            return info.sha, Snapshot("")
        with staged(self.folder) as stage:
            self._answer(lambda meter: self._bring(info.sha, LIST, LIST_BYTES, stage / LIST, meter), True)
            return info.sha, self._answer(lambda: Snapshot.of_bytes((stage / LIST).read_bytes()))

    def _bring_all(self) -> None:
        files = self._there.files
        with staged(self.folder, sum(file.size for file in files.values())) as stage:
            for path, file in files.items():
                (stage / path).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                self._answer(partial(self._bring, self._head, path, file.size, stage / path), True)
                if File.at(stage / path) != file:
                    raise Unanswered
            put_back(self.folder, stage)

    def _bring(self, head: str, path: str, most: int, target: Path, meter: Meter) -> None:
        url = hf_hub_url(self.name, path, repo_type="dataset", revision=head)
        headers = {**build_hf_headers(token=self.token), "Accept-Encoding": "identity"}
        with get_session().stream("GET", url, headers=headers) as answer, target.open("wb") as file:
            hf_raise_for_status(answer)
            for piece in answer.iter_bytes():
                file.write(piece)
                meter.bytes = file.tell()
                if meter.given_up or meter.bytes > most:
                    raise InterruptedError("given up")

    def _answer(self, question: Callable[..., T], is_watched: bool = False) -> T:
        """Raises Unanswered where the Hub is not to be had now, HubError where it refuses."""
        try:
            return patiently(question if is_watched else lambda meter: question())
        except CLIENTS as cause:
            status = status_of(cause) or 500
            refusal = refused(self.name, cause) if status < 500 and status != 429 else ""
        if refusal:
            raise HubError(refusal)
        raise Unanswered


class Unanswered(Exception):
    """The Hub, or what came from it, is not as it should be just now."""


class Scheduler(CommitScheduler):
    """huggingface_hub's, which takes a snapshot at once and then every few minutes."""

    def __init__(self, keeping: Keeping):
        self.keeping = keeping
        super().__init__(
            repo_id=keeping.name, repo_type="dataset", private=True, folder_path=keeping.folder, every=EVERY,
            hf_api=Made(token=keeping.token),
        )  # fmt: skip

    def push_to_hub(self) -> CommitInfo | None:
        return self.keeping.snapshot()


class Made(HfApi):
    """The Hub for the scheduler, which would make the data set anew, and end the page where that fails."""

    def create_repo(self, repo_id: str, **_: Any) -> RepoUrl:
        return RepoUrl(f"{self.endpoint}/datasets/{repo_id}", endpoint=self.endpoint)
