"""`python -m training pretrain`: what a fresh SAC begins with, the `tiny` base and the heads, from generated scenes."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch.nn.functional as F
from accelerate import PartialState
from scipy import ndimage
from segment_anything.modeling import Sam
from torch import Tensor, nn
from torch.utils.data import Dataset

from sac.config import SACConfig
from sac.hub import new, save_base, save_start
from sac.model.auto_prompt import MAP_CHANNELS, mask_prompt
from sac.model.decoder import WindowDecoder
from sac.model.sac import SAC
from sac.model.sam import build_sam
from training.cards import base_card
from training.datasets.scenes import scene, smooth_noise
from training.lesson import PARTS, NucleiLesson
from training.loop import Course, Schedule, make_accelerator, run
from training.losses import generator_loss
from training.prompting import HINT_SHARE, Frame, decoding_losses, example, pairs, token_prompts, window_targets

WINDOW = 16
"""Side, in tokens, of the windows that prompts are decoded on."""
DIAMETER = SACConfig().diameter
"""Pixels of a shape, about: that of nuclei on a SAC's tiles."""
DENSE_CELLS = 4
"""Dense targets per token along a side."""


@dataclass(frozen=True)
class PretrainOptions:
    """What `pretrain` can be told."""

    part: Literal["sam", "head"] = "sam"
    """What is made: the tiny base, a promptable SAM, or on that base the heads (generator and mask decoder) of a SAC."""
    steps: int = 1200
    batch: int = 6
    prompts: int = 10
    learning_rate: float = 1e-3
    dense_steps: int = 200
    """First steps, on dense targets alone, before prompts help: of the SAM, or of the generator."""
    seed: int = 0
    save_every: int = 100


def pretrain_to(out: Path, options: PretrainOptions, resume: bool) -> None:
    """Trains and writes the base, or the heads, with a card to `out`."""
    made = pretrain(options, out, resume)
    if PartialState().is_main_process:
        save = save_base if options.part == "sam" else save_start
        save(made, out, base_card(options.part, shlex.join(["python", "-m", "training", *sys.argv[1:]]), options.seed))


def pretrain(options: PretrainOptions, out: Path, resume: bool = False) -> Sam | SAC:
    """Trains a tiny SAM, whose every part but the random positional encoding is learnt, or a SAC's heads. Returns it."""
    accelerator = make_accelerator(options.seed)
    made, lesson = _sam(options) if options.part == "sam" else _heads(options)
    schedule = Schedule(
        options.steps, options.batch, options.learning_rate, seed=options.seed, save_every=options.save_every
    )
    scenes = Scenes(options.seed, options.prompts, options.steps * options.batch)
    run(accelerator, Course(lesson, scenes, schedule, out, PARTS), resume)
    return made


def _sam(options: PretrainOptions) -> tuple[Sam, nn.Module]:
    sam = build_sam("tiny")
    return sam, ScenesLesson(sam, options.dense_steps)


def _heads(options: PretrainOptions) -> tuple[SAC, nn.Module]:
    """As in `fit`, on scenes: the generator learns from nothing on, the decoder from the base's on, LoRA stays off."""
    sac = new(SACConfig(generator_sees="picture"), begun=False).learning(True, encoder=False)
    return sac, NucleiLesson(sac, options.dense_steps)


class Scenes(Dataset):
    """Example k is a function of (seed, k)."""

    def __init__(self, seed: int, prompts: int, size: int):
        self.seed, self.prompts, self.size = seed, prompts, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.seed, k])
        image, labels = scene(rng)
        item = example(rng, image, labels, self.prompts, DIAMETER)
        item["hint"] = _rough_map(rng, labels, item["distance"])
        return item | pairs(rng, labels, item["distance"])


def _rough_map(rng: np.random.Generator, labels: np.ndarray, distance: np.ndarray) -> np.ndarray:
    """A nuclei map (2, H, W) as a generator might give it: blurred and shaky."""
    blur = rng.uniform(0.5, 3)
    noise = np.stack([smooth_noise(rng, len(labels), grain=16) for _ in range(2)]) * rng.uniform(0, 1.5)
    inside = ndimage.gaussian_filter((labels > 0).astype(np.float32), blur)
    depth = ndimage.gaussian_filter(distance, blur).clip(0.01, 0.99)
    return (np.stack([8 * (inside - 0.5), np.log(depth / (1 - depth))]) + noise).astype(np.float32)


class ScenesLesson(nn.Module):
    """A SAM with the losses that teach it: masks for prompts, and dense targets on the neck's output."""

    def __init__(self, sam: Sam, dense_steps: int):
        super().__init__()
        self.sam = sam
        self.dense_steps = dense_steps
        tokens = sam.prompt_encoder.image_embedding_size[0]
        stride = sam.image_encoder.img_size // tokens
        self.frame = Frame(tokens, stride, stride, window=WINDOW)
        self.decode = WindowDecoder(WINDOW)
        _initialise(sam)
        self.dense = nn.Conv2d(sam.prompt_encoder.embed_dim, MAP_CHANNELS * DENSE_CELLS**2, 1)

    def forward(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        features = self.sam.image_encoder(self.sam.preprocess(batch["image"].float()))
        dense = self._dense_loss(features, batch)
        if step < self.dense_steps:
            return {"dense": dense}
        prompts = token_prompts(batch, self.frame, step)
        hints = None
        if np.random.default_rng([step, 1]).random() < HINT_SHARE:
            hints = mask_prompt(batch["hint"], self.sam.prompt_encoder.mask_input_size)
        logits, ious = self.decode(self.sam.mask_decoder, self.sam.prompt_encoder, features, prompts, hints)
        targets = window_targets(batch["labels"], batch["ids"].flatten(), prompts, self.frame)
        return {**decoding_losses(logits, ious, targets), "dense": 0.5 * dense}

    def _dense_loss(self, features: Tensor, batch: dict[str, Tensor]) -> Tensor:
        """The generator's loss, on a map read off the features by one linear layer: finer than the tokens."""
        guess = F.pixel_shuffle(self.dense(features).float(), DENSE_CELLS)
        cell = self.frame.pixels // DENSE_CELLS
        labels = batch["labels"][:, cell // 2 :: cell, cell // 2 :: cell]
        distance = batch["distance"][:, cell // 2 :: cell, cell // 2 :: cell]
        return generator_loss(guess, (labels > 0).float(), distance)


def _initialise(sam: Sam) -> None:
    """Linear layers as vision transformers are usually begun (Dosovitskiy et al. 2020): small, without bias."""
    for module in sam.image_encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)
