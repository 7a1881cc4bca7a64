"""Files that are there whole, or not at all; and what is said when a disk is full."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sac.errors import TrainingError

FULL = "the disk is full: free some space, then resume; what was saved before is kept"

SAID_FULL = ("No space left", "Disk quota exceeded", "file write failed", "unexpected pos")
"""What errors without a number say: safetensors' two, then torch.save's, which counts the bytes that it wrote."""


@contextmanager
def room() -> Iterator[None]:
    """Says in words that a disk is full, in whatever way it was told."""
    try:
        yield
    except Exception as error:
        if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or any(w in str(error) for w in SAID_FULL):
            raise TrainingError(FULL) from error
        raise


def write_json(path: Path, told: Any) -> None:
    """Replaces a file by one that has reached the disk."""
    partial = path.with_suffix(f".{os.getpid()}-{threading.get_ident()}.partial")
    try:
        partial.write_text(json.dumps(told, allow_nan=False))
        sync(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


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
