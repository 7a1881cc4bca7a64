"""A name, folder or owner/name becomes a SAC; a SAC becomes a checkpoint. One strict loader, no fallback.

A checkpoint is a folder: `sac_config.json`, PEFT's `adapter_config.json` and `adapter_model.safetensors`,
`sac_head.safetensors` (generator and decoder) and `README.md`, the model card.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from httpx2 import HTTPError
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import RepositoryNotFoundError
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from segment_anything.modeling import Sam
from torch import Tensor

from sac.config import LIMITS, SACConfig
from sac.errors import CheckpointError, OptionError
from sac.model.sac import SAC
from sac.model.sam import build_sam, from_transformers
from sac.repository import NAME, PATIENCE, asked

WEIGHTS = Path(__file__).parent / "weights"
EMBEDDED = ("nuclei", "nuclei-he")
DEFAULT = "nuclei"
CONFIG, ADAPTER_CONFIG, ADAPTER, HEAD, CARD = (
    "sac_config.json", "adapter_config.json", "adapter_model.safetensors", "sac_head.safetensors", "README.md",
)  # fmt: skip
FILES = (CONFIG, ADAPTER_CONFIG, ADAPTER, HEAD, CARD)
BASE_FILE = "model.safetensors"
HUB_BASES = {"vit_b": "facebook/sam-vit-base", "vit_l": "facebook/sam-vit-large", "vit_h": "facebook/sam-vit-huge"}


def load(name: str, device: str = "cpu") -> SAC:
    """A SAC by embedded name, folder or owner/name on the Hub. Raises CheckpointError in one plain sentence."""
    folder = _find(name)
    name = folder.name if os.path.isabs(name) else name  # where it lies on a server is nobody's business
    config = _read_config(folder)
    base_file = base_path(config.base)
    if sha256(base_file) != config.base_sha256:
        raise CheckpointError(f"{name} was trained on another {config.base} base than the one here")
    sac = SAC(_load_base(config.base, base_file), config)
    _fill(sac.sam.image_encoder, _read_tensors(folder / ADAPTER), f"{name}: {ADAPTER}")
    head = _read_tensors(folder / HEAD)
    _check_keys(set(head), set(sac.trained()), f"{name}: {HEAD}")
    for part in ("generator", "mask_decoder"):
        prefix = f"{part}."
        values = {k.removeprefix(prefix): v for k, v in head.items() if k.startswith(prefix)}
        _load_strictly(getattr(sac, part), values, f"{name}: {HEAD}")
    return _moved(sac, device).eval().learning(False)


def config_of(name: str) -> SACConfig:
    """What a checkpoint is, without its weights. Raises CheckpointError."""
    return _read_config(_find(name))


def _moved(sac: SAC, device: str) -> SAC:
    try:
        return sac.to(torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(f"device {device!r} is not to be had on this machine; cpu always is") from error


def new(config: SACConfig) -> SAC:
    """A SAC to be trained: the base's weights, a fresh adapter, the base's decoder, an untrained generator."""
    base_file = base_path(config.base)
    return SAC(_load_base(config.base, base_file), replace(config, base_sha256=sha256(base_file)))


def save(sac: SAC, folder: Path, card: str) -> None:
    """Writes a checkpoint, weights in half precision. `card`: the text of its README.md."""
    folder.mkdir(parents=True, exist_ok=True)
    encoder = sac.sam.image_encoder
    (folder / CONFIG).write_text(json.dumps(sac.config.to_json(), indent=2) + "\n")
    encoder.peft_config["default"].save_pretrained(str(folder))
    save_file(_halved(get_peft_model_state_dict(encoder)), folder / ADAPTER)
    save_file(_halved(sac.trained()), folder / HEAD)
    (folder / CARD).write_text(card)


def save_base(sam: Sam, folder: Path, card: str) -> None:
    """Writes a base SAM, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_halved(sam.state_dict()), folder / BASE_FILE)
    (folder / CARD).write_text(card)


