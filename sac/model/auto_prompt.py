"""AutoPromptGenerator: the auxiliary U-Net of SAC (paper, "Auto-prompt generator": M = F(theta_u, I))."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sac.model.sam import PIXEL_MEAN, PIXEL_STD

MAP_CHANNELS = 2
"""0: logit of "nucleus"; 1: distance to the nucleus's border, 1 at its innermost point, 0 outside."""
EMBEDDING_LEVEL = 3
"""Level of the U-Net at which the image embedding joins: at an eighth of the picture's resolution, as `tiny` has it."""


class AutoPromptGenerator(nn.Module):
    """A U-Net (Ronneberger et al. 2015) from a picture to its nuclei map. (B, 3, H, W) -> (B, 2, H, W).

    Input is RGB, 0 to 255; H and W are multiples of `stride`. Normalisation is per pixel over channels, so that a
    map depends neither on the batch nor on where a tile's border falls.

    seen: channels of SAM's image embedding, which it sees beside the picture. 0: it sees the picture alone, as in the
    paper. What it sees is added by a convolution that begins with zeros, so that one who learns to see forgets nothing.
    """

    def __init__(self, widths: Sequence[int], seen: int = 0):
        super().__init__()
        self.stride = 2 ** (len(widths) - 1)
        self.level = min(EMBEDDING_LEVEL, len(widths) - 1)
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1), persistent=False)
        before = [3, *widths]
        self.down = nn.ModuleList(
            _convolutions(before[level], width, normalised=level > 1) for level, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            _convolutions(widths[level + 1] + widths[level], widths[level], normalised=level > 1)
            for level in reversed(range(len(widths) - 1))
        )
        self.head = nn.Conv2d(widths[0], MAP_CHANNELS, 1)
        self.sight = _zeroed(nn.Conv2d(seen, widths[self.level], 1)) if seen else None

    @property
    def sees_embedding(self) -> bool:
        return self.sight is not None

    def forward(self, images: Tensor, features: Tensor | None = None) -> Tensor:
        """features (B, C, h, w): SAM's embedding of the images, which one that sees the picture alone does not look at."""
        x = ((images - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
        skips: list[Tensor] = []
        for level, stage in enumerate(self.down):
            x = stage(x if level == 0 else F.max_pool2d(x, 2))
            if level == self.level and self.sight is not None:
                x = x + self.sight(resampled(features, x.shape[-2:]))
            skips.append(x)
        for stage, skip in zip(self.up, reversed(skips[:-1])):
            x = stage(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], dim=1))
        return self.head(x)


def resampled(features: Tensor, size: tuple[int, int]) -> Tensor:
    """An embedding (B, C, h, w) on a grid of `size`: itself, where that is its own."""
    if tuple(features.shape[-2:]) == tuple(size):
        return features
    return F.interpolate(features.float(), size=tuple(size), mode="bilinear", align_corners=False, antialias=True)


def _zeroed(layer: nn.Conv2d) -> nn.Conv2d:
    for weight in layer.parameters():
        nn.init.zeros_(weight)
    return layer


class PixelNorm(nn.Module):
    """Layer normalisation over the channels of each pixel, as SAM's LayerNorm2d, on channels-last memory."""

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
            return F.layer_norm(x.permute(0, 2, 3, 1), weight.shape, weight, bias).permute(0, 3, 1, 2)


def _convolutions(channels: int, width: int, normalised: bool) -> nn.Sequential:
    """Two 3x3 convolutions. The two finest levels go unnormalised: there it costs more than the convolutions."""
    layers: list[nn.Module] = []
    for before in (channels, width):
        layers.append(nn.Conv2d(before, width, 3, padding=1))
        if normalised:
            layers.append(PixelNorm(width))
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


CERTAIN = 4.0
"""Logit at which "nucleus" or "ground" counts as settled in a mask prompt."""


def mask_prompt(nuclei_map: Tensor, size: tuple[int, int]) -> Tensor:
    """A nuclei map (B, 2, H, W) as SAM's dense prompt (B, 1, *size): ground < border < seam between nuclei < inside."""
    nuclei, depth = nuclei_map.float().unbind(1)
    hint = nuclei.clamp(-CERTAIN, CERTAIN) + 2 * CERTAIN * (depth.sigmoid() - 0.5)
    return F.interpolate(hint[:, None], size=size, mode="bilinear", align_corners=False, antialias=False)


SAY = 4.0
"""Most that the generator adds to or takes from a pixel's mask logit."""


def mask_prior(nuclei_logits: Tensor) -> Tensor:
    """What the generator says of each pixel, as logits to add to the decoder's, in -SAY to SAY.

    The decoder's masks have half the picture's resolution or less; the generator has all of it. So the decoder
    tells nuclei apart, the generator draws the border, and both learn from the sum.
    """
    return SAY * nuclei_logits.float().tanh()
