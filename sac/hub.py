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
from tempfile import TemporaryDirectory

import torch
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from safetensors.torch import save_file
from segment_anything.modeling import Sam
from torch import Tensor

from sac.config import LIMITS, SACConfig
from sac.errors import CheckpointError, OptionError
from sac.model.sac import SAC
from sac.model.sam import build_sam, from_transformers
from sac.remote import downloads
from sac.remote.downloads import Progress, silent
from sac.tensors import check_fit, check_keys, check_rank, load_strictly, read_base, read_tensors

WEIGHTS = Path(__file__).parent / "weights"
EMBEDDED = ("nuclei", "nuclei-he", "glands")
DEFAULT = "nuclei"
CONFIG, ADAPTER_CONFIG, ADAPTER, HEAD, CARD = (
    "sac_config.json", "adapter_config.json", "adapter_model.safetensors", "sac_head.safetensors", "README.md",
)  # fmt: skip
FILES = (CONFIG, ADAPTER_CONFIG, ADAPTER, HEAD, CARD)
MOST = {name: LIMITS.adapter if name in (ADAPTER, HEAD) else LIMITS.texts for name in FILES}
"""Bytes of each file that are accepted from the Hub."""
BASE_FILE = "model.safetensors"
SIGHT = "sight."
"""Weights of a generator that show it the image embedding: the embedded start, of scenes alone, has none."""
START = WEIGHTS / "start" / HEAD
"""What the heads of a fresh SAC have learnt of generated scenes. Embedded."""
MOST_OF_BASE = {BASE_FILE: LIMITS.base}
HUB_BASES = {"vit_b": "facebook/sam-vit-base", "vit_l": "facebook/sam-vit-large", "vit_h": "facebook/sam-vit-huge"}


def load(name: str, device: str = "cpu", progress: Progress = silent) -> SAC:
    """A SAC by embedded name, folder, or owner/name on the Hub, with @revision or without.

    progress: hears of downloads. Raises CheckpointError in one plain sentence.
    """
    folder, name = _find(name, progress), _called(name)
    config = _read_config(folder, name)
    _check_adapter(folder, config, name)
    base_file = base_path(config.base, progress)
    _check_base(config, base_file, name)
    sac = SAC(_load_base(config.base, base_file), config)
    _fill(sac.sam.image_encoder, _read_weights(folder / ADAPTER, name), config.rank, f"{name}: {ADAPTER}")
    head = _read_weights(folder / HEAD, name)
    check_keys(set(head), set(sac.trained()), f"{name}: {HEAD}")
    for part in ("generator", "mask_decoder"):
        prefix = f"{part}."
        values = {k.removeprefix(prefix): v for k, v in head.items() if k.startswith(prefix)}
        load_strictly(getattr(sac, part), values, f"{name}: {HEAD}")
    return _moved(sac, device).eval().learning(False)


def config_of(name: str, progress: Progress = silent) -> SACConfig:
    """What a checkpoint is, without its weights. Raises CheckpointError."""
    return _read_config(_find(name, progress), _called(name))


def fetch(name: str, progress: Progress = silent) -> str:
    """Brings the checkpoint owner/name or owner/name@revision here, whole and verified. Returns owner/name@commit.

    What is returned loads without the Hub, and stays the same whatever its owner does. The server's own token is not
    shown to the Hub. Raises CheckpointError in one plain sentence, soon: silence ends it, not the length of a download.
    """
    if not downloads.is_name(name):
        raise CheckpointError(f"{name[:200]!r} is not owner/name, or owner/name@revision, of a repository on the Hub")
    return str(downloads.fetch(name, MOST, progress))


def at_hand(pinned: str) -> bool:
    """Whether all files of the checkpoint owner/name@commit are here."""
    return downloads.at_hand(pinned, MOST) is not None


def folder_of(name: str) -> Path:
    """The folder of an embedded checkpoint, a folder, or one from the Hub, which is fetched. Raises CheckpointError."""
    return _find(name, silent)


def device() -> str:
    """Where models are put if nobody says: what SAC_DEVICE says, else a GPU where there is one."""
    return os.environ.get("SAC_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")


def _moved(sac: SAC, device: str) -> SAC:
    try:
        return sac.to(torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise OptionError(f"device {device!r} is not to be had on this machine; cpu always is") from error


def new(config: SACConfig, begun: bool = True) -> SAC:
    """A SAC to be trained: the base's weights, a fresh adapter, heads that have learnt generated scenes.

    begun: False leaves the generator random and the decoder as the base has it.
    """
    base_file = base_path(config.base)
    sac = SAC(_load_base(config.base, base_file), replace(config, base_sha256=sha256(base_file)))
    return begin(sac) if begun else sac


def begin(sac: SAC) -> SAC:
    """Gives its heads what was learnt of scenes: a generator of the usual widths, the decoder of the embedded base."""
    known = read_tensors(START, "the embedded start", LIMITS.adapter)
    for part in ("generator", "mask_decoder"):
        head = getattr(sac, part)
        weights = {n.removeprefix(f"{part}."): w for n, w in known.items() if n.startswith(f"{part}.")}
        weights |= {n: w for n, w in head.state_dict().items() if n.startswith(SIGHT)}
        fits = {n: w.shape for n, w in head.state_dict().items()} == {n: w.shape for n, w in weights.items()}
        if fits and (part == "generator" or sac.config.base_sha256 == sha256(WEIGHTS / "tiny" / BASE_FILE)):
            load_strictly(head, weights, "the embedded start")
    return sac


def save(sac: SAC, folder: Path, card: str) -> None:
    """Writes a checkpoint, weights in half precision. `card`: the text of its README.md.

    One that lies there is replaced when all of it is written: a full disk takes nothing away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    encoder = sac.sam.image_encoder
    with TemporaryDirectory(dir=folder, prefix=".saving-") as saving:
        partial = Path(saving)
        (partial / CONFIG).write_text(json.dumps(sac.config.to_json(), indent=2) + "\n")
        encoder.peft_config["default"].save_pretrained(saving)
        save_file(_halved(get_peft_model_state_dict(encoder)), partial / ADAPTER)
        save_file(_halved(sac.trained()), partial / HEAD)
        (partial / CARD).write_text(card, encoding="utf-8")
        for path in partial.iterdir():
            path.replace(folder / path.name)


def save_base(sam: Sam, folder: Path, card: str) -> None:
    """Writes a base SAM, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_halved(sam.state_dict()), folder / BASE_FILE)
    (folder / CARD).write_text(card, encoding="utf-8")


