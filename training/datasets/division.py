"""Which part of a training set is learnt from, and which is kept to see how well."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sac.inference.tiled import stretched
from training.datasets.gather import HELD, Facts, TrainingSet
from training.datasets.sample import Sample

FEW = 5
"""Images below which a strip of each is kept, instead of whole images: one alone says little of the others."""
STRIP = 0.25
"""Share of an image's longer side that is such a strip."""
SMALLEST = 8
"""Pixels along the longer side of an image below which a strip of it says nothing."""


@dataclass(frozen=True)
class Piece:
    """A sample by its index, or a part of it: from `begin` to `end`, as shares of its longer side."""

    index: int
    begin: float = 0.0
    end: float = 1.0

    def cut(self, sample: Sample) -> Sample:
        if (self.begin, self.end) == (0.0, 1.0):
            return sample
        axis = 0 if sample.labels.shape[0] > sample.labels.shape[1] else 1
        length = sample.labels.shape[axis]
        part = slice(round(self.begin * length), max(round(self.end * length), round(self.begin * length) + 1))
        where = (part, slice(None)) if axis == 0 else (slice(None), part)
        return replace(sample, image=sample.image[where], labels=sample.labels[where])


def divide(facts: Sequence[Facts], share: float) -> tuple[list[Piece], list[Piece]]:
    """(pieces to learn from, pieces to validate on). `share` of the images, those whose names' digests are smallest.

    Of a few images, a strip of each is kept, so that all of them teach; of one that is too small for a strip, nothing.
    A share of 0 keeps nothing.
    """
    everything = [Piece(i) for i in range(len(facts))]
    if not share:
        return everything, []
    if len(facts) < FEW:
        wide = [p for p in everything if max(facts[p.index].height, facts[p.index].width) >= SMALLEST]
        learnt = [replace(p, end=1 - STRIP) if p in wide else p for p in everything]
        return learnt, [replace(p, begin=1 - STRIP) for p in wide]
    order = sorted(everything, key=lambda p: hashlib.sha256(facts[p.index].name.encode()).digest())
    count = min(max(1, round(share * len(facts))), len(facts) - 1)
    held = sorted(order[:count], key=lambda p: p.index)
    return sorted(order[count:], key=lambda p: p.index), held


def is_strips(held: Sequence[Piece]) -> bool:
    """Whether what is held out are strips of images that are learnt from."""
    return any(piece.begin > 0 for piece in held)


class Pieces(Sequence):
    """Samples of a training set, cut, with their intensities drawn to the full range; read when asked for."""

    def __init__(self, whole: TrainingSet, pieces: list[Piece]):
        self.whole, self.pieces = whole, pieces
        self._piece = lru_cache(maxsize=HELD)(self._cut)

    def __len__(self) -> int:
        return len(self.pieces)

    def __getitem__(self, number: int) -> Sample:
        return self._piece(number)

    def __iter__(self) -> Iterator[Sample]:
        return (self[number] for number in range(len(self)))

    def __reduce__(self):
        return Pieces, (self.whole, self.pieces)

    @property
    def facts(self) -> list[Facts]:
        return [self.whole.survey.facts[piece.index] for piece in self.pieces]

    def _cut(self, number: int) -> Sample:
        piece = self.pieces[number]
        sample = self.whole[piece.index]
        return piece.cut(replace(sample, image=stretched(sample.image)))
