"""Promises E and G: who may do what with a case, for every method of the store; links that end; nothing that tells."""

import base64
import shutil
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from case_works import content, numbered, rows, work

from sac.cases import GONE, LEVELS, Cases, Link, Owner, rights
from sac.config import LIMITS
from sac.errors import CaseError

ADA, EVE = Owner("login:ada"), Owner("login:eve")
DAY = 24 * 3600

OF_A_CASE = {
    "allowed": ("view", lambda c, id, who: c.allowed(id, who, "view")),
    "facts": ("view", lambda c, id, who: c.facts(id, who)),
    "open": ("view", lambda c, id, who: c.open(id, who)),
    "versions": ("edit", lambda c, id, who: c.versions(id, who)),
    "version 1": ("edit", lambda c, id, who: c.open(id, who, 1)),
    "comments": ("view", lambda c, id, who: c.comments(id, who)),
    "save": ("edit", lambda c, id, who: c.save(id, who, numbered(2), 1, "x")),
    "comment": ("edit", lambda c, id, who: c.comment(id, who, 1, 2, "text", "x")),
    "settle": ("edit", lambda c, id, who: c.settle(id, who, 1, True)),
    "uncomment": ("edit", lambda c, id, who: c.uncomment(id, who, 1)),
    "rename": ("own", lambda c, id, who: c.rename(id, who, "new name")),
    "duplicate": ("own", lambda c, id, who: c.duplicate(id, who)),
    "delete": ("own", lambda c, id, who: c.delete(id, who)),
    "export": ("own", lambda c, id, who: c.export(id, who)),
    "link": ("own", lambda c, id, who: c.link(id, who, "edit", 3)),
    "links": ("own", lambda c, id, who: c.links(id, who)),
    "revoke": ("own", lambda c, id, who: c.revoke(id, who, 1)),
}
"""Each method that is about one case: the least level that it needs, and how it is called."""
READING = ("allowed", "facts", "open", "version 1", "versions", "comments", "export", "links")
OTHERS = {"create", "mine", "import_file", "of_link", "count", "DATABASE", "backup", "restore", "restored"}
"""Of an owner's own shelf, of a link by itself, and what only the command line calls."""
WHO = {
    "owner": "own", "stranger": None, "nobody": None, "viewer": "view", "editor": "edit", "expired": None,
    "revoked": None, "of another case": None, "guessed": None, "empty": None,
}  # fmt: skip
"""Who asks, and what that one may do."""


@pytest.fixture(scope="module")
def laid(tmp_path_factory):
    """A folder with two cases, the first with a comment and links of every kind; its id; who is who."""
    cases = Cases(tmp_path_factory.mktemp("laid") / "cases")
    case, other = cases.create(ADA, "one", numbered(1), "ada"), cases.create(ADA, "other", numbered(7), "ada")
    cases.comment(case.id, ADA, 3, 4, "look here", "ada")
    made = {
        "viewer": (case, "view"), "editor": (case, "edit"), "expired": (case, "edit"), "revoked": (case, "edit"),
        "of another case": (other, "edit"),
    }  # fmt: skip
    links = {name: cases.link(at.id, ADA, level, 3) for name, (at, level) in made.items()}
    cases.revoke(case.id, ADA, links["revoked"][0].id)
    with closing(sqlite3.connect(cases.path)) as database, database:
        database.execute("UPDATE links SET expires = ? WHERE id = ?", (time.time() - 1, links["expired"][0].id))
    who = {name: Link(token) for name, (_, token) in links.items()}
    who |= {"owner": ADA, "stranger": EVE, "nobody": Owner(""), "guessed": Link("A" * 32), "empty": Link("")}
    return cases.path.parent, case.id, who


@pytest.fixture
def copied(laid, tmp_path):
    folder, case, who = laid
    shutil.copytree(folder, tmp_path / "cases")
    return Cases(tmp_path / "cases"), case, who


def test_every_method_is_in_the_table():
    public = {name for name in vars(Cases) if not name.startswith("_")}
    assert public == {*(name for name in OF_A_CASE if " " not in name), *OTHERS} and set(READING) <= set(OF_A_CASE)


@pytest.mark.parametrize("name", WHO)
@pytest.mark.parametrize("method", OF_A_CASE)
def test_who_may_do_what(copied, method, name):
    cases, case, who = copied
    least, call = OF_A_CASE[method]
    level, before = WHO[name], rows(cases.path)
    if level and LEVELS.index(level) >= LEVELS.index(least):
        call(cases, case, who[name])
        counted = method == "open" and isinstance(who[name], Link)
        assert (rows(cases.path) == before) == (method in READING and not counted)
        return
    with pytest.raises(CaseError) as refused:
        call(cases, case, who[name])
    assert (str(refused.value) == GONE) == (level is None)
    assert level is None or str(refused.value).startswith(f"This link is to {level}: what you asked for, only ")
    assert rows(cases.path) == before


