"""Every method by its name, as it is asked once its model has been trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sac.config import KINDS, SegmentOptions
from sac.images import Image
from sac.inference.compare import vanilla_everything
from sac.inference.instances import merge
from sac.inference.maps import map_of
from sac.inference.predictor import decode
from sac.inference.segment import answer, auto_prompts
from sac.prompts import Prompts, nuclei_of
from training.baselines.classical import otsu_watershed, parted
from training.baselines.expert import Expert
from training.baselines.one_mask import one_mask
from training.baselines.subject import Method, Subject

VANILLA = SegmentOptions(adapted=False, certainty=0.0)


def prompted_by_generator(**told: Any) -> Method:
    """SAC, or its base alone, on the prompts that the generator sets. told: fields of SegmentOptions."""

    def method(subject: Subject) -> np.ndarray:
        options = subject.sac.config.options(**told)
        embedding = subject.embedding(options.adapted)
        return answer(subject.sac, embedding, auto_prompts(subject.sac, embedding, options), options).labels

    return method


def prompted_by_expert(ask: Callable[[Expert], Prompts]) -> Method:
    """SAM as it is, with an expert's points in each nucleus (paper, figure 1): no mask is anybody's duplicate."""

    def method(subject: Subject) -> np.ndarray:
        embedding, prompts = subject.embedding(False), ask(subject.expert)
        masks = decode(subject.sac, embedding, prompts, VANILLA)
        return merge(masks, prompts, embedding.size, VANILLA, duplicate=1.0).labels

    return method


def _everything(subject: Subject) -> np.ndarray:
    return vanilla_everything(subject.sac, Image("", subject.pixels), subject.scale, lambda share, word: None)


def _unet(subject: Subject) -> np.ndarray:
    nuclei_map = map_of(subject.sac, subject.pixels, subject.scale, SegmentOptions())
    return nuclei_of(nuclei_map, subject.diameter, subject.sac.config.prominence)


def one_mask_of_sac(**told: Any) -> Method:
    """SAC's mask of all nuclei, cut at necks as the rivals' masks are. told: fields of SegmentOptions."""
    whole = prompted_by_generator(mode="semantic", **told)
    return lambda subject: parted(whole(subject) > 0, subject.diameter, subject.smallest)


METHODS: dict[str, Method] = {
    "otsu": lambda subject: otsu_watershed(subject.pixels),
    "generator": _unet,
    "everything": _everything,
    "vanilla": prompted_by_generator(adapted=False, certainty=0.0),
    "vanilla-semantic": prompted_by_generator(adapted=False, mode="semantic"),
    "sac-semantic": prompted_by_generator(mode="semantic"),
    "sac": prompted_by_generator(),
}
"""What can be asked of a checkpoint. The vanilla ones are its base without adapter, with its own decoder."""

EXPERT: dict[str, Method] = {
    "one careless point": prompted_by_expert(Expert.careless),
    "one good point": prompted_by_expert(Expert.good),
    "three points": prompted_by_expert(Expert.several),
    "three points, four beside": prompted_by_expert(Expert.several_with_negatives),
}
"""SAM as it is, helped by somebody who sees each nucleus."""
ONE_MASK: dict[str, Method] = {f"{count} points": one_mask(count) for count in (0, 1, 3)}
"""SAM-FT and MSA."""

ABLATED: dict[str, Method] = {
    "one mask, parted": one_mask_of_sac(),
    "one mask, parted, by probability": one_mask_of_sac(strategy="probability"),
    "sac of any certainty": prompted_by_generator(certainty=0.0),
    **{f"{k} pairs": one_mask_of_sac(pairs=k) for k in (1, 3, 8, 16)},
    **{f"only {kind}": one_mask_of_sac(kinds=kind) for kind in KINDS},
    **{f"{n} negatives": prompted_by_generator(negatives=n) for n in (0, 1, 2, 4, 8)},
    "sac by probability": prompted_by_generator(strategy="probability"),
}
"""SAC, asked otherwise."""
KNOWN: dict[str, Method] = METHODS | EXPERT | ONE_MASK | ABLATED
