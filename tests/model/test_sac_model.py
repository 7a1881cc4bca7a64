"""SAC in one module: with the adapter off it is vanilla SAM, and only its own parts learn."""

from __future__ import annotations

import copy

import pytest
import torch

from sac import hub
from sac.config import SACConfig
from sac.model.decoder import TokenPrompts
from sac.model.sac import SAC, fast_dtype
from sac.model.sam import build_sam


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 3, 256, 256, generator=torch.Generator().manual_seed(0)) * 255


def _prompts() -> TokenPrompts:
    return TokenPrompts(
        image=torch.tensor([0, 1]),
        points=torch.tensor([[[60.0, 80.0], [100.0, 90.0]], [[200.0, 150.0], [120.0, 30.0]]]),
        labels=torch.tensor([[1, 0], [1, 0]]),
        origins=torch.tensor([[0, 2], [16, 11]]),
    )


def test_memory_is_that_of_the_stored_weights_and_of_two_means_and_deviations(sac):
    stored = sum(value.nbytes for value in sac.state_dict().values())
    assert sac.nbytes == stored + 2 * 2 * 3 * 4  # SAM's and the generator's: three channels each, float32, not stored


@torch.no_grad()
def test_vanilla_is_sam_itself(pictures, small_config):
    """Sam.forward, image after image, against one object that carries an adapter and a foreign decoder."""
    sam = build_sam("tiny").eval()
    own = copy.deepcopy(sam)
    sac = SAC(sam, small_config).eval()
    for name, weight in sac.named_parameters():
        if "lora_B" in name or name.startswith("mask_decoder."):
            weight.add_(0.05)
    prompts = _prompts()
    features = sac.encode(pictures, adapted=False)
    logits, ious = sac.decode(features, prompts, adapted=False, whole=True)
    for n in range(2):
        asked = {
            "image": pictures[n],
            "original_size": (256, 256),
            "point_coords": prompts.points[n : n + 1],
            "point_labels": prompts.labels[n : n + 1],
        }
        for multimask, rows in ((False, slice(0, 1)), (True, slice(1, 4))):
            answer = own([asked], multimask_output=multimask)[0]
            assert torch.allclose(logits[n : n + 1, rows], answer["low_res_logits"], atol=1e-4)
            assert torch.allclose(ious[n : n + 1, rows], answer["iou_predictions"], atol=1e-4)
    adapted, _ = sac.decode(features, prompts, whole=True)
    assert not torch.allclose(adapted, logits, atol=1e-2)


@torch.no_grad()
def test_adapter_off_is_vanilla_bit_for_bit_and_on_again_is_adapted(pictures, sac, new_sac):
    vanilla = new_sac().sam.image_encoder((pictures[:1] - sac.sam.pixel_mean) / sac.sam.pixel_std)
    before = sac.encode(pictures[:1])
    assert torch.equal(sac.encode(pictures[:1], adapted=False), vanilla)
    assert not torch.allclose(before, vanilla, atol=1e-2)
    assert torch.equal(sac.encode(pictures[:1]), before)


@torch.no_grad()
def test_without_a_beginning_sac_decodes_as_its_base(pictures, small_config):
    fresh = hub.new(small_config, begun=False).eval()
    features = fresh.encode(pictures)
    assert torch.equal(features, fresh.encode(pictures, adapted=False))
    adapted, vanilla = (fresh.decode(features, _prompts(), adapted=on)[0] for on in (True, False))
    assert adapted.shape == (2, 4, 64, 64)
    assert torch.equal(adapted, vanilla)


def test_sizes_of_the_frame(sac):
    assert (sac.frame, sac.tokens, sac.stride) == (256, 32, 8)


def _may_learn(name: str) -> bool:
    return "lora_" in name or name.startswith(("generator.", "mask_decoder."))


def test_only_lora_generator_and_decoder_learn(new_sac):
    sac = new_sac()
    assert {n for n, w in sac.learning(True).named_parameters() if w.requires_grad} == {
        n for n, _ in sac.named_parameters() if _may_learn(n)
    }
    assert sum(w.requires_grad for w in sac.parameters()) > 50
    assert not any(w.requires_grad for w in sac.learning(False).parameters())


def test_one_step_leaves_the_base_as_it_was(pictures, new_sac):
    sac = new_sac().learning(True)
    before = {name: value.clone() for name, value in sac.state_dict().items()}
    optimizer = torch.optim.AdamW([w for w in sac.parameters() if w.requires_grad], lr=1e-2, weight_decay=0.1)
    features = sac.encode(pictures[:1])
    nuclei_map = sac.generator(pictures[:1], features)
    logits, ious = sac.decode(features, _prompts()[[0]], nuclei_map)
    (logits.square().mean() + ious.square().mean() + nuclei_map.square().mean()).backward()
    optimizer.step()
    changed = {name for name, value in sac.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(_may_learn(name) for name in changed)
    for part in ("lora_B", "generator.", "mask_decoder."):
        assert any(part in name for name in changed)


def test_trained_weights_are_generator_and_decoder_by_name(sac):
    trained = sac.trained()
    assert set(trained) == {f"generator.{k}" for k in sac.generator.state_dict()} | {
        f"mask_decoder.{k}" for k in sac.sam.mask_decoder.state_dict()
    }
    assert torch.equal(trained["generator.head.weight"], sac.generator.head.weight)


@torch.no_grad()
def test_a_window_larger_than_the_embedding_is_the_whole(pictures):
    config = SACConfig(generator_widths=(8, 16), rank=2, window=64)
    sac = hub.new(config).eval()
    features = sac.encode(pictures[:1])
    prompts = TokenPrompts(**{**vars(_prompts()[[0]]), "origins": torch.zeros(1, 2, dtype=torch.long)})
    assert torch.equal(sac.decode(features, prompts)[0], sac.decode(features, prompts, whole=True)[0])


@pytest.mark.parametrize("unit, is_fast", [("avx512_bf16", True), ("amx_bf16", True), ("avx2", False)])
def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch, unit, is_fast):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {unit: True})
    assert fast_dtype(torch.device("cpu")) == (torch.bfloat16 if is_fast else torch.float32)
