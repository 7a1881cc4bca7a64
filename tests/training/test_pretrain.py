"""What a fresh SAC begins with is made from generated scenes, and found where it is looked for."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from sac import hub
from sac.config import SACConfig
from training.pretrain import GeneratorLesson, PretrainOptions, ScenesLesson, pretrain, pretrain_to
from training.start import begin

LESSONS = {"sam": ScenesLesson, "generator": GeneratorLesson}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def interrupt(monkeypatch, lesson: type, at: int) -> None:
    """A training ends at that step, as by Control-C."""
    forward = lesson.forward

    def interrupted(self, batch, step):
        if step == at:
            raise KeyboardInterrupt
        return forward(self, batch, step)

    monkeypatch.setattr(lesson, "forward", interrupted)


@pytest.mark.parametrize("part", LESSONS)
def test_an_interrupted_pretraining_goes_on_to_the_same_weights(part, tmp_path):
    asked = PretrainOptions(part, steps=2, batch=2, prompts=2, dense_steps=1, save_every=1)
    whole = pretrain(asked, tmp_path / "whole").state_dict()
    with pytest.MonkeyPatch.context() as patch:
        interrupt(patch, LESSONS[part], at=1)
        with pytest.raises(KeyboardInterrupt):
            pretrain(asked, tmp_path / "parted")
    begun = load_file(tmp_path / "parted" / "state-1" / "model.safetensors")
    assert not same({name: begun[f"made.{name}"] for name in whole if f"made.{name}" in begun}, whole)
    assert same(pretrain(asked, tmp_path / "parted", resume=True).state_dict(), whole)


@pytest.mark.parametrize("part, title", [("sam", "# tiny: a small SAM"), ("generator", "# generator: a U-Net")])
def test_it_is_kept_with_a_card(part, title, tmp_path):
    pretrain_to(tmp_path, PretrainOptions(part, steps=1, batch=1, prompts=1), resume=False)
    embedded = hub.base_path("tiny") if part == "sam" else hub.GENERATOR
    kept = load_file(tmp_path / hub.BASE_FILE)
    assert {n: (w.shape, w.dtype) for n, w in kept.items()} == {
        n: (w.shape, w.dtype) for n, w in load_file(embedded).items()
    }
    card = (tmp_path / hub.CARD).read_text()
    assert title in card and "license: cc0-1.0" in card and "scenes generated from seed 0" in card


def test_a_fresh_generator_has_learnt_scenes_unless_its_widths_are_others():
    known = {name: weight.float() for name, weight in load_file(hub.GENERATOR).items()}
    assert same(dict(hub.new(SACConfig()).generator.state_dict()), known)
    one, other = (hub.new(SACConfig(generator_widths=(8, 16))).generator for _ in range(2))
    assert not torch.equal(one.head.weight, other.head.weight)


def test_a_checkpoint_that_is_begun_with_may_look_for_something_larger():
    before, sac = hub.load("nuclei"), begin("nuclei", {"diameter": 64.0, "window": 32})
    assert (sac.config.diameter, sac.config.window) == (64.0, 32)
    assert same(dict(before.state_dict()), dict(sac.state_dict()))
