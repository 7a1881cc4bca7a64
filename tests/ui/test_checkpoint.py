"""A checkpoint from the Hub: chosen when it came whole, and otherwise all stays as it was."""

from __future__ import annotations

import json

import gradio as gr
import pytest
from loopback_hub import COMMIT, SERVERS_TOKEN, serving, spoken_to
from starlette.requests import Request

from sac import hub
from sac.config import LIMITS, Limits
from sac.errors import OptionError
from sac.inference.cache import Cache
from sac.ui import models, work
from sac.ui.about import about
from sac.ui.checkpoint import fetch
from sac.ui.desk import Desk

CELLS, HUGE = f"ada/cells@{COMMIT}", f"ada/huge@{COMMIT}"


def asked(host: str = "cells.example.org", login: str | None = None) -> gr.Request:
    """What comes from a far visitor, or one with a login."""
    raw = [(b"host", host.encode())]
    return gr.Request(Request({"type": "http", "headers": raw, "client": ("127.0.0.1", 5000)}), username=login)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A Hub with a checkpoint on tiny, and one on vit_h."""
    files = {name: (hub.WEIGHTS / "nuclei" / name).read_bytes() for name in hub.FILES}
    huge = json.dumps(json.loads(files[hub.CONFIG]) | {"base": "vit_h"}).encode()
    monkeypatch.setattr(work, "MODELS", Cache(LIMITS.models))
    monkeypatch.delenv("SAC_MODEL", raising=False)
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.repositories |= {"ada/cells": files, "ada/huge": files | {hub.CONFIG: huge}}
        yield server


def refusal(desk: Desk, name: str, request: gr.Request) -> str:
    with pytest.raises(gr.Error) as refused:
        fetch(desk, name, request)
    assert (desk.models, desk.picked) == ([], False)
    return refused.value.message


def test_what_came_is_chosen_and_needs_the_hub_no_more(server):
    desk = Desk()
    choice, field = fetch(desk, " ada/cells ", asked())
    assert (choice["value"], field, desk.models, desk.picked) == (CELLS, "", [CELLS], True)
    assert choice["choices"][-1] == ("ada/cells@1111111", CELLS) == models.choices(desk.models)[-1]
    assert SERVERS_TOKEN not in server.headers_sent()
    server.repositories.clear()
    requests = len(server.requests)
    assert models.place(CELLS) == CELLS and work.loaded(CELLS).config == hub.config_of("nuclei")
    assert about(CELLS).startswith(r"**ada/cells\@1111111**") and "Its card says" in about(CELLS)
    assert len(server.requests) == requests


def test_the_same_one_again_is_one_choice(server):
    desk = Desk()
    fetch(desk, "ada/cells", asked())
    kept = work.MODELS.nbytes
    fetch(desk, CELLS, asked())
    assert desk.models == [CELLS] and work.MODELS.nbytes == kept


@pytest.mark.parametrize(
    "name",
    ["", "nuclei", "/etc", "ada/nothing", "ada/cells@nothing", "../x", "ada/cells@../x", "a" * 500, "a/b/c", "a/b\0"],
)
def test_what_did_not_come_changes_nothing(server, name):
    said = refusal(Desk(), name, asked())
    assert said and "\n" not in said and len(said) < 700


def test_a_damaged_one_changes_nothing(server):
    server.repositories["ada/cells"][hub.HEAD] = b"no"
    assert hub.HEAD in refusal(Desk(), "ada/cells", asked())


def test_a_base_of_gigabytes_is_fetched_only_for_who_may(server):
    assert "vit_h" in refusal(Desk(), "ada/huge", asked())
    for model in (HUGE, f"ada/cells@{'2' * 40}"):
        with pytest.raises(OptionError, match="unknown model"):
            models.place(model)
    assert not any("sam-vit" in path for path, _ in server.requests)
    for request in (asked("localhost:7860"), asked(login="ada")):
        server.requests.clear()
        assert refusal(Desk(), "ada/huge", request)  # this Hub has no such base
        assert any("sam-vit-huge" in path for path, _ in server.requests)


def test_one_tab_takes_so_many(server, monkeypatch):
    monkeypatch.setattr("sac.ui.checkpoint.LIMITS", Limits(brought=1))
    desk = Desk()
    fetch(desk, "ada/cells", asked())
    with pytest.raises(gr.Error, match="up to 1 checkpoints"):
        fetch(desk, "ada/cells", asked())


def test_one_that_the_environment_says_is_fetched_before_the_page_opens(server, monkeypatch):
    told = []
    monkeypatch.setenv("SAC_MODEL", work.settled("ada/cells@main", lambda share, words: told.append(words)))
    assert models.default() == CELLS and told
    server.repositories.clear()
    assert work.loaded(models.default()).config.base == "tiny"
