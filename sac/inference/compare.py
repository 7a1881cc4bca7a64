"""What SAC is held against on the page and in the benchmark: the same picture, segmented otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image as PillowImage

from sac.config import SACConfig, SegmentOptions
from sac.images import Image
from sac.inference.instances import Mask, merge
from sac.inference.predictor import Embedding
from sac.inference.segment import Progress, answer
from sac.inference.tiled import rescaled, stretched
from sac.inference.tiles import plan_tiles
from sac.model.everything import everything
from sac.model.sac import SAC
from sac.prompts import Prompts, nuclei_of

CERTAIN = 1.0
"""Logit that stands for "inside" where a method returns masks without logits."""


def vanilla(sac: SAC, embedding: Embedding, prompts: Prompts, options: SegmentOptions) -> np.ndarray:
    """Vanilla SAM on the same prompts: `embedding` is the base's own. Labels (H, W) int32."""
    return answer(sac, embedding, prompts, replace(options, adapted=False, certainty=0.0)).labels


def vanilla_everything(sac: SAC, image: Image, scale: float, progress: Progress) -> np.ndarray:
    """Vanilla SAM's own automatic mask generator, on the tiles that SAC works on. Labels (H, W) int32."""
    pixels = rescaled(stretched(image.pixels), scale)
    tiles = plan_tiles(pixels.shape[:2], sac.config.tile, SegmentOptions().overlap)
    masks = []
    for done, tile in enumerate(tiles):
        progress(done / len(tiles), f"Vanilla SAM, tile {done + 1} of {len(tiles)}")
        part = pixels[tile.y : tile.y + tile.side, tile.x : tile.x + tile.side]  # SAM draws a small one to its frame
        for inside, certainty in everything(sac, part):
            masks.append(Mask(tile.x, tile.y, np.where(inside, CERTAIN, -CERTAIN).astype(np.float32), certainty, 0))
    nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
    found = merge(masks, nothing, pixels.shape[:2], SegmentOptions(certainty=0.0))
    picture = PillowImage.fromarray(found.labels).resize(image.size[::-1], PillowImage.Resampling.NEAREST)
    return np.array(picture)


def generator_alone(embedding: Embedding, config: SACConfig, options: SegmentOptions) -> np.ndarray:
    """The generator's map with a watershed from its own summits: SAC without SAM. (H, W) int32."""
    return nuclei_of(embedding.nuclei_map, config.diameter / embedding.scale, options.prominence)


RIVALS = {
    "vanilla": "Vanilla SAM, same prompts",
    "everything": "Vanilla SAM, everything mode",
    "generator": "SAC's generator alone",
}
"""What the page offers to compare with, and what it is called there."""
