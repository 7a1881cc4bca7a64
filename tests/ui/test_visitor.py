"""Whose work a request may see, and the secret that a browser's key is kept by."""

from __future__ import annotations

import stat

import gradio as gr
import pytest
from starlette.requests import Request

from sac.ui import visitor
from sac.ui.visitor import kept_key, owner_of, visitor_key


def asked(host="localhost:7860", client="127.0.0.1", login=None, **headers) -> gr.Request:
    told = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    raw = [(name.encode(), value.encode()) for name, value in told.items()]
    return gr.Request(Request({"type": "http", "headers": raw, "client": (client, 5000)}), username=login)


FAR = {"host": "cells.example.org", "client": "203.0.113.5"}


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:7860", "127.0.0.1", "[::1]:7860", "localhost"])
def test_who_sits_at_the_machine_is_one_and_the_same(host):
    assert owner_of("", asked(host)) == owner_of(kept_key(""), asked(host)) == "local"


@pytest.mark.parametrize("name", ["x_forwarded_for", "x_forwarded_host", "x_real_ip", "forwarded", "via"])
def test_behind_a_proxy_nobody_sits_at_the_machine(name):
    assert owner_of("a", asked(**{name: "203.0.113.5"})).startswith("key:")


@pytest.mark.parametrize(
    "told",
    [
        {"host": "cells.example.org"},
        {"host": "localhost.example.org"},
        {"client": "203.0.113.5"},
        {"host": "cells.example.org", "client": "::1"},
        {"host": ""},
    ],
)
def test_another_host_or_client_is_not_this_machine(told):
    assert owner_of("a", asked(**told)).startswith("key:")


def test_a_login_goes_before_all_else():
    assert owner_of("a", asked(login="ada")) == owner_of("b", asked(**FAR, login="ada")) == "login:ada"
    assert owner_of("a", asked(login="local")) != "local"


def test_a_guest_is_the_link_that_he_came_with():
    assert owner_of("a", asked(login="link:0123456789abcdef")) == "link:0123456789abcdef"


def test_a_key_tells_its_owner_and_nobody_can_read_it_back():
    one, other = kept_key(""), kept_key("")
    assert kept_key(one) == one
    assert owner_of(one, asked(**FAR)) == owner_of(one, asked(**FAR | {"client": "198.51.100.7"}))
    assert owner_of(one, asked(**FAR)) != owner_of(other, asked(**FAR))
    assert one not in owner_of(one, asked(**FAR)) and len(one) == 32


def test_without_a_key_nobody_is_the_same_twice():
    assert owner_of("", asked(**FAR)) != owner_of("", asked(**FAR))


def test_the_secret_is_private_and_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path / "new"))
    first = visitor_key()
    path = tmp_path / "new" / "secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(path.read_text()) >= 32 and path.read_text() == visitor._secret() == visitor_key().secret
    assert first.secret == path.read_text()
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path / "other"))
    assert visitor._secret() != path.read_text()
