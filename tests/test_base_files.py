"""Bases from files, in Meta's layout and in that of transformers: what fits is taken bit by bit, what does not is said."""

from __future__ import annotations

import shutil

import pytest
import torch
from loopback_hub import serving, spoken_to
from safetensors.torch import save_file

from sac import hub
from sac.errors import CheckpointError
from sac.model.sam import build_sam


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """A tiny SAM's, by Meta's names, no two alike."""
    sam = build_sam("tiny")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return {name: torch.randn_like(value) for name, value in sam.state_dict().items()}


@pytest.fixture
def named(tmp_path, monkeypatch):
    """Lets the base be the file of that name in an empty folder."""

    def name(file: str):
        monkeypatch.setenv("SAC_BASE_TINY", str(tmp_path / file))
        return tmp_path / file

    return name


def _stored(sac) -> dict[str, torch.Tensor]:
    """A SAC's frozen SAM, by Meta's names where LoRA changed none."""
    found = {n.replace("base_model.model.", ""): v for n, v in sac.sam.state_dict().items() if "lora_" not in n}
    return {name: value for name, value in found.items() if ".qkv." not in name}


@pytest.mark.parametrize("file", ["sam.pth", "sam.safetensors"])
def test_metas_layout_comes_back_bit_by_bit(weights, named, new_sac, file):
    path = named(file)
    torch.save(weights, path) if path.suffix == ".pth" else save_file(weights, path)
    found = _stored(new_sac())
    assert len(found) > 100
    assert all(torch.equal(value, weights[name]) for name, value in found.items())


class Code:
    """Opened as a pickle is, it would make a file."""

    def __reduce__(self):
        return (open, ("ran", "w"))


def _pointer(path, weights):
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def _cut(path, weights):
    torch.save(weights, path)
    path.write_bytes(path.read_bytes()[:-5000])


def _cut_safetensors(path, weights):
    save_file(weights, path)
    path.write_bytes(path.read_bytes()[:-100])


def _without(path, weights):
    torch.save({n: v for n, v in weights.items() if n != "mask_decoder.iou_token.weight"}, path)


def _nan(path, weights):
    torch.save(weights | {"mask_decoder.iou_token.weight": torch.full((1, 128), torch.nan)}, path)


BAD = [
    ("sam.pth", _pointer, "sam.pth is a Git-LFS pointer, not the weights; `git lfs pull`"),
    ("sam.safetensors", _pointer, "sam.safetensors is a Git-LFS pointer"),
    ("sam.pth", lambda path, weights: path.write_bytes(b""), "sam.pth is damaged"),
    ("sam.pth", lambda path, weights: path.write_bytes(b"\xff" * 99), "sam.pth is damaged"),
    ("sam.pth", lambda path, weights: path.write_bytes(b"PK\x03\x04" + b"\xff" * 99), "sam.pth is damaged"),
    ("sam.pth", _cut, "sam.pth is damaged"),
    ("sam.safetensors", _cut_safetensors, "sam.safetensors is damaged"),
    ("sam.safetensors", lambda path, weights: torch.save(weights, path), "sam.safetensors is no safetensors file but a pickle"),
    ("sam.pth", lambda path, weights: torch.save({"a": Code()}, path), "sam.pth holds more than weights"),
    ("sam.pth", lambda path, weights: torch.save({"model": weights}, path), "sam.pth is no table of weights by name"),
    ("sam.pth", lambda path, weights: torch.save([1, 2], path), "sam.pth is no table of weights by name"),
    ("sam.pth", _without, "sam.pth, as a tiny, does not fit: 1 weights missing, 0 unknown (mask_decoder.iou_token.weight)"),
    ("sam.pth", _nan, "sam.pth: mask_decoder.iou_token.weight is not finite"),
]  # fmt: skip


@pytest.mark.parametrize("file, write, words", BAD)
def test_a_base_that_does_not_serve_is_said(weights, named, new_sac, tmp_path, monkeypatch, file, write, words):
    monkeypatch.chdir(tmp_path)
    write(named(file), weights)
    with pytest.raises(CheckpointError) as refused:
        new_sac()
    message = str(refused.value)
    assert words in message and "\n" not in message and str(tmp_path) not in message
    assert not (tmp_path / "ran").exists()


def test_a_base_of_another_size_does_not_fit(named, weights, new_sac):
    torch.save(weights | {"image_encoder.neck.0.weight": torch.zeros(128, 768, 1, 1)}, named("sam.pth"))
    with pytest.raises(
        CheckpointError, match=r"image_encoder.neck.0.weight is \(128, 768, 1, 1\), not \(128, 192, 1, 1\)"
    ):
        new_sac()


def test_a_base_comes_from_the_hub_once_and_is_told_of(new_sac, tmp_path, monkeypatch):
    """SAC_BASE_... may name a repository; it is asked for once, and then no more."""
    shutil.copy(hub.WEIGHTS / "tiny" / hub.BASE_FILE, tmp_path / hub.BASE_FILE)
    told = []
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.repositories["owner/base"] = {hub.BASE_FILE: (tmp_path / hub.BASE_FILE).read_bytes()}
        monkeypatch.setenv("SAC_BASE_TINY", "owner/base")
        assert not hub.base_at_hand("tiny")
        assert hub.load("nuclei", progress=lambda *said: told.append(said)).config.base == "tiny"
        asked = len(server.requests)
        assert hub.base_at_hand("tiny") and hub.load("nuclei").config.base == "tiny"
        assert len(server.requests) == asked
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and told[-1] == (1.0, "owner/base is here")


def test_another_base_from_the_hub_is_refused(tmp_path, monkeypatch, weights):
    save_file(weights, tmp_path / hub.BASE_FILE)
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.repositories["owner/base"] = {hub.BASE_FILE: (tmp_path / hub.BASE_FILE).read_bytes()}
        monkeypatch.setenv("SAC_BASE_TINY", "owner/base")
        with pytest.raises(CheckpointError, match="nuclei was trained on another tiny base than the one here"):
            hub.load("nuclei")
