"""Two edit at once: neither overwrites the other. Limits of what is kept. Deleting for good."""

import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest
from case_works import SHOWN, content, digest, numbered, rows, whole, work

from sac.cases import Link, Owner, Work, schema, versions
from sac.errors import CaseChanged, CaseError


def test_the_second_to_save_is_asked(cases, case, ada):
    bob = Link(cases.link(case.id, ada, "edit", 3)[1])
    assert cases.save(case.id, bob, numbered(2), 1, "bob").version == 2
    before = rows(cases.path)
    with pytest.raises(CaseChanged) as asked:
        cases.save(case.id, ada, numbered(3), 1, "ada")
    assert (asked.value.latest, asked.value.author) == (2, "bob (link)") and rows(cases.path) == before
    assert str(asked.value) == "The case was saved by bob (link) meanwhile, as version 2. Keep both, or reload theirs?"


def test_both_are_kept(cases, case, ada):
    cases.save(case.id, ada, numbered(2), 1, "bob")
    both = cases.save(case.id, ada, numbered(3), 1, "ada", beside=True)
    assert both.version == 3
    assert [(v.number, v.author, v.beside) for v in cases.versions(case.id, ada)] == [
        (3, "ada", 2), (2, "bob", 0), (1, "ada", 0),
    ]  # fmt: skip
    for number in (2, 3):
        assert digest(cases.open(case.id, ada, number)[1]) == digest(numbered(number))
    assert cases.save(case.id, ada, numbered(4), 3, "ada").version == 4  # and from there on, as usual


def test_reloaded_work_is_saved_on_top(cases, case, ada):
    cases.save(case.id, ada, numbered(2), 1, "bob")
    told, theirs = cases.open(case.id, ada)
    assert cases.save(case.id, ada, theirs, told.version, "ada").version == 3


@pytest.mark.parametrize("based_on", [0, 2, -1, 2**70])
def test_a_version_that_never_was_is_no_ground(cases, case, ada, based_on):
    with pytest.raises(CaseChanged):
        cases.save(case.id, ada, numbered(2), based_on, "ada")


def test_nobody_is_not_named(cases, ada):
    case = cases.create(ada, "a", numbered(1))
    with pytest.raises(CaseChanged, match="^The case was saved meanwhile, as version 1. "):
        cases.save(case.id, ada, numbered(2), 0, "ada")


def test_who_saves_is_told_of_ones_own_version(cases, case, ada, monkeypatch):
    """Also where another save follows at once: else the next one would overwrite that, unasked."""
    checked, inner = [], versions.forget_old

    def and_others_wait(database, id):
        inner(database, id)
        checked.append(database.in_transaction)

    monkeypatch.setattr(versions, "forget_old", and_others_wait)
    monkeypatch.setattr(type(cases), "facts", None)  # a second look would be one too late
    assert cases.save(case.id, ada, numbered(2), 1, "ada").version == 2 and checked == [True]


def test_of_many_versions_the_first_and_the_latest_stay(cases, ada, limits):
    limits(versions=3)
    case = cases.create(ada, "a", numbered(1))
    for number in range(2, 8):
        cases.save(case.id, ada, numbered(number), number - 1, "")
    assert [v.number for v in cases.versions(case.id, ada)] == [7, 6, 1]
    for number in (1, 6, 7):
        assert digest(cases.open(case.id, ada, number)[1]) == digest(numbered(number))
    with pytest.raises(CaseError, match="^The case has no version 5.$"):
        cases.open(case.id, ada, 5)
    assert len(rows(cases.path)["blobs"]) == 3  # what only those had is gone
    assert cases.facts(case.id, ada).version == 7


def test_one_has_so_many_cases(cases, ada, limits, tmp_path):
    limits(cases=2)
    first = cases.create(ada, "a", numbered(1))
    (tmp_path / "a.saccase").write_bytes(cases.export(first.id, ada))
    cases.duplicate(first.id, ada)
    for do in (
        lambda: cases.create(ada, "c", numbered(3)),
        lambda: cases.duplicate(first.id, ada),
        lambda: cases.import_file(ada, tmp_path / "a.saccase"),
    ):
        with pytest.raises(CaseError, match="^There are 2 cases, the most there may be: delete some first.$"):
            do()
    assert cases.create(Owner("login:bob"), "his", numbered(3))  # nobody fills another's shelf
    cases.delete(first.id, ada)
    assert cases.create(ada, "c", numbered(3)) and len(cases.mine(ada)) == 2


