"""Files that are there whole, or not at all; and what is said when a disk is full."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sac.errors import NO_ROOM, TrainingError

FULL = "the disk is full: free some space, then resume; what was saved before is kept"

SAID_FULL = ("No space left", "Disk quota exceeded", "file write failed", "unexpected pos")
"""What errors without a number say: safetensors' two, then torch.save's, which counts the bytes that it wrote."""


@contextmanager
def room() -> Iterator[None]:
    """Says in words that a disk is full, in whatever way it was told."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in NO_ROOM or any(w in str(error) for w in SAID_FULL):
            raise TrainingError(FULL) from error
        raise


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Where to write a file that is to lie at `path`, which it replaces once it has reached the disk.

    Nobody else writes there, so that two may write the same file at once: the last one stays. What fails leaves nothing.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.partial")
    try:
        yield partial
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, told: Any) -> None:
    """Replaces a file by one that has reached the disk."""
    with written_whole(path) as partial:
        partial.write_text(json.dumps(told, allow_nan=False))


def read_json(path: Path) -> dict[str, Any]:
    """What a file holds; nothing where it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}


def sync(path: Path) -> None:
    """Lets a file, or a folder's list of files, reach the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