def save_start(sac: SAC, folder: Path, card: str) -> None:
    """Writes the heads that a fresh SAC begins with, weights in half precision."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(_halved(sac.trained()), folder / HEAD)
    (folder / CARD).write_text(card, encoding="utf-8")


def base_path(name: str, progress: Progress = silent) -> Path:
    """The weight file of a base: embedded, a file or owner/name that SAC_BASE_VIT_B and the like name, or Meta's.

    Raises CheckpointError where it is not to be had.
    """
    if not (source := base_source(name)):
        return WEIGHTS / name / BASE_FILE
    if Path(source).is_file():
        return Path(source)
    if not downloads.is_name(source):
        raise CheckpointError(f"SAC_BASE_{name.upper()} names {source}, which is not a file, nor owner/name on the Hub")
    pinned = downloads.at_hand(source, MOST_OF_BASE) or downloads.fetch(source, MOST_OF_BASE, progress)
    return pinned.folder / BASE_FILE


def base_at_hand(name: str) -> bool:
    """Whether a base's weights are here, so that nothing need be fetched."""
    source = base_source(name)
    return not source or Path(source).is_file() or downloads.at_hand(source, MOST_OF_BASE) is not None


def base_source(name: str) -> str:
    """The file, or owner/name on the Hub, that a base comes from; "" for the embedded one."""
    return os.environ.get(f"SAC_BASE_{name.upper()}") or HUB_BASES.get(name, "")


@lru_cache(maxsize=8)
def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find(name: str, progress: Progress) -> Path:
    """The folder that holds checkpoint `name`."""
    if name in EMBEDDED:
        return WEIGHTS / name
    if name and os.path.isdir(name):  # unlike Path.is_dir, False for names that no file may have
        return Path(name)
    if downloads.is_name(name):
        return downloads.fetch(name, MOST, progress).folder
    raise CheckpointError(
        f"no checkpoint {name!r}; known are {', '.join(EMBEDDED)}, a folder, or owner/name on the Hub"
    )


def _called(name: str) -> str:
    """What errors call a checkpoint: where it lies on a server is nobody's business."""
    return Path(name).name if os.path.isabs(name) else name


def _read_config(folder: Path, name: str) -> SACConfig:
    return SACConfig.from_json(_read_json(folder / CONFIG, name))


def _read_json(path: Path, name: str) -> dict:
    _check_there(path, name)
    if path.stat().st_size > LIMITS.texts:
        raise CheckpointError(f"{name}: {path.name} is larger than {LIMITS.texts >> 20} MB")
    try:
        stored = json.loads(path.read_text())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{name}: {path.name} is not JSON") from error
    if not isinstance(stored, dict):
        raise CheckpointError(f"{name}: {path.name} is not a JSON object")
    return stored


def _check_there(path: Path, name: str) -> None:
    if not path.is_file():
        raise CheckpointError(f"{name} holds no {path.name}: it is not a SAC checkpoint, or not a whole one")


def _read_weights(path: Path, name: str) -> dict[str, Tensor]:
    _check_there(path, name)
    return read_tensors(path, f"{name}: {path.name}", LIMITS.adapter)


def _check_adapter(folder: Path, config: SACConfig, name: str) -> None:
    """Raises CheckpointError where PEFT's own settings say otherwise than SACConfig: another program would read those."""
    stored = _read_json(folder / ADAPTER_CONFIG, name)
    for ours, theirs in (("rank", "r"), ("alpha", "lora_alpha")):
        if stored.get(theirs) != getattr(config, ours):
            said = f"{stored.get(theirs)!r:.40}"
            raise CheckpointError(f"{name}: {ADAPTER_CONFIG} says {ours} {said}, {CONFIG} {getattr(config, ours)!r}")


def _check_base(config: SACConfig, file: Path, name: str) -> None:
    if (found := sha256(file)) != config.base_sha256:
        raise CheckpointError(
            f"{name} was trained on another {config.base} base than the one here"
            f" (SHA-256 {config.base_sha256[:12]}..., here {found[:12]}...)"
        )


def _load_base(name: str, path: Path) -> Sam:
    """A SAM with its weights, in Meta's names or in those of the transformers library."""
    sam = build_sam(name)
    weights = read_base(path, path.name, LIMITS.base)
    if "vision_encoder.pos_embed" in weights:
        weights = from_transformers(weights)
    load_strictly(sam, weights, f"{path.name}, as a {name},")
    return sam.eval()


def _fill(encoder, adapter: dict[str, Tensor], rank: int, where: str) -> None:
    """LoRA's weights into PEFT's model, every one of them."""
    check_rank(adapter, rank, where)
    check_fit(adapter, get_peft_model_state_dict(encoder), where)
    set_peft_model_state_dict(encoder, adapter)


def _halved(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach().cpu().half().contiguous() for name, value in weights.items()}