@pytest.mark.parametrize("method", OF_A_CASE)
@pytest.mark.parametrize("unknown", ["", "0123456789abcdef", "' OR 1=1 --", "\ud800", "a\0b", "x" * 100_000])
def test_a_case_that_is_none_is_nobodys(copied, method, unknown):
    cases, _, who = copied
    before = rows(cases.path)
    for name in ("owner", "editor", "guessed"):
        with pytest.raises(CaseError, match=GONE):
            OF_A_CASE[method][1](cases, unknown, who[name])
    assert rows(cases.path) == before


def test_a_deleted_case_is_nobodys_and_its_links_are_dead(copied):
    cases, case, who = copied
    cases.delete(case, ADA)
    for _, call in OF_A_CASE.values():
        for name in ("owner", "viewer", "editor"):
            with pytest.raises(CaseError, match=GONE):
                call(cases, case, who[name])
    with pytest.raises(CaseError, match=GONE):
        cases.of_link(who["viewer"].token)


def test_a_shelf_shows_ones_own_only(copied):
    cases, _, _ = copied
    assert [c.name for c in cases.mine(ADA)] == ["other", "one"] and not cases.mine(EVE) and not cases.mine(Owner(""))
    theirs = cases.create(EVE, "hers", numbered(3))
    assert [c.id for c in cases.mine(EVE)] == [theirs.id] and len(cases.mine(ADA)) == 2


def test_a_link_leads_to_its_case_and_no_other(copied):
    cases, case, who = copied
    assert cases.of_link(who["viewer"].token) == cases.of_link(who["editor"].token) == case
    assert cases.of_link(who["of another case"].token) == cases.mine(ADA)[0].id != case
    for name in ("expired", "revoked", "guessed", "empty"):
        with pytest.raises(CaseError, match=GONE):
            cases.of_link(who[name].token)
    for wrong in (who["viewer"].token[:-1], who["viewer"].token + "A", who["viewer"].token.swapcase(), "\ud800", "%"):
        with pytest.raises(CaseError, match=GONE):
            cases.of_link(wrong)


def test_a_comment_or_link_of_another_case_is_out_of_reach(copied):
    """Their numbers are easily guessed: they count for the case that one may use only."""
    cases, case, who = copied
    hers = cases.create(EVE, "hers", numbered(3))
    for do in (lambda: cases.settle(hers.id, EVE, 1, True), lambda: cases.uncomment(hers.id, EVE, 1)):
        before = rows(cases.path)
        do()
        assert rows(cases.path) == before
    cases.revoke(hers.id, EVE, 1)
    assert cases.of_link(who["viewer"].token) == case and len(cases.comments(case, ADA)) == 1


@pytest.mark.parametrize("number", [2**63, -(2**70), 10**400])
def test_numbers_that_no_database_holds(copied, number):
    cases, case, _ = copied
    for do in (
        lambda: cases.open(case, ADA, number),
        lambda: cases.settle(case, ADA, number, True),
        lambda: cases.uncomment(case, ADA, number),
        lambda: cases.revoke(case, ADA, number),
    ):
        with pytest.raises(CaseError):
            do()


def test_a_link_ends_on_its_last_day(cases, case, ada, monkeypatch):
    facts, token = cases.link(case.id, ada, "view", 3)
    assert facts.expires - facts.made == 3 * DAY and not facts.revoked and facts.level == "view"
    for after, opens in [(facts.expires - 1, True), (facts.expires, False), (facts.expires + 9, False)]:
        monkeypatch.setattr(rights, "time", SimpleNamespace(time=lambda now=after: now))
        if opens:
            assert cases.open(case.id, Link(token))[0].level == "view"
        else:
            with pytest.raises(CaseError, match=GONE):
                cases.open(case.id, Link(token))
    assert cases.links(case.id, ada)[0].openings == 1


def test_a_revoked_link_ends_at_once_and_the_others_go_on(cases, case, ada):
    (one, first), (_, second) = (cases.link(case.id, ada, "edit", 3, note) for note in ("Bob", "Cy"))
    cases.revoke(case.id, ada, one.id)
    with pytest.raises(CaseError, match=GONE):
        cases.save(case.id, Link(first), work(), 1, "bob")
    assert cases.save(case.id, Link(second), work(), 1, "cy").version == 2
    assert [(f.note, f.revoked) for f in cases.links(case.id, ada)] == [("Cy", False), ("Bob", True)]


def test_openings_are_counted(cases, case, ada):
    facts, token = cases.link(case.id, ada, "view", 3, "for\nthe tumour board")
    cases.link(case.id, ada, "view", 3)
    assert facts.openings == 0 and facts.last_opened is None and facts.note == "for the tumour board"
    for _ in range(3):
        cases.open(case.id, Link(token))
    cases.open(case.id, ada)
    cases.facts(case.id, Link(token)), cases.comments(case.id, Link(token))
    with pytest.raises(CaseError):
        cases.rename(case.id, Link(token), "x")
    newer, older = cases.links(case.id, ada)
    assert (older.openings, newer.openings, newer.last_opened) == (3, 0, None)
    assert facts.made <= older.last_opened <= time.time()


