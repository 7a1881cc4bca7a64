"""What goes to the Hub with somebody's token: how it is sent, and what is said where it is refused."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from httpx2 import HTTPError
from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi, get_token

from sac.errors import HubError, SacError
from sac.remote.repository import NAME

TOKEN = re.compile(r"[!-~]+")
"""What an HTTP header takes; of anything else, the client's own error would repeat the token."""
TOKEN_FILE = "file that holds the token (else HF_TOKEN, or `hf auth login`)"
CLIENTS = (HTTPError, OSError, ValueError, KeyError, RuntimeError)
"""What huggingface_hub raises, of a Hub that refuses, is silent or speaks in riddles."""

T = TypeVar("T")


def own_token(file: Path | None = None) -> str:
    """The token of this machine's user: in `file`, else HF_TOKEN, else the client's own login. Raises HubError.

    For commands; never for a visitor. It is read from a file and never from the command, which others can see.
    """
    if file is None:
        if token := get_token():
            return token
        raise HubError("no token of the Hub is here: set HF_TOKEN, log in with `hf auth login`, or name --token-file")
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeError) as error:
        raise HubError(f"{file} cannot be read; a file with nothing but the token in it is needed") from error


def judge(name: str, token: str | None, error: type[SacError]) -> None:
    """Raises `error` for what is no name of a repository, or no token."""
    if not NAME.fullmatch(name):
        raise error(f"{name!r} is not a name that a repository on the Hub may have: owner/name is")
    if not TOKEN.fullmatch(token or ""):
        raise error("a token of the Hub is needed, in one word, as its settings show it")


def sent(name: str, work: Callable[[], T], error: type[SacError]) -> T:
    """What `work` with repository `name` comes to. Raises `error` in one plain sentence."""
    try:
        return work()
    except CLIENTS as cause:
        refusal = refused(name, cause)
    raise error(refusal)  # not in the handler: the client's errors hold the token, in the headers of their request


def commit(
    api: HfApi,
    name: str,
    files: Mapping[str, Path | bytes],
    message: str,
    kind: str = "model",
    gone: tuple[str, ...] = (),
    parent: str | None = None,
) -> CommitInfo:
    """One commit: files by their path in the repository, and paths that go. parent: the commit that it must follow.

    Files come as streams: those go by HTTP, whose silence ends; Xet's may not.
    """
    with ExitStack() as opened:
        added = [
            CommitOperationAdd(
                path, content if isinstance(content, bytes) else opened.enter_context(content.open("rb"))
            )
            for path, content in files.items()
        ]
        removed = [CommitOperationDelete(path, is_folder=False) for path in gone]
        return api.create_commit(
            name, [*added, *removed], commit_message=message, repo_type=kind, parent_commit=parent
        )  # fmt: skip


def status_of(error: Exception) -> int | None:
    """The Hub's status, where it gave one."""
    causes = [e for e in (error, error.__cause__) if getattr(e, "response", None) is not None]
    return causes[0].response.status_code if causes else None


def refused(name: str, error: Exception) -> str:
    """Why the Hub did not take it, in a sentence in which nothing of the client's own words stands."""
    status = status_of(error)
    if status == 401:
        return "the Hub does not know this token: it is mistyped, has expired or was revoked"
    if status in (403, 404):
        return f"this token may not write to {name}: make one with the right to write there"
    if status == 400:
        return f"the Hub refuses {name}: its name, or the head of its card README.md, is not as it should be"
    if status:
        return f"the Hub could not take {name} (status {status}); try again later"
    return f"the Hub could not be reached, or fell silent, while {name} was uploaded; try again later"
