"""Cases in a folder: made, saved, opened, shared, deleted. Each call asks anew what its caller may do."""

from __future__ import annotations

import math
import os
import secrets
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sac.cases import rights, schema, versions
from sac.cases.facts import Case, Comment, Level, Link, LinkFacts, Owner, Version, Who
from sac.cases.file import from_file, to_file
from sac.cases.packing import Work, cleaned, in_line, packed, thumbnail, unpacked
from sac.config import LIMITS, data_folder
from sac.errors import CaseChanged, CaseError

DATABASE = "cases.db"
PROJECT = Path(__file__).resolve().parents[2]
DAY = 24 * 3600
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

    DATABASE = DATABASE

    def __init__(self, folder: Path | None = None):
        """folder: None for the user's own. Raises CaseError for one whose files the page might serve."""
        self.path = (folder or _default()) / DATABASE
        schema.prepare(self.path)

    def create(self, owner: Owner, name: str, work: Work, author: str = "") -> Case:
        """A new case with its first version."""
        content = versions.content_of(work)
        with schema.writing(self.path) as database:
            return self._created(database, owner, name, work, content, author)

    def save(self, case: str, who: Who, work: Work, based_on: int, author: str, beside: bool = False) -> Case:
        """The next version. Raises CaseChanged where `based_on` is no longer the latest, unless it may stand beside it."""
        content = versions.content_of(work)
        with schema.writing(self.path) as database:
            level = rights.level_of(database, case, who, "edit")
            latest = versions.latest(database, case)
            if latest["number"] != based_on and not beside:
                raise CaseChanged(latest["number"], latest["author"])
            self._check_room(database, database.execute("SELECT owner FROM cases WHERE id = ?", (case,)).fetchone()[0])
            if isinstance(who, Link) and versions.count(database, case) >= LIMITS.versions // 2:
                raise CaseError("The case has very many versions: only its owner may add to them.")
            versions.add(
                database,
                case,
                work,
                content,
                signed(who, author),
                latest["number"] if latest["number"] != based_on else 0,
            )
            versions.forget_old(database, case)
            return _facts(database, case, level)  # of this very version: others may save right after

    def mine(self, owner: Owner) -> list[Case]:
        """An owner's cases, the one that was changed last first."""
        with schema.reading(self.path) as database:
            rows = database.execute(f"{FACTS} AND c.owner = ? ORDER BY c.changed DESC, c.id", (owner.name,)).fetchall()
        return [_case(row, "own") for row in rows]

    def facts(self, case: str, who: Who) -> Case:
        with schema.reading(self.path) as database:
            return _facts(database, case, rights.level_of(database, case, who))

    def of_link(self, token: str) -> str:
        """The case that a link opens."""
        with schema.reading(self.path) as database:
            return rights.link_of(database, token)["case_id"]

    def allowed(self, case: str, who: Who, level: Level) -> None:
        """Raises CaseError where `who` may not use the case at `level`."""
        with schema.reading(self.path) as database:
            rights.level_of(database, case, who, level)

    def open(self, case: str, who: Who, version: int | None = None) -> tuple[Case, Work]:
        """The latest version, or another, which a link to look does not show. An opening by a link is counted."""
        with schema.reading(self.path) as database:
            level = rights.level_of(database, case, who, "view" if version is None else "edit")
            facts = _facts(database, case, level)
            told, arrays = versions.stored(database, case, facts.version if version is None else version)
        if isinstance(who, Link) and version is None:
            with suppress(CaseError):  # a full disk keeps nobody from looking
                self._count(who)
        return facts, unpacked(told, arrays, facts.name)

    def versions(self, case: str, who: Who) -> list[Version]:
        """The latest first."""
        with schema.reading(self.path) as database:
            rights.level_of(database, case, who, "edit")
            asked = "SELECT number, author, at, nuclei, beside FROM versions WHERE case_id = ? ORDER BY number DESC"
            return [Version(*row) for row in database.execute(asked, (case,))]

    def rename(self, case: str, who: Who, name: str) -> Case:
        with schema.writing(self.path) as database:
            level = rights.level_of(database, case, who, "own")
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
            rights.level_of(database, case, who, "own")
            database.execute("DELETE FROM cases WHERE id = ?", (case,))
            versions.drop_unused(database)
        schema.swept(self.path)

    def export(self, case: str, who: Who, as_named: Callable[[str], str] = str) -> bytes:
        """The latest version and its comments as one file. as_named: what it is to call a model of that name."""
        self.allowed(case, who, "own")
        facts, work = self.open(case, who)
        told, arrays = packed(work.renamed(as_named))
        return to_file(facts.name, told, arrays, self.comments(case, who))

    def import_file(self, owner: Owner, path: Path) -> Case:
        """A new case from such a file, which may come from anybody."""
        name, told, arrays, comments = from_file(path)
        work = unpacked(told, arrays, name)
        content = versions.content_of(work)
        with schema.writing(self.path) as database:
            case = self._created(database, owner, name, work, content, "")
            for c in comments:
                _pin(database, case.id, c)
        return case

    def link(self, case: str, who: Who, level: Level, days: int, note: str = "") -> tuple[LinkFacts, str]:
        """A new link, and its token, which is told this once and stored as a digest."""
        if level not in ("view", "edit"):
            raise CaseError(f"A link is to view or to edit, not {level!r}.")
        if not 1 <= days <= LIMITS.link_days:
            raise CaseError(f"A link lasts 1 to {LIMITS.link_days} days, not {days}.")
        token, now = secrets.token_urlsafe(24), time.time()
        with schema.writing(self.path) as database:
            rights.level_of(database, case, who, "own")
            added = (
                "INSERT INTO links (case_id, level, hash, made, expires, note) VALUES (?, ?, ?, ?, ?, ?) RETURNING *"
            )
            values = (case, level, rights.digest_of(token), now, now + days * DAY, in_line(note, 60))
            return _link_facts(database.execute(added, values).fetchone()), token

    def links(self, case: str, who: Who) -> list[LinkFacts]:
        """The newest first."""
        with schema.reading(self.path) as database:
            rights.level_of(database, case, who, "own")
            rows = database.execute("SELECT * FROM links WHERE case_id = ? ORDER BY id DESC", (case,)).fetchall()
        return [_link_facts(row) for row in rows]

    def revoke(self, case: str, who: Who, link: int) -> None:
        """From now on, the link opens nothing."""
        with schema.writing(self.path) as database:
            rights.level_of(database, case, who, "own")
            database.execute("UPDATE links SET revoked = 1 WHERE case_id = ? AND id = ?", (case, link))

    def comments(self, case: str, who: Who) -> list[Comment]:
        """The oldest first."""
        with schema.reading(self.path) as database:
            rights.level_of(database, case, who)
            asked = "SELECT id, x, y, text, author, at, done FROM comments WHERE case_id = ? ORDER BY id"
            return [_comment(row) for row in database.execute(asked, (case,))]

    def comment(self, case: str, who: Who, x: float, y: float, text: str, author: str) -> Comment:
        """Pins a comment to a place of the picture."""
        if not text.strip() or len(text) > LIMITS.comment:
            raise CaseError(f"A comment has 1 to {LIMITS.comment} characters, not {len(text.strip())}.")
        if not (math.isfinite(x) and math.isfinite(y)):
            raise CaseError("A comment is pinned to a place of the picture.")
        with schema.writing(self.path) as database:
            rights.level_of(database, case, who, "edit")
            most = LIMITS.comments - (LIMITS.comments // 5 if isinstance(who, Link) else 0)  # the owner shall have room
            return _pin(database, case, Comment(0, x, y, text, signed(who, author), time.time(), False), most)

    def settle(self, case: str, who: Who, comment: int, done: bool) -> None:
        """Marks a comment as dealt with, or not."""
        with schema.writing(self.path) as database:
            rights.level_of(database, case, who, "edit")
            database.execute("UPDATE comments SET done = ? WHERE case_id = ? AND id = ?", (done, case, comment))

    def uncomment(self, case: str, who: Who, comment: int) -> None:
        with schema.writing(self.path) as database:
            rights.level_of(database, case, who, "edit")
            database.execute("DELETE FROM comments WHERE case_id = ? AND id = ?", (case, comment))

    def count(self) -> int:
        """All cases of all owners."""
        with schema.reading(self.path) as database:
            return database.execute("SELECT count(*) FROM cases").fetchone()[0]

    def backup(self, path: Path) -> None:
        """Writes all cases to one file, while others save, too."""
        schema.backed_up(self.path, path)

    def restore(self, path: Path) -> None:
        """Puts a backup in place of all cases."""
        schema.restored(self.path, path)

    @classmethod
    def restored(cls, path: Path, folder: Path | None = None, aside: Path | None = None) -> Cases:
        """The cases of a folder after a backup was put in their place, also where they were damaged.

        aside: a file that the former ones go to first, where there are any; where they cannot, nothing is restored.
        """
        schema.restored((folder or _default()) / DATABASE, path, aside)
        return cls(folder)

    def _count(self, link: Link) -> None:
        with schema.writing(self.path) as database:
            counted = "UPDATE links SET openings = openings + 1, last_opened = ? WHERE hash = ?"
            database.execute(counted, (time.time(), rights.digest_of(link.token)))

    def _created(self, database, owner: Owner, name: str, work: Work, content: versions.Packed, author: str) -> Case:
        self._check_room(database, owner.name)
        (count,) = database.execute("SELECT count(*) FROM cases WHERE owner = ?", (owner.name,)).fetchone()
        if count >= LIMITS.cases:
            raise CaseError(f"There are {count} cases, the most there may be: delete some first.")
        case, now = secrets.token_hex(8), time.time()
        values = (case, owner.name, _named(name), now, now, thumbnail(work.image.pixels))
        database.execute("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?)", values)
        versions.add(database, case, work, content, author, 0)
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


def _pin(database: sqlite3.Connection, case: str, told: Comment, most: int = LIMITS.comments) -> Comment:
    """The comment as it is kept, cleaned, with the number that it gets here. most: comments that a case may have."""
    (count,) = database.execute("SELECT count(*) FROM comments WHERE case_id = ?", (case,)).fetchone()
    if count >= most:
        raise CaseError(f"The case has {count} comments, the most there may be: take some off first.")
    values = (case, told.x, told.y, cleaned(told.text).strip(), in_line(told.author, 60), told.at, told.done)
    added = """INSERT INTO comments (case_id, x, y, text, author, at, done) VALUES (?, ?, ?, ?, ?, ?, ?)
        RETURNING id, x, y, text, author, at, done"""
    return _comment(database.execute(added, values).fetchone())


def signed(who: Who, author: str) -> str:
    """Who saves or comments: whoever came by a link cannot sign as somebody else."""
    name = in_line(author, 50)
    return (f"{name} (link)" if name else "link") if isinstance(who, Link) else name


def _named(name: str) -> str:
    name = in_line(name, 120)
    if not name:
        raise CaseError("A case needs a name.")
    return name


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