@pytest.mark.parametrize("level, days", [("own", 3), ("", 3), ("VIEW", 3), ("view", 0), ("edit", 31), ("view", -1)])
def test_a_link_of_another_kind_is_refused(cases, case, ada, level, days):
    with pytest.raises(CaseError, match="^A link (is to view or to edit|lasts 1 to 30 days), not "):
        cases.link(case.id, ada, level, days)
    assert not cases.links(case.id, ada)


def test_tokens_are_long_all_different_and_nowhere_on_the_disk(cases, case, ada):
    with closing(sqlite3.connect(cases.path)) as open_meanwhile:  # so that the log beside it stays
        open_meanwhile.execute("SELECT count(*) FROM cases").fetchall()
        tokens = [cases.link(case.id, ada, level, 3)[1] for level in ("view", "edit") * 10]
        for token in tokens:
            cases.open(case.id, Link(token))
        kept = content(cases.path.parent)
        assert (cases.path.parent / "cases.db-wal").stat().st_size > 0
    assert len(set(tokens)) == 20
    for token in tokens:
        raw = base64.urlsafe_b64decode(token)
        assert len(raw) == 24  # 192 bits
        assert not any(form in kept for form in (token.encode(), raw, raw.hex().encode(), base64.b64encode(raw)))
    assert all(token not in str(facts) for token, facts in zip(tokens, cases.links(case.id, ada)))


def test_comments_are_pinned_settled_and_taken_off(cases, case, ada):
    one, two = (cases.comment(case.id, ada, x, 2.5, f" here {x} ", "ad\na") for x in (1, 2))
    assert (one.x, one.y, one.text, one.author, one.done) == (1, 2.5, "here 1", "ad a", False)
    cases.settle(case.id, ada, one.id, True)
    assert [c.done for c in cases.comments(case.id, ada)] == [True, False]
    cases.settle(case.id, ada, one.id, False)
    cases.uncomment(case.id, ada, two.id)
    assert cases.comments(case.id, ada) == [one]
    for text in ("", " \n", "x" * (LIMITS.comment + 1)):
        with pytest.raises(CaseError, match="^A comment has 1 to 2000 characters, not "):
            cases.comment(case.id, ada, 1, 2, text, "ada")
    for x, y in [(float("nan"), 1), (1, float("inf"))]:
        with pytest.raises(CaseError, match="^A comment is pinned to a place of the picture.$"):
            cases.comment(case.id, ada, x, y, "text", "ada")


def test_comments_have_a_limit(cases, case, ada, limits):
    limits(comments=2)
    for _ in range(2):
        cases.comment(case.id, ada, 1, 2, "text", "ada")
    with pytest.raises(CaseError, match="^The case has 2 comments, the most there may be: take some off first.$"):
        cases.comment(case.id, ada, 1, 2, "text", "ada")


def test_a_link_signs_as_one(cases, case, ada):
    """Whoever came by it cannot pass for the owner."""
    _, token = cases.link(case.id, ada, "edit", 7)
    for author, signed in (("ada", "ada (link)"), ("", "link"), ("x" * 99, "x" * 50 + " (link)")):
        latest = cases.facts(case.id, ada).version
        assert cases.save(case.id, Link(token), numbered(latest), latest, author).author == signed
        assert cases.comment(case.id, Link(token), 1, 2, "here", author).author == signed


def test_a_link_leaves_the_owner_room_and_pushes_nothing_out(cases, case, ada, limits):
    limits(versions=6, comments=10)
    link = Link(cases.link(case.id, ada, "edit", 7)[1])
    for latest in (1, 2):
        cases.save(case.id, link, numbered(latest), latest, "")
    with pytest.raises(CaseError, match="only its owner may add"):
        cases.save(case.id, link, numbered(3), 3, "")
    assert [v.number for v in cases.versions(case.id, ada)] == [3, 2, 1]
    assert cases.save(case.id, ada, numbered(3), 3, "").version == 4
    for number in range(8):
        cases.comment(case.id, link, 1, 2, f"{number}", "")
    with pytest.raises(CaseError, match="8 comments"):
        cases.comment(case.id, link, 1, 2, "one more", "")
    cases.comment(case.id, ada, 1, 2, "the owner's", "")


def test_a_file_for_others_calls_a_model_as_it_is_told_to(cases, case, ada, tmp_path):
    path = tmp_path / "a.saccase"
    path.write_bytes(cases.export(case.id, ada, lambda model: f"not {model}"))
    _, work = cases.open(cases.import_file(ada, path).id, ada)
    _, before = cases.open(case.id, ada)
    assert [*work.sessions] == [(f"not {model}", mode) for model, mode in before.sessions]
    assert work.models == {f"not {model}": words for model, words in before.models.items()}
    assert work.shown == (f"not {before.shown[0]}", before.shown[1])
