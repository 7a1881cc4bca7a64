"""A checkpoint goes to the Hub, with its owner's token."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from huggingface_hub import HfApi

from sac import hub
from sac.errors import CheckpointError
from sac.remote.uploading import commit, judge, sent

HEAD = re.compile(r"---[ \t]*\r?\n(.*?)\r?\n---[ \t]*(?:\r?\n|$)", re.DOTALL)
"""What the Hub reads of a card: YAML between two lines of ---."""


def push(folder: Path, name: str, token: str, private: bool = True) -> str:
    """Uploads a checkpoint to the model repository `name`, owner/name, in one commit. Returns the address of its page.

    `token`: its owner's; never the server's, and said in no error. private: whether the repository is to be, which is
    made where there is none yet. Raises CheckpointError in one plain sentence.
    """
    judge(name, token, CheckpointError)
    _check(folder)
    api = HfApi(token=token)

    def upload() -> None:
        api.create_repo(name, private=private, exist_ok=True)
        if private and not api.model_info(name).private:
            raise CheckpointError(
                f"{name} is there already, and public: name another repository, or agree to a public one"
            )
        commit(api, name, {file: folder / file for file in hub.FILES}, "A SAC checkpoint")

    sent(name, upload, CheckpointError)
    return f"{api.endpoint}/{name}"


def _check(folder: Path) -> None:
    """Raises CheckpointError for what should not be uploaded."""
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
