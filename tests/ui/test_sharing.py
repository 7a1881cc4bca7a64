"""A public link: never without logins, only after a yes, and in plain words when it cannot be made."""

import io
import socket
import sys

import pytest
from gradio import networking

import app
from sac.errors import OptionError
from sac.logins import Cost, Hashed, write
from sac.ui.serving.launch import Serving
from sac.ui.serving.share import agree, share


@pytest.fixture
def started(monkeypatch):
    """What `python app.py ...` ends with, before any page is built. typed: what standard input holds."""

    def start(*arguments, typed=""):
        monkeypatch.setattr(sys, "argv", ["app.py", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        monkeypatch.setattr(app, "build_page", lambda *_: pytest.fail("the page was built"))
        with pytest.raises(SystemExit) as ended:
            app.main()
        return str(ended.value)

    return start


@pytest.fixture
def users(tmp_path):
    write(tmp_path / "users", "ada", Hashed.of("lovelace1", Cost(n=2**10, r=8, p=1)))
    return tmp_path / "users"


def test_without_logins_there_is_no_link(started):
    said = started("--share", typed="yes\n")
    assert said.startswith("--share needs --auth-file") and "\n" not in said


@pytest.mark.parametrize("typed", ["", "\n", "no\n", "y\n", "yes please\n"])
def test_anything_but_yes_ends_the_program(started, users, capsys, typed):
    said = started("--share", "--auth-file", users, typed=typed)
    assert said.startswith("Nothing was shared") and "\n" not in said
    told = capsys.readouterr().out
    assert all(word in told for word in ("whole internet", "relay", "USA", "patients", "one week", "Type yes"))


@pytest.mark.parametrize("typed", ["yes", " Yes "])
def test_a_yes_is_a_yes(typed):
    agree(lambda words: None, lambda question: typed)


def test_a_relay_that_cannot_be_reached_is_one_sentence(monkeypatch):
    with socket.socket() as taken:  # bound and not listening: refused at once
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setattr(networking, "GRADIO_API_SERVER", f"http://127.0.0.1:{taken.getsockname()[1]}/")
        with pytest.raises(OptionError, match="could not be reached, so there is no public link"):
            share("127.0.0.1", 7860)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(OptionError, match="1 to 65535"):
        Serving(port=port)
