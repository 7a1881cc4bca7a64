"""LoRA on SAM's attention: the split changes nothing, a fresh adapter changes nothing, and it sits where it should."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn

from sac.config import SACConfig
from sac.model.lora import SplitQKV, adapt, transplant
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
def test_split_projection_is_the_fused_one(shape):
    """Its weights to the last bit; its output but for the order in which a processor adds."""
    torch.manual_seed(0)
    fused = nn.Linear(12, 36)
    x = torch.randn(shape)
    split = SplitQKV(fused)
    assert torch.equal(torch.cat([split.q.weight, split.k.weight, split.v.weight]), fused.weight)
    assert torch.allclose(split(x), fused(x), rtol=0, atol=1e-6)


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


# Moved to LoRA of another shape


def _taught(encoder, **shape) -> nn.Module:
    """An adapted encoder whose B is not zero."""
    adapted = adapt(copy.deepcopy(encoder), replace(SACConfig(rank=3, alpha=6.0), **shape))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * 0.05)
    return adapted


def _moved(encoder, source: nn.Module, **shape) -> nn.Module:
    target = adapt(copy.deepcopy(encoder), replace(SACConfig(rank=3, alpha=6.0), **shape))
    transplant(source, target)
    return target


def _updates(adapted: nn.Module) -> dict[str, torch.Tensor]:
    """alpha / r B A of each layer that is adapted."""
    return {
        name: layer.get_delta_weight("default").detach()
        for name, layer in adapted.named_modules()
        if hasattr(layer, "get_delta_weight")
    }


@pytest.mark.parametrize("shape", [{}, {"rank": 3, "alpha": 1.0}, {"rank": 4}, {"rank": 16, "alpha": 64.0}])
def test_a_rank_that_suffices_says_exactly_the_same(encoder, image, shape):
    source = _taught(encoder)
    target = _moved(encoder, source, **shape)
    before, after = _updates(source), _updates(target)
    assert before.keys() == after.keys() and len(before) == 12
    assert all(torch.allclose(after[name], update, atol=1e-6) for name, update in before.items())
    with torch.no_grad():
        assert not torch.allclose(source(image), encoder(image), atol=1e-2)
        assert torch.allclose(target(image), source(image), atol=1e-4)


def test_a_lower_rank_is_the_best_approximation_of_it(encoder):
    """Eckart and Young: what is missing are the smaller singular values."""
    source = _taught(encoder)
    before, after = _updates(source), _updates(_moved(encoder, source, rank=1))
    for name, update in before.items():
        values = torch.linalg.svdvals(update)
        assert torch.linalg.matrix_rank(after[name], atol=1e-5) == 1
        missing = (update - after[name]).square().sum()
        assert missing == pytest.approx(values[1:].square().sum().item(), rel=1e-3) and missing > 0


def test_only_layers_that_both_adapt_are_carried(encoder):
    source = _taught(encoder, projections=("q", "k"))
    after = _updates(_moved(encoder, source, projections=("q", "v"), blocks="late"))
    before = _updates(source)
    assert {name.split("blocks.")[1] for name in after} == {f"{n}.attn.qkv.{p}" for n in (3, 4, 5) for p in "qv"}
    for name, update in after.items():
        if name.endswith(".q"):
            assert torch.allclose(update, before[name], atol=1e-6) and update.any()
        else:
            assert not update.any()


def test_fresh_layers_can_still_learn(encoder):
    """A of a layer that is not carried is not zero, as B is: both zero would never learn."""
    target = _moved(encoder, _taught(encoder, projections=("q",), rank=1), projections=("q", "v"), rank=4)
    layers = [layer for layer in target.modules() if hasattr(layer, "lora_A")]
    assert len(layers) == 12 and all(layer.lora_A["default"].weight.any(dim=1).all() for layer in layers)
    beyond = [layer.lora_B["default"].weight[:, 1:] for layer in layers]
    assert not any(weight.any() for weight in beyond)


@pytest.mark.parametrize("shape", [{"alpha": 12.0}, {"rank": 2}, {"rank": 6}])
def test_one_that_has_learnt_nothing_can_still_learn(encoder, image, shape):
    """Of a B of zeros every singular value is zero, and A would be, too."""
    target = _moved(encoder, adapt(copy.deepcopy(encoder), SACConfig(rank=3, alpha=6.0)), **shape)
    target(image).square().sum().backward()
    layers = [layer for layer in target.modules() if hasattr(layer, "lora_A")]
    assert all(layer.lora_A["default"].weight.any(dim=1).all() for layer in layers)
    assert all(layer.lora_B["default"].weight.grad.any(dim=0).all() for layer in layers)
