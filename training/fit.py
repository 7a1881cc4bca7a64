"""`python -m training fit`: SAC on a frozen base, all trained parts together (paper: joint optimisation)."""

from __future__ import annotations

import hashlib
import shlex
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from accelerate import PartialState
from torch import Tensor, nn
from torch.utils.data import Dataset

from sac import __version__, hub
from sac.config import SACConfig
from sac.inference.predictor import stretched
from sac.model.auto_prompt import mask_prior
from sac.model.decoder import TokenPrompts
from sac.model.sac import INSTANCE_MASK, SAC, SEMANTIC_MASK
from training.augment import crop, is_coloured
from training.cards import sac_card
from training.datasets.folder import find_pairs, load_all
from training.datasets.sample import Sample
from training.loop import Schedule, make_accelerator, run
from training.losses import generator_loss, mask_loss
from training.prompting import Frame, decoding_losses, example, pixel_windows, token_prompts, window_targets

PAIRS = (1, 3, 8, 16)
"""Pairs of positive and negative prompts that the semantic mode learns with (paper's ablation)."""
MAP_SHARE = 0.9
"""Share of steps in which the decoder sees the generator's map, as it does at work."""
SEMANTIC_SHARE = 0.35
"""Share of steps that also decode all nuclei at once."""


@dataclass(frozen=True)
class FitOptions:
    """What `fit` can be told."""

    steps: int = 1500
    batch: int = 6
    prompts: int = 10
    """Prompts per crop."""
    learning_rate: float = 1e-3
    generator_steps: int = 200
    """First steps, in which the generator learns alone: prompts from a blank map teach nothing."""
    seed: int = 0
    save_every: int = 100
    """Steps between two saved states."""
    hold_out: float = 0.08
    """Share of the images, chosen by name, that is kept from training, to choose settings on."""
    start: str = ""
    """Checkpoint to start from, instead of a fresh SAC on the base."""
    licence: str = "unknown"
    """Licence of the weights, for the model card."""


def fit_to(out: Path, data: list[str], config: SACConfig, options: FitOptions, resume: bool) -> None:
    """Trains on data folders and writes the checkpoint with its card to `out`, held-out names to held_out.txt."""
    samples = [sample for folder in data for sample in load_all(find_pairs(Path(folder)), source=folder)]
    kept, held_out = split(samples, options.hold_out)
    sac = hub.load(options.start) if options.start else hub.new(config)
    sac = fit(sac, kept, options, out, resume)
    if not PartialState().is_main_process:
        return
    told = provenance(sac.config.provenance, data, options, (len(kept), len(held_out)))
    sac.config = replace(sac.config, provenance=told)
    hub.save(sac, out, sac_card(out.name, sac.config))
    (out / "held_out.txt").write_text("".join(f"{s.name}\n" for s in held_out))


def split(samples: list[Sample], share: float) -> tuple[list[Sample], list[Sample]]:
    """(kept, held out): a sample's side depends on its name alone."""
    held = [int(hashlib.sha256(s.name.encode()).hexdigest()[:8], 16) / 2**32 < share for s in samples]
    return [s for s, h in zip(samples, held) if not h], [s for s, h in zip(samples, held) if h]


def provenance(before: dict, data: list[str], options: FitOptions, counts: tuple[int, int]) -> dict:
    """Where weights come from. `before`: of the checkpoint they started from, whose data and commands stay named.

    `counts`: images of this training, and those held out from it.
    """
    folders = [f"{Path(folder).parent.name}/{Path(folder).name}" for folder in data]
    return {
        "data": list(dict.fromkeys([*before.get("data", []), *folders])),
        "images": counts[0],
        "held_out": counts[1],
        "licence": options.licence,
        "start": options.start,
        "before": [*before.get("before", []), *([before["command"]] if "command" in before else [])],
        "command": shlex.join(["python", "-m", "training", *sys.argv[1:]]),
        "seed": options.seed,
        "version": __version__,
    }


def fit(sac: SAC, samples: list[Sample], options: FitOptions, out: Path, resume: bool = False) -> SAC:
    """Trains `sac` in place on `samples` and returns it."""
    accelerator = make_accelerator(options.seed)
    schedule = Schedule(
        options.steps, options.batch, options.learning_rate, seed=options.seed, save_every=options.save_every
    )
    crops = Crops(samples, sac.config.diameter, sac.config.tile, options)
    return run(accelerator, NucleiLesson(sac.learning(True), options.generator_steps), crops, schedule, out, resume).sac


