"""The auto-prompt generator's map of a picture."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sac.config import SegmentOptions
from sac.errors import CheckpointError
from sac.inference.tiled import Tiled, crops_of, stretched, tiles_at_once
from sac.inference.tiles import plan_tiles
from sac.model.sac import SAC, fast

FLIPS = ((), (3,), (2,), (2, 3))
"""Mirrorings over which the generator's map is averaged: steadier, and cheap beside the image encoder."""


def map_of(sac: SAC, pixels: np.ndarray, scale: float, options: SegmentOptions) -> np.ndarray:
    """The generator's map (2, H, W), probabilities, of a picture (H, W, 3) uint8: that of `embed`, without SAM."""
    tiled = Tiled.of(sac, pixels, scale, options.overlap)
    return tiled.whole(torch.cat([nuclei_maps(sac, crops) for crops in tiled.crops(sac)]).sigmoid())


def map_of_parts(sac: SAC, pixels: np.ndarray, most: int) -> list[np.ndarray]:
    """The generator's maps (2, h, w), probabilities, of at most `most` tiles spread over a picture at its own scale."""
    tiles = plan_tiles(pixels.shape[:2], sac.config.tile, 0)
    chosen = [tiles[i] for i in np.unique(np.linspace(0, len(tiles) - 1, min(most, len(tiles))).round().astype(int))]
    crops = crops_of(sac, stretched(pixels), chosen).split(tiles_at_once(sac))
    maps = torch.cat([nuclei_maps(sac, some, flips=((),)) for some in crops]).sigmoid().cpu().numpy()
    inside = [(pixels.shape[0] - t.y, pixels.shape[1] - t.x) for t in chosen]
    return [m[:, :height, :width] for m, (height, width) in zip(maps, inside)]


@torch.inference_mode()
def nuclei_maps(
    sac: SAC, crops: Tensor, features: Tensor | None = None, flips: tuple[tuple[int, ...], ...] = FLIPS
) -> Tensor:
    """The generator's maps (T, 2, side, side), logits, of crops (T, 3, side, side) RGB 0 to 255.

    features (T, C, h, w): the crops' adapted embeddings, mirrored with them; None makes them, where they are looked at.
    Raises CheckpointError for weights that overflow: what follows would search a map of NaN for ever.
    """
    with fast(sac.sam.device):
        if features is None and sac.generator.sees_embedding:
            features = sac.encode(crops)
        maps = sum(_mirrored(sac, crops, features, axes) for axes in flips) / len(flips)
    if not torch.isfinite(maps).all():
        raise CheckpointError("the auto-prompt generator's map is not finite: weights grew beyond all use")
    return maps


def _mirrored(sac: SAC, crops: Tensor, features: Tensor | None, axes: tuple[int, ...]) -> Tensor:
    """Maps of crops that are shown mirrored along `axes`, turned back."""
    shown = None if features is None else features.flip(axes)
    return sac.generator(crops.flip(axes), shown).float().flip(axes)
