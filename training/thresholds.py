"""How a SAC's map and masks are read, its thresholds: found on images that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from sac.config import SACConfig, SegmentOptions
from sac.images import Image
from sac.inference.compare import generator_alone
from sac.inference.predictor import Embedding, decode
from sac.inference.segment import auto_prompts, embed_image, sorted_out
from sac.metrics import score
from sac.model.sac import SAC
from training.datasets.sample import Sample
from training.examiner import surely_better
from training.outcome import SCORES

CERTAINTIES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""From which on masks are kept, one after the other."""
PROMINENCES = (0.05, 0.1, 0.2, 0.3)
"""What parts two nuclei on the generator's map, one after the other."""
ERRORS = 1.0
"""Standard errors by which another threshold must be better than the checkpoint's own to take its place (after the
one-standard-error rule of Breiman et al. 1984, which keeps the simpler of two that are as close)."""


@dataclass(frozen=True)
class Readings:
    """What samples are worth at each threshold. marks (images, prominences, certainties): all `SCORES` together.

    own: of the SAC that was asked. decoded: False where its map alone was, which has no certainty.
    """

    marks: np.ndarray
    prominences: list[float]
    certainties: list[float]
    own: SACConfig
    decoded: bool = True

    def best(self, without: int | None = None) -> dict[str, float]:
        """Fields of the provenance: the `certainty` from which on masks are kept, and the `prominence` of summits.

        Those by which samples score best; the checkpoint's own where they are not better by `ERRORS`. A decoder that is
        taught briefly judges its masks badly, and there the usual half can drop most of them; one that tells neighbours
        apart well may be asked about smaller summits. without: a sample that has no say, so that it can be measured with
        thresholds that were not chosen for it.
        """
        marks = self.marks if without is None else np.delete(self.marks, without, axis=0)
        prominence, certainty = self.own.prominence, self.own.certainty
        if len(marks) > 1:
            prominence, certainty = _best(marks, self.prominences, self.certainties, self.own)
        return {"prominence": prominence} | ({"certainty": certainty} if self.decoded else {})


def readings(sac: SAC, samples: Sequence[Sample], scale: float = 0.0, decoded: bool = True) -> Readings:
    """Each sample read at each threshold, and scored. scale: magnification of the samples; 0 measures each."""
    own = sac.config
    prominences = sorted({*PROMINENCES, own.prominence})
    certainties = sorted({*CERTAINTIES, own.certainty}) if decoded else [own.certainty]
    marks = np.zeros((len(samples), len(prominences), len(certainties)))
    with torch.inference_mode():
        for row, sample in zip(marks, samples):
            embedding = _embedded(sac, sample, scale)
            for at, prominence in enumerate(prominences):
                options = own.options(prominence=prominence)
                if decoded:
                    found = _segmented(sac, embedding, options, certainties)
                else:
                    found = [generator_alone(embedding, own, options)]
                row[at] = [_worth(sample.labels, labels) for labels in found]
    return Readings(marks, prominences, certainties, own, decoded)


def thresholds(sac: SAC, samples: Sequence[Sample], scale: float = 0.0, decoded: bool = True) -> dict[str, float]:
    """The best `readings` of all samples."""
    return readings(sac, samples, scale, decoded).best()


def _embedded(sac: SAC, sample: Sample, scale: float) -> Embedding:
    image = Image(sample.name, sample.image, sample.microns or None)
    return embed_image(image, sac, sac.config.options(scale=scale), lambda share, word: None)


def _segmented(
    sac: SAC, embedding: Embedding, options: SegmentOptions, certainties: Sequence[float]
) -> list[np.ndarray]:
    """Its label map (H, W) for each least certainty. Decoded once."""
    prompts = auto_prompts(sac, embedding, options)
    masks = decode(sac, embedding, prompts, options)
    kept = (replace(options, certainty=least) for least in certainties)
    return [sorted_out(masks, embedding, prompts, one).labels for one in kept]


def _worth(truth: np.ndarray, labels: np.ndarray) -> float:
    found = score(truth, labels)
    return sum(getattr(found, name) for name in SCORES)


def _best(marks: np.ndarray, prominences: list[float], certainties: list[float], own: SACConfig) -> tuple[float, float]:
    """The best certainty for each prominence, then the best prominence. marks: (images, prominences, certainties)."""
    columns = [_chosen(of_one, certainties, own.certainty) for of_one in marks.swapaxes(0, 1)]
    row = _chosen(marks[:, range(len(prominences)), columns], prominences, own.prominence)
    return prominences[row], certainties[columns[row]]


def _chosen(marks: np.ndarray, tried: list[float], own: float) -> int:
    """Which of the values tried has the best mean of marks (images, values), if it is better than one's own."""
    best, before = int(marks.mean(0).argmax()), tried.index(own)
    return best if surely_better(marks[:, best], marks[:, before], ERRORS) else before