class Crops(Dataset):
    """Example k is a function of (seed, k). Rare kinds of image are drawn more often than their share."""

    def __init__(self, samples: list[Sample], diameter: float, side: int, options: FitOptions):
        self.samples = [replace(s, image=stretched(s.image)) for s in samples]
        self.diameter, self.side, self.options = diameter, side, options
        self.chances = _chances(samples)

    def __len__(self) -> int:
        return self.options.steps * self.options.batch

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.options.seed, k])
        sample = self.samples[rng.choice(len(self.samples), p=self.chances)]
        image, labels = crop(rng, sample, self.diameter, self.side)
        item = example(rng, image, labels, self.options.prompts)
        item["pairs"], item["pair_labels"] = _semantic_points(rng, labels, item["distance"])
        return item


def _chances(samples: list[Sample]) -> np.ndarray:
    """A chance per sample. Data folders share alike; in each, a kind's share goes with the root of its count.

    Kinds are told by colour and brightness. Large images hold more to see: within a kind the chance goes with the
    fourth root of the area.
    """
    kinds = [(s.source, is_coloured(s.image), bool(s.image[::4, ::4].mean() > 128)) for s in samples]
    counts = Counter(kinds)
    areas = Counter()
    for kind, sample in zip(kinds, samples):
        areas[kind] += sample.labels.size**0.25
    chances = np.array([counts[k] ** 0.5 * s.labels.size**0.25 / areas[k] for k, s in zip(kinds, samples)])
    sources = np.array([s.source for s in samples])
    for source in set(sources):
        chances[sources == source] /= chances[sources == source].sum()
    return chances / chances.sum()


def _semantic_points(rng, labels: np.ndarray, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """k pairs of points (2 max(PAIRS), 2) float32 over the crop, with labels; the rest is unused (-1)."""
    points, kinds = np.zeros((2 * max(PAIRS), 2), np.float32), np.full(2 * max(PAIRS), -1, np.int64)
    pairs = int(rng.choice(PAIRS))
    for kind, places in ((1, np.argwhere(distance > 0.5)), (0, np.argwhere(labels == 0))):
        if len(places):
            rows = slice(kind * max(PAIRS), kind * max(PAIRS) + pairs)
            points[rows] = places[rng.integers(len(places), size=pairs), ::-1]
            kinds[rows] = kind
    return points, kinds


class NucleiLesson(nn.Module):
    """A SAC with the losses that teach it: generator loss plus mask loss, in one graph."""

    def __init__(self, sac: SAC, generator_steps: int):
        super().__init__()
        self.sac = sac
        self.generator_steps = generator_steps
        self.frame = Frame(sac.tokens, sac.stride, sac.token_pixels, min(sac.config.window, sac.tokens))

    def forward(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        images = batch["image"].float()
        nuclei_map = self.sac.generator(images)
        losses = {"generator": generator_loss(nuclei_map, (batch["labels"] > 0).float(), batch["distance"])}
        if step < self.generator_steps:
            return losses
        chance = np.random.default_rng([step, 1]).random(2)
        features = self.sac.encode(self._framed(images))
        hint = nuclei_map if chance[0] < MAP_SHARE else None
        losses |= self._instances(features, batch, hint, step)
        if chance[1] < SEMANTIC_SHARE:
            losses["semantic"] = self._semantic(features, batch, hint)
        return losses

    def _framed(self, images: Tensor) -> Tensor:
        if images.shape[-1] == self.sac.frame:
            return images
        return F.interpolate(images, size=(self.sac.frame,) * 2, mode="bilinear", antialias=True)

    def _instances(self, features: Tensor, batch: dict[str, Tensor], hint, step: int) -> dict[str, Tensor]:
        """One prompt a nucleus, decoded on windows, against the nucleus or, off every nucleus, against nothing."""
        prompts = token_prompts(batch, self.frame, step)
        logits, ious = self.sac.decode(features, prompts, hint)
        targets = window_targets(batch["labels"], batch["ids"].flatten(), prompts, self.frame)
        prior = None if hint is None else pixel_windows(mask_prior(hint[:, :1]), prompts, self.frame)
        only = slice(INSTANCE_MASK, INSTANCE_MASK + 1)
        return decoding_losses(logits[:, only], ious[:, only], targets, prior)

    def _semantic(self, features: Tensor, batch: dict[str, Tensor], hint) -> Tensor:
        """k pairs for the whole crop against all its nuclei: the paper's own task."""
        count = len(features)
        prompts = TokenPrompts(
            image=torch.arange(count, device=features.device),
            points=batch["pairs"] * (self.frame.stride / self.frame.pixels),
            labels=batch["pair_labels"],
            origins=torch.zeros(count, 2, dtype=torch.long, device=features.device),
        )
        logits, _ = self.sac.decode(features, prompts, hint, whole=True)
        masks = F.interpolate(logits[:, SEMANTIC_MASK, None].float(), size=batch["labels"].shape[-2:], mode="bilinear")
        if hint is not None:
            masks = masks + mask_prior(hint[:, :1])
        return 0.5 * mask_loss(masks[:, 0], (batch["labels"] > 0).float()).mean()
