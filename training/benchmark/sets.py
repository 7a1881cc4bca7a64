"""The grounds that are compared on: official splits, gathered once, and what of the training images is held out."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np

from sac.config import SACConfig
from training.augment import Zoom
from training.datasets import official
from training.datasets.division import Piece, Pieces, divide
from training.datasets.gather import TABLE, TrainingSet, gather
from training.datasets.sample import Sample

Split = Literal["test", "held-out"]
GLAND_CONFIG = {"diameter": 40.0}
"""SACConfig for glands: a decoding window of 128 pixels holds the largest of them, and a tile nearly a whole picture."""
CHANGES: dict[str, dict[str, Any]] = {"glas": GLAND_CONFIG}
ONE_MAGNIFICATION = ("monuseg", "glas")
"""Sets that one microscope at one magnification made: their scale is that of the training images, by their labels."""


@dataclass(frozen=True)
class Ground:
    """A data set of the comparison. folder: where its gathered train/ and test/ lie; hold_out: share not learnt from."""

    name: str
    folder: Path
    hold_out: float
    changes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def train(self) -> TrainingSet:
        return TrainingSet(self.folder / "train")

    @cached_property
    def test(self) -> TrainingSet:
        return TrainingSet(self.folder / "test")

    @cached_property
    def digest(self) -> str:
        """Of all images and labels, those of the test among them: their figures are kept with the training."""
        parts = [hashlib.sha256((self.folder / part / TABLE).read_bytes()).hexdigest() for part in ("train", "test")]
        return "".join(parts)

    @property
    def scale(self) -> float:
        """Magnification that every method works at; 0 where SAC measures each picture."""
        if self.name not in ONE_MAGNIFICATION:
            return 0.0
        diameters = [f.diameter for f in self.learn(0, 0).facts if f.nuclei]
        return round(SACConfig(**self.changes).diameter / median(diameters), 2)

    @property
    def zoom(self) -> Zoom:
        """How images are magnified while students learn: as they are when they are asked."""
        diameter = SACConfig(**self.changes).diameter
        return Zoom(diameter, diameter / self.scale if self.scale else 0.0)

    def learn(self, images: int, seed: int) -> Pieces:
        """What is learnt from: all but what is held out, or the first `images` of it, shuffled by the seed."""
        pieces = self._divided[0]
        if images:
            pieces = [pieces[i] for i in np.random.default_rng([seed, len(pieces)]).permutation(len(pieces))[:images]]
        return Pieces(self.train, pieces)

    def held_out(self, most: int) -> Pieces:
        """What nobody learns from, or `most` images of it, spread over all."""
        return Pieces(self.train, _spread(self._divided[1], most))

    def samples(self, split: Split, most: int) -> list[tuple[TrainingSet, Piece]]:
        """What is measured: all test images, or up to `most` of those held out."""
        if split == "test":
            return [(self.test, Piece(i)) for i in range(len(self.test))]
        return [(self.train, piece) for piece in _spread(self._divided[1], most)]

    def epoch(self, config: SACConfig) -> float:
        """Crops that show as many pixels as the images that are learnt from, at the scale that they are learnt at."""
        facts = [self.train.survey.facts[piece.index] for piece in self._divided[0]]
        zooms = [self.scale or (config.diameter / f.diameter if f.diameter else 1.0) for f in facts]
        return round(sum(f.height * f.width * z**2 for f, z in zip(facts, zooms)) / config.tile**2, 1)

    @cached_property
    def _divided(self) -> tuple[list[Piece], list[Piece]]:
        return divide(self.train.survey.facts, self.hold_out)


def _spread(pieces: Sequence[Piece], most: int) -> list[Piece]:
    if not most or len(pieces) <= most:
        return list(pieces)
    return [pieces[i] for i in np.linspace(0, len(pieces) - 1, most).round().astype(int)]


def ground(folder: Path, out: Path, hold_out: float) -> Ground:
    """The ground in a folder of an official layout or of data folders. Raises DataError."""
    found = official.recognised(folder)
    place = out / "sets" / found.name
    for part in ("train", "test"):  # anew each time: it takes seconds, and images may have changed
        with TemporaryDirectory(prefix="sac-") as room:
            whole = gather(official.samples(folder, part, Path(room)), place / part)
        sys.stderr.writelines(f"{sentence}\n" for sentence in whole.survey.refused)
    return Ground(found.name, place, hold_out, CHANGES.get(found.name, {}))


def raw(whole: TrainingSet, piece: Piece) -> Sample:
    """A sample as it came, at its own intensities."""
    return piece.cut(whole[piece.index])
