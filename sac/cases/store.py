"""Cases in a folder: made, saved, opened, shared, deleted. Each call asks anew what its caller may do."""

from __future__ import annotations

import hashlib
import math
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from pathlib import Path

import numpy as np

from sac.cases import schema
from sac.cases.facts import GONE, LEVELS, Case, Comment, Level, Link, LinkFacts, Owner, Version, Who
from sac.cases.file import from_file, to_file
from sac.cases.packing import Work, cleaned, from_bytes, packed, thumbnail, to_bytes, unpacked
from sac.config import LIMITS, data_folder
from sac.errors import CaseChanged, CaseError

DATABASE = "cases.db"
PROJECT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600
Packed = tuple[str, dict[str, tuple[str, bytes]]]
"""JSON, and each array's digest and content by name."""

FACTS = """
    SELECT c.id, c.name, c.made, c.changed, v.number, v.author, v.nuclei, c.thumbnail, c.owner,
        (SELECT sum(b.size) FROM arrays a JOIN blobs b USING (digest) WHERE a.case_id = c.id AND a.number = v.number) AS size
    FROM cases c JOIN versions v ON v.case_id = c.id
    WHERE v.number = (SELECT max(number) FROM versions WHERE case_id = c.id)
"""


class Cases:
    """The cases of a data folder.

    who: an Owner, or a Link; what it may do is looked up in the same transaction as what it does. Every method raises
    CaseError in one plain sentence: GONE for whoever may not even know of a case.
    """

    def __init__(self, folder: Path | None = None):
        """folder: None for the user's own. Raises CaseError for one whose files the page might serve."""
        self.path = (folder or _default()) / DATABASE
        schema.prepare(self.path)

    def create(self, owner: Owner, name: str, work: Work, author: str = "") -> Case:
        """A new case with its first version."""
        content = _content(work)
        with schema.writing(self.path) as database:
            return self._created(database, owner, name, work, content, author)

    def save(self, case: str, who: Who, work: Work, based_on: int, author: str, beside: bool = False) -> Case:
        """The next version. Raises CaseChanged where `based_on` is no longer the latest, unless it may stand beside it."""
        content = _content(work)
        with schema.writing(self.path) as database:
            level = _level(database, case, who, "edit")
            latest = _latest(database, case)
            if latest["number"] != based_on and not beside:
                raise CaseChanged(latest["number"], latest["author"])
            self._check_room(database, database.execute("SELECT owner FROM cases WHERE id = ?", (case,)).fetchone()[0])
            _add_version(database, case, work, content, author, latest["number"] if latest["number"] != based_on else 0)
            _forget_old(database, case)
            return _facts(database, case, level)  # of this very version: others may save right after

    def mine(self, owner: Owner) -> list[Case]:
        """An owner's cases, the one that was changed last first."""
        with schema.reading(self.path) as database:
            rows = database.execute(f"{FACTS} AND c.owner = ? ORDER BY c.changed DESC, c.id", (owner.name,)).fetchall()
        return [_case(row, "own") for row in rows]

    def facts(self, case: str, who: Who) -> Case:
        with schema.reading(self.path) as database:
            return _facts(database, case, _level(database, case, who))

    def of_link(self, token: str) -> str:
        """The case that a link opens."""
        with schema.reading(self.path) as database:
            return _link(database, token)["case_id"]

    def allowed(self, case: str, who: Who, level: Level) -> None:
        """Raises CaseError where `who` may not use the case at `level`."""
        with schema.reading(self.path) as database:
            _level(database, case, who, level)

    def open(self, case: str, who: Who, version: int | None = None) -> tuple[Case, Work]:
        """The latest version, or another. An opening by a link is counted."""
        with schema.writing(self.path) if isinstance(who, Link) else schema.reading(self.path) as database:
            level = _level(database, case, who)
            if isinstance(who, Link) and version is None:
                counted = "UPDATE links SET openings = openings + 1, last_opened = ? WHERE hash = ?"
                database.execute(counted, (time.time(), _hash(who.token)))
            facts = _facts(database, case, level)
            told, arrays = _stored(database, case, facts.version if version is None else version)
        return facts, unpacked(told, arrays, facts.name)

    def versions(self, case: str, who: Who) -> list[Version]:
        """The latest first."""
        with schema.reading(self.path) as database:
            _level(database, case, who)
            asked = "SELECT number, author, at, nuclei, beside FROM versions WHERE case_id = ? ORDER BY number DESC"
            return [Version(*row) for row in database.execute(asked, (case,))]

    def rename(self, case: str, who: Who, name: str) -> Case:
        with schema.writing(self.path) as database:
            level = _level(database, case, who, "own")
            database.execute("UPDATE cases SET name = ? WHERE id = ?", (_named(name), case))
            return _facts(database, case, level)

    def duplicate(self, case: str, who: Owner) -> Case:
        """A copy of the latest version, without links and comments."""
        self.allowed(case, who, "own")
        facts, work = self.open(case, who)
        return self.create(who, f"{facts.name[:110]} (copy)", work, facts.author)

    def delete(self, case: str, who: Who) -> None:
        """For good: nothing of it stays in the file."""
        with schema.writing(self.path) as database:
            _level(database, case, who, "own")
            database.execute("DELETE FROM cases WHERE id = ?", (case,))
            _drop_unused(database)
        schema.swept(self.path)

    def export(self, case: str, who: Who) -> bytes:
        """The latest version and its comments as one file."""
        self.allowed(case, who, "own")
        facts, work = self.open(case, who)
        told, arrays = packed(work)
        return to_file(facts.name, told, arrays, self.comments(case, who))

    def import_file(self, owner: Owner, path: Path) -> Case:
        """A new case from such a file, which may come from anybody."""
        name, told, arrays, comments = from_file(path)
        work = unpacked(told, arrays, name)
        content = _content(work)
        with schema.writing(self.path) as database:
            case = self._created(database, owner, name, work, content, "")
            for c in comments:
                _pin(database, case.id, c.x, c.y, c.text, c.author, c.at, c.done)
        return case

    def link(self, case: str, who: Who, level: Level, days: int, note: str = "") -> tuple[LinkFacts, str]:
        """A new link, and its token, which is told this once and stored as a digest."""
        if level not in ("view", "edit"):
            raise CaseError(f"A link is to view or to edit, not {level!r}.")
        if not 1 <= days <= LIMITS.link_days:
            raise CaseError(f"A link lasts 1 to {LIMITS.link_days} days, not {days}.")
        token, now = secrets.token_urlsafe(24), time.time()
        with schema.writing(self.path) as database:
            _level(database, case, who, "own")
            added = (
                "INSERT INTO links (case_id, level, hash, made, expires, note) VALUES (?, ?, ?, ?, ?, ?) RETURNING *"
            )
            values = (case, level, _hash(token), now, now + days * DAY, _short(note, 60))
            return _link_facts(database.execute(added, values).fetchone()), token

    def links(self, case: str, who: Who) -> list[LinkFacts]:
        """The newest first."""
        with schema.reading(self.path) as database:
            _level(database, case, who, "own")
            rows = database.execute("SELECT * FROM links WHERE case_id = ? ORDER BY id DESC", (case,)).fetchall()
        return [_link_facts(row) for row in rows]

    def revoke(self, case: str, who: Who, link: int) -> None:
        """From now on, the link opens nothing."""
        with schema.writing(self.path) as database:
            _level(database, case, who, "own")
            database.execute("UPDATE links SET revoked = 1 WHERE case_id = ? AND id = ?", (case, link))

    def comments(self, case: str, who: Who) -> list[Comment]:
        """The oldest first."""
        with schema.reading(self.path) as database:
            _level(database, case, who)
            asked = "SELECT id, x, y, text, author, at, done FROM comments WHERE case_id = ? ORDER BY id"
            return [_comment(row) for row in database.execute(asked, (case,))]

    def comment(self, case: str, who: Who, x: float, y: float, text: str, author: str) -> Comment:
        """Pins a comment to a place of the picture."""
        if not text.strip() or len(text) > LIMITS.comment:
            raise CaseError(f"A comment has 1 to {LIMITS.comment} characters, not {len(text.strip())}.")
        if not (math.isfinite(x) and math.isfinite(y)):
            raise CaseError("A comment is pinned to a place of the picture.")
        with schema.writing(self.path) as database:
            _level(database, case, who, "edit")
            return _pin(database, case, x, y, text, author, time.time(), False)

    def settle(self, case: str, who: Who, comment: int, done: bool) -> None:
        """Marks a comment as dealt with, or not."""
        with schema.writing(self.path) as database:
            _level(database, case, who, "edit")
            database.execute("UPDATE comments SET done = ? WHERE case_id = ? AND id = ?", (done, case, comment))

    def uncomment(self, case: str, who: Who, comment: int) -> None:
        with schema.writing(self.path) as database:
            _level(database, case, who, "edit")
            database.execute("DELETE FROM comments WHERE case_id = ? AND id = ?", (case, comment))

    def backup(self, path: Path) -> None:
        """Writes all cases to one file, while others save, too."""
        schema.backed_up(self.path, path)

    def restore(self, path: Path) -> None:
        """Puts a backup in place of all cases."""
        schema.restored(self.path, path)

    @classmethod
    def restored(cls, path: Path, folder: Path | None = None) -> Cases:
        """The cases of a folder after a backup was put in their place, also where they were damaged."""
        schema.restored((folder or _default()) / DATABASE, path)
        return cls(folder)

    def _created(self, database, owner: Owner, name: str, work: Work, content: Packed, author: str) -> Case:
        self._check_room(database, owner.name)
        (count,) = database.execute("SELECT count(*) FROM cases WHERE owner = ?", (owner.name,)).fetchone()
        if count >= LIMITS.cases:
            raise CaseError(f"There are {count} cases, the most there may be: delete some first.")
        case, now = secrets.token_hex(8), time.time()
        values = (case, owner.name, _named(name), now, now, thumbnail(work.image.pixels))
        database.execute("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?)", values)
        _add_version(database, case, work, content, author, 0)
        return _facts(database, case, "own")

    def _check_room(self, database: sqlite3.Connection, owner: str) -> None:
        """Raises CaseError where an owner, or the disk, has no room left."""
        asked = """SELECT coalesce(sum(size), 0) FROM blobs WHERE digest IN (
            SELECT digest FROM arrays a JOIN cases c ON c.id = a.case_id WHERE c.owner = ?)"""
        (used,) = database.execute(asked, (owner,)).fetchone()
        if used > LIMITS.cases_bytes:
            raise CaseError(f"The cases take more than {LIMITS.cases_bytes >> 30} GB together: delete some first.")
        if shutil.disk_usage(self.path.parent).free < LIMITS.disk_reserve:
            raise CaseError(schema.FULL)