def base_path(name: str) -> Path:
    """The weight file of a base: embedded, named by SAC_BASE_VIT_B and the like, or from the Hub."""
    own = os.environ.get(f"SAC_BASE_{name.upper()}")
    if own:
        if not Path(own).is_file():
            raise CheckpointError(f"SAC_BASE_{name.upper()} names {own}, which is not a file")
        return Path(own)
    if name not in HUB_BASES:
        return WEIGHTS / name / BASE_FILE
    return Path(asked(name, lambda: hf_hub_download(HUB_BASES[name], BASE_FILE, token=False, etag_timeout=PATIENCE)))


@lru_cache(maxsize=8)
def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(name: str) -> Path:
    """The folder that holds checkpoint `name`."""
    if name in EMBEDDED:
        return WEIGHTS / name
    if name and os.path.isdir(name):  # unlike Path.is_dir, False for names that no file may have
        return Path(name)
    if NAME.fullmatch(name):
        return Path(asked(name, lambda: _download(name)))
    raise CheckpointError(
        f"no checkpoint {name!r}; known are {', '.join(EMBEDDED)}, a folder, or owner/name on the Hub"
    )


def _download(name: str) -> str:
    """A repository's files, or the copy that is here. Asks first: `snapshot_download` waits for ever on silence."""
    try:
        HfApi().model_info(name, token=False, timeout=PATIENCE)
        answers = True
    except RepositoryNotFoundError:
        raise
    except (HTTPError, OSError):
        answers = False
    here = {"token": False, "etag_timeout": PATIENCE, "local_files_only": not answers}
    return snapshot_download(name, allow_patterns=list(FILES), **here)


def _read_config(folder: Path) -> SACConfig:
    try:
        stored = json.loads((folder / CONFIG).read_text())
    except FileNotFoundError as error:
        raise CheckpointError(f"{folder.name} holds no {CONFIG}: it is not a SAC checkpoint") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{folder.name}: {CONFIG} is not JSON") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{folder.name}: {CONFIG} is not a JSON object")
    return SACConfig.from_json(stored)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    """Every tensor of a safetensors file, in float32, all finite."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent.name} holds no {path.name}")
    if path.stat().st_size > LIMITS.adapter:
        raise CheckpointError(f"{path.name} is larger than {LIMITS.adapter >> 20} MB")
    try:
        tensors = {name: value.float() for name, value in load_file(path).items()}
    except SafetensorError as error:
        raise CheckpointError(f"{path.parent.name}: {path.name} is damaged") from error
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise CheckpointError(f"{path.parent.name}: {name} in {path.name} is not finite")
    return tensors


def _load_base(name: str, path: Path) -> Sam:
    """A SAM with its weights, in Meta's names or in those of the transformers library."""
    sam = build_sam(name)
    if path.suffix == ".safetensors":
        weights = {k: v.float() for k, v in load_file(path).items()}
    else:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    _load_strictly(sam, from_transformers(weights) if "vision_encoder.pos_embed" in weights else weights, path.name)
    return sam.eval()


def _fill(encoder, adapter: dict[str, Tensor], where: str) -> None:
    """LoRA's weights into PEFT's model, every one of them."""
    expected = get_peft_model_state_dict(encoder)
    _check_keys(set(adapter), set(expected), where)
    for name, value in expected.items():
        if adapter[name].shape != value.shape:
            raise CheckpointError(f"{where}: {name} is {tuple(adapter[name].shape)}, not {tuple(value.shape)}")
    set_peft_model_state_dict(encoder, adapter)


def _load_strictly(module: torch.nn.Module, values: dict[str, Tensor], where: str) -> None:
    expected = module.state_dict()
    _check_keys(set(values), set(expected), where)
    for name, value in expected.items():
        if values[name].shape != value.shape:
            raise CheckpointError(f"{where}: {name} is {tuple(values[name].shape)}, not {tuple(value.shape)}")
    module.load_state_dict(values)


def _check_keys(found: set[str], expected: set[str], where: str) -> None:
    if found != expected:
        missing, foreign = sorted(expected - found), sorted(found - expected)
        raise CheckpointError(
            f"{where} does not fit: {len(missing)} weights missing, {len(foreign)} unknown"
            f" ({', '.join((missing + foreign)[:2])})"
        )


def _halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().half().contiguous() for name, value in weights.items()}
