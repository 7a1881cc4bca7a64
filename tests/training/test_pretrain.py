"""What a fresh SAC begins with is made from generated scenes, and found where it is looked for."""

from __future__ import annotations

import pytest
import torch
from kills import interrupt
from safetensors.torch import load_file
from torch import Tensor

from sac import hub
from sac.config import SACConfig
from training.lesson import NucleiLesson
from training.pretrain import PretrainOptions, ScenesLesson, pretrain, pretrain_to
from training.start import begin

LESSONS = {"sam": (ScenesLesson, "sam"), "head": (NucleiLesson, "sac")}
"""What a part is taught by, and what the lesson calls it."""


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("part", LESSONS)
def test_an_interrupted_pretraining_goes_on_to_the_same_weights(part, tmp_path):
    asked = PretrainOptions(part, steps=2, batch=2, prompts=2, dense_steps=1, save_every=1)
    lesson, name = LESSONS[part]
    whole = pretrain(asked, tmp_path / "whole").state_dict()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, lesson, at=1)
        with pytest.raises(KeyboardInterrupt):
            pretrain(asked, tmp_path / "parted")
    begun = load_file(tmp_path / "parted" / "state-1" / "model.safetensors")
    assert not all(torch.equal(begun[f"{name}.{n}"], w) for n, w in whole.items() if f"{name}.{n}" in begun)
    assert same(pretrain(asked, tmp_path / "parted", resume=True).state_dict(), whole)


def test_heads_learn_and_nothing_else_does(tmp_path):
    before = hub.new(SACConfig(generator_sees="picture"), begun=False).state_dict()
    after = pretrain(PretrainOptions("head", steps=2, batch=1, prompts=2, dense_steps=1), tmp_path).state_dict()
    changed = {
        name.split(".")[0] for name in before if "lora_A" not in name and not torch.equal(before[name], after[name])
    }
    assert changed == {"generator", "mask_decoder"}


@pytest.mark.parametrize("part, title", [("sam", "# tiny: a small SAM"), ("head", "# start: heads")])
def test_it_is_kept_with_a_card(part, title, tmp_path):
    pretrain_to(tmp_path, PretrainOptions(part, steps=1, batch=1, prompts=1), resume=False)
    embedded = hub.base_path("tiny") if part == "sam" else hub.START
    kept, known = (load_file(path) for path in (tmp_path / embedded.name, embedded))
    assert {n: (w.shape, w.dtype) for n, w in kept.items()} == {n: (w.shape, w.dtype) for n, w in known.items()}
    card = (tmp_path / hub.CARD).read_text()
    assert title in card and "license: cc0-1.0" in card and "scenes generated from seed 0" in card


def test_fresh_heads_have_learnt_scenes_unless_they_are_of_another_shape():
    known = {name: weight.float() for name, weight in load_file(hub.START).items()}
    fresh = hub.new(SACConfig()).trained()
    sight = {name: fresh.pop(name) for name in list(fresh) if "sight" in name}
    assert same(fresh, known)
    assert len(sight) == 2 and not any(weight.any() for weight in sight.values())
    one, other = (hub.new(SACConfig(generator_widths=(8, 16))).trained() for _ in range(2))
    assert not torch.equal(one["generator.head.weight"], other["generator.head.weight"])
    assert {n: w for n, w in one.items() if n.startswith("mask_")}.keys() <= known.keys()
    bare = hub.new(SACConfig(), begun=False)
    assert same(dict(bare.mask_decoder.state_dict()), dict(bare.sam.mask_decoder.state_dict()))


def test_a_checkpoint_that_is_begun_with_may_look_for_something_larger():
    before, sac = hub.load("nuclei"), begin("nuclei", {"diameter": 64.0, "window": 32})
    assert (sac.config.diameter, sac.config.window) == (64.0, 32)
    assert same(dict(before.state_dict()), dict(sac.state_dict()))
