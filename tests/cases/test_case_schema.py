"""The database itself: older and newer schemas, backups, where it lies, what its errors are called."""

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from case_works import content, digest, facts, numbered, rows, whole, work

from sac.__main__ import main
from sac.cases import Cases, Link, schema, store
from sac.cases.packing import to_bytes
from sac.errors import CaseError

ROOT = Path(__file__).parents[2]


def told(cases: Cases, owner) -> list:
    """All that an owner can see of all cases."""
    return [
        (case, cases.versions(case.id, owner), cases.links(case.id, owner), cases.comments(case.id, owner))
        + tuple(digest(cases.open(case.id, owner, v.number)[1]) for v in cases.versions(case.id, owner))
        for case in cases.mine(owner)
    ]


@pytest.fixture
def filled(cases, case, ada) -> Cases:
    """Two cases, one with two versions, a link and a comment."""
    cases.save(case.id, ada, numbered(1), 1, "bob")
    cases.create(ada, "second", numbered(2), "ada")
    cases.link(case.id, ada, "edit", 3, "Bob")
    cases.comment(case.id, ada, 1, 2, "here", "ada")
    return cases


def first_schema(path: Path, filled: Cases) -> None:
    """A database of the first version with the rows of another."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(schema.MIGRATIONS[0])
        old.execute("PRAGMA user_version = 1")
        for name in ("cases", "versions", "blobs", "arrays", "links", "comments"):
            columns = [column[1] for column in old.execute(f"PRAGMA table_info({name})")]
            with closing(sqlite3.connect(filled.path)) as new:
                values = new.execute(f"SELECT {', '.join(columns)} FROM {name}").fetchall()
            old.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(columns))})", values)


def test_a_database_of_the_first_schema_has_everything(filled, ada, tmp_path):
    first_schema(tmp_path / "old" / "cases.db", filled)
    token = filled.link(filled.mine(ada)[0].id, ada, "edit", 3)[1]
    assert "beside" not in str(
        sqlite3.connect(tmp_path / "old" / "cases.db").execute("PRAGMA table_info(versions)").fetchall()
    )
    old = Cases(tmp_path / "old")
    assert [t[0] for t in told(old, ada)] == [t[0] for t in told(filled, ada)]
    assert [t[1] for t in told(old, ada)] == [t[1] for t in told(filled, ada)] and whole(old.path)
    case = next(c for c in old.mine(ada) if c.name == "Biopsy 7")
    assert facts(old.open(case.id, ada, 1)[1]) == facts(work())
    assert old.save(case.id, ada, numbered(5), 1, "ada", beside=True).version == 3
    assert [v.beside for v in old.versions(case.id, ada)] == [2, 0, 0]
    with pytest.raises(CaseError):
        old.open(case.id, Link(token))  # made after
    assert Cases(tmp_path / "old").mine(ada) == old.mine(ada)  # the second time, nothing is left to do


def test_a_migration_that_is_killed_half_way_is_begun_again(filled, ada, tmp_path, monkeypatch):
    first_schema(tmp_path / "old" / "cases.db", filled)
    before = (tmp_path / "old" / "cases.db").read_bytes()[100:]  # behind the header, which says WAL from now on
    monkeypatch.setattr(
        schema, "MIGRATIONS", (*schema.MIGRATIONS, "CREATE TABLE more (a TEXT); INSERT INTO less VALUES (1)")
    )
    with pytest.raises(sqlite3.OperationalError):
        Cases(tmp_path / "old")
    assert (tmp_path / "old" / "cases.db").read_bytes()[100:] == before
    monkeypatch.undo()
    assert told(Cases(tmp_path / "old"), ada)[0][0] == told(filled, ada)[0][0]


def test_a_newer_schema_is_refused_and_left_alone(filled, ada, tmp_path):
    with closing(sqlite3.connect(filled.path)) as database:
        database.execute("PRAGMA user_version = 99")
    before = content(filled.path.parent)
    with pytest.raises(CaseError, match="^These cases were written by a newer version of this app: update it.$"):
        Cases(filled.path.parent)
    assert content(filled.path.parent) == before
    with pytest.raises(CaseError, match="^These cases were written by a newer version of this app: update it.$"):
        Cases(tmp_path / "new").restore(filled.path)
    assert filled.path.read_bytes() == before


def test_every_migration_is_of_single_statements():
    """They are split at each semicolon."""
    with closing(sqlite3.connect(":memory:")) as database:
        schema._migrate(database, 0, len(schema.MIGRATIONS))
        assert database.execute("PRAGMA user_version").fetchone() == (len(schema.MIGRATIONS),)
    assert not any("--" in migration or "TRIGGER" in migration for migration in schema.MIGRATIONS)


# Backups.


def test_a_restore_gives_what_was_backed_up(filled, ada, tmp_path):
    before, kept = told(filled, ada), rows(filled.path)
    token = filled.link(filled.mine(ada)[0].id, ada, "view", 3)[1]
    filled.backup(tmp_path / "a.db")
    now = rows(filled.path)
    for case in filled.mine(ada):
        filled.delete(case.id, ada)
    filled.create(ada, "since then", numbered(9))
    filled.restore(tmp_path / "a.db")
    assert rows(filled.path) == now and now["cases"] == kept["cases"] and whole(filled.path)
    assert [t[1:2] + t[3:] for t in told(filled, ada)] == [t[1:2] + t[3:] for t in before]
    assert filled.open(filled.of_link(token), Link(token))[0].level == "view"
    case = filled.create(ada, "goes on", numbered(10))
    filled.delete(case.id, ada)
    assert b"since then" not in content(filled.path.parent)


def test_a_backup_goes_to_another_machine(filled, ada, tmp_path):
    filled.backup(tmp_path / "a.db")
    assert stat.S_IMODE((tmp_path / "a.db").stat().st_mode) == 0o600
    elsewhere = Cases.restored(tmp_path / "a.db", tmp_path / "elsewhere")
    assert told(elsewhere, ada) == told(filled, ada)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db", "cases", "elsewhere"]


def test_a_backup_while_four_save_is_whole(cases, ada, tmp_path):
    made = [cases.create(ada, f"{n}", numbered(n)) for n in range(4)]
    stop, acknowledged, errors = threading.Event(), [1] * 4, []

    def keep_saving(n: int) -> None:
        try:
            while not stop.is_set() and acknowledged[n] < 90:
                work = numbered(1000 * n + acknowledged[n] + 1)
                acknowledged[n] = cases.save(made[n].id, ada, work, acknowledged[n], "").version
        except Exception as error:  # a thread's own would be lost
            errors.append(error)

    threads = [threading.Thread(target=keep_saving, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    least = []
    for n in range(4):
        least.append(list(acknowledged))
        cases.backup(tmp_path / f"{n}.db")
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors and sum(acknowledged) > sum(least[0])
    for number, then in enumerate(least):
        back = Cases.restored(tmp_path / f"{number}.db", tmp_path / f"back{number}")
        for n, case in enumerate(made):
            last = back.facts(case.id, ada).version
            assert then[n] <= last <= acknowledged[n]
            assert digest(back.open(case.id, ada)[1]) == digest(numbered(n if last == 1 else 1000 * n + last))
        assert whole(back.path)


def damage(good: bytes) -> dict[str, bytes]:
    half = bytearray(good)
    half[len(good) // 2 : len(good) // 2 + 4096] = os.urandom(4096)
    bit = bytearray(good)
    bit[good.index(to_bytes(numbered(1).image.pixels)[2000:2100]) + 50] ^= 1
    return {
        "cut": good[: len(good) // 2 // 4096 * 4096], "cut within a page": good[:-1000], "half": bytes(half), "a bit of a picture": bytes(bit), "empty": b"",
        "text": b"cases", "another head": b"x" + good[1:], "noise": good[:100] + os.urandom(len(good) - 100),
    }  # fmt: skip


def test_a_damaged_backup_is_refused_and_all_stays(filled, ada, tmp_path):
    filled.backup(tmp_path / "a.db")
    before = rows(filled.path)
    for number, (what, damaged) in enumerate(damage((tmp_path / "a.db").read_bytes()).items()):
        path = tmp_path / f"{number}.db"
        path.write_bytes(damaged)
        with pytest.raises(CaseError) as said:
            filled.restore(path)
        assert str(said.value) == f"{number}.db is not a backup of cases, or it is damaged.", what
        assert rows(filled.path) == before and path.read_bytes() == damaged, what


@pytest.mark.parametrize("statements", ["", "CREATE TABLE cases (id)", *[schema.MIGRATIONS[0]] * 2])
@pytest.mark.parametrize("version", [1, 2])
def test_another_programs_database_is_refused(cases, case, ada, tmp_path, statements, version):
    """Also one that has the right number: it would take the place of all cases."""
    if statements == schema.MIGRATIONS[0] and version == 1:
        statements += "CREATE TRIGGER t AFTER INSERT ON cases BEGIN DELETE FROM links; END"
    with closing(sqlite3.connect(tmp_path / "places.sqlite")) as other:
        other.executescript(f"{statements}; CREATE TABLE places (url); PRAGMA user_version = {version}")
    with pytest.raises(CaseError, match="^places.sqlite is not a backup of cases, or it is damaged.$"):
        cases.restore(tmp_path / "places.sqlite")
    assert cases.mine(ada) == [case]


def test_a_backup_that_is_there_is_not_overwritten(filled, tmp_path):
    (tmp_path / "a.db").write_bytes(b"mine")
    for path in (tmp_path / "a.db", tmp_path, filled.path, tmp_path / "no folder" / "a.db", tmp_path / "a.db" / "b"):
        before = content(tmp_path)
        with pytest.raises(CaseError, match="cannot be written: .*; a backup needs a new name in a folder of yours"):
            filled.backup(path)
        assert content(tmp_path) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.db", "cases"]


def test_a_backup_that_fails_leaves_nothing(filled, tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_on_disk", lambda path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        filled.backup(tmp_path / "a.db")
    assert [p.name for p in tmp_path.iterdir()] == ["cases"]


@pytest.mark.parametrize("name", ["", "not there.db", "cases/cases.db"])
def test_what_is_no_backup(filled, ada, tmp_path, name):
    """The database itself is none: it would be copied on itself."""
    before = rows(filled.path)
    with pytest.raises(CaseError, match=" is no backup; a file that was written by `cases backup` is needed.$"):
        filled.restore(tmp_path / name)
    assert rows(filled.path) == before


def test_a_damaged_database_says_so_and_a_backup_mends_it(filled, ada, tmp_path):
    """What stands in its place is set aside, in case somebody can save more of it."""
    before, folder = told(filled, ada), filled.path.parent
    filled.backup(tmp_path / "a.db")
    filled.path.write_bytes(os.urandom(20_000))
    for do in (lambda: Cases(folder), lambda: filled.mine(ada), lambda: filled.create(ada, "a", numbered(1))):
        with pytest.raises(CaseError, match="^The database of cases is damaged: restore a backup.$"):
            do()
    damaged = filled.path.read_bytes()
    assert told(Cases.restored(tmp_path / "a.db", folder), ada) == before
    assert [p.read_bytes() for p in folder.glob("damaged-*")] == [damaged]


def test_the_command(filled, ada, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))
    before = told(filled, ada)
    assert main(["cases", "backup", str(tmp_path / "a.db")]) == 0
    assert capsys.readouterr().out == f"2 cases of {filled.path.parent} are in {tmp_path / 'a.db'}.\n"
    assert main(["cases", "backup", str(tmp_path / "a.db")]) == 1
    assert capsys.readouterr().err.startswith("a.db cannot be written: it is there already")
    filled.delete(before[0][0].id, ada)
    assert main(["cases", "restore", str(tmp_path / "a.db")]) == 0 and told(filled, ada) == before
    (aside,) = filled.path.parent.glob("before-restore-*.db")
    assert capsys.readouterr().out == (
        f"2 cases are in {filled.path.parent} now. What was there before is in {aside}.\n"
    )
    assert Cases.restored(aside, tmp_path / "before").count() == 1
    assert main(["cases", "backup", str(tmp_path / "c.db"), "--data-dir", str(tmp_path / "nowhere")]) == 1
    assert "holds no cases; --data-dir names" in capsys.readouterr().err
    filled.path.write_bytes(b"no database" * 1000)
    assert main(["cases", "backup", str(tmp_path / "b.db")]) == 1 and "restore a backup" in capsys.readouterr().err
    assert main(["cases", "restore", str(tmp_path / "a.db")]) == 0 and told(filled, ada) == before


def test_a_restore_sets_aside_what_is_there_or_leaves_it(filled, ada, tmp_path, capsys):
    """A damaged page of an index, which hinders no reader, but no copy can be made; and no room for a copy."""
    restore, folder = ["cases", "restore", str(tmp_path / "a.db"), "--data-dir", str(tmp_path)], filled.path.parent
    filled.backup(tmp_path / "a.db")
    for number in range(40):
        filled.create(ada, f"of today {number}", numbered(number))
    before = told(filled, ada)
    code = f"import resource, sys; from sac.__main__ import main; limit = {filled.path.stat().st_size // 2}; "
    code += "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)); sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, *restore], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("Nothing was restored, as what is there could not be set aside")
    assert told(filled, ada) == before and not list(folder.glob("before-restore-*"))
    with closing(sqlite3.connect(filled.path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'arrays_of'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with filled.path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 8)
    damaged = filled.path.read_bytes()
    assert told(filled, ada) == before and main(restore) == 0
    (aside,) = folder.glob("before-restore-*.db")
    assert aside.read_bytes() == damaged and str(aside) in capsys.readouterr().out
    assert len(told(filled, ada)) == 2


# Where the files lie.


def test_only_who_runs_the_app_can_read_the_files(cases, case, ada):
    with closing(sqlite3.connect(cases.path)) as meanwhile:
        meanwhile.execute("SELECT count(*) FROM cases").fetchall()
        cases.save(case.id, ada, numbered(1), 1, "")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in cases.path.parent.iterdir()}
    assert modes == {"cases.db": 0o600, "cases.db-wal": 0o600, "cases.db-shm": 0o600}
    assert stat.S_IMODE(cases.path.parent.stat().st_mode) == 0o700


REFUSED = "^Cases must lie outside the project, the working folder and the temporary folder: set SAC_DATA_DIR"


def test_a_folder_that_the_page_might_serve_is_refused(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    monkeypatch.setenv("HOME", str(elsewhere))
    (tmp_path / "link").symlink_to(store.PROJECT)
    places = (
        store.PROJECT / "data",
        store.PROJECT,
        tmp_path / "run" / "data",
        Path("data"),
        tmp_path / "link" / "data",
    )
    for place in places:
        monkeypatch.setenv("SAC_DATA_DIR", str(place))
        with pytest.raises(CaseError, match=REFUSED):
            Cases()
        assert not (place / "cases").exists()
    monkeypatch.setenv("SAC_DATA_DIR", str(elsewhere))  # below the temporary folder, but one's own choice
    assert Cases().path == elsewhere / "cases" / "cases.db"
    monkeypatch.delenv("SAC_DATA_DIR")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path))
    with pytest.raises(CaseError, match=REFUSED):
        Cases()
    monkeypatch.setattr(store.tempfile, "tempdir", str(tmp_path / "run"))
    assert Cases().path == tmp_path / "xdg" / "segment-any-cell" / "cases" / "cases.db"
    monkeypatch.chdir(tmp_path)  # a working folder with one's home in it: there is no other place
    assert Cases().path.is_relative_to(tmp_path / "xdg")


def test_the_page_asks_for_no_other_folder(tmp_path, monkeypatch):
    from sac.ui.cases import held

    monkeypatch.setenv("SAC_DATA_DIR", str(store.PROJECT / "data"))
    with pytest.raises(CaseError, match=REFUSED):
        held.cases()
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))
    assert held.cases().path == tmp_path / "cases" / "cases.db" and held.cases() is held.cases()


def test_a_folder_that_cannot_be_used_is_said_so(cases, ada, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CaseError, match="^The folder of cases cannot be used: see to its permissions"):
            Cases(folder)
    for file in cases.path.parent.iterdir():
        file.unlink()
    cases.path.mkdir()
    with pytest.raises(CaseError, match="^The folder of cases cannot be used: "):
        cases.mine(ada)


def test_a_mistake_of_ours_is_not_called_damage(cases):
    """Else a user would restore a backup for nothing."""
    for wrong in ("SELECT * FROM nowhere", "SELECT", "INSERT INTO versions VALUES (1)"):
        with pytest.raises(sqlite3.Error), schema.reading(cases.path) as database:
            database.execute(wrong)