def _default() -> Path:
    """The user's own folder for cases. Raises CaseError where it lies where a page could serve it."""
    folder = (data_folder() / "cases").resolve()
    served = [PROJECT]
    if not os.environ.get("SAC_DATA_DIR"):
        served.append(Path(tempfile.gettempdir()).resolve())
    if Path.cwd() not in (Path.home(), *Path.home().parents):
        served.append(Path.cwd())
    if any(folder.is_relative_to(place) for place in served):
        raise CaseError(
            "Cases must lie outside the project, the working folder and the temporary folder: set SAC_DATA_DIR"
        )
    return folder


def _content(work: Work) -> Packed:
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


def _add_version(database, case: str, work: Work, content: Packed, author: str, beside: int) -> None:
    told, arrays = content
    number, now = _number(database, case) + 1, time.time()
    added = "INSERT INTO versions (case_id, number, author, at, nuclei, told, beside) VALUES (?, ?, ?, ?, ?, ?, ?)"
    database.execute(added, (case, number, _short(author, 60), now, work.nuclei, told, beside))
    for name, (digest, stored) in arrays.items():
        database.execute("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (digest, len(stored), stored))
        database.execute("INSERT INTO arrays VALUES (?, ?, ?, ?)", (case, number, name, digest))
    database.execute("UPDATE cases SET changed = ? WHERE id = ?", (now, case))


def _forget_old(database: sqlite3.Connection, case: str) -> None:
    """Of very many versions the first and the latest stay."""
    gone = """DELETE FROM versions WHERE case_id = ? AND number > 1 AND number NOT IN (
        SELECT number FROM versions WHERE case_id = ? ORDER BY number DESC LIMIT ?)"""
    if database.execute(gone, (case, case, LIMITS.versions - 1)).rowcount:
        _drop_unused(database)


def _drop_unused(database: sqlite3.Connection) -> None:
    database.execute("DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM arrays)")


def _stored(database: sqlite3.Connection, case: str, number: int) -> tuple[str, dict[str, np.ndarray]]:
    version = database.execute("SELECT told FROM versions WHERE case_id = ? AND number = ?", (case, number)).fetchone()
    if version is None:
        raise CaseError(f"The case has no version {number}.")
    asked = "SELECT name, content FROM arrays JOIN blobs USING (digest) WHERE case_id = ? AND number = ?"
    return version["told"], {name: from_bytes(content) for name, content in database.execute(asked, (case, number))}


def _level(database: sqlite3.Connection, case: str, who: Who, least: Level = "view") -> Level:
    """What somebody may do with a case. Raises CaseError where that is less than `least`."""
    if isinstance(who, Link):
        link = _link(database, who.token)
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


def _link(database: sqlite3.Connection, token: str) -> sqlite3.Row:
    asked = "SELECT * FROM links WHERE hash = ? AND revoked = 0 AND expires > ?"
    link = database.execute(asked, (_hash(token), time.time())).fetchone()
    if link is None:
        raise CaseError(GONE)
    return link


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _number(database: sqlite3.Connection, case: str) -> int:
    return database.execute("SELECT coalesce(max(number), 0) FROM versions WHERE case_id = ?", (case,)).fetchone()[0]


def _latest(database: sqlite3.Connection, case: str) -> sqlite3.Row:
    asked = "SELECT number, author FROM versions WHERE case_id = ? ORDER BY number DESC LIMIT 1"
    return database.execute(asked, (case,)).fetchone()


def _pin(database, case: str, x: float, y: float, text: str, author: str, at: float, done: bool) -> Comment:
    (count,) = database.execute("SELECT count(*) FROM comments WHERE case_id = ?", (case,)).fetchone()
    if count >= LIMITS.comments:
        raise CaseError(f"The case has {count} comments, the most there may be: take some off first.")
    values = (case, x, y, cleaned(text).strip(), _short(author, 60), at, done)
    added = """INSERT INTO comments (case_id, x, y, text, author, at, done) VALUES (?, ?, ?, ?, ?, ?, ?)
        RETURNING id, x, y, text, author, at, done"""
    return _comment(database.execute(added, values).fetchone())


def _named(name: str) -> str:
    name = _short(name, 120)
    if not name:
        raise CaseError("A case needs a name.")
    return name


def _short(text: str, most: int) -> str:
    """Text in one line."""
    return " ".join(cleaned(text or "").split())[:most].rstrip()


def _facts(database: sqlite3.Connection, case: str, level: Level) -> Case:
    return _case(database.execute(f"{FACTS} AND c.id = ?", (case,)).fetchone(), level)


def _case(row: sqlite3.Row, level: Level) -> Case:
    id, name, made, changed, number, author, nuclei, picture, _, size = row
    return Case(id, name, made, changed, number, author, nuclei, size, level, picture)


def _comment(row: sqlite3.Row) -> Comment:
    return Comment(*row[:6], bool(row[6]))


def _link_facts(row: sqlite3.Row) -> LinkFacts:
    return LinkFacts(
        row["id"], row["level"], row["made"], row["expires"], bool(row["revoked"]), row["openings"],
        row["last_opened"], row["note"],
    )  # fmt: skip
