"""A SAM by name: tiny's sizes, unknown names, and weight names of the transformers library."""

from __future__ import annotations

import pytest
import torch
from segment_anything import sam_model_registry

from sac.errors import CheckpointError
from sac.model.sam import ConvStem, build_sam, from_transformers


def test_tiny_has_its_sizes():
    tiny = build_sam("tiny")
    assert tiny.prompt_encoder.input_image_size == (256, 256)
    assert tiny.prompt_encoder.image_embedding_size == (32, 32)
    assert tiny.prompt_encoder.mask_input_size == (128, 128)
    assert tiny.image_encoder.img_size == 256
    with torch.no_grad():
        assert tiny.image_encoder(torch.zeros(1, 3, 256, 256)).shape == (1, 128, 32, 32)


def test_tiny_fits_its_share_of_the_embedded_weights():
    """Base and SAC together stay below 25 MB; the base in half precision takes a third at most."""
    assert 2 * sum(v.numel() for v in build_sam("tiny").state_dict().values()) < 25e6 / 3


def test_stem_gives_one_token_for_eight_pixels():
    with torch.no_grad():
        assert ConvStem(192)(torch.zeros(2, 3, 64, 40)).shape == (2, 8, 5, 192)


@pytest.mark.parametrize("name", ["vit_x", "", "Tiny", "../tiny"])
def test_unknown_name_is_refused_with_the_known_ones(name):
    with pytest.raises(CheckpointError, match="tiny, vit_b, vit_l, vit_h") as refusal:
        build_sam(name)
    assert repr(name) in str(refusal.value)


def _shapes(weights: dict[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}


def test_names_of_transformers_become_metas_one_for_one():
    transformers = pytest.importorskip("transformers")
    with torch.device("meta"):
        theirs = transformers.SamModel(transformers.SamConfig()).state_dict()
        metas = sam_model_registry["vit_b"](checkpoint=None).state_dict()
    assert "vision_encoder.pos_embed" in theirs  # by this the hub tells them apart
    assert _shapes(from_transformers(theirs)) == _shapes(metas)
