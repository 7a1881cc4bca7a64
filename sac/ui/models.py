"""Checkpoints that the page may use: the embedded ones, that of SAC_MODEL, those trained here, those of the Hub."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from sac import hub
from sac.config import CERTAINTY, PROMINENCE, data_folder
from sac.errors import CheckpointError, OptionError
from sac.remote.repository import NAME

EMBEDDED = {
    "nuclei": "nuclei (general)",
    "nuclei-he": "nuclei-he (H&E, stains)",
    "glands": "glands (H&E)",
}
OWN = re.compile(r"[0-9a-f]{16}")
"""Names of trained ones: as good as a key, as nobody guesses 64 bits."""
ON_HUB = re.compile(rf"{NAME.pattern}(@\w[\w./-]*)?")
"""What one may ask the Hub for: owner/name, or owner/name@revision."""
PINNED = re.compile(rf"{NAME.pattern}@[0-9a-f]{{40}}")
"""One of the Hub by its commit: what is under that name never changes."""
GONE = "deleted"
"""What a trained one is called that is no longer here."""
PRESET = "preset-"
"""Begins the name of the folder that SAC_MODEL says: its path is nobody's business."""


def default() -> str:
    """The name of the checkpoint that the page begins with: that of SAC_MODEL, else an embedded one.

    SAC_MODEL as `work.settled` leaves it. Raises CheckpointError for a folder that holds no checkpoint.
    """
    told = os.environ.get("SAC_MODEL")
    return name_of(told) if told else hub.DEFAULT


def preferred(otherwise: str) -> str:
    """The checkpoint for a picture: that of SAC_MODEL where it is set, else the one that the page would choose."""
    return default() if os.environ.get("SAC_MODEL") else otherwise


def name_of(place: str) -> str:
    """What the page calls a place. A folder has its weights' digest: kept work is never taken for another model's."""
    if place in hub.EMBEDDED or PINNED.fullmatch(place):
        return place
    head = Path(place) / hub.HEAD
    if not head.is_file():
        raise CheckpointError(f"{head.parent.name} holds no {hub.HEAD}: it is not a SAC checkpoint")
    return PRESET + hub.sha256(head)[:12]


def place(model: str) -> str:
    """What `hub.load` takes for a model's name. Raises OptionError for one that is not known."""
    if model in hub.EMBEDDED:
        return model
    if model.startswith(PRESET) and model == default():
        return os.environ["SAC_MODEL"]
    if OWN.fullmatch(model) and (_folder(model) / hub.CONFIG).is_file():
        return str(_folder(model))
    if PINNED.fullmatch(model) and _is_here(model):
        return model
    raise OptionError(
        f"unknown model {model!r}; it is one of {', '.join(hub.EMBEDDED)}, one that you trained here,"
        " or one of the Hub that was loaded here"
    )


def is_own(model: str) -> bool:
    """Whether it was trained here: then its name is a key, which only its owner is told."""
    return bool(OWN.fullmatch(model))


def is_known(model: str, brought: Iterable[str], is_mine: bool) -> bool:
    """Whether the page offers it: always, to who fetched it, or to its owner."""
    return model in (default(), *EMBEDDED, *brought) or (is_mine and is_own(model) and title(model) != GONE)


def told_to_others(model: str) -> str:
    """A model's name in a file that goes out of the house: that of one that was trained here would be the key to it."""
    return hashlib.sha256(model.encode()).hexdigest()[:24] if is_own(model) else model


def title(model: str) -> str:
    """What a model is called in words and files."""
    if PINNED.fullmatch(model):
        return model[: -(40 - 7)]  # a commit is known by seven letters
    if model.startswith(PRESET):
        folder = Path(os.environ["SAC_MODEL"]) if model == default() else None
        return "no longer here" if folder is None else _title_in(folder) or folder.name
    if not OWN.fullmatch(model):
        return model
    try:
        return _title_in(_folder(model)) or "untitled"
    except FileNotFoundError:
        return GONE


def sought(model: str) -> str:
    """What a checkpoint finds, in a word; nuclei where it is not here."""
    with suppress(OptionError, CheckpointError):
        return _finds(place(model))
    return "nuclei"


def thresholds(model: str) -> tuple[float, float]:
    """Least certainty of a mask, and prominence of a summit, as a checkpoint has them; the usual where it is not here."""
    with suppress(OptionError, CheckpointError):
        config = hub.config_of(place(model))
        return config.certainty, config.prominence
    return CERTAINTY, PROMINENCE


def choices(more: Iterable[str]) -> list[tuple[str, str]]:
    """(words, name) of the default, of the embedded models, and of what a visitor trained or fetched."""
    names = dict.fromkeys([default(), *EMBEDDED, *more])
    return [(EMBEDDED.get(name) or title(name), name) for name in names]


def _is_here(pinned: str) -> bool:
    """Whether it can be loaded without the network: itself, and the base below it."""
    return hub.at_hand(pinned) and hub.base_at_hand(hub.config_of(pinned).base)


@lru_cache(maxsize=64)
def _finds(place: str) -> str:
    return hub.config_of(place).finds


def _title_in(folder: Path) -> str:
    """The title that a checkpoint's provenance says, "" where it says none."""
    told = json.loads((folder / hub.CONFIG).read_text())["provenance"].get("title")
    return told if isinstance(told, str) else ""


def _folder(model: str) -> Path:
    return data_folder() / "jobs" / model / "run"
