"""The database of cases: its tables, how they came to be, and how it is opened."""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sac.cases.facts import GONE
from sac.errors import CaseError

PATIENCE = 30
"""Seconds that one writer waits for the others."""
FULL = "The disk is full: nothing was saved and nothing was lost; free some space, then save again."
DAMAGED = "The database of cases is damaged: restore a backup."
UNUSABLE = "The folder of cases cannot be used: see to its permissions and its disk, or set SAC_DATA_DIR to another."
CROWDED = "Too many are saving at once: try again in a moment."
NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE")
"""What SQLite reports where a disk, or a quota, has no room left."""

MIGRATIONS = (
    """
    CREATE TABLE cases (
        id TEXT PRIMARY KEY, owner TEXT NOT NULL, name TEXT NOT NULL, made REAL NOT NULL, changed REAL NOT NULL,
        thumbnail BLOB NOT NULL
    );
    CREATE INDEX cases_of ON cases (owner);
    CREATE TABLE versions (
        case_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE, number INTEGER NOT NULL, author TEXT NOT NULL,
        at REAL NOT NULL, nuclei INTEGER NOT NULL, told TEXT NOT NULL, PRIMARY KEY (case_id, number)
    );
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, size INTEGER NOT NULL, content BLOB NOT NULL);
    CREATE TABLE arrays (
        case_id TEXT NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL REFERENCES blobs,
        PRIMARY KEY (case_id, number, name),
        FOREIGN KEY (case_id, number) REFERENCES versions ON DELETE CASCADE
    );
    CREATE INDEX arrays_of ON arrays (digest);
    CREATE TABLE links (
        id INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE,
        level TEXT NOT NULL, hash TEXT NOT NULL UNIQUE, made REAL NOT NULL, expires REAL NOT NULL,
        revoked INTEGER NOT NULL DEFAULT 0, openings INTEGER NOT NULL DEFAULT 0, last_opened REAL,
        note TEXT NOT NULL
    );
    CREATE TABLE comments (
        id INTEGER PRIMARY KEY AUTOINCREMENT, case_id TEXT NOT NULL REFERENCES cases ON DELETE CASCADE,
        x REAL NOT NULL, y REAL NOT NULL, text TEXT NOT NULL, author TEXT NOT NULL, at REAL NOT NULL,
        done INTEGER NOT NULL DEFAULT 0
    );
    """,
    "ALTER TABLE versions ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;",
)
"""Each leads from one version of the schema, `PRAGMA user_version`, to the next."""


def prepare(path: Path) -> None:
    """Makes the database where there is none, and brings an older one to this schema. Raises CaseError for a newer."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise CaseError(UNUSABLE) from error
    with said(), closing(_connected(path)) as database:
        version = _version(database)
        if version == len(MIGRATIONS):
            return
        if not version:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        with _transaction(database):
            _migrate(database, _version(database), len(MIGRATIONS))  # again: another process may have been faster


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The database as it is at one moment."""
    with said(), closing(_connected(path)) as database:
        database.execute("BEGIN")
        yield database


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, all of whose changes are kept together, or none. They are on the disk when this ends."""
    with said(), closing(_connected(path)) as database, _transaction(database):
        yield database


def swept(path: Path) -> None:
    """Gives back the room of what was deleted: then nothing of it is in the file, or in the log beside it."""
    with said(), closing(_connected(path)) as database:
        database.executescript("PRAGMA incremental_vacuum")  # `execute` would give back one page
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def backed_up(path: Path, copy: Path) -> None:
    """Writes a whole copy, while others write, too. Raises CaseError where there is such a file already."""
    part = copy.with_name(f".{copy.name}.{secrets.token_hex(4)}")
    try:
        for made in (copy, part):  # an empty file keeps the name, and is never taken for a backup
            os.close(os.open(made, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        why = "it is there already" if isinstance(error, FileExistsError) else f"{error.strerror}"
        raise CaseError(
            f"{copy.name} cannot be written: {why}; a backup needs a new name in a folder of yours"
        ) from error
    try:
        with said(), closing(_connected(path)) as database:
            database.execute("VACUUM INTO ?", (str(part),))
        _on_disk(part)
        part.replace(copy)
        _on_disk(copy.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        copy.unlink()
        raise


def restored(path: Path, copy: Path, aside: Path | None = None) -> None:
    """Puts a backup's content in place of the database's. Raises CaseError, with all as it was, where it is not whole.

    aside: where the cases that are there go first; where they cannot, nothing is restored. A database that is so damaged
    that it cannot be read or written is set aside as it is.
    """
    if not copy.is_file() or (path.exists() and copy.samefile(path)):
        raise CaseError(f"{copy.name} is no backup; a file that was written by `cases backup` is needed.")
    bad, address = f"{copy.name} is not a backup of cases, or it is damaged.", f"{copy.resolve().as_uri()}?mode=ro"
    with said(bad, bad), closing(sqlite3.connect(address, uri=True)) as source:
        if not _is_whole(source, _version(source)):
            raise CaseError(bad)
        with said():
            if aside and path.exists():
                _set_aside(path, aside)
            _usable(path)
            with closing(_connected(path)) as database:
                source.backup(database)  # one transaction: killed half-way, the former content stays
    prepare(path)


@contextmanager
def said(damaged: str = DAMAGED, unusable: str = UNUSABLE) -> Iterator[None]:
    """Says in words what SQLite reports of the disk and of other writers. Anything else is a bug."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        name = getattr(error, "sqlite_errorname", "")
        if name in NO_ROOM:
            raise CaseError(FULL) from error
        words = {"BUSY": CROWDED, "LOCKED": CROWDED, "CORRUPT": damaged, "NOTADB": damaged}
        words |= dict.fromkeys(("IOERR", "CANTOPEN", "READONLY", "PERM", "AUTH"), unusable)
        kind = name.removeprefix("SQLITE_").partition("_")[0]
        if kind not in words:
            raise
        raise CaseError(words[kind]) from error
    except (OverflowError, UnicodeEncodeError) as error:  # an id that SQLite cannot even be asked for
        raise CaseError(GONE) from error


