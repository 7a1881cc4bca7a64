"""Medical SAM Adapter (Wu et al. 2023, arXiv 2304.12620): bottlenecks in each block of SAM's image encoder."""

from __future__ import annotations

from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

RATIO = 0.25
"""Width of the bottleneck, of the block's."""
SHARE = 0.5
"""What the adapter beside the MLP is multiplied by."""


class Bottleneck(nn.Module):
    """Down, GELU, up. (..., C) -> (..., C). Begins at zero, so that a fresh one changes nothing (Houlsby et al. 2019)."""

    def __init__(self, channels: int):
        super().__init__()
        narrow = max(1, round(RATIO * channels))
        self.down, self.up = nn.Linear(channels, narrow), nn.Linear(narrow, channels)
        self.act = nn.GELU()
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.up(self.act(self.down(x)))


class AfterAttention(nn.Module):
    """A block's attention with a bottleneck behind it, and a way around that."""

    def __init__(self, attention: nn.Module, channels: int):
        super().__init__()
        self.attention, self.adapter = attention, Bottleneck(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.attention(x)
        return x + self.adapter(x)


class BesideMLP(nn.Module):
    """A block's MLP with a bottleneck beside it."""

    def __init__(self, mlp: nn.Module, channels: int):
        super().__init__()
        self.mlp, self.adapter = mlp, Bottleneck(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.mlp(x) + SHARE * self.adapter(x)


def with_adapters(encoder: ImageEncoderViT) -> list[Bottleneck]:
    """Puts both adapters into each block of `encoder`, in place, and returns them: they alone are to be trained."""
    for block in encoder.blocks:
        channels = block.norm1.weight.shape[0]
        block.attn, block.mlp = AfterAttention(block.attn, channels), BesideMLP(block.mlp, channels)
    return [part for part in encoder.modules() if isinstance(part, Bottleneck)]
