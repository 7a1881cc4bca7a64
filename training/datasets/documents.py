"""JSON and XML that a user brought, judged before they are believed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sac.errors import DataError

LARGEST = 2**26
"""Bytes of an annotation file; outlines of 100,000 nuclei take about half as many."""
LISTS = 4_000_000
"""Lists and objects in a JSON file: each takes some hundred bytes of memory, and each corner is one."""


def content(path: Path, name: str) -> bytes:
    """What is in an annotation file. Raises DataError where it is gone, or too large."""
    try:
        if not path.is_file():
            raise DataError(f"{name} is not a file")
        if path.stat().st_size > LARGEST:
            raise DataError(f"{name} has {path.stat().st_size / 2**20:.0f} MB; up to {LARGEST // 2**20} are accepted")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{name} cannot be read") from error


def read_json(path: Path, name: str) -> Any:
    """Raises DataError for what is no JSON, or too much of it."""
    text = content(path, name)
    if text.count(b"[") + text.count(b"{") > LISTS:
        raise DataError(f"{name} has more than {LISTS // 10**6} million corners or objects")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} is no JSON that can be read") from error
