"""The versions of a case: what is stored of each, and how it comes back."""

from __future__ import annotations

import hashlib
import sqlite3
import time

import numpy as np

from sac.cases.packing import Work, from_bytes, in_line, packed, to_bytes, unpacked
from sac.config import LIMITS
from sac.errors import CaseError

Packed = tuple[str, dict[str, tuple[str, bytes]]]
"""JSON, and each array's digest and content by name."""


def content_of(work: Work) -> Packed:
    """Everything of a work that is stored. Raises CaseError where that is too much."""
    if len(work.notes) > LIMITS.notes:
        raise CaseError(f"Notes have up to {LIMITS.notes:,} characters, not {len(work.notes):,}.")
    told, arrays = packed(work)
    _check_opens(told, arrays)
    contents = {name: to_bytes(array) for name, array in arrays.items()}
    size = len(told) + sum(map(len, contents.values()))
    if size > LIMITS.case:
        raise CaseError(f"The case takes {size >> 20} MB; up to {LIMITS.case >> 20} MB are kept.")
    return told, {name: (hashlib.sha256(content).hexdigest(), content) for name, content in contents.items()}


def _check_opens(told: str, arrays: dict[str, np.ndarray]) -> None:
    """What could not be opened again must not be taken for saved. Raises CaseError."""
    try:
        unpacked(told, arrays, "")
    except CaseError as error:
        raise CaseError("This work cannot be kept: it could not be opened again.") from error


def add(database, case: str, work: Work, content: Packed, author: str, beside: int) -> None:
    told, arrays = content
    number, now = _number(database, case) + 1, time.time()
    added = "INSERT INTO versions (case_id, number, author, at, nuclei, told, beside) VALUES (?, ?, ?, ?, ?, ?, ?)"
    database.execute(added, (case, number, in_line(author, 60), now, work.nuclei, told, beside))
    for name, (digest, stored) in arrays.items():
        database.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (digest, len(stored), stored))
        database.execute("INSERT INTO arrays VALUES (?, ?, ?, ?)", (case, number, name, digest))
    database.execute("UPDATE cases SET changed = ? WHERE id = ?", (now, case))


def forget_old(database: sqlite3.Connection, case: str) -> None:
    """Of very many versions the first and the latest stay."""
    gone = """DELETE FROM versions WHERE case_id = ? AND number > 1 AND number NOT IN (
        SELECT number FROM versions WHERE case_id = ? ORDER BY number DESC LIMIT ?)"""
    if database.execute(gone, (case, case, LIMITS.versions - 1)).rowcount:
        drop_unused(database)


def drop_unused(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM arrays)")


def stored(database: sqlite3.Connection, case: str, number: int) -> tuple[str, dict[str, np.ndarray]]:
    version = database.execute("SELECT told FROM versions WHERE case_id = ? AND number = ?", (case, number)).fetchone()
    if version is None:
        raise CaseError(f"The case has no version {number}.")
    asked = "SELECT name, content FROM arrays JOIN blobs USING (digest) WHERE case_id = ? AND number = ?"
    return version["told"], {name: from_bytes(content) for name, content in database.execute(asked, (case, number))}


def _number(database: sqlite3.Connection, case: str) -> int:
    return database.execute("SELECT coalesce(max(number), 0) FROM versions WHERE case_id = ?", (case,)).fetchone()[0]


def count(database: sqlite3.Connection, case: str) -> int:
    return database.execute("SELECT count(*) FROM versions WHERE case_id = ?", (case,)).fetchone()[0]


def latest(database: sqlite3.Connection, case: str) -> sqlite3.Row:
    asked = "SELECT number, author FROM versions WHERE case_id = ? ORDER BY number DESC LIMIT 1"
    return database.execute(asked, (case,)).fetchone()
