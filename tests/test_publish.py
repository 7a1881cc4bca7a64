"""A checkpoint goes to the Hub as it is, with its owner's token, of which nothing else ever hears."""

from __future__ import annotations

import logging
import shutil
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from loopback_hub import SERVERS_TOKEN, serving, spoken_to

from sac import hub
from sac.__main__ import main
from sac.errors import CheckpointError
from sac.publish import push
from training.cards import sac_card

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
    (changed / hub.CARD).write_text("---\nlicense: mit\n---\n# another card\n")
    push(changed, "owner/small", TOKEN)
    assert server.repositories["owner/small"][hub.CARD].endswith(b"# another card\n") and len(server.commits) == 2


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
    monkeypatch.setattr("sac.remote.repository.PATIENCE", 1)
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


@pytest.mark.parametrize(
    "card, words",
    [
        ("# small\n", "names no licence"),
        ("", "names no licence"),
        ("---\nlicense: mit\n# never closed\n", "names no licence"),
        ("---\ntags: [nuclei]\n---\n# small\n", "names no licence"),
        ("---\nlicense:\n---\n", "names no licence"),
        ("---\nlicense: [mit]\n---\n", "names no licence"),
        ("---\n- mit\n---\n", "names no licence"),
        ("---\nlicense: [mit\n---\n", "lines that are not YAML"),
        ("---\na: b: c\n---\n", "lines that are not YAML"),
    ],
)
def test_a_card_without_a_licence_is_not_uploaded(server, saved, tmp_path, card, words):
    changed = Path(shutil.copytree(saved, tmp_path / "changed"))
    (changed / hub.CARD).write_text(card)
    with pytest.raises(CheckpointError, match=words):
        push(changed, "owner/small", TOKEN)
    assert server.requests == []


# The command


def test_the_command_prints_the_address(server, saved, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert main(["push", str(saved), "owner/small"]) == 0
    assert capsys.readouterr().out == f"{server.address}/owner/small\n"
    assert server.facts["owner/small"]["private"] and SERVERS_TOKEN not in server.headers_sent()


def test_the_command_takes_a_token_from_a_file(server, saved, tmp_path, capsys):
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    command = ["push", str(saved), "owner/small", "--public", "--token-file", str(tmp_path / "token")]
    assert main(command) == 0
    assert not server.facts["owner/small"]["private"] and SERVERS_TOKEN not in server.headers_sent()


def test_what_the_command_cannot_do_is_one_line(server, saved, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    assert main(["push", str(saved), "owner/small"]) == 1
    assert main(["push", str(tmp_path / "nothing"), "owner/small"]) == 1
    assert main(["push", str(saved), "owner/small", "--token-file", str(tmp_path / "nothing")]) == 1
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "no-login"))
    assert main(["push", str(saved), "owner/small"]) == 1
    out, err = capsys.readouterr()
    assert out == "" and [line.split(":")[0] for line in err.splitlines()] == [
        "the Hub does not know this token",
        "nothing holds no sac_config.json, adapter_config.json, adapter_model.safetensors, sac_head.safetensors, README.md",
        f"{tmp_path}/nothing cannot be read; a file with nothing but the token in it is needed",
        "no token of the Hub is here",
    ]
    assert "hf_of_nobody" not in err


def test_the_card_of_a_training_is_complete(server, sac, tmp_path):
    """Its head is YAML that the Hub knows, with licence and base; it says what for, from what and how far."""
    named = {"data": ["cells"], "images": 9, "held_out": 1, "start": "", "before": [], "command": "fit", "seed": 0}
    config = replace(sac.config, base="vit_b", provenance=named | {"licence": "cc-by-4.0", "version": "0.1.0"})
    card = ModelCard(sac_card("small", config))
    assert card.data.to_dict() == {
        "license": "cc-by-4.0",
        "library_name": "segment-any-cell",
        "pipeline_tag": "image-segmentation",
        "base_model": "facebook/sam-vit-base",
        "base_model_relation": "adapter",
        "tags": ["segment-anything", "mask-generation", "lora", "nuclei", "microscopy"],
    }
    for part in ("| data | cells |", "| licence of the weights | cc-by-4.0 |", "## How to use it", "## Limits"):
        assert part in card.text
    assert "not measured on images that were held out" in " ".join(card.text.split())


@pytest.mark.parametrize("name", [*hub.EMBEDDED, "tiny", "start"])
def test_the_embedded_cards_have_a_head(name):
    head = ModelCard((hub.WEIGHTS / name / hub.CARD).read_text(encoding="utf-8")).data
    assert head.license and head.library_name == "segment-any-cell" and head.pipeline_tag and head.tags
