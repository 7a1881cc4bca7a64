"""Before and after a training, on images that it did not learn from: the whole road of a picture, twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from sac.images import Image
from sac.inference.segment import segment
from sac.metrics import score
from sac.model.sac import SAC
from training.datasets.division import Piece
from training.datasets.sample import Sample
from training.disk import room, write_json
from training.drawing import draw
from training.places import COMPARED, FIGURES

MOST_IMAGES, MOST_PIXELS = 8, 1024
"""Images that it is judged by, and pixels along their sides: enough for a minute."""
SCORES = ("dice", "aji", "pq", "msa")

Asked = tuple[Sample, dict[str, float]]
"""A sample, and the thresholds by which the one that was taught reads it: such as were not chosen for this sample."""


@dataclass(frozen=True)
class Compared:
    """One image's scores before and after, by name."""

    name: str
    before: dict[str, float]
    after: dict[str, float]


@dataclass(frozen=True)
class Outcome:
    """All images that were compared."""

    images: tuple[Compared, ...]

    def mean(self, when: str, figure: str) -> float:
        """Of `figure`, "before" or "after", over the images."""
        return float(np.mean([getattr(image, when)[figure] for image in self.images]))

    def gain(self, figure: str = "msa") -> float:
        """What the training added to a figure."""
        return self.mean("after", figure) - self.mean("before", figure)

    @property
    def is_worse(self) -> bool:
        """All scores together: a little less of one is no loss where the others rose by more."""
        return sum(map(self.gain, SCORES)) < 0

    @property
    def sentence(self) -> str:
        """What came of it, in words."""
        before, after = self.mean("before", "msa"), self.mean("after", "msa")
        count = "1 image" if len(self.images) == 1 else f"{len(self.images)} images"
        told = f"mSA {before:.3f} before, {after:.3f} after, Dice {self.mean('before', 'dice'):.3f} before, "
        told += f"{self.mean('after', 'dice'):.3f} after, on what was held out ({count}, or parts of them)"
        return (
            f"It got worse: {told}. The checkpoint it started from is the better one." if self.is_worse else f"{told}."
        )

    def figures(self) -> dict[str, dict[str, float]]:
        return {when: {name: round(self.mean(when, name), 4) for name in SCORES} for when in ("before", "after")}

    @classmethod
    def read(cls, out: Path) -> Outcome | None:
        """The one that was written to `out`; None where nothing was compared."""
        path = out / FIGURES
        return cls(tuple(Compared(**row) for row in json.loads(path.read_text()))) if path.exists() else None


def judged(whole: Sequence[Sample], keep: Sequence[Piece]) -> list[Sample]:
    """Of what was held out, what a training is judged by: the middles of some images, at their own intensities.

    The images are spread over all that were held out, so that each source has its share.
    """
    return [_middle(piece.cut(whole[piece.index])) for piece in spread(keep)]


def spread(keep: Sequence[Piece]) -> list[Piece]:
    """The pieces that it is judged by."""
    places = np.linspace(0, len(keep) - 1, min(MOST_IMAGES, len(keep))).round().astype(int)
    return [keep[place] for place in places]


def compare(
    before: SAC, after: SAC, asked: Sequence[Asked], out: Path, told: Callable[[str], None] = lambda name: None
) -> Outcome:
    """Segments samples with both and writes pictures and figures to `out`: validation/0.before.png and so on."""
    compared = []
    for number, (sample, read) in enumerate(asked):
        told(sample.name)
        image, scores = Image(sample.name, sample.image, sample.microns or None), {}
        for when, sac, options in (("before", before, {}), ("after", after, read)):
            found = segment(image, sac, sac.config.options(**options)).labels
            scores[when] = {name: round(value, 5) for name, value in score(sample.labels, found).to_json().items()}
            draw(out / COMPARED / f"{number}.{when}.png", sample.image, sample.labels, found)
        compared.append(Compared(sample.name, **scores))
    with room():
        write_json(out / FIGURES, [asdict(row) for row in compared])
    return Outcome(tuple(compared))


def _middle(sample: Sample) -> Sample:
    """The middle of a large sample."""
    rows, columns = (
        slice(max(0, (length - MOST_PIXELS) // 2), max(0, (length - MOST_PIXELS) // 2) + MOST_PIXELS)
        for length in sample.labels.shape
    )
    return replace(sample, image=sample.image[rows, columns].copy(), labels=sample.labels[rows, columns].copy())
