"""The whole road of a picture, in one function a reader can say aloud."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sac.config import SACConfig, SegmentOptions
from sac.images import Image
from sac.inference.instances import Instances, Mask, from_mask, merge, merge_on
from sac.inference.predictor import Embedding, decode, decode_semantic, embed
from sac.inference.scale import estimate_scale
from sac.model.sac import SAC
from sac.prompts import Prompts, instance_prompts, semantic_prompts

Progress = Callable[[float, str], None]


def segment(
    image: Image, sac: SAC, options: SegmentOptions | None = None, progress: Progress = lambda share, word: None
) -> Instances:
    """Every nucleus of an image: scale, embed, prompt, decode, merge. options: the checkpoint's own where there are none."""
    options = options or sac.config.options()
    embedding = embed_image(image, sac, options, progress)
    progress(0.6, "Decoding masks")
    found = segment_embedded(sac, embedding, options)
    progress(1.0, f"{len(found)} {sac.config.finds}")
    return found


def embed_image(image: Image, sac: SAC, options: SegmentOptions, progress: Progress) -> Embedding:
    """The slow half: an image embedded at the scale that its nuclei ask for."""
    progress(0.0, "Measuring nuclei")
    scale = options.scale or estimate_scale(sac, image.pixels, image.microns)
    return embed(sac, image.pixels, scale, options, lambda share: progress(0.1 + 0.5 * share, "Embedding the image"))


def segment_embedded(sac: SAC, embedding: Embedding, options: SegmentOptions) -> Instances:
    """The fast half: automatic prompts and what the decoder makes of them."""
    found = answer(sac, embedding, auto_prompts(sac, embedding, options), options)
    return replace(found, notes=(*_scale_notes(sac.config, embedding.scale), *found.notes))


def auto_prompts(sac: SAC, embedding: Embedding, options: SegmentOptions) -> Prompts:
    """The prompts that the generator's map gives for the mode in `options`."""
    if options.mode == "instances":
        return instance_prompts(embedding.nuclei_map, options, sac.config.diameter / embedding.scale)
    return _tile_prompts(embedding, options)


def answer(sac: SAC, embedding: Embedding, prompts: Prompts, options: SegmentOptions) -> Instances:
    """What SAM's decoder makes of prompts: where an edit re-enters."""
    if options.mode == "instances":
        return sorted_out(decode(sac, embedding, prompts, options), embedding, prompts, options)
    return from_mask(decode_semantic(sac, embedding, prompts, options), prompts)


def sorted_out(masks: Sequence[Mask], embedding: Embedding, prompts: Prompts, options: SegmentOptions) -> Instances:
    """The nuclei among the masks that the prompts' rows asked for: certain enough, each once, SAC's grown on its map."""
    if options.adapted:
        return merge_on(embedding.nuclei_map, list(masks), prompts, options)
    return merge(list(masks), prompts, embedding.size, options)


def _tile_prompts(embedding: Embedding, options: SegmentOptions) -> Prompts:
    """k pairs for each tile, a row per tile, in pixels of the picture."""
    rows = []
    for tile in embedding.tiles:
        x0, y0, x1, y1 = (round(v / embedding.scale) for v in (tile.x, tile.y, tile.x + tile.side, tile.y + tile.side))
        row = semantic_prompts(embedding.nuclei_map[:, y0:y1, x0:x1], options)
        rows.append(Prompts(row.points + np.array([x0, y0], np.float32), row.labels))
    return Prompts(np.concatenate([r.points for r in rows]), np.concatenate([r.labels for r in rows]))


def _scale_notes(config: SACConfig, scale: float) -> list[str]:
    notes = [] if scale == 1 else [f"segmented at {scale:.2f} times its size; masks are on the original pixels"]
    if config.one_scale:
        microns = scale * config.microns / config.diameter
        notes.append(f"that is right where a pixel is {microns:.2g} µm: give its size if it is another")
    return notes
