"""Promise C: what was said to be saved is there, whatever happens: kills, many at once, no room on the disk."""

import resource
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import pytest
from case_works import digest, numbered, rows, whole

from sac.cases import Link, Owner, schema
from sac.errors import CaseChanged, CaseError

ROOT = Path(__file__).resolve().parents[2]


def test_kills_and_a_crowd_of_processes_lose_nothing():
    """Five kills and twenty writers; `python -m tests.cases.kills --times 50` does more."""
    command = [sys.executable, "-m", "tests.cases.kills", "--times", "5", "--writers", "20"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    kills, crowd = ran.stdout.splitlines()
    assert kills.startswith("5 kills: ") and "all there" in kills
    assert crowd == "20 writers at once: 60 versions and 20 cases acknowledged, all there"


def test_twenty_threads_at_once(cases, case, ada):
    """Each on a case of its own, on one case beside all others, and on that case as long as nobody was faster."""
    link, done, errors = Link(cases.link(case.id, ada, "edit", 3)[1]), {}, []
    ready = threading.Barrier(20)

    def write(n: int) -> None:
        try:
            ready.wait()
            own = cases.create(Owner(f"{n}"), f"{n}", numbered(n))
            second = cases.save(own.id, Owner(f"{n}"), numbered(100 + n), 1, "")
            both = cases.save(case.id, link, numbered(200 + n), 1, f"{n}", beside=True)
            latest = both.version
            while True:
                try:
                    latest = cases.save(case.id, link, numbered(300 + n), latest, f"{n}").version
                    break
                except CaseChanged as error:
                    latest = error.latest
            done[n] = own.id, second.version, both.version, latest
        except Exception as error:  # a thread's own would be lost
            errors.append(error)

    threads = [threading.Thread(target=write, args=[n]) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors and len(done) == 20
    for n, (own, second, both, latest) in done.items():
        assert second == 2 and digest(cases.open(own, Owner(f"{n}"))[1]) == digest(numbered(100 + n))
        assert digest(cases.open(case.id, ada, both)[1]) == digest(numbered(200 + n))
        assert digest(cases.open(case.id, ada, latest)[1]) == digest(numbered(300 + n))
    assert [v.number for v in cases.versions(case.id, ada)] == [*range(41, 0, -1)] and whole(cases.path)


@contextmanager
def files_end_at(size: int):
    """No file of this process grows beyond so many bytes, as under a quota: the system refuses to write more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextmanager
def pages_end(path: Path, monkeypatch):
    """The database has no page more, as on a full disk: SQLite itself says so."""
    with closing(sqlite3.connect(path)) as database:
        (pages,) = database.execute("PRAGMA page_count").fetchone()
    inner = schema._connected

    def connected(path: Path) -> sqlite3.Connection:
        database = inner(path)
        database.execute(f"PRAGMA max_page_count = {pages}")
        return database

    with monkeypatch.context() as patch:
        patch.setattr(schema, "_connected", connected)
        yield


@pytest.mark.parametrize("how", ["the system refuses", "SQLite counts", "the reserve"])
def test_a_full_disk_loses_nothing_and_says_so(cases, case, ada, limits, monkeypatch, tmp_path, how):
    cases.save(case.id, ada, numbered(1), 1, "")
    (tmp_path / "a.saccase").write_bytes(cases.export(case.id, ada))
    large, before = numbered(2, side=700), rows(cases.path)
    full = {
        "the system refuses": lambda: files_end_at(500_000),
        "SQLite counts": lambda: pages_end(cases.path, monkeypatch),
        "the reserve": lambda: limits(disk_reserve=2**62) or nullcontext(),
    }[how]
    with full():
        for do in (
            lambda: cases.save(case.id, ada, large, 2, ""),
            lambda: cases.save(case.id, ada, large, 1, "", beside=True),
            lambda: cases.create(ada, "large", large),
        ):
            with pytest.raises(CaseError) as said:
                do()
            assert str(said.value) == schema.FULL
            assert rows(cases.path) == before
        assert digest(cases.open(case.id, ada)[1]) == digest(numbered(1))  # reading goes on
    if how == "the reserve":
        limits()
    assert whole(cases.path) and rows(cases.path) == before
    assert cases.save(case.id, ada, large, 2, "").version == 3
    assert digest(cases.open(case.id, ada)[1]) == digest(large)


def test_a_full_disk_while_backing_up_and_restoring(cases, ada, tmp_path):
    large = cases.create(ada, "large", numbered(2, side=700))
    cases.backup(tmp_path / "a.db")
    cases.delete(large.id, ada)
    cases.create(ada, "since", numbered(3))
    before = rows(cases.path)
    with files_end_at(500_000):
        with pytest.raises(CaseError, match=schema.FULL):
            cases.restore(tmp_path / "a.db")
        assert rows(cases.path) == before and whole(cases.path)
    cases.restore(tmp_path / "a.db")
    with files_end_at(500_000), pytest.raises(CaseError, match=schema.FULL):
        cases.backup(tmp_path / "b.db")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db", "cases"]
    assert [c.name for c in cases.mine(ada)] == ["large"]


def test_deleting_makes_room_on_a_full_disk(cases, case, ada):
    """The only way out must not need room: a little for the log is enough."""
    large = cases.create(ada, "large", numbered(2, side=700))
    with files_end_at(cases.path.stat().st_size):
        cases.delete(large.id, ada)
    assert cases.mine(ada) == [case] and whole(cases.path)


def test_who_waits_too_long_is_told(cases, case, ada, monkeypatch):
    monkeypatch.setattr(schema, "PATIENCE", 0.05)
    with closing(sqlite3.connect(cases.path, isolation_level=None)) as slow:
        slow.execute("BEGIN IMMEDIATE")
        with pytest.raises(CaseError, match="^Too many are saving at once: try again in a moment.$"):
            cases.save(case.id, ada, numbered(1), 1, "")
        assert cases.facts(case.id, ada) == case  # who reads does not wait
    assert cases.save(case.id, ada, numbered(1), 1, "").version == 2


def test_a_full_disk_keeps_nobody_from_looking(cases, case, ada, monkeypatch):
    """The opening by a link is not counted then, and that is all."""
    _, token = cases.link(case.id, ada, "view", 7)
    connected = schema._connected

    def full(path):
        database = connected(path)
        database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
        database.execute("PRAGMA query_only = 1")
        return database

    monkeypatch.setattr(schema, "_connected", full)
    assert cases.open(case.id, Link(token))[0].level == "view"
    monkeypatch.undo()
    assert cases.links(case.id, ada)[0].openings == 0
