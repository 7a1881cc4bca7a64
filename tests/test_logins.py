"""Passwords that cannot be read back, and the file that holds them."""

import argparse
import io
import stat
import statistics
import time

import pytest

from sac.commands import user
from sac.errors import OptionError
from sac.logins import Accounts, Cost, Hashed, read, write

CHEAP = Cost(n=2**10, r=8, p=1)


@pytest.fixture
def file(tmp_path):
    """Two names: ada's password is "lovelace1", émile's "baudot-code"."""
    write(tmp_path / "users", "ada", Hashed.of("lovelace1", CHEAP))
    write(tmp_path / "users", "émile", Hashed.of("baudot-code", CHEAP))
    return tmp_path / "users"


def test_scrypt_is_rfc_7914s():
    """The RFC's third vector, in the first 32 of its 64 bytes."""
    digest = Cost(n=16384, r=8, p=1).digest("pleaseletmein", b"SodiumChloride")
    assert digest.hex() == "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"


def test_a_line_tells_its_cost_and_not_its_password(file):
    first, second = file.read_text().splitlines()
    assert first.startswith("ada:scrypt$1024$8$1$") and second.startswith("émile:scrypt$1024$8$1$")
    assert "lovelace1" not in first and len(first.split("$")) == 6
    assert str(Hashed.read(first.removeprefix("ada:"))) == first.removeprefix("ada:")
    assert str(Hashed.of("lovelace1", CHEAP)) != first.removeprefix("ada:")  # a salt of its own each time


def test_only_the_right_password_of_a_known_name_fits(file):
    accounts = Accounts(file)
    assert accounts.check("ada", "lovelace1") and accounts.check("émile", "baudot-code")
    for name, password in [("ada", "baudot-code"), ("ada", ""), ("Ada", "lovelace1"), ("eve", "lovelace1"), ("", "")]:
        assert not accounts.check(name, password)


def test_letters_that_look_alike_are_the_same():
    assert Hashed.of("caf\u00e9-noir", CHEAP).fits("cafe\u0301-noir")


def test_an_unknown_name_takes_as_long_as_a_known_one(tmp_path):
    write(tmp_path / "users", "ada", Hashed.of("lovelace1", Cost(n=2**13, r=8, p=1)))
    accounts, took = Accounts(tmp_path / "users"), {"ada": [], "eve": []}
    for _ in range(9):
        for name, times in took.items():
            begun = time.perf_counter()
            accounts.check(name, "wrong password")
            times.append(time.perf_counter() - begun)
    ada, eve = (statistics.median(times) for times in took.values())
    assert ada / 2 < eve < ada * 2


def test_the_file_is_its_owners_alone_and_a_name_has_one_line(file):
    before = read(file)
    write(file, "ada", Hashed.of("a new password", CHEAP))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and list(file.parent.iterdir()) == [file]
    after = read(file)
    assert set(after) == {"ada", "émile"} and after["émile"] == before["émile"] and after["ada"] != before["ada"]


def test_a_changed_file_counts_at_once(file):
    accounts = Accounts(file)
    proof = accounts.proof("ada")
    write(file, "ada", Hashed.of("a new password", CHEAP))
    assert accounts.check("ada", "a new password") and not accounts.check("ada", "lovelace1")
    assert accounts.proof("ada") not in ("", proof)
    write(file, "ada", None)
    assert not accounts.check("ada", "a new password") and accounts.proof("ada") == ""


def test_a_file_that_breaks_meanwhile_locks_nobody_out(file, caplog):
    accounts = Accounts(file)
    file.write_text("half a li")
    assert accounts.check("ada", "lovelace1") and "stay" in caplog.text
    file.unlink()
    assert accounts.check("ada", "lovelace1")


GOOD = str(Hashed.of("lovelace1", CHEAP))


@pytest.mark.parametrize(
    "line",
    [
        "ada:plain-text-password", "ada", "ada:", f"a b:{GOOD}", f":{GOOD}", "ada:md5$1$1$1$YQ==$YQ==",
        "ada:scrypt$1024$8$1$YQ==$YQ==", "ada:scrypt$1000$8$1$" + GOOD.split("$", 4)[4],
        "ada:scrypt$1073741824$8$1$" + GOOD.split("$", 4)[4], "ada:scrypt$1024$x$1$" + GOOD.split("$", 4)[4],
    ],
    ids=lambda line: line.replace(GOOD.split("$", 4)[4], "..."),  # the salt is another each time
)  # fmt: skip
def test_another_line_is_refused_and_not_repeated(tmp_path, line):
    (tmp_path / "users").write_text(f"émile:{GOOD}\n\n{line}\n")
    with pytest.raises(OptionError) as caught:
        Accounts(tmp_path / "users")
    said = str(caught.value)
    assert "plain-text-password" not in said and "\n" not in said
    assert "line 3" in said and "python -m sac user FILE NAME" in said


def test_a_missing_or_empty_file_is_refused(tmp_path):
    (tmp_path / "empty").write_text("\n")
    for name in ("none", "empty"):
        with pytest.raises(OptionError, match="python -m sac user"):
            Accounts(tmp_path / name)


def command(monkeypatch, typed, *arguments):
    """`python -m sac user ...` with lines on standard input."""
    parser = argparse.ArgumentParser()
    user.add(parser.add_subparsers())
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    return user.run(parser.parse_args(["user", *map(str, arguments)]))


def test_the_command_adds_changes_and_removes(monkeypatch, tmp_path, capsys):
    file = tmp_path / "users"
    assert command(monkeypatch, "pass word 1\npass word 1\n", file, "ada") == 0
    assert Accounts(file).check("ada", "pass word 1") and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert command(monkeypatch, "pass word 2\npass word 2\n", file, "ada") == 0
    assert Accounts(file).check("ada", "pass word 2")
    assert command(monkeypatch, "", file, "ada", "--remove") == 0 and read(file) == {}
    assert capsys.readouterr().out.split() == [
        "ada",
        "was",
        "added.",
        "ada",
        "was",
        "changed.",
        "ada",
        "was",
        "removed.",
    ]


@pytest.mark.parametrize(
    "name, typed, word",
    [
        ("ada", "short\nshort\n", "8 to 1024"), ("ada", "", "8 to 1024"), ("ada", "password1\npassword2\n", "differ"),
        ("a:b", "password1\npassword1\n", "colons"), ("a b", "password1\npassword1\n", "spaces"),
        ("ada", "\udcff" * 9 + "\n" + "\udcff" * 9 + "\n", "not text in UTF-8"),
        ("link:0123456789abcdef", "password1\npassword1\n", "colons"),
    ],
)  # fmt: skip
def test_the_command_refuses_in_one_sentence_and_writes_nothing(monkeypatch, tmp_path, name, typed, word):
    with pytest.raises(OptionError, match=word):
        command(monkeypatch, typed, tmp_path / "users", name)
    assert list(tmp_path.iterdir()) == []


def test_only_a_known_name_can_be_removed(monkeypatch, file):
    with pytest.raises(OptionError, match="has no eve"):
        command(monkeypatch, "", file, "eve", "--remove")
