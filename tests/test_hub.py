"""Checkpoints: what is saved comes back, what does not fit is refused in one sentence, and the Hub gets no token."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from loopback_hub import PAGE, SERVERS_TOKEN, commit_of, serving
from safetensors.torch import load_file, save_file

from sac import hub
from sac.config import Limits, SACConfig
from sac.errors import CheckpointError, OptionError, SacError
from sac.model.decoder import TokenPrompts

ROOT = Path(__file__).resolve().parent.parent
FILES = set(hub.FILES)


@pytest.fixture(scope="module")
def saved(sac, tmp_path_factory) -> Path:
    """A checkpoint with weights of its own in every part."""
    folder = tmp_path_factory.mktemp("saved") / "small"
    hub.save(sac, folder, "# small\n")
    return folder


@pytest.fixture
def checkpoint(saved, tmp_path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "small"))


def _refusal(name: str | Path) -> str:
    with pytest.raises(CheckpointError) as refused:
        hub.load(str(name))
    message = str(refused.value)
    assert message and "\n" not in message and "Traceback" not in message
    return message


@torch.no_grad()
def _outputs(sac) -> list[torch.Tensor]:
    picture = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255
    features = sac.encode(picture)
    nuclei_map = sac.generator(picture, features)
    prompts = TokenPrompts(
        image=torch.tensor([0]),
        points=torch.tensor([[[100.0, 90.0]]]),
        labels=torch.tensor([[1]]),
        origins=torch.tensor([[4, 3]]),
    )
    vanilla = sac.decode(sac.encode(picture, adapted=False), prompts, adapted=False)
    return [nuclei_map, features, *sac.decode(features, prompts, nuclei_map), *vanilla]


# What is saved comes back.


def test_checkpoint_holds_its_five_files(saved):
    assert {p.name for p in saved.iterdir()} == FILES
    assert (saved / hub.CARD).read_text() == "# small\n"
    weights = {**load_file(saved / hub.HEAD), **load_file(saved / hub.ADAPTER)}
    assert {value.dtype for value in weights.values()} == {torch.float16}


def test_saved_and_loaded_again_is_the_same(sac, saved, tmp_path):
    """Weights are stored in half precision: near after the first round, equal after the second."""
    once = hub.load(str(saved))
    hub.save(once, tmp_path / "again", "")
    twice = hub.load(str(tmp_path / "again"))
    assert once.config == twice.config == sac.config
    for first, second, original in zip(_outputs(once), _outputs(twice), _outputs(sac)):
        assert torch.equal(first, second)
        assert torch.allclose(first, original, atol=0.05 * original.abs().max())


def test_loaded_weights_are_the_stored_ones(saved):
    loaded = hub.load(str(saved))
    stored = load_file(saved / hub.HEAD)
    assert all(torch.equal(value, stored[name].float()) for name, value in loaded.trained().items())
    lora_b = [w for n, w in loaded.named_parameters() if "lora_B" in n]
    assert len(lora_b) == 12 and all(w.any() for w in lora_b)


def test_a_loaded_model_is_for_use_not_for_learning(saved):
    loaded = hub.load(str(saved))
    assert not loaded.training
    assert not any(w.requires_grad for w in loaded.parameters())


def test_new_names_the_base_it_was_made_on(new_sac):
    file = hub.base_path("tiny")
    assert new_sac().config.base_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_base_saved_and_loaded_again_is_the_same(new_sac, tmp_path, monkeypatch):
    from sac.model.sam import build_sam

    sam = build_sam("tiny").half().float()
    hub.save_base(sam, tmp_path, "# base\n")
    monkeypatch.setenv("SAC_BASE_TINY", str(tmp_path / hub.BASE_FILE))
    loaded = new_sac()
    assert torch.equal(loaded.sam.image_encoder.base_model.model.pos_embed, sam.image_encoder.pos_embed)
    assert torch.equal(loaded.mask_decoder.iou_token.weight, sam.mask_decoder.iou_token.weight)


@pytest.mark.parametrize("name", hub.EMBEDDED)
def test_embedded_checkpoints_load_without_network(name):
    assert hub.load(name).config.base == "tiny"


# What does not fit is refused in one sentence.


UNKNOWN = ["nothing-here", "", "a/b/c", "../nothing", "https://example.org/a", "x" * 5000, "a\0b"]


@pytest.mark.parametrize("name", UNKNOWN, ids=lambda name: repr(name[:20]))
def test_unknown_name_is_refused(name):
    assert "nuclei" in _refusal(name)


@pytest.mark.parametrize("name", ["owner/name.git", "owner/a--b", "owner/a..b", "owner/name-"])
def test_names_that_no_repository_may_have_are_refused(name, monkeypatch):
    """Before anything is asked of the Hub."""
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("asked the network"))
    _refusal(name)


def test_folder_without_checkpoint_is_refused(tmp_path):
    assert hub.CONFIG in _refusal(tmp_path)


@pytest.mark.parametrize("file", [hub.CONFIG, hub.ADAPTER_CONFIG, hub.ADAPTER, hub.HEAD])
def test_missing_file_is_named(checkpoint, file):
    (checkpoint / file).unlink()
    assert file in _refusal(checkpoint)


def _edit(file: Path, change) -> None:
    weights = load_file(file)
    change(weights)
    save_file(weights, file)


PLACES = [(hub.HEAD, "generator.head.bias"), (hub.HEAD, "mask_decoder.iou_token.weight"), (hub.ADAPTER, None)]


def _key(file: Path, key: str | None) -> str:
    return key or sorted(load_file(file))[0]


@pytest.mark.parametrize("file, key", PLACES)
def test_missing_weight_is_named(checkpoint, file, key):
    key = _key(checkpoint / file, key)
    _edit(checkpoint / file, lambda w: w.pop(key))
    assert key in _refusal(checkpoint)


@pytest.mark.parametrize("file", [hub.HEAD, hub.ADAPTER])
def test_foreign_weight_is_named(checkpoint, file):
    _edit(checkpoint / file, lambda w: w.update({"stowaway.weight": torch.zeros(2)}))
    assert "stowaway.weight" in _refusal(checkpoint)


@pytest.mark.parametrize("file, key", PLACES)
def test_weight_of_wrong_shape_is_named(checkpoint, file, key):
    key = _key(checkpoint / file, key)
    _edit(checkpoint / file, lambda w: w.update({key: torch.zeros(3, 5, 7)}))
    message = _refusal(checkpoint)
    assert key.removeprefix("generator.").removeprefix("mask_decoder.") in message and "(3, 5, 7)" in message


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("file, key", PLACES)
def test_weight_that_is_not_finite_is_named(checkpoint, file, key, value):
    key = _key(checkpoint / file, key)
    _edit(checkpoint / file, lambda w: w[key].view(-1)[:1].fill_(value))
    message = _refusal(checkpoint)
    assert key in message and "finite" in message


@pytest.mark.parametrize("file", [hub.HEAD, hub.ADAPTER])
@pytest.mark.parametrize(
    "content", [b"", b"<html>Sign in</html>", b"\xff" * 64, None], ids=["empty", "page", "noise", "cut"]
)
def test_damaged_weights_are_refused(checkpoint, file, content):
    whole = (checkpoint / file).read_bytes()
    (checkpoint / file).write_bytes(whole[:-100] if content is None else content)
    message = _refusal(checkpoint)
    assert file in message and "damaged" in message


@pytest.mark.parametrize("file", [hub.HEAD, hub.ADAPTER])
def test_a_git_lfs_pointer_is_called_so(checkpoint, file):
    digest = hashlib.sha256((checkpoint / file).read_bytes()).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{digest}\nsize 132\n"
    (checkpoint / file).write_text(pointer)
    message = _refusal(checkpoint)
    assert f"small: {file} is a Git-LFS pointer" in message and "git lfs pull" in message


@pytest.mark.parametrize("file", [hub.HEAD, hub.ADAPTER])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_is_called_so_and_not_opened(checkpoint, file, zipped):
    """What `torch.save` writes, under the name of a safetensors file."""
    weights = {name: value.clone() for name, value in load_file(checkpoint / file).items()}
    torch.save(weights, checkpoint / file, _use_new_zipfile_serialization=zipped)
    assert f"small: {file} is no safetensors file but a pickle" in _refusal(checkpoint)


def test_lora_of_another_rank_is_told_with_both_ranks(checkpoint):
    _configure(checkpoint, rank=3)
    peft = json.loads((checkpoint / hub.ADAPTER_CONFIG).read_text())
    (checkpoint / hub.ADAPTER_CONFIG).write_text(json.dumps(peft | {"r": 3}))
    assert "LoRA of rank 2, but the checkpoint's settings say 3" in _refusal(checkpoint)


@pytest.mark.parametrize(
    "changes, words", [({"r": 7}, "rank 7"), ({"lora_alpha": 1}, "alpha 1"), ({"r": None}, "rank None")]
)
def test_settings_that_contradict_each_other_are_refused(checkpoint, changes, words):
    peft = json.loads((checkpoint / hub.ADAPTER_CONFIG).read_text())
    (checkpoint / hub.ADAPTER_CONFIG).write_text(json.dumps(peft | changes))
    message = _refusal(checkpoint)
    assert words in message and hub.ADAPTER_CONFIG in message and hub.CONFIG in message


def test_weights_beyond_the_limit_are_refused(checkpoint, monkeypatch):
    monkeypatch.setattr(hub, "LIMITS", Limits(adapter=2**20))
    (checkpoint / hub.ADAPTER).write_bytes(bytes(2**20 + 1))
    assert "1 MB" in _refusal(checkpoint)


def _configure(checkpoint: Path, **changes) -> None:
    stored = json.loads((checkpoint / hub.CONFIG).read_text())
    stored.update(changes)
    (checkpoint / hub.CONFIG).write_text(json.dumps(stored))


def test_foreign_base_is_refused(checkpoint):
    _configure(checkpoint, base_sha256="0" * 64)
    digest = hashlib.sha256(hub.base_path("tiny").read_bytes()).hexdigest()
    assert f"another tiny base than the one here (SHA-256 000000000000..., here {digest[:12]}...)" in _refusal(
        checkpoint
    )


def test_unknown_base_is_refused(checkpoint):
    _configure(checkpoint, base="vit_xxl")
    assert "vit_xxl" in _refusal(checkpoint)


def test_unknown_key_of_the_config_is_named(checkpoint):
    _configure(checkpoint, auto_map="code.py")
    assert "auto_map" in _refusal(checkpoint)


def test_missing_key_of_the_config_is_named(checkpoint):
    stored = json.loads((checkpoint / hub.CONFIG).read_text())
    del stored["rank"]
    (checkpoint / hub.CONFIG).write_text(json.dumps(stored))
    assert "rank" in _refusal(checkpoint)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000], ids=lambda content: repr(content[:4])
)
def test_config_that_is_no_object_is_refused(checkpoint, content):
    (checkpoint / hub.CONFIG).write_bytes(content)
    assert hub.CONFIG in _refusal(checkpoint)


BAD_SETTINGS = [
    {"rank": "4"}, {"rank": 0}, {"rank": 2.5}, {"rank": None}, {"alpha": float("nan")}, {"alpha": "8"},
    {"projections": "q"}, {"projections": ["q", "x"]}, {"projections": 3}, {"projections": [["q"]]},
    {"blocks": ["all"]},
    {"generator_widths": []}, {"generator_widths": [8, -16]}, {"generator_widths": ["8"]}, {"generator_widths": 8},
    {"window": 0}, {"window": "16"}, {"tile": 0}, {"tile": "256"}, {"diameter": 0}, {"diameter": "24"},
    {"diameter": float("nan")}, {"provenance": []}, {"base": ["tiny"]}, {"base_sha256": None},
]  # fmt: skip


@pytest.mark.parametrize("setting", BAD_SETTINGS, ids=json.dumps)
def test_setting_outside_what_is_accepted_is_refused(checkpoint, setting):
    """A checkpoint from the Hub is anybody's text: a wrong value is a sentence, never a traceback."""
    _configure(checkpoint, **setting)
    with pytest.raises(SacError) as refused:
        hub.load(str(checkpoint))
    assert "\n" not in str(refused.value)


