"""Training examples: crops of a training set's pieces, drawn so that rare kinds of image are not forgotten."""

from __future__ import annotations

from collections import Counter

import numpy as np
from torch.utils.data import Dataset

from training.augment import STAINS, WIDE_STAINS, Zoom, crop
from training.datasets.division import FEW, Pieces
from training.datasets.gather import Facts
from training.options import FitOptions
from training.prompting import example, pairs

POOL = 192
"""Crops of the quick mode, which are cut and embedded once."""


class Crops(Dataset):
    """Example k is a function of (seed, k). Rare kinds of image are drawn more often than their share.

    In the quick mode it shows one of `POOL` crops, whose number it says; only its prompts are new.
    """

    def __init__(self, pieces: Pieces, zoom: Zoom, side: int, options: FitOptions):
        self.pieces, self.zoom, self.side, self.options = pieces, zoom, side, options
        self.chances = _chances(pieces.facts)

    def __len__(self) -> int:
        return self.options.steps * self.options.batch

    def __getitem__(self, k: int) -> dict[str, np.ndarray]:
        rng = np.random.default_rng([self.options.seed, k])
        if self.options.quick:
            number = int(rng.integers(POOL))
            return self._taught(rng, *self.cut(number)) | {"crop": np.int64(number)}
        return self._taught(rng, *self._crop(rng))

    def cut(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Crop `number` of the quick mode's pool: image (side, side, 3) uint8 and labels (side, side) int32."""
        return self._crop(np.random.default_rng([self.options.seed, number, POOL]))

    def _crop(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        sample = self.pieces[rng.choice(len(self.pieces), p=self.chances)]
        spread = WIDE_STAINS if len(self.pieces) < FEW else STAINS
        return crop(rng, sample, self.zoom, self.side, spread)

    def _taught(self, rng: np.random.Generator, image: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
        item = example(rng, image, labels, self.options.prompts, self.zoom.diameter)
        return item | pairs(rng, labels, item["distance"])


def _chances(facts: list[Facts]) -> np.ndarray:
    """A chance per piece. Sources share alike; in each, a kind's share goes with the root of its count.

    Kinds are told by colour and brightness. Large images hold more to see: within a kind the chance goes with the
    fourth root of the area.
    """
    counts = Counter(f.kind for f in facts)
    roots = np.array([(f.height * f.width) ** 0.25 for f in facts])
    areas = Counter()
    for fact, root in zip(facts, roots):
        areas[fact.kind] += root
    chances = np.array([counts[f.kind] ** 0.5 * root / areas[f.kind] for f, root in zip(facts, roots)])
    sources = np.array([f.source for f in facts])
    for source in set(sources):
        chances[sources == source] /= chances[sources == source].sum()
    return chances / chances.sum()
