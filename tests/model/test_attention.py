"""Attention with relative positions as channels is SAM's own: output, gradients and names of weights."""

from __future__ import annotations

import copy

import pytest
import torch
from segment_anything.modeling.image_encoder import Attention

from sac.model.attention import MANY, PositionedAttention
from sac.model.sam import build_sam

SIZES = [(8, 8), (5, 9), (24, 24), (20, 31)]  # in one matrix, and in pieces


@pytest.fixture(params=SIZES, ids=str)
def both(request):
    """SAM's attention for tokens of that size, positions that matter, and the same one positioned."""
    torch.manual_seed(0)
    plain = Attention(dim=48, num_heads=3, use_rel_pos=True, input_size=request.param)
    with torch.no_grad():
        plain.rel_pos_h.normal_()
        plain.rel_pos_w.normal_()
    return plain, PositionedAttention(copy.deepcopy(plain)), torch.randn(2, *request.param, 48)


def test_the_sizes_are_of_both_kinds():
    assert {height * width < MANY for height, width in SIZES} == {True, False}


def test_the_output_is_sams(both):
    plain, positioned, tokens = both
    with torch.inference_mode():
        assert torch.allclose(positioned(tokens), plain(tokens), rtol=0, atol=2e-6)


def test_positions_matter(both):
    plain, positioned, tokens = both
    with torch.inference_mode():
        there = positioned(tokens)
        for weight in (positioned.rel_pos_h, positioned.rel_pos_w):
            weight.zero_()
            assert (positioned(tokens) - there).abs().max() > 1e-3


def test_the_gradients_are_sams(both):
    gradients = []
    for attention in both[:2]:
        tokens = both[2].clone().requires_grad_(True)
        attention(tokens).square().sum().backward()
        gradients.append([tokens.grad, *(w.grad for _, w in sorted(attention.named_parameters()))])
    for theirs, ours in zip(*gradients):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-4 * theirs.abs().max())


def test_bfloat16_is_as_near_as_sams_own(both):
    plain, positioned, tokens = both
    with torch.inference_mode():
        exact = plain(tokens)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            theirs, ours = ((attention(tokens).float() - exact).abs().mean() for attention in (plain, positioned))
    assert ours < 1.5 * theirs


def test_weights_keep_their_names(both):
    plain, positioned, _ = both
    assert {n: w.shape for n, w in plain.state_dict().items()} == {
        n: w.shape for n, w in positioned.state_dict().items()
    }


@pytest.mark.parametrize("name", ["tiny", "vit_b"])
def test_every_block_of_a_sam_has_it(name):
    with torch.device("meta"):
        blocks = build_sam(name).image_encoder.blocks
    assert len(blocks) and all(isinstance(block.attn, PositionedAttention) for block in blocks)
