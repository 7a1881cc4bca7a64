"""A checkpoint goes to the Hub as it is, with its owner's token, of which nothing else ever hears."""

from __future__ import annotations

import logging
import shutil
import socket
import time
import traceback
from pathlib import Path

import pytest
from loopback_hub import SERVERS_TOKEN, serving, spoken_to

from sac import hub
from sac.errors import CheckpointError
from sac.publish import push

TOKEN = "hf_the_owners_own_token"
OTHERS = "hf_a_token_of_someone_else"


@pytest.fixture(scope="module")
def saved(sac, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "small"
    hub.save(sac, folder, "---\nlicense: cc0-1.0\n---\n# small\n")
    (folder / "notes.txt").write_text("the owner's own")
    return folder


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.writers |= {TOKEN: "owner", OTHERS: "other"}
        yield server


def _refusal(folder: Path, name: str, token: str, **options) -> str:
    """What is said, after a look for the token in all that a log or a traceback would show."""
    with pytest.raises(CheckpointError) as refused:
        push(folder, name, token, **options)
    shown = "".join(traceback.format_exception(refused.value))
    assert not token or token not in shown + repr(refused.value)
    assert refused.value.__context__ is None and refused.value.__cause__ is None
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_what_was_pushed_loads_and_is_equal_to_the_byte(server, saved):
    address = push(saved, "owner/small", TOKEN, private=False)
    assert address == f"{server.address}/owner/small"
    assert server.repositories["owner/small"] == {file: (saved / file).read_bytes() for file in hub.FILES}
    assert [name for name, _ in server.commits] == ["owner/small"]
    assert hub.load("owner/small").config.rank == 2


def test_only_the_owners_token_was_sent(server, saved):
    push(saved, "owner/small", TOKEN)
    assert SERVERS_TOKEN not in server.headers_sent()
    writing = [headers for path, headers in server.requests if not path.startswith("/lfs/")]
    assert {headers.get("authorization") for headers in writing} == {f"Bearer {TOKEN}"}
    assert not any("authorization" in headers for path, headers in server.requests if path.startswith("/lfs/"))


def test_a_new_repository_is_private_unless_asked(server, saved):
    push(saved, "owner/small", TOKEN)
    with pytest.raises(CheckpointError, match="no public repository for owner/small"):
        hub.load("owner/small")


def test_a_repository_that_is_there_gets_a_second_commit(server, saved, tmp_path):
    push(saved, "owner/small", TOKEN)
    changed = Path(shutil.copytree(saved, tmp_path / "changed"))
    (changed / hub.CARD).write_text("# another card\n")
    push(changed, "owner/small", TOKEN)
    assert server.repositories["owner/small"][hub.CARD] == b"# another card\n" and len(server.commits) == 2


def test_what_was_meant_to_be_private_does_not_go_to_a_public_repository(server, saved):
    push(saved, "owner/small", TOKEN, private=False)
    assert "owner/small is there already, and public" in _refusal(saved, "owner/small", TOKEN)
    assert len(server.commits) == 1


@pytest.mark.parametrize(
    "token, words",
    [
        ("hf_of_nobody", "the Hub does not know this token"),
        (OTHERS, "this token may not write to owner/small"),
        ("", "a token of the Hub is needed"),
        ("hf_with\nnewline", "a token of the Hub is needed"),
        ("hf_é", "a token of the Hub is needed"),
    ],
)
def test_a_token_without_the_right_is_refused(server, saved, token, words, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    assert words in _refusal(saved, "owner/small", token)
    assert SERVERS_TOKEN not in server.headers_sent()
    captured = capfd.readouterr()
    assert not token or token not in caplog.text + captured.out + captured.err
    assert "owner/small" not in server.repositories


def test_a_right_that_ends_at_a_public_repository_is_no_right_to_write(server, saved):
    push(saved, "owner/small", TOKEN, private=False)
    assert "may not write to owner/small" in _refusal(saved, "owner/small", OTHERS, private=False)


@pytest.mark.parametrize(
    "name", ["small", "owner/small/more", "../small", "owner/..", "", "owner/sm all", "owner/-a--b"]
)
def test_a_name_that_no_repository_has_is_refused(server, saved, name):
    _refusal(saved, name, TOKEN)
    assert server.commits == []


@pytest.mark.parametrize("file", hub.FILES)
def test_an_incomplete_checkpoint_is_not_uploaded(server, saved, tmp_path, file):
    damaged = Path(shutil.copytree(saved, tmp_path / "damaged"))
    (damaged / file).unlink()
    assert _refusal(damaged, "owner/small", TOKEN) == f"damaged holds no {file}"
    assert server.requests == []


def test_a_hub_that_falls_silent_is_given_up(server, saved, monkeypatch):
    server.silent.append("preupload")
    monkeypatch.setattr("sac.repository.PATIENCE", 1)
    begun = time.monotonic()
    assert "fell silent" in _refusal(saved, "owner/small", TOKEN)
    assert time.monotonic() - begun < 15


def test_without_the_hub_it_is_said_soon(saved, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    begun = time.monotonic()
    with spoken_to(address, tmp_path, monkeypatch):
        assert "could not be reached" in _refusal(saved, "owner/small", TOKEN)
    assert time.monotonic() - begun < 15


def test_weights_that_do_not_fit_are_not_uploaded(server, saved, tmp_path):
    damaged = Path(shutil.copytree(saved, tmp_path / "damaged"))
    (damaged / hub.HEAD).write_bytes(b"<!doctype html>")
    with pytest.raises(CheckpointError, match=f"{hub.HEAD} is damaged"):
        push(damaged, "owner/small", TOKEN)
    assert server.requests == []


def test_a_hub_that_is_broken_is_no_success(server, saved):
    server.repositories["owner/small"] = (500, "")
    assert "the Hub could not take owner/small (status 500)" in _refusal(saved, "owner/small", TOKEN)
