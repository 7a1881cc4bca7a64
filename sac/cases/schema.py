"""The database of cases: its tables, how they came to be, and how it is opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sac.errors import CaseError

PATIENCE = 30
"""Seconds that one writer waits for the others."""
FULL = "The disk is full: nothing was saved and nothing was lost; free some space, then save again."
DAMAGED = "The database of cases is damaged: restore a backup."

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
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with open(os.open(path, os.O_RDWR | os.O_CREAT, 0o600)):
        pass
    with said(), closing(_connected(path)) as database:
        version = _version(database)
        if version == len(MIGRATIONS):
            return
        if not version:
            database.execute("PRAGMA auto_vacuum = INCREMENTAL")
        database.execute("PRAGMA journal_mode = WAL")
        with _transaction(database):
            version = _version(database)  # again: another process may have been faster
            for migration in MIGRATIONS[version:]:
                for statement in migration.split(";"):
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


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
        database.execute("PRAGMA incremental_vacuum").fetchall()
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def backed_up(path: Path, copy: Path) -> None:
    """Writes a whole copy, while others write, too. Raises CaseError where there is such a file already."""
    try:
        os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        why = "it is there already" if isinstance(error, FileExistsError) else f"{error.strerror}"
        raise CaseError(f"{copy.name} cannot be written: {why}; a backup needs a new name in a folder of yours") from error
    try:
        with said(), closing(_connected(path)) as database:
            database.execute("VACUUM INTO ?", (str(copy),))
    except CaseError:
        copy.unlink()
        raise


def restored(path: Path, copy: Path) -> None:
    """Puts a backup's content in place of the database's. Raises CaseError, with all as it was, where it is not whole."""
    if not copy.is_file():
        raise CaseError(f"{copy.name} is not a file")
    bad, address = f"{copy.name} is not a backup of cases, or it is damaged.", f"{copy.resolve().as_uri()}?mode=ro"
    with said(bad), closing(sqlite3.connect(address, uri=True)) as source:
        if not _version(source) or source.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise CaseError(bad)
        with closing(_connected(path)) as database:
            source.backup(database)  # one transaction: killed half-way, the former content stays
    prepare(path)


@contextmanager
def said(damaged: str = DAMAGED) -> Iterator[None]:
    """Says in words what SQLite reports."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise CaseError("Too many are saving at once: try again in a moment.") from error
        raise CaseError(FULL) from error
    except sqlite3.DatabaseError as error:
        raise CaseError(damaged) from error


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
