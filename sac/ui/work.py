"""What the page asks of the method: models in memory, embeddings kept, pictures segmented, compared and judged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from sac import hub
from sac.config import LIMITS, MODES, SegmentOptions
from sac.errors import CheckpointError, OptionError
from sac.export import Result
from sac.images import Image
from sac.inference import compare
from sac.inference.cache import Cache
from sac.inference.instances import Instances
from sac.inference.predictor import Embedding, embed_by_vanilla
from sac.inference.reprompt import Embedded
from sac.inference.segment import Progress, embed_image, segment, segment_embedded
from sac.inference.session import Session
from sac.metrics import Mistakes, score
from sac.model.sac import SAC
from sac.ui import gpu
from sac.ui.models import ON_HUB, name_of, place, preferred, title
from sac.ui.picture import Picture
from sac.ui.visitor import is_trusted

EMBEDDINGS: Cache[Embedding] = Cache(LIMITS.embeddings)
"""Shared by all visitors: a key holds the digest of the pixels, so that only equal pictures meet."""
MODELS: Cache[SAC] = Cache(LIMITS.models)
"""Shared by all visitors: a checkpoint is only read."""

T = TypeVar("T")


def silent(share: float, word: str) -> None:
    """Progress that nobody watches."""


def loaded(model: str) -> SAC:
    """A checkpoint in memory. Raises OptionError where it is not known."""
    return MODELS.get(model, lambda: hub.load(place(model), gpu.device()))


def done(task: Callable[..., T], model: str, *arguments: Any) -> T:
    """What `task(sac, *arguments)` returns for a checkpoint: from here, or from where a GPU is lent."""
    return gpu.lent(task, place(model), *arguments) if gpu.is_lent() else task(loaded(model), *arguments)


def settled(told: str, progress: Progress = silent) -> str:
    """What SAC_MODEL is to say for good: an embedded name, a folder's whole path, or owner/name with its commit.

    The checkpoint is fetched where it has to be, and loaded. Raises CheckpointError in one plain sentence.
    """
    if told in hub.EMBEDDED:
        return told
    if not os.path.isdir(told) and not ON_HUB.fullmatch(told):
        raise CheckpointError(
            f"no checkpoint {told!r}; known are {', '.join(hub.EMBEDDED)}, a folder, or owner/name on the Hub"
        )
    place = os.path.abspath(told) if os.path.isdir(told) else hub.fetch(told, progress)
    MODELS.get(name_of(place), lambda: hub.load(place, gpu.device(), progress))
    return place


def brought(told: str, owner: str, progress: Progress = silent) -> str:
    """A checkpoint of the Hub for a visitor: fetched and loaded. Returns its name with the commit.

    A base of hundreds of megabytes is fetched only for who may: see `visitor.is_trusted`. Raises CheckpointError.
    """
    if not ON_HUB.fullmatch(told):
        raise CheckpointError(f"{told!r} is not the name of a checkpoint on the Hub; owner/name is needed")
    pinned = hub.fetch(told, progress)
    base = hub.config_of(pinned).base
    if not is_trusted(owner) and not hub.base_at_hand(base):
        raise CheckpointError(f"{told} needs the base {base}, which is not on this server; one on tiny can be loaded")
    MODELS.get(pinned, lambda: hub.load(pinned, gpu.device(), progress))
    return pinned


def fitting(image: Image) -> str:
    """The name of the checkpoint for an image: of the embedded ones, that which learnt on pictures of its kind."""
    return preferred("nuclei-he" if image.is_stained else hub.DEFAULT)


def embedding_of(picture: Picture, model: str, options: SegmentOptions, progress: Progress = silent) -> Embedding:
    """A picture's embedding, computed where it is not kept. One of an estimated scale is kept as of that scale, too."""
    key = (picture.digest, model, options.adapted, options.overlap)
    known = (options.scale,) if options.scale else ("estimated", picture.image.microns)
    made = EMBEDDINGS.get((*key, *known), lambda: done(_embed, model, picture.image, options, progress))
    return EMBEDDINGS.get((*key, made.scale), lambda: made)


