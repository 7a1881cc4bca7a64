"""Weights of `facebook/sam-vit-*`, in the layout of the transformers library, make the same SAM here as there.

Shown without those weights: a SamModel of theirs with random ones, saved by them and loaded by us, says the same.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest
import torch
from segment_anything import sam_model_registry

from sac import hub
from sac.config import SACConfig
from sac.model.decoder import TokenPrompts
from sac.model.sam import from_transformers
from sac.tensors import read_base

transformers = pytest.importorskip("transformers")

CLOSE = 1e-4
"""Largest difference that is allowed, as a share of the largest value."""
SIZES = {  # of SAM's three encoders: layers, dimensions, heads, and which layers attend to the whole
    "vit_b": (12, 768, 12, [2, 5, 8, 11]),
    "vit_l": (24, 1024, 16, [5, 11, 17, 23]),
    "vit_h": (32, 1280, 16, [7, 15, 23, 31]),
}


def _model(name: str):
    layers, width, heads, whole = SIZES[name]
    vision = {
        "num_hidden_layers": layers,
        "hidden_size": width,
        "num_attention_heads": heads,
        "global_attn_indexes": whole,
        "mlp_dim": 4 * width,
    }
    return transformers.SamModel(transformers.SamConfig(vision_config=vision)).eval()


@torch.no_grad()
def _fill(model) -> None:
    """Random weights in every part, also where a fresh model has zeros or ones, at sizes at which signals live.

    Tokens and embeddings are about 1, as trained ones are: the decoder's norms add 1e-6 to a variance there and, as Meta
    wrote them, 1e-5 here, which is seen where the variance is small.
    """
    torch.manual_seed(0)
    for name, weight in model.named_parameters():
        if re.search(r"point_embed|no_mask_embed|iou_token|mask_tokens", name):
            weight.normal_()
        elif weight.ndim > 1 and "rel_pos" not in name and "pos_embed" not in name:
            weight.normal_(std=weight[0].numel() ** -0.5)
        else:
            weight.normal_(mean=float("norm" in name and name.endswith("weight")), std=0.2)
    model.shared_image_embedding.positional_embedding.normal_()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """What a ViT-B of theirs and ours say to the same picture and points; and ours by segment-anything's own decoder."""
    folder = tmp_path_factory.mktemp("vit_b")
    picture = torch.rand(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(1)) * 255
    points = torch.tensor(
        [[[300.0, 200.0], [10.0, 900.0]], [[512.0, 512.0], [0.0, 0.0]], [[1023.0, 7.0], [640.0, 333.0]]]
    )
    labels = torch.tensor([[1, 0], [1, 1], [0, 1]])
    with torch.random.fork_rng(), pytest.MonkeyPatch.context() as patch, torch.no_grad():
        theirs = _model("vit_b")
        _fill(theirs)
        theirs.save_pretrained(folder)
        patch.setenv("SAC_BASE_VIT_B", str(folder / hub.BASE_FILE))
        sac = hub.new(SACConfig(base="vit_b", generator_widths=(8, 16), rank=2)).eval()
        embedding = theirs.get_image_embeddings((picture - sac.sam.pixel_mean) / sac.sam.pixel_std)
        told = [
            theirs(
                image_embeddings=embedding, input_points=points[None], input_labels=labels[None], multimask_output=many
            )
            for many in (False, True)
        ]
        features = sac.encode(picture, adapted=False)
        nothing = torch.zeros(3, dtype=torch.long)
        prompts = TokenPrompts(nothing, points, labels, torch.zeros(3, 2, dtype=torch.long))
        sparse, dense = sac.sam.prompt_encoder((points, labels), None, None)
        yield SimpleNamespace(
            file=folder / hub.BASE_FILE,
            theirs=(
                embedding,
                torch.cat([t.pred_masks[0] for t in told], dim=1),
                torch.cat([t.iou_scores[0] for t in told], dim=1),
            ),
            ours=(features, *sac.decode(features, prompts, adapted=False, whole=True)),
            metas=sac.sam.mask_decoder.predict_masks(features, sac.sam.prompt_encoder.get_dense_pe(), sparse, dense),
        )


@pytest.mark.parametrize("part, shape", [(0, (1, 256, 64, 64)), (1, (3, 4, 256, 256)), (2, (3, 4))])
def test_embedding_masks_and_ious_are_theirs(both, part, shape):
    theirs, ours = both.theirs[part], both.ours[part]
    assert theirs.shape == ours.shape == shape
    assert (ours - theirs).abs().max() <= CLOSE * theirs.abs().max()


def test_they_differ_from_pixel_to_pixel_and_from_point_to_point(both):
    """Else their agreement would say nothing."""
    masks = both.theirs[1]
    assert masks.std(dim=(2, 3)).min() > 100 * CLOSE * masks.abs().max()
    assert (masks[0] - masks[1]).abs().max() > 100 * CLOSE * masks.abs().max()


def test_segment_anythings_own_decoder_says_the_same(both):
    for ours, metas in zip(both.ours[1:], both.metas):
        assert (ours - metas).abs().max() <= CLOSE * metas.abs().max()


def test_in_metas_layout_it_is_the_same_bit_by_bit(both, tmp_path):
    renamed = from_transformers(read_base(both.file, "theirs", 2**40))
    torch.save(renamed, tmp_path / "sam_vit_b.pth")
    again = read_base(tmp_path / "sam_vit_b.pth", "Meta's", 2**40)
    metas = sam_model_registry["vit_b"](checkpoint=str(tmp_path / "sam_vit_b.pth")).state_dict()  # Meta's own loader
    assert set(again) == set(metas)
    assert all(torch.equal(value, metas[name]) for name, value in again.items())


@pytest.mark.parametrize("name", SIZES)
def test_names_and_shapes_of_every_size_fit(name):
    """Without memory for the weights."""
    with torch.device("meta"):
        theirs, metas = _model(name).state_dict(), sam_model_registry[name](checkpoint=None).state_dict()
    found = from_transformers(theirs)
    assert {n: v.shape for n, v in found.items()} == {n: v.shape for n, v in metas.items()}


@pytest.mark.parametrize(
    "kept", [["shared_image_embedding.positional_embedding"], ["prompt_encoder.shared_embedding.positional_embedding"]]
)
def test_of_a_matrix_with_two_names_either_serves(kept):
    """A file may hold one alone: safetensors keeps no weight twice."""
    (found,) = from_transformers({name: torch.ones(2, 128) for name in kept})
    assert found == "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
