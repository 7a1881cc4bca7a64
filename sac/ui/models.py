"""Checkpoints that the page may use: the embedded ones, and those that were trained on this machine."""

from __future__ import annotations

import json
import re
from pathlib import Path

from sac import hub
from sac.config import data_folder
from sac.errors import OptionError

EMBEDDED = {"nuclei": "nuclei (general)", "nuclei-he": "nuclei-he (H&E, stains)"}
OWN = re.compile(r"[0-9a-f]{16}")
"""Names of trained ones: as good as a key, as nobody guesses 64 bits."""


def place(model: str) -> str:
    """What `hub.load` takes for a model's name. Raises OptionError for one that is not known."""
    if model in hub.EMBEDDED:
        return model
    if OWN.fullmatch(model) and (_folder(model) / hub.CONFIG).is_file():
        return str(_folder(model))
    raise OptionError(f"unknown model {model!r}; it is one of {', '.join(hub.EMBEDDED)}, or one that you trained here")


def title(model: str) -> str:
    """What a model is called in words and files."""
    if not OWN.fullmatch(model):
        return model
    try:
        told = json.loads((_folder(model) / hub.CONFIG).read_text())["provenance"].get("title")
    except FileNotFoundError:
        return "deleted"
    return told or "untitled"


def choices(own: list[str]) -> list[tuple[str, str]]:
    """(words, name) of the embedded models and of a visitor's own."""
    return [(words, name) for name, words in EMBEDDED.items()] + [(title(name), name) for name in own]


def _folder(model: str) -> Path:
    return data_folder() / "jobs" / model / "run"