def _embed(sac: SAC, image: Image, options: SegmentOptions, progress: Progress) -> Embedding:
    return embed_image(image, sac, options, progress)


def _by_vanilla(picture: Picture, model: str, own: Embedding) -> Embedding:
    """The same by vanilla SAM, computed where it is not kept."""
    key = (picture.digest, model, "vanilla", own.scale, tuple(own.tiles))
    return EMBEDDINGS.get(key, lambda: done(embed_by_vanilla, model, picture.image.pixels, own))


def embedded(picture: Picture) -> Callable[[], Embedded]:
    """What edits of the work shown are decoded with, when they ask for it."""
    model, options = picture.shown[0], picture.session.options
    return lambda: Embedded(loaded(model), embedding_of(picture, model, options))


def segmented(picture: Picture, model: str, options: SegmentOptions, progress: Progress = silent) -> Session:
    """A picture segmented from its automatic prompts. The session's options say at which scale, for edits to come."""
    embedding = embedding_of(picture, model, options, progress)
    options = replace(options, scale=float(embedding.scale))
    progress(0.6, "Decoding masks")
    return Session.begin(done(segment_embedded, model, embedding, options), options)


def rival(picture: Picture, method: str, progress: Progress = silent) -> np.ndarray:
    """Another method's label map (H, W) int32 of the picture shown, also kept with the picture."""
    if method not in compare.RIVALS:
        raise OptionError(f"unknown method {method!r}; it is one of {', '.join(compare.RIVALS)}")
    model, session = picture.shown[0], picture.session
    own = embedding_of(picture, model, session.options)
    if method == "generator":
        found = compare.generator_alone(own, loaded(model).config, session.options)
    elif method == "everything":
        found = done(compare.vanilla_everything, model, picture.image, own.scale, progress)
    else:
        progress(0.1, "Embedding with vanilla SAM")
        own_rows = session.options.mode == "instances"
        prompts = session.prompts([n for n in sorted(session.rows) if session.is_asked(n) or not own_rows])
        found = done(compare.vanilla, model, _by_vanilla(picture, model, own), prompts, session.options)
    picture.rivals[method] = found
    return found


def figures(picture: Picture) -> list[dict[str, Any]]:
    """Nuclei and scores of the work shown and of all that it was compared with, a dict each.

    Scores are against the ground truth; without one, rivals are scored against the work shown.
    """
    rows = {"SAC, as shown": picture.session.labels}
    rows |= {compare.RIVALS[method]: labels for method, labels in picture.rivals.items()}
    against = picture.session.labels if picture.truth is None else picture.truth
    table = []
    for name, labels in rows.items():
        told = {"method": name, "nuclei": len(np.unique(labels[labels > 0]))}
        if labels is not against:
            told |= score(against, labels).shown()
        table.append(told)
    return table


def mistakes(picture: Picture) -> Mistakes:
    """What the work shown has and the ground truth lacks, and the other way round."""
    return Mistakes.between(picture.truth, picture.session.labels)


@dataclass(frozen=True)
class Run:
    """A finished segmentation and how long it took, in seconds."""

    result: Result
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What the endpoint says: counts, time, and what the result was made with."""
        found = self.result.found
        kinds = [kind for _, _, kind in found.prompts.shown]
        return {
            "nuclei": len(found),
            "positive_prompts": kinds.count(1),
            "negative_prompts": kinds.count(0),
            "seconds": round(self.seconds, 2),
            **self.result.about(),
        }


def segment_file(image: Image, model: str, mode: str) -> Run:
    """Segments one image, beside any desk."""
    config = hub.config_of(place(model))
    if mode not in MODES:
        raise OptionError(f"unknown mode {mode!r}; it is one of {', '.join(MODES)}")
    options = config.options(mode=mode)
    begun = time.perf_counter()
    found = done(_segment, model, image, options)
    return Run(Result(image, found, title(model), options), time.perf_counter() - begun)


def _segment(sac: SAC, image: Image, options: SegmentOptions) -> Instances:
    return segment(image, sac, options)
