"""LoRA on SAM's attention: the split changes nothing, a fresh adapter changes nothing, and it sits where it should."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from sac.config import SACConfig
from sac.model.lora import SplitQKV, adapt
from sac.model.sam import TINY_DIM, build_sam


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return build_sam("tiny").image_encoder.eval()


@pytest.fixture(scope="module")
def image():
    return torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))


def _trainable(module: nn.Module) -> int:
    return sum(w.numel() for w in module.parameters() if w.requires_grad)


@pytest.mark.parametrize("shape", [(5, 12), (2, 7, 7, 12)])
def test_split_projection_is_the_fused_one_bit_for_bit(shape):
    torch.manual_seed(0)
    fused = nn.Linear(12, 36)
    x = torch.randn(shape)
    assert torch.equal(SplitQKV(fused)(x), fused(x))


def test_split_projection_owns_its_weights():
    fused = nn.Linear(12, 36)
    split = SplitQKV(fused)
    before = split.k.weight.clone()
    with torch.no_grad():
        fused.weight.zero_()
    assert torch.equal(split.k.weight, before)
    assert before.any()


def test_fresh_adapter_changes_nothing_and_a_trained_one_does(encoder, image):
    with torch.no_grad():
        vanilla = encoder(image)
        adapted = adapt(copy.deepcopy(encoder), SACConfig())
        assert torch.equal(adapted(image), vanilla)
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.02)
        assert not torch.allclose(adapted(image), vanilla, atol=1e-2)
        with adapted.disable_adapter():
            assert torch.equal(adapted(image), vanilla)


def test_update_is_alpha_over_rank_times_b_a():
    """h = W_0 x + (alpha / r) B A x, on q and v; k stays SAM's."""
    torch.manual_seed(0)
    adapted = adapt(build_sam("tiny").image_encoder, SACConfig(rank=2, alpha=6.0))
    qkv = adapted.base_model.model.blocks[0].attn.qkv
    x = torch.randn(3, TINY_DIM)
    with torch.no_grad():
        for part in (qkv.q, qkv.v):
            part.lora_B["default"].weight.normal_()
        q, k, v = qkv(x).chunk(3, dim=-1)
        for found, part in ((q, qkv.q), (v, qkv.v)):
            update = 3.0 * x @ part.lora_A["default"].weight.T @ part.lora_B["default"].weight.T
            assert torch.allclose(found, part.base_layer(x) + update, atol=1e-5)
        assert torch.equal(k, nn.functional.linear(x, qkv.k.weight, qkv.k.bias))


def test_vit_b_with_rank_4_on_q_and_v_trains_147456_weights():
    """12 blocks x (q and v) x rank 4 x (768 into A + 768 out of B)."""
    with torch.device("meta"):
        vit_b = build_sam("vit_b").image_encoder
        adapted = adapt(vit_b, SACConfig(base="vit_b", rank=4, projections=("q", "v")))
    assert _trainable(adapted) == 147_456


@pytest.mark.parametrize("blocks, depth", [("all", 6), ("late", 3)])
@pytest.mark.parametrize("projections", [("q",), ("q", "v"), ("q", "k", "v")])
def test_count_of_trainable_weights_follows_the_formula(encoder, blocks, depth, projections):
    config = replace(SACConfig(), rank=3, projections=projections, blocks=blocks)
    adapted = adapt(copy.deepcopy(encoder), config)
    assert _trainable(adapted) == depth * len(projections) * 3 * 2 * TINY_DIM


def test_late_adapts_the_second_half_only(encoder):
    adapted = adapt(copy.deepcopy(encoder), SACConfig(blocks="late"))
    blocks = {name.split("blocks.")[1].split(".")[0] for name, w in adapted.named_parameters() if w.requires_grad}
    assert blocks == {"3", "4", "5"}


def test_no_block_is_mistaken_for_another_with_more_digits():
    """vit_b has blocks 1, 10 and 11: "late" takes 6 to 11 and must not match block 1."""
    with torch.device("meta"):
        adapted = adapt(build_sam("vit_b").image_encoder, SACConfig(base="vit_b", blocks="late"))
    blocks = {name.split("blocks.")[1].split(".")[0] for name, w in adapted.named_parameters() if w.requires_grad}
    assert blocks == {"6", "7", "8", "9", "10", "11"}
