"""Who may do what with a case: asked of the database in the transaction in which it is done."""

from __future__ import annotations

import hashlib
import sqlite3
import time

from sac.cases.facts import GONE, LEVELS, Level, Link, Who
from sac.errors import CaseError


def level_of(database: sqlite3.Connection, case: str, who: Who, least: Level = "view") -> Level:
    """What somebody may do with a case. Raises CaseError where that is less than `least`."""
    if isinstance(who, Link):
        link = link_of(database, who.token)
        level = link["level"] if link["case_id"] == case else None
    else:
        owner = database.execute("SELECT owner FROM cases WHERE id = ?", (case,)).fetchone()
        level = "own" if owner and owner[0] == who.name else None
    if level is None:
        raise CaseError(GONE)
    if LEVELS.index(level) < LEVELS.index(least):
        raise CaseError(f"This link is to {level}: what you asked for, only {_who_may(least)} may do.")
    return level


def _who_may(level: Level) -> str:
    return "the owner of the case" if level == "own" else "its owner, and who has a link to edit,"


def link_of(database: sqlite3.Connection, token: str) -> sqlite3.Row:
    asked = "SELECT * FROM links WHERE hash = ? AND revoked = 0 AND expires > ?"
    link = database.execute(asked, (digest_of(token), time.time())).fetchone()
    if link is None:
        raise CaseError(GONE)
    return link


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