def _migrate(database: sqlite3.Connection, begin: int, end: int) -> None:
    for migration in MIGRATIONS[begin:end]:
        for statement in migration.split(";"):
            database.execute(statement)
    database.execute(f"PRAGMA user_version = {end}")


def _shape(database: sqlite3.Connection) -> set[tuple[str, str]]:
    """Kinds and names of all that a database is made of."""
    return {tuple(row) for row in database.execute("SELECT type, name FROM sqlite_master")}


def _shape_of(version: int) -> set[tuple[str, str]]:
    """The same of a database of cases, by its version of the schema. One of version 0 has nothing, and is none."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        _migrate(database, 0, version)
        return _shape(database) or {("", "")}


def _is_whole(database: sqlite3.Connection, version: int) -> bool:
    """Whether it is a database of cases, and its arrays are those that were put in."""
    if database.execute("PRAGMA integrity_check").fetchone()[0] != "ok" or _shape(database) != _shape_of(version):
        return False
    blobs = database.execute("SELECT digest, content FROM blobs")
    return all(hashlib.sha256(content).hexdigest() == digest for digest, content in blobs)


def _set_aside(path: Path, aside: Path) -> None:
    """Keeps the cases that are there, if any: in a whole copy or, of a damaged database, as they are."""
    try:
        prepare(path)
        with reading(path) as database:
            if not database.execute("SELECT count(*) FROM cases").fetchone()[0]:
                return
        backed_up(path, aside)
    except CaseError as error:
        if str(error) != DAMAGED:
            raise CaseError(f"Nothing was restored, as what is there could not be set aside first. {error}") from error
        _renamed(path, aside)


def _usable(path: Path) -> None:
    """Makes sure that there is a database to write to; a file that is none any more is set aside."""
    try:
        prepare(path)
    except CaseError as error:
        if str(error) != DAMAGED:
            raise
        _renamed(path, path.with_name(f"damaged-{int(time.time())}-{path.name}"))
        prepare(path)


def _renamed(path: Path, aside: Path) -> None:
    """Gives a database another name, together with the log beside it, in which its last changes may be."""
    for log in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{log}").replace(aside.with_name(f"{aside.name}{log}"))


def _on_disk(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    database.row_factory = sqlite3.Row
    for setting in ("foreign_keys = ON", "secure_delete = ON", "synchronous = FULL"):
        database.execute(f"PRAGMA {setting}")
    return database


def _version(database: sqlite3.Connection) -> int:
    version = database.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise CaseError("These cases were written by a newer version of this app: update it.")
    return version