def test_one_has_so_much_room(cases, ada, limits):
    """12,288 bytes of noise a picture: with two, 20,000 are exceeded."""
    limits(cases_bytes=20_000)
    case = cases.create(ada, "a", numbered(1))
    cases.create(Owner("login:bob"), "his", numbered(2))
    cases.save(case.id, ada, numbered(3), 1, "")
    for do in (lambda: cases.save(case.id, ada, numbered(4), 2, ""), lambda: cases.create(ada, "b", numbered(5))):
        with pytest.raises(CaseError, match="^The cases take more than "):
            do()
    cases.delete(case.id, ada)
    assert cases.create(ada, "b", numbered(5))


def test_one_version_has_a_limit(cases, case, ada, limits):
    limits(case=10_000)
    with pytest.raises(CaseError, match="^The case takes "):
        cases.save(case.id, ada, numbered(2), 1, "")
    assert cases.facts(case.id, ada) == case


def distinctive() -> tuple[Work, list[bytes]]:
    """A work, and bytes that are in no other: as they are and packed."""
    words = [b"NOTES-of-the-deleted", b"MODEL-of-the-deleted", b"ORIGIN-of-the-deleted"]
    session = work().sessions[SHOWN]
    nucleus = replace(session.nuclei[1], origin=words[2].decode())
    marked = replace(session, nuclei={**session.nuclei, 1: nucleus})
    models = {"nuclei": words[1].decode()}
    return replace(work(words[0].decode()), sessions={SHOWN: marked}, models=models), words


@pytest.mark.parametrize("somebody_reads", [False, True])
def test_nothing_of_a_deleted_case_stays_in_the_files(cases, ada, somebody_reads, monkeypatch):
    stays = cases.create(ada, "stays", numbered(99))
    done, words = distinctive()
    case = cases.create(ada, "NAME-of-the-deleted", done, "AUTHOR-of-the-deleted")
    cases.save(case.id, ada, replace(done, notes="SECOND-of-the-deleted"), 1, "")
    cases.comment(case.id, ada, 1, 2, "COMMENT-of-the-deleted", "ada")
    cases.link(case.id, ada, "view", 3, "LINK-of-the-deleted")
    with closing(sqlite3.connect(cases.path)) as database:
        held = "SELECT content FROM blobs WHERE digest IN (SELECT digest FROM arrays WHERE case_id = ?)"
        packed = [blob for (blob,) in database.execute(held, (case.id,))]
    pieces = [blob[at : at + 24] for blob in packed for at in range(16, len(blob) - 24, max(24, len(blob) // 40))]
    wanted = [*words, *pieces, case.id.encode(), case.thumbnail[-200:-168]]
    wanted += [f"{word}-of-the-deleted".encode() for word in ("NAME", "AUTHOR", "SECOND", "COMMENT", "LINK")]
    before = content(cases.path.parent)
    assert len(pieces) > 80 and all(piece in before for piece in words + wanted[-5:])
    assert sum(piece in before for piece in pieces) > 0.9 * len(pieces)  # few lie across the border of a page
    with closing(sqlite3.connect(cases.path)) as reader:
        if somebody_reads:  # as it was before
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM cases").fetchall()
            monkeypatch.setattr(schema, "PATIENCE", 0.1)
        cases.delete(case.id, ada)
    cases.mine(ada)  # where somebody read, the next who asks leaves nothing
    after = content(cases.path.parent)
    assert [piece for piece in wanted if piece in after] == []
    assert whole(cases.path) and digest(cases.open(stays.id, ada)[1]) == digest(numbered(99))


def test_deleting_gives_back_the_room(cases, ada):
    cases.create(ada, "stays", numbered(1))
    before = cases.path.stat().st_size
    case = cases.create(ada, "large", numbered(2, side=600))
    assert cases.mine(ada) and cases.path.stat().st_size > before + 10**6
    cases.delete(case.id, ada)
    assert cases.path.stat().st_size <= before and whole(cases.path)
