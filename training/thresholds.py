"""How a SAC's map and masks are read, its thresholds: found on images that it did not learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from sac.images import Image
from sac.inference.compare import generator_alone
from sac.inference.predictor import Embedding, decode
from sac.inference.segment import auto_prompts, embed_image, segment_embedded, sorted_out
from sac.metrics import score
from sac.model.sac import SAC
from training.datasets.sample import Sample
from training.examiner import surely_better
from training.outcome import SCORES

CERTAINTIES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Predicted IoUs from which on masks are kept, one after the other."""
PROMINENCES = (0.1, 0.2, 0.3)
"""What parts two nuclei on the generator's map, one after the other."""
ERRORS = 1.0
"""Standard errors by which another threshold must be better than the checkpoint's own to take its place (the
one-standard-error rule of Breiman et al. 1984)."""


@dataclass(frozen=True)
class Held:
    """An image that was held out: its embedding and true label map (H, W)."""

    embedding: Embedding
    truth: np.ndarray

    def marks(self, labels: np.ndarray) -> float:
        """What a label map is worth: the sum of `SCORES`."""
        found = score(self.truth, labels)
        return sum(getattr(found, name) for name in SCORES)


def thresholds(sac: SAC, samples: Sequence[Sample], scale: float = 0.0, decoded: bool = True) -> dict[str, float]:
    """Fields of the provenance: the `certainty` from which on masks are kept, and the `prominence` of summits.

    One after the other, each the one by which samples score best, or the checkpoint's own where that one is not better
    by `ERRORS`. A decoder that is taught briefly judges its masks badly, and there the usual half can drop most of them.
    scale: magnification of the samples; 0 measures each. decoded: False reads the generator's map alone, which has no
    certainty.
    """
    with torch.inference_mode():
        held = [_held(sac, sample, scale) for sample in samples]
        found = {"certainty": _certainty(sac, held)} if decoded else {}
        ask = _segmented if decoded else _mapped
        return found | {"prominence": _prominence(sac, held, found, ask)}


def _held(sac: SAC, sample: Sample, scale: float) -> Held:
    options = sac.config.options(scale=scale)
    image = Image(sample.name, sample.image)
    return Held(embed_image(image, sac, options, lambda share, word: None), sample.labels)


def _certainty(sac: SAC, held: Sequence[Held]) -> float:
    own = sac.config.certainty
    tried = sorted({*CERTAINTIES, own})
    return _best(tried, own, [_marks_by_certainty(sac, image, tried) for image in held])


def _marks_by_certainty(sac: SAC, image: Held, tried: Sequence[float]) -> list[float]:
    """Decoded once."""
    options = sac.config.options(certainty=0.0)
    prompts = auto_prompts(sac, image.embedding, options)
    masks = decode(sac, image.embedding, prompts, options)
    kept = (replace(options, certainty=least) for least in tried)
    return [image.marks(sorted_out(masks, image.embedding, prompts, options).labels) for options in kept]


def _prominence(sac: SAC, held: Sequence[Held], found: dict[str, float], ask: Asked) -> float:
    """found: what was found before."""
    before = sac.config
    own = before.prominence
    tried = sorted({*PROMINENCES, own})
    marks = np.zeros((len(held), len(tried)))
    for column, prominence in enumerate(tried):
        sac.config = replace(before, provenance=before.provenance | found | {"prominence": prominence})
        marks[:, column] = [image.marks(ask(sac, image.embedding)) for image in held]
    sac.config = before
    return _best(tried, own, marks)


Asked = Callable[[SAC, Embedding], np.ndarray]
"""A SAC and an embedded image to a label map (H, W)."""


def _segmented(sac: SAC, embedding: Embedding) -> np.ndarray:
    return segment_embedded(sac, embedding, sac.config.options()).labels


def _mapped(sac: SAC, embedding: Embedding) -> np.ndarray:
    return generator_alone(embedding, sac.config)


def _best(tried: Sequence[float], own: float, marks: Sequence[Sequence[float]] | np.ndarray) -> float:
    """Of the values tried, the one with the best mean of marks (images, values), if it is better than one's own."""
    by_image = np.reshape(marks, (-1, len(tried)))
    if len(by_image) < 2:
        return own
    best = int(by_image.mean(0).argmax())
    return tried[best] if surely_better(by_image[:, best], by_image[:, tried.index(own)], ERRORS) else own
