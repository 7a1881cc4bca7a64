"""How certain a mask must be to be kept: what a SAC has learnt of that is found on images that it did not learn from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from sac.images import Image
from sac.inference.predictor import decode
from sac.inference.segment import auto_prompts, embed_image, sorted_out
from sac.metrics import score
from sac.model.sac import SAC
from training.datasets.sample import Sample
from training.examiner import surely_better
from training.outcome import SCORES

TRIED = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
"""Predicted IoUs from which on masks are kept, one after the other."""


def least_certainty(sac: SAC, samples: Sequence[Sample], scale: float = 0.0) -> float:
    """The predicted IoU from which on a mask is kept: the one of `TRIED` by which samples score best, all scores together.

    The checkpoint's own, unless that one is surely better; a decoder that is taught briefly judges its masks badly, and
    there the usual half can drop most of them. scale: magnification of the samples; 0 measures each.
    """
    own = sac.config.certainty
    tried = sorted({*TRIED, own})
    with torch.inference_mode():
        marks = np.array([_marks(sac, sample, scale, tried) for sample in samples]).reshape(-1, len(tried))
    if len(marks) < 2:
        return own
    best = int(marks.mean(0).argmax())
    return tried[best] if surely_better(marks[:, best], marks[:, tried.index(own)]) else own


def _marks(sac: SAC, sample: Sample, scale: float, tried: Sequence[float]) -> list[float]:
    """The sum of `SCORES` of a sample for each certainty; embedded and decoded once."""
    options = sac.config.options(scale=scale, certainty=0.0)
    embedding = embed_image(Image(sample.name, sample.image), sac, options, lambda share, word: None)
    prompts = auto_prompts(sac, embedding, options)
    masks = decode(sac, embedding, prompts, options)
    kept = (replace(options, certainty=least) for least in tried)
    found = (sorted_out(masks, embedding, prompts, options).labels for options in kept)
    return [sum(getattr(score(sample.labels, labels), name) for name in SCORES) for labels in found]
