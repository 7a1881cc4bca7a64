"""How a SAC does on tiles of images that it does not learn from, looked at one by one while it learns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import default_collate

from sac.inference.predictor import embed
from sac.inference.scale import KNOWN_SCALES
from sac.inference.segment import segment_embedded
from sac.metrics import score
from sac.model.sac import SAC
from training.augment import Zoom, place
from training.datasets.sample import Sample
from training.prompting import example

TILES = 6
"""Tiles of an exam: their mean is steady enough to stop by, and one is seen in a quarter of a second."""
TRIES = 12
"""Places of an image among which the one with most nuclei is taken."""
STEP = 1_000_000_007
"""A step number like any other: what a lesson draws by chance is the same at every look."""


@dataclass(frozen=True)
class Marks:
    """What one tile, or the mean of several, is worth."""

    loss: float
    dice: float
    msa: float

    @classmethod
    def mean(cls, marks: Sequence[Marks]) -> Marks:
        return cls(*(float(np.mean([getattr(m, name) for m in marks])) for name in ("loss", "dice", "msa")))

    def to_json(self) -> dict[str, float]:
        return {"loss": round(self.loss, 5), "dice": round(self.dice, 5), "msa": round(self.msa, 5)}


class Exam:
    """Up to `TILES` tiles of samples, at the scale that the SAC learns at. The same for the same samples and seed."""

    def __init__(self, samples: Sequence[Sample], zoom: Zoom, side: int, seed: int):
        rng = np.random.default_rng([seed, TILES])
        chosen = np.unique(np.linspace(0, len(samples) - 1, TILES).round().astype(int)) if len(samples) else []
        numbers = np.resize(chosen, TILES) if len(chosen) else []
        self.tiles = [_tile(rng, samples[int(n)], zoom, side) for n in numbers]
        self.found: list[np.ndarray | None] = [None] * len(self.tiles)
        """What was found on each tile when it was last looked at: labels (side, side) int32."""

    def __len__(self) -> int:
        return len(self.tiles)

    def look(self, lesson, number: int) -> Marks:
        """The marks of tile `number`. lesson: a NucleiLesson, whose SAC is asked as it is at work."""
        tile, sac = self.tiles[number], lesson.sac
        was_learning = lesson.training
        lesson.eval()
        with torch.inference_mode():
            options = sac.config.options(overlap=0, certainty=0.0)  # how certain a mask must be is found at the end
            embedding = embed(sac, tile.image, 1.0, options)
            found = segment_embedded(sac, embedding, options).labels
            loss = lesson.examined(_batch(tile, sac), embedding.maps, embedding.features, STEP)
        lesson.train(was_learning)
        self.found[number] = found
        scores = score(tile.labels, found)
        return Marks(float(loss), scores.dice, scores.msa)


def _tile(rng: np.random.Generator, sample: Sample, zoom: Zoom, side: int) -> Sample:
    """A square of a sample, magnified as at work."""
    scale = float(np.clip(zoom.of(sample) or 1.0, *KNOWN_SCALES))
    places = (place(rng, sample, scale, side) for _ in range(TRIES))
    image, labels = max(places, key=lambda found: len(np.unique(found[1])))
    return replace(sample, image=image, labels=labels)


def _batch(tile: Sample, sac: SAC) -> dict[str, Tensor]:
    """A batch of that one tile, with the same prompts each time."""
    labels = np.ascontiguousarray(tile.labels)
    item = example(np.random.default_rng(0), tile.image, labels, 16, sac.config.diameter)
    return {name: value.to(sac.sam.device) for name, value in default_collate([item]).items()}
