"""A SAM by name, out of segment-anything. `tiny` is SAM's own classes with small dimensions."""

from __future__ import annotations

import re
from functools import partial

from segment_anything import sam_model_registry
from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.common import LayerNorm2d
from torch import Tensor, nn

from sac.config import BASES
from sac.errors import CheckpointError
from sac.model.attention import PositionedAttention

PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)
"""SAM's own normalisation (ImageNet's, for values 0 to 255)."""

TINY_SIDE = 256
TINY_PATCH = 8
TINY_DIM = 192
TINY_WIDTH = 128
"""Channels of tiny's image embedding and prompts (SAM: 256)."""


def build_sam(name: str) -> Sam:
    """A SAM with fresh weights. Raises CheckpointError for a name that is not tiny, vit_b, vit_l or vit_h."""
    if name not in BASES:
        raise CheckpointError(f"unknown SAM {name!r}; known are {', '.join(BASES)}")
    sam = _tiny() if name == "tiny" else sam_model_registry[name](checkpoint=None)
    for block in sam.image_encoder.blocks:
        block.attn = PositionedAttention(block.attn)
    return sam


class ConvStem(nn.Module):
    """Three strided convolutions in place of tiny's patch embedding. (B, 3, H, W) -> (B, H/8, W/8, dim).

    Early convolutions make small vision transformers trainable in few steps (Xiao et al. 2021, arXiv 2106.14881).
    """

    def __init__(self, dim: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1), LayerNorm2d(32), nn.GELU(),
            nn.Conv2d(32, 64, 3, stride=2, padding=1), LayerNorm2d(64), nn.GELU(),
            nn.Conv2d(64, dim, 3, stride=2, padding=1), LayerNorm2d(dim),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).permute(0, 2, 3, 1)


def _tiny() -> Sam:
    encoder = ImageEncoderViT(
        img_size=TINY_SIDE,
        patch_size=TINY_PATCH,
        embed_dim=TINY_DIM,
        depth=6,
        num_heads=3,
        out_chans=TINY_WIDTH,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        use_rel_pos=True,
        window_size=8,
        global_attn_indexes=(3,),
    )
    encoder.patch_embed = ConvStem(TINY_DIM)
    side = TINY_SIDE // TINY_PATCH
    prompt_encoder = PromptEncoder(
        embed_dim=TINY_WIDTH,
        image_embedding_size=(side, side),
        input_image_size=(TINY_SIDE, TINY_SIDE),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        transformer_dim=TINY_WIDTH,
        transformer=TwoWayTransformer(depth=2, embedding_dim=TINY_WIDTH, num_heads=4, mlp_dim=512),
        iou_head_hidden_dim=TINY_WIDTH,
    )
    return Sam(encoder, prompt_encoder, decoder, list(PIXEL_MEAN), list(PIXEL_STD))


SHARED = "shared_image_embedding.positional_embedding"


def from_transformers(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights in the names of the transformers library (`facebook/sam-vit-*`) in Meta's names."""
    renamed = {}
    if SHARED in weights:  # one matrix under two names, of which a file may keep either
        weights = {"prompt_encoder.shared_embedding.positional_embedding": weights[SHARED]} | weights
    for name, value in weights.items():
        if name == SHARED:
            continue
        for pattern, replacement in _TRANSFORMERS_NAMES:
            name = re.sub(pattern, replacement, name)
        renamed[name] = value
    return renamed


_MLPS = r"mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head)"
_TRANSFORMERS_NAMES = [
    (r"^vision_encoder\.patch_embed\.projection", "image_encoder.patch_embed.proj"),
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm(\d)", r"image_encoder.blocks.\1.norm\2"),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.neck\.conv1", "image_encoder.neck.0"),
    (r"^vision_encoder\.neck\.layer_norm1", "image_encoder.neck.1"),
    (r"^vision_encoder\.neck\.conv2", "image_encoder.neck.2"),
    (r"^vision_encoder\.neck\.layer_norm2", "image_encoder.neck.3"),
    (r"^vision_encoder\.pos_embed", "image_encoder.pos_embed"),
    (r"^prompt_encoder\.shared_embedding\.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1", "prompt_encoder.mask_downscaling.0"),
    (r"^prompt_encoder\.mask_embed\.layer_norm1", "prompt_encoder.mask_downscaling.1"),
    (r"^prompt_encoder\.mask_embed\.conv2", "prompt_encoder.mask_downscaling.3"),
    (r"^prompt_encoder\.mask_embed\.layer_norm2", "prompt_encoder.mask_downscaling.4"),
    (r"^prompt_encoder\.mask_embed\.conv3", "prompt_encoder.mask_downscaling.6"),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn", "mask_decoder.transformer.norm_final_attn"),
    (r"^(mask_decoder\.transformer\.layers\.\d+)\.layer_norm(\d)", r"\1.norm\2"),
    (r"^mask_decoder\.upscale_conv1", "mask_decoder.output_upscaling.0"),
    (r"^mask_decoder\.upscale_layer_norm", "mask_decoder.output_upscaling.1"),
    (r"^mask_decoder\.upscale_conv2", "mask_decoder.output_upscaling.3"),
    (rf"^({_MLPS})\.layers\.0", r"\1.layers.1"),
    (rf"^({_MLPS})\.proj_in", r"\1.layers.0"),
    (rf"^({_MLPS})\.proj_out", r"\1.layers.2"),
]  # fmt: skip
