"""What a training will take, told before it begins: time, memory, disk; and a word where it cannot fit."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import psutil
import torch

from sac import hub
from sac.config import SACConfig, SegmentOptions, data_folder
from sac.errors import TrainingError
from sac.inference.tiles import plan_tiles
from sac.model.attention import MANY
from sac.model.sac import fast
from sac.model.sam import build_sam
from training.augment import Zoom
from training.crops import POOL
from training.datasets.division import divide
from training.datasets.gather import HELD, Survey
from training.options import Task
from training.outcome import MOST_PIXELS, spread

STEP_SHARE = {False: 3.2, True: 2.2}
"""Time of a crop in a step over that of its way through encoder and generator, with LoRA and in the quick mode."""
LOOKS = 9.0
"""Time of a look at two tiles, in the same unit."""
READ, COMPARE = 4.5, 4.5
"""Times of a tile of what was held out, in the same unit: read at all thresholds, and segmented before and after."""
BEGIN = 15.0
"""Seconds until a process trains."""
LIBRARIES = 1_000_000_000
"""Bytes that a process has with nothing in it, its reader of pictures included."""
CROP = 60_000_000
"""Bytes that the generator and the decoder keep of a crop for their gradients."""
COPIES = 25
"""Values that a block of the encoder keeps of each token's."""


@dataclass(frozen=True)
class Estimate:
    """seconds; memory and disk in bytes, and what this machine has free of both."""

    seconds: float
    memory: float
    free_memory: float
    disk: float
    free_disk: float

    @property
    def sentence(self) -> str:
        self.check()
        return f"About {spoken(self.seconds)}, {self.memory / 1e9:.1f} GB of memory, {self.disk / 1e6:.0f} MB of disk."

    def check(self) -> None:
        """Raises TrainingError where it cannot fit, with advice."""
        if self.memory > self.free_memory:
            raise TrainingError(
                f"this training takes {self.memory / 1e9:.1f} GB of memory, {self.free_memory / 1e9:.1f} are free: "
                "take a smaller batch, the quick mode, or a smaller base"
            )
        if self.disk > self.free_disk:
            raise TrainingError(
                f"this training takes {self.disk / 1e6:.0f} MB of disk, {self.free_disk / 1e6:.0f} are free: delete "
                "old trainings first"
            )


def estimate(task: Task, survey: Survey) -> Estimate:
    """What `task` will take on this machine, beside what runs on it now."""
    options = task.options
    config = hub.config_of(options.start) if options.start else SACConfig(**task.changes)
    base = _base(config.base)
    pool = POOL if options.quick else 0
    crops = options.steps * options.batch * STEP_SHARE[options.quick] + pool
    looks = options.steps / options.look_every * LOOKS
    slower = base.work / _base("tiny").work
    judged = _tiles_judged(config, survey, options.hold_out) * (READ + COMPARE * bool(options.start))
    seconds = BEGIN + (crops + looks + judged) * _pace() * slower
    kept = 0 if options.quick else base.kept
    memory = LIBRARIES + base.weights * 4 + options.batch * (CROP + kept) + pool * base.embedding + _images(survey)
    disk = 4 * base.learnt * 4 + pool * base.embedding + 20e6
    return Estimate(seconds, memory, _free_memory(), disk, shutil.disk_usage(_existing(data_folder())).free)


def _tiles_judged(config: SACConfig, survey: Survey, share: float) -> int:
    """Tiles of the images by which a training is judged when it is over."""
    zoom, tiles = Zoom.at_work(config), 0
    for piece in spread(divide(survey.facts, share)[1]):
        facts = survey.facts[piece.index]
        short, long = sorted((facts.height, facts.width))
        sides = (min(MOST_PIXELS, side) for side in (short, (piece.end - piece.begin) * long))
        scale = zoom.scale(facts.diameter, facts.microns) or 1.0
        size = tuple(max(1, round(side * scale)) for side in sides)
        tiles += len(plan_tiles(size, config.tile, SegmentOptions().overlap))
    return tiles


@dataclass(frozen=True)
class _Base:
    """A SAM in numbers: weights, those that are learnt, work (multiplications), bytes kept per image and bytes of its
    embedding."""

    weights: int
    learnt: int
    work: float
    kept: float
    embedding: int


@lru_cache(maxsize=4)
def _base(name: str) -> _Base:
    """Counted on a SAM without memory (Kirillov et al. 2023: some blocks attend to all tokens, the others to windows)."""
    with torch.device("meta"):
        sam = build_sam(name)
    encoder = sam.image_encoder
    tokens = encoder.pos_embed.shape[1] * encoder.pos_embed.shape[2]
    dim = encoder.pos_embed.shape[3]
    work = kept = 0.0
    for block in encoder.blocks:
        seen = block.window_size**2 or tokens
        work += 12 * tokens * dim**2 + 2 * tokens * seen * dim
        logits = 3 * block.attn.num_heads * seen if seen < MANY else 0
        kept += 4 * tokens * (COPIES * dim + logits)
    count = sum(w.numel() for w in sam.parameters())
    learnt = sum(w.numel() for w in sam.mask_decoder.parameters()) + 2_000_000
    return _Base(count, learnt, work, kept, embedding=4 * tokens * sam.prompt_encoder.embed_dim)


@lru_cache(maxsize=1)
def _pace() -> float:
    """Seconds of a crop of the tiny base's on its way through encoder and generator here."""
    sac = hub.load(hub.DEFAULT, "cuda" if torch.cuda.is_available() else "cpu")
    crops = torch.zeros(2, 3, sac.frame, sac.frame, device=sac.sam.device)
    with torch.inference_mode(), fast(sac.sam.device):
        for _ in range(2):  # the first warms up
            begun = time.perf_counter()
            features = sac.encode(crops)
            sac.generator(crops, features).float().cpu()
            seconds = time.perf_counter() - begun
    return seconds / len(crops)


def _images(survey: Survey) -> float:
    """Bytes of the images that are kept decoded, as they are and drawn to the full range."""
    largest = sorted((f.height * f.width for f in survey.facts), reverse=True)[:HELD]
    return 2 * 7 * sum(largest)


def _free_memory() -> float:
    if torch.cuda.is_available():
        return torch.cuda.mem_get_info()[0]
    return psutil.virtual_memory().available


def _existing(folder: Path) -> Path:
    return folder if folder.exists() else _existing(folder.parent)


def spoken(seconds: float) -> str:
    """A span of time, as one says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
