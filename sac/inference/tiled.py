"""A picture as a model takes it: intensities drawn to the full range, magnified, cut into tiles, as tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image as PillowImage
from torch import Tensor

from sac.inference.tiles import Tile, plan_tiles, stitch
from sac.model.sac import SAC
from sac.model.sam import PIXEL_MEAN

TOKENS_AT_ONCE = 4 * 32**2
"""Tokens of all tiles that are encoded together: four tiles of tiny, one of Meta's, which takes 3 GB of memory."""
DARKEST_RANGE = 24
"""Narrowest range of intensities that is stretched to the full one; less is noise."""


@dataclass(frozen=True)
class Tiled:
    """A picture of `size` (height, width), its intensities drawn to the full range, scaled, and cut into tiles."""

    size: tuple[int, int]
    pixels: np.ndarray
    tiles: list[Tile]

    @classmethod
    def of(cls, sac: SAC, pixels: np.ndarray, scale: float, overlap: int) -> Tiled:
        """From pixels (H, W, 3) uint8 RGB."""
        scaled = rescaled(stretched(pixels), scale)
        return cls(pixels.shape[:2], scaled, plan_tiles(scaled.shape[:2], sac.config.tile, overlap))

    def crops(self, sac: SAC) -> Iterator[Tensor]:
        """The tiles as (T, 3, side, side) float32 on the model's device, as many at once as memory takes."""
        many = tiles_at_once(sac)
        for start in range(0, len(self.tiles), many):
            yield crops_of(sac, self.pixels, self.tiles[start : start + many])

    def whole(self, values: Tensor) -> np.ndarray:
        """What was computed on the tiles, (T, C, side, side), on the picture's own pixels: (C, H, W) float32."""
        return resized(stitch(self.tiles, values.cpu().numpy(), self.pixels.shape[:2]), self.size)


def stretched(pixels: np.ndarray) -> np.ndarray:
    """Pixels (H, W, 3) uint8 with their intensities, 0.1 to 99.9 %, drawn to the full range: dim pictures, too."""
    low, high = np.percentile(pixels[:: max(1, pixels.shape[0] // 512), :: max(1, pixels.shape[1] // 512)], (0.1, 99.9))
    high = max(high, low + DARKEST_RANGE)
    table = ((np.arange(256) - low) * (255 / (high - low))).clip(0, 255).round().astype(np.uint8)
    return table[pixels]


def rescaled(pixels: np.ndarray, scale: float) -> np.ndarray:
    """Pixels (H, W, 3) uint8 magnified by `scale`."""
    if scale == 1:
        return pixels
    height, width = (max(1, round(length * scale)) for length in pixels.shape[:2])
    return np.array(PillowImage.fromarray(pixels).resize((width, height), PillowImage.Resampling.BILINEAR))


def resized(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Maps (C, h, w) float32 resampled to (C, *size)."""
    if maps.shape[1:] == size:
        return maps
    return F.interpolate(torch.from_numpy(maps)[None], size=size, mode="bilinear", align_corners=False)[0].numpy()


def tiles_at_once(sac: SAC) -> int:
    """How many tiles are encoded together."""
    return max(1, TOKENS_AT_ONCE // sac.tokens**2)


def crops_of(sac: SAC, pixels: np.ndarray, tiles: list[Tile]) -> Tensor:
    """Tiles of pixels (H, W, 3) uint8 as (T, 3, side, side) float32, 0 to 255, on the model's device.

    SAM's mean colour lies where the picture ends.
    """
    fill = tuple(round(v) for v in PIXEL_MEAN)
    crops = np.stack([tile.cut(pixels, fill) for tile in tiles]).transpose(0, 3, 1, 2)
    return torch.from_numpy(np.ascontiguousarray(crops)).to(sac.sam.device).float()
