"""A checkpoint goes to the Hub, with its owner's token."""

from __future__ import annotations

import re
from contextlib import ExitStack
from pathlib import Path

import yaml
from httpx2 import HTTPError
from huggingface_hub import CommitOperationAdd, HfApi, get_token

from sac import hub
from sac.errors import CheckpointError
from sac.repository import NAME

TOKEN = re.compile(r"[!-~]+")
"""What an HTTP header takes; of anything else, the client's own error would repeat the token."""

HEAD = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
"""What the Hub reads of a card: YAML between two lines of ---."""


def push(folder: Path, name: str, token: str, private: bool = True) -> str:
    """Uploads a checkpoint to the model repository `name`, owner/name, in one commit. Returns the address of its page.

    `token`: its owner's; never the server's, and said in no error. private: whether the repository is to be, which is
    made where there is none yet. Raises CheckpointError in one plain sentence.
    """
    _check(folder, name, token)
    api = HfApi(token=token)
    refusal = ""
    try:
        api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            refusal = f"{name} is there already, and public: name another repository, or agree to a public one"
        else:
            _commit(api, folder, name)
    except (HTTPError, OSError, ValueError, KeyError, RuntimeError) as error:
        refusal = _said(name, error)
    if refusal:  # not in the handler: the client's errors hold the token, in the headers of their request
        raise CheckpointError(refusal)
    return f"{api.endpoint}/{name}"


def own_token() -> str:
    """The token of this machine's user: HF_TOKEN, or the client's own login. For commands; never for a visitor."""
    if token := get_token():
        return token
    raise CheckpointError(
        "no token of the Hub is here: set HF_TOKEN, log in with `hf auth login`, or name --token-file"
    )


def _check(folder: Path, name: str, token: str) -> None:
    """Raises CheckpointError for what should not be uploaded."""
    if not NAME.fullmatch(name):
        raise CheckpointError(f"{name!r} is not a name that a repository on the Hub may have: owner/name is")
    if not TOKEN.fullmatch(token or ""):
        raise CheckpointError("a token of the Hub is needed, in one word, as its settings show it")
    missing = [file for file in hub.FILES if not (folder / file).is_file()]
    if missing:
        raise CheckpointError(f"{folder.resolve().name} holds no {', '.join(missing)}")
    _check_card(folder)
    hub.load(str(folder.resolve()))


def _check_card(folder: Path) -> None:
    """Raises CheckpointError for a card of which the Hub could not tell under which licence the weights are."""
    where = f"{folder.resolve().name}: {hub.CARD}"
    head = HEAD.match((folder / hub.CARD).read_text(encoding="utf-8", errors="replace"))
    try:
        said = yaml.safe_load(head[1]) if head else {}
    except (yaml.YAMLError, RecursionError) as error:
        raise CheckpointError(f"{where} begins with lines that are not YAML, such as `license: cc-by-4.0`") from error
    licence = said.get("license") if isinstance(said, dict) else None
    if not isinstance(licence, str) or not licence.strip():
        raise CheckpointError(f"{where} names no licence; it has to begin with ---, `license: cc-by-4.0`, say, and ---")


def _commit(api: HfApi, folder: Path, name: str) -> None:
    """Exactly a checkpoint's files. They come as streams: those go by HTTP, whose silence ends; Xet's may not."""
    with ExitStack() as opened:
        files = {file: opened.enter_context((folder / file).open("rb")) for file in hub.FILES}
        operations = [CommitOperationAdd(path_in_repo=file, path_or_fileobj=stream) for file, stream in files.items()]
        api.create_commit(name, operations, commit_message="A SAC checkpoint")


def _said(name: str, error: Exception) -> str:
    """Why the Hub did not take it, in a sentence in which nothing of the client's own words stands."""
    causes = [e for e in (error, error.__cause__) if getattr(e, "response", None) is not None]
    status = causes[0].response.status_code if causes else None
    if status == 401:
        return "the Hub does not know this token: it is mistyped, has expired or was revoked"
    if status in (403, 404):
        return f"this token may not write to {name}: make one with the right to write there"
    if status == 400:
        return f"the Hub refuses {name}: its name, or the head of its card {hub.CARD}, is not as it should be"
    if status:
        return f"the Hub could not take {name} (status {status}); try again later"
    return f"the Hub could not be reached, or fell silent, while {name} was uploaded; try again later"