def test_base_named_by_the_environment_must_be_a_file(monkeypatch, tmp_path):
    monkeypatch.setenv("SAC_BASE_VIT_B", str(tmp_path / "absent.pth"))
    with pytest.raises(CheckpointError, match="SAC_BASE_VIT_B names .*absent.pth, which is not a file, nor owner/name"):
        hub.base_path("vit_b")


# The Hub, over loopback: huggingface_hub's own client against a server that speaks its protocol.

CLIENT = """
import json, sys, time
from concurrent.futures import ThreadPoolExecutor
from sac import hub
from sac.errors import SacError

def ask(name):
    begun = time.monotonic()
    try:
        said = "loaded rank " + str(hub.load(name).config.rank)
    except SacError as error:
        said = type(error).__name__ + ": " + str(error)
    except BaseException as error:
        said = "traceback of " + repr(error)
    return "SAID " + json.dumps([name, said, time.monotonic() - begun])

with ThreadPoolExecutor(32) as threads:  # as visitors ask: the silent ones do not hold up the others
    print(*threads.map(ask, sys.argv[1:]), sep="\\n", flush=True)
"""


def _ask(port: int, home: Path, *names: str) -> dict[str, tuple[str, float]]:
    """What a fresh process that holds a token says of each name, and in how many seconds."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HF_") and "proxy" not in k.lower()}
    environment |= {
        "HF_ENDPOINT": f"http://127.0.0.1:{port}",
        "HF_HOME": str(home),
        "HF_TOKEN": SERVERS_TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, *names], cwd=home, env=environment, capture_output=True, text=True, timeout=120
    )
    said = [json.loads(line.removeprefix("SAID ")) for line in done.stdout.splitlines() if line.startswith("SAID ")]
    assert len(said) == len(names), done.stderr
    return {name: (words, seconds) for name, words, seconds in said}


@pytest.fixture(scope="module")
def asked(saved, tmp_path_factory):
    """Several repositories asked for in one process; `requests` is all that the server saw."""
    good = {p.name: p.read_bytes() for p in saved.iterdir()}
    home = tmp_path_factory.mktemp("hub")
    errors = (
        ("private", (401, "RepoNotFound")),
        ("shut", (403, "GatedRepo")),
        ("broken", (500, "")),
        ("busy", (429, "")),
    )
    trusting = ("mute", "hushed", "leaky", "dribbling", "portal", "proxied", "short", "long", "forged", "gated")
    with serving() as server:
        server.repositories |= {
            "owner/good": {**good, "virus.py": b"raise SystemExit", "pytorch_model.bin": b"\x80"},
            "owner/good@v1": good,
            "owner/good@new/stain": good,
            "owner/signed": {**good, hub.HEAD: PAGE},
            "owner/incomplete": {k: v for k, v in good.items() if k != hub.ADAPTER},
            "owner/empty": {},
            **{f"owner/{name}": answer for name, answer in errors},
            **{f"owner/{name}": {**good, hub.CARD: name.encode()} for name in trusting},
        }
        server.facts["owner/gated"] = {"gated": "manual"}
        server.silent += ["models/owner/mute", "owner/hushed/resolve"]
        server.dripping += ["models/owner/leaky", "owner/dribbling/resolve"]
        server.pages.append("models/owner/portal")
        server.lies |= {
            ("owner/proxied", hub.CARD): PAGE,
            ("owner/short", hub.CARD): b"shor",
            ("owner/long", hub.CARD): b"long" * 1000,
            ("owner/forged", hub.CARD): b"FORGED",
        }
        names = [f"owner/{name}" for name in ("unknown", *dict(errors), *trusting, "signed", "incomplete", "empty")]
        pinned = ["owner/good", "owner/good@v1", "owner/good@new/stain", f"owner/good@{commit_of('v1')}"]
        answers = _ask(server.server_port, home, *names, *pinned, "owner/good@v9", f"owner/good@{'0' * 40}")
    again = _ask(server.server_port, home, *pinned, "owner/never-seen", "owner/forged")
    return SimpleNamespace(answers=answers, again=again, requests=server.requests, home=home)


REVISIONS = ["owner/good", "owner/good@v1", "owner/good@new/stain", f"owner/good@{commit_of('v1')}"]


@pytest.mark.parametrize("name", REVISIONS)
def test_owner_and_name_load_from_the_hub(asked, name):
    assert asked.answers[name][0] == "loaded rank 2"


def test_only_a_checkpoints_own_files_are_fetched(asked):
    fetched = {path.rsplit("/", 1)[1] for path, _ in asked.requests if "/resolve/" in path}
    assert fetched == FILES


def test_the_servers_token_is_never_sent(asked):
    assert len(asked.requests) > 10
    for path, headers in asked.requests:
        assert "authorization" not in {name.lower() for name in headers}, path
        assert SERVERS_TOKEN not in str(headers)


REFUSED = {
    "owner/unknown": "the Hub has no public repository for owner/unknown: there is none of this name, or it is private",
    "owner/private": "the Hub has no public repository for owner/private: there is none of this name, or it is private",
    "owner/good@v9": "the repository on the Hub has no such revision: owner/good@v9",
    f"owner/good@{'0' * 40}": f"the repository on the Hub has no such revision: owner/good@{'0' * 40}",
    "owner/gated": "owner/gated is gated: only accounts that its owner lets in may fetch it; ask on its page, ",
    "owner/shut": "owner/shut is gated: only accounts that its owner lets in may fetch it; ask on its page, ",
    "owner/broken": "owner/broken could not be fetched from the Hub: it has trouble of its own (status 500); try again",
    "owner/busy": "owner/busy could not be fetched from the Hub: it asks for fewer requests; try again in 30 s",
    "owner/mute": "owner/mute could not be fetched from the Hub: it is silent; try again later",
    "owner/hushed": "owner/hushed could not be fetched from the Hub: it is silent; try again later",
    "owner/leaky": "owner/leaky could not be fetched from the Hub: it is silent; try again later",
    "owner/dribbling": "owner/dribbling could not be fetched from the Hub: it is silent; try again later",
    "owner/portal": "owner/portal could not be fetched from the Hub: what answers is not the Hub; a proxy, or a network",
    "owner/proxied": "owner/proxied: a web page came in place of README.md: a proxy, or a network that wants a sign-in,",
    "owner/short": "owner/short: README.md came with another size than the 5 bytes that the Hub says it has",
    "owner/long": "owner/long: README.md came with another size than the 4 bytes that the Hub says it has",
    "owner/forged": "owner/forged: README.md came with another digest than the Hub says it has",
    "owner/empty": f"owner/empty holds no {hub.CONFIG}",
    "owner/incomplete": f"owner/incomplete holds no {hub.ADAPTER}",
    "owner/signed": f"owner/signed: {hub.HEAD} is damaged",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_hub_lacks_is_said_in_a_sentence_of_its_own_within_15_seconds(asked, name):
    said, seconds = asked.answers[name]
    assert said.startswith(f"CheckpointError: {REFUSED[name]}") and "\n" not in said
    assert str(asked.home) not in said and SERVERS_TOKEN not in said
    assert seconds < 15


@pytest.mark.parametrize("name", REVISIONS)
def test_without_the_hub_what_is_here_still_loads(asked, name):
    assert asked.again[name][0] == "loaded rank 2"


@pytest.mark.parametrize("name", ["owner/never-seen", "owner/forged"])
def test_without_the_hub_the_error_is_a_sentence_and_soon_there(asked, name):
    said, seconds = asked.again[name]
    assert (
        said
        == f"CheckpointError: {name} could not be fetched from the Hub: it cannot be reached; is this computer online?"
    )
    assert seconds < 15


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_that_is_there(sac, saved, monkeypatch):
    def full(weights, path):
        path.write_bytes(b"some")
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in saved.iterdir()}
    monkeypatch.setattr(hub, "save_file", full)
    with pytest.raises(OSError, match="No space left"):
        hub.save(sac, saved, "# other\n")
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


@pytest.mark.parametrize("tile", [136, 264])
def test_a_tile_that_its_tokens_do_not_fill_is_refused(tile):
    with pytest.raises(OptionError, match=f"tile {tile} is no multiple"):
        hub.new(SACConfig(tile=tile))
