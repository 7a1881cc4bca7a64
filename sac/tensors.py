"""Weights from files, strictly: every expected one, no other, all finite; what is wrong is said in words."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sac.errors import CheckpointError

POINTER = b"version https://git-lfs.github.com/spec/v1"
PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How files begin that PyTorch's own `save` writes: a zip with a pickle in it, or a bare pickle."""


def read_tensors(path: Path, where: str, most: int) -> dict[str, Tensor]:
    """Every tensor of a safetensors file of at most `most` bytes, in float32, all finite. where: what errors call it."""
    begins = _beginning(path, where, most)
    if begins.startswith(PICKLES):
        raise CheckpointError(
            f"{where} is no safetensors file but a pickle (.bin, .pt, .pth), which could run code; only safetensors are read"
        )
    try:
        return _finite({name: value.float() for name, value in load_file(path).items()}, where)
    except SafetensorError as error:
        raise CheckpointError(f"{where} is damaged") from error


def read_base(path: Path, where: str, most: int) -> dict[str, Tensor]:
    """The weights of a base SAM: safetensors, or a file of Meta's (.pth), of which only tensors are taken, no code."""
    if path.suffix == ".safetensors" or not _beginning(path, where, most).startswith(PICKLES):
        return read_tensors(path, where, most)
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{where} holds more than weights, or is damaged; Meta's own file of weights is accepted"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{where} is damaged") from error
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{where} is no table of weights by name, as Meta's files are")
    return _finite({str(name): value.float() for name, value in weights.items()}, where)


def _beginning(path: Path, where: str, most: int) -> bytes:
    """A file's first bytes. Raises CheckpointError where it is too large, or stands for a file that is not here."""
    size = path.stat().st_size
    if size > most:
        raise CheckpointError(f"{where} has {size / 2**20:.1f} MB; at most {most >> 20} MB are accepted")
    with path.open("rb") as file:
        begins = file.read(len(POINTER))
    if begins == POINTER:
        raise CheckpointError(
            f"{where} is a Git-LFS pointer, not the weights; `git lfs pull` in its repository fetches them"
        )
    return begins


def _finite(weights: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    for name, value in weights.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{where}: {name} is not finite")
    return weights


def load_strictly(module: nn.Module, values: dict[str, Tensor], where: str) -> None:
    expected = module.state_dict()
    check_fit(values, expected, where)
    module.load_state_dict(values)


def check_fit(values: dict[str, Tensor], expected: dict[str, Tensor], where: str) -> None:
    """Raises CheckpointError unless both have the same names and shapes."""
    check_keys(set(values), set(expected), where)
    for name, value in expected.items():
        if values[name].shape != value.shape:
            raise CheckpointError(f"{where}: {name} is {tuple(values[name].shape)}, not {tuple(value.shape)}")


def check_keys(found: set[str], expected: set[str], where: str) -> None:
    if found != expected:
        missing, foreign = sorted(expected - found), sorted(found - expected)
        raise CheckpointError(
            f"{where} does not fit: {len(missing)} weights missing, {len(foreign)} unknown"
            f" ({', '.join(name[:80] for name in (missing + foreign)[:2])})"
        )


def check_rank(adapter: dict[str, Tensor], rank: int, where: str) -> None:
    """Raises CheckpointError where LoRA's matrices A (rank, in) are all of one other rank than the settings say."""
    ranks = {len(value) for name, value in adapter.items() if "lora_A" in name and value.ndim == 2}
    if len(ranks) == 1 and ranks != {rank}:
        raise CheckpointError(f"{where} has LoRA of rank {ranks.pop()}, but the checkpoint's settings say {rank}")
