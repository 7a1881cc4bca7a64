"""SAM's attention with its relative positions inside the product, instead of added to it afterwards.

SAM adds to each of its N x N attention logits one number for the rows and one for the columns between two tokens.
Both are products with q; here they are channels of it, which the token's row and column choose as channels of k. So the
logits come out of one product, and need not be kept: with many tokens they are worked out in pieces (FlashAttention,
Dao et al. 2022, arXiv 2205.14135).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from segment_anything.modeling.image_encoder import Attention, get_rel_pos
from torch import Tensor, nn

MANY = 512
"""Tokens from which on attention is worked out in pieces. SAM's windows have fewer, and are faster as one matrix."""


class PositionedAttention(nn.Module):
    """The output and the weights, under their names, of SAM's `Attention`. (B, H, W, C) -> (B, H, W, C)."""

    def __init__(self, plain: Attention):
        super().__init__()
        self.num_heads, self.scale = plain.num_heads, plain.scale
        self.qkv, self.proj = plain.qkv, plain.proj
        self.rel_pos_h, self.rel_pos_w = plain.rel_pos_h, plain.rel_pos_w

    def forward(self, x: Tensor) -> Tensor:
        batch, height, width, _ = x.shape
        split = self.qkv(x).view(batch, height * width, 3, self.num_heads, -1)
        q, k, v = split.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, N, c) each
        q, k = self._positioned(q, k, height, width)
        out = _attend(q, k, v).transpose(1, 2)
        return self.proj(out.reshape(batch, height, width, -1))

    def _positioned(self, q: Tensor, k: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
        """q and k (B, heads, N, c + H + W), whose product is q k / sqrt(c) plus the relative positions of SAM."""
        places = q.unflatten(2, (height, width))
        rows = torch.einsum("bnhwc,hkc->bnhwk", places, get_rel_pos(height, height, self.rel_pos_h))
        columns = torch.einsum("bnhwc,wkc->bnhwk", places, get_rel_pos(width, width, self.rel_pos_w))
        asked = torch.cat([q * self.scale, rows.flatten(2, 3).to(q.dtype), columns.flatten(2, 3).to(q.dtype)], dim=-1)
        row = torch.eye(height, dtype=k.dtype, device=k.device).repeat_interleave(width, dim=0)
        column = torch.eye(width, dtype=k.dtype, device=k.device).repeat(height, 1)
        own = torch.cat([row, column], dim=-1).expand(*k.shape[:2], -1, -1)
        return asked, torch.cat([k, own], dim=-1)


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax of q k times v, (B, heads, N, c)."""
    if q.shape[-2] < MANY:
        return (q @ k.transpose(-2, -1)).softmax(dim=-1) @ v
    wide = F.pad(v, (0, q.shape[-1] - v.shape[-1]))  # it is worked out in pieces where all three are as wide
    return F.scaled_dot_product_attention(q, k, wide, scale=1.0)[..., : v.shape[-1]]
