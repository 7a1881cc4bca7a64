"""The app goes to a Hugging Face Space: what it needs there, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from huggingface_hub import HfApi

from sac.errors import HubError
from sac.remote.uploading import commit, judge, sent

ROOT = Path(__file__).parents[2]
SINGLE = ("app.py", "README.md", "LICENSE")
FOLDERS = ("sac", "training")
REQUIREMENTS = "requirements.txt"
OWN = ("sac/", "training/", "docs/")
"""Folders of a Space that are the app's: what it has no use for any more goes from them, and from nowhere else."""
LEFT_OUT = ("__pycache__", ".pyc", ".pyi", ".partial", ".DS_Store")
"""Endings of parts of paths that programs leave in the folders."""
LINK = re.compile(r"\]\(([\w./-]+)\)")
"""A link of README's to a file beside it."""


def deploy(name: str, token: str, private: bool = False, root: Path = ROOT) -> str:
    """Uploads the app to the Space `name`, owner/space, in one commit. Returns the address of its page.

    The Space is made where there is none. `token`: its owner's, said in no error. Raises HubError in one sentence.
    """
    judge(name, token, HubError)
    files, api = needed(root), HfApi(token=token)

    def upload() -> None:
        api.create_repo(name, repo_type="space", space_sdk="gradio", private=private, exist_ok=True)
        there = api.space_info(name)
        if private and not there.private:
            raise HubError(
                f"{name} is there already, and public: name another Space, or make it private in its settings"
            )
        gone = superseded([file.rfilename for file in there.siblings], set(files), name)
        commit(api, name, files, "Segment Any Cell", "space", gone)

    sent(name, upload, HubError)
    return f"{api.endpoint}/spaces/{name}"


def needed(root: Path = ROOT) -> dict[str, Path | bytes]:
    """What a Space needs, by its path there: the code and its weights, README with what it shows, the requirements."""
    files = [root / name for name in SINGLE]
    files += [path for folder in FOLDERS for path in sorted((root / folder).rglob("*")) if path.is_file()]
    files += [root / link for link in linked((root / "README.md").read_text(encoding="utf-8"))]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise HubError(f"this copy of the app is not whole: {', '.join(missing)} is missing")
    paths = {file.relative_to(root).as_posix(): file for file in files if not _is_left_out(file.relative_to(root))}
    return {**paths, REQUIREMENTS: without_tests((root / REQUIREMENTS).read_text(encoding="utf-8")).encode()}


def linked(readme: str) -> list[str]:
    """Files that README shows or links to."""
    return sorted(set(LINK.findall(readme)))


def without_tests(requirements: str) -> str:
    """Requirements, less the section that only tests need."""
    sections = requirements.strip().split("\n\n")
    return "\n\n".join(s for s in sections if not s.startswith("# Tests")) + "\n"


def superseded(there: list[str], files: set[str], name: str) -> tuple[str, ...]:
    """Files in the app's own folders of a Space that it does not need any more.

    Raises HubError where the Space holds something else, which the app would overwrite.
    """
    if "app.py" in there and "sac/config.py" not in there:
        raise HubError(f"{name} is there already and runs another app: name another Space, or delete it first")
    return tuple(path for path in there if path.startswith(OWN) and path not in files)


def _is_left_out(path: Path) -> bool:
    return any(part.endswith(LEFT_OUT) for part in path.parts)
