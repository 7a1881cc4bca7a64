"""What a training begins with: a checkpoint as it is, or with LoRA of another shape that says the same."""

from __future__ import annotations

import pytest
import torch

from sac import hub
from sac.config import SACConfig
from sac.errors import CheckpointError, OptionError
from training.start import begin


@torch.no_grad()
def embedding(sac):
    images = torch.rand(1, 3, sac.frame, sac.frame, generator=torch.Generator().manual_seed(0)) * 255
    return sac.encode(images)


def test_a_fresh_one_has_the_shape_asked_for():
    sac = begin("", {"rank": 3, "generator_widths": (8,), "projections": ["q"]})
    assert (sac.config.rank, sac.config.generator_widths, sac.config.projections) == (3, (8,), ("q",))
    assert len(sac.config.base_sha256) == 64


@pytest.mark.parametrize("changes", [{}, {"rank": 2}, {"projections": ["q", "v"], "blocks": "all", "tile": 256}])
def test_an_unchanged_one_has_the_weights_of_its_checkpoint(checkpoint, changes):
    stored, found = hub.load(str(checkpoint)), begin(str(checkpoint), changes)
    assert found.config == stored.config
    weights = found.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in stored.state_dict().items())


def test_another_rank_and_alpha_say_the_same(checkpoint):
    stored, found = hub.load(str(checkpoint)), begin(str(checkpoint), {"rank": 5, "alpha": 3.0})
    assert (found.config.rank, found.config.alpha) == (5, 3.0)
    assert found.config.provenance == stored.config.provenance
    assert torch.allclose(embedding(found), embedding(stored), atol=1e-4)
    heads = found.trained()
    assert all(torch.equal(value, heads[name]) for name, value in stored.trained().items())


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"base": "vit_b"}, "base of a checkpoint"),
        ({"tile": 512}, "tile of a checkpoint"),
        ({"generator_widths": [4, 8], "rank": 8}, "generator_widths of a checkpoint"),
        ({"diameter": 30.0, "window_encoding": "place"}, "window_encoding of a checkpoint"),
    ],
)
def test_what_its_weights_depend_on_cannot_be_changed(checkpoint, changes, words):
    with pytest.raises(OptionError) as refused:
        begin(str(checkpoint), changes)
    assert words in str(refused.value) and "rank, alpha, projections, blocks, window, diameter can" in str(
        refused.value
    )
    assert str(checkpoint.parent) not in str(refused.value)


@torch.no_grad()
def test_a_generator_that_saw_the_picture_alone_learns_to_see_and_forgets_nothing(new_sac, tmp_path):
    blind = new_sac(config=SACConfig(generator_widths=(8, 16), rank=2, generator_sees="picture"))
    hub.save(blind, tmp_path, "card")
    stored, found = hub.load(str(tmp_path)), begin(str(tmp_path), {"generator_sees": "embedding"})
    picture = torch.rand(1, 3, found.frame, found.frame, generator=torch.Generator().manual_seed(0)) * 255
    assert found.config.generator_sees == "embedding" and found.generator.sees_embedding
    assert torch.equal(found.generator(picture, found.encode(picture)), stored.generator(picture))
    assert torch.equal(embedding(found), embedding(stored))


def test_one_that_sees_is_not_made_blind(checkpoint):
    with pytest.raises(OptionError, match="generator_sees of a checkpoint cannot be changed"):
        begin(str(checkpoint), {"generator_sees": "picture"})


@pytest.mark.parametrize("start, words", [("nowhere", "no checkpoint 'nowhere'"), ("/gone/away", "no longer here")])
def test_a_checkpoint_that_is_not_there_is_refused(start, words):
    with pytest.raises(CheckpointError, match=words):
        begin(start, {})
