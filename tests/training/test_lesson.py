"""A step of a real, small SAC: which losses it has, and from where its embeddings come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, default_collate

from training.augment import Zoom
from training.crops import POOL, Crops
from training.datasets.division import Pieces, divide
from training.datasets.gather import gather
from training.datasets.sample import Sample
from training.lesson import PARTS, NucleiLesson
from training.loop import Course, Schedule, optimizer_of
from training.options import FitOptions


def batch(sac, whole, quick: bool = False) -> dict[str, torch.Tensor]:
    options = FitOptions(prompts=4, quick=quick)
    pieces = Pieces(whole, divide(whole.survey.facts, 0)[0])
    made = Crops(pieces, Zoom(sac.config.diameter), sac.config.tile, options)
    return default_collate([made[k] for k in range(2)])


@torch.no_grad()
def losses(sac, shown, step: int, alone: int = 0, features=None) -> dict[str, float]:
    return {name: value.item() for name, value in NucleiLesson(sac, alone, features)(shown, step).items()}


def test_the_first_steps_teach_the_generator_alone(sac, two):
    shown = batch(sac, two)
    assert set(losses(sac, shown, step=2, alone=3)) == {"generator"}
    assert {"generator", "mask", "iou"} <= set(losses(sac, shown, step=3, alone=3))


def test_lora_learns_what_the_generator_needs_to_see(new_sac, two):
    """The generator's loss reaches LoRA through the embedding, which it has to heed for that; not while it learns alone."""

    def taught(alone: int) -> bool:
        sac = new_sac()
        torch.nn.init.normal_(sac.generator.sight.weight, std=0.1, generator=torch.Generator().manual_seed(0))
        NucleiLesson(sac, alone)(batch(sac, two), 1)["generator"].backward()
        assert sac.generator.sight.weight.grad.any()
        return any("lora_B" in name and w.grad is not None and w.grad.any() for name, w in sac.named_parameters())

    assert taught(alone=0) and not taught(alone=2)


def test_lora_is_left_to_nadamw_and_matrices_to_muon(new_sac, two):
    lesson = NucleiLesson(new_sac(), alone=0)
    optimizer = optimizer_of(Course(lesson, Dataset(), Schedule(), Path(), PARTS).groups, rate=1e-3)
    sum(lesson(batch(lesson.sac, two), 0).values()).backward()
    optimizer.step()
    by_muon = {name for name, w in lesson.named_parameters() if "momentum_buffer" in optimizer.state.get(w, {})}
    by_nadamw = {name for name, w in lesson.named_parameters() if "exp_avg" in optimizer.state.get(w, {})}
    assert by_muon and by_nadamw and not by_muon & by_nadamw
    assert all(("lora_" in name) <= (name in by_nadamw) for name in by_muon | by_nadamw)
    assert {"sac.generator.down.0.2.weight", "sac.mask_decoder.transformer.layers.0.mlp.lin1.weight"} <= by_muon
    assert all(w.ndim == 1 or "lora_" in name or 1 in w.shape or min(w.shape[0], w[0].numel()) < 4
               for name, w in lesson.named_parameters() if name in by_nadamw)  # fmt: skip


def test_some_steps_decode_all_nuclei_at_once(sac, two):
    shown = batch(sac, two)
    semantic = ["semantic" in losses(sac, shown, step) for step in range(8)]
    assert 0 < sum(semantic) < 8


def test_pictures_without_nuclei_teach_that_there_are_none(sac, samples, tmp_path):
    empty = Sample("empty", np.full((90, 90, 3), 60, np.uint8), np.zeros((90, 90), np.int32))
    whole = gather([empty, samples[0]], tmp_path)
    pieces = Pieces(whole, divide(whole.survey.facts, 0)[0][:1])
    made = Crops(pieces, Zoom(sac.config.diameter), sac.config.tile, FitOptions(prompts=4))
    shown = default_collate([made[0], made[1]])
    assert not shown["labels"].any()
    found = losses(sac, shown, step=0)
    assert {"generator", "mask"} <= set(found) and all(np.isfinite(value) for value in found.values())


def test_embeddings_that_are_looked_up_give_the_losses_of_those_that_are_computed(sac, two):
    shown = batch(sac, two, quick=True)
    with torch.no_grad():
        made = sac.encode(shown["image"].float())
    features = torch.zeros(POOL, *made.shape[1:])
    features[shown["crop"]] = made
    assert losses(sac, shown, 1, features=features) == pytest.approx(losses(sac, shown, 1), rel=1e-4)
    assert losses(sac, shown, 1, features=features + 1)["mask"] != pytest.approx(losses(sac, shown, 1)["mask"])


def test_one_graph_teaches_every_part_and_nothing_else(new_sac, two):
    sac = new_sac()
    sum(NucleiLesson(sac, 0)(batch(sac, two), 1).values()).backward()
    taught = [name for name, weight in sac.named_parameters() if weight.grad is not None and weight.grad.any()]
    assert {"lora_B" if "lora_B" in name else name.split(".")[0] for name in taught} == {
        "lora_B",  # A waits for B, which is zero at first
        "generator",
        "mask_decoder",
    }


def test_the_generator_hears_of_masks_only_where_it_is_asked_to(new_sac, two):
    """Its gradient is that of its own loss, at the same step, unless `heard`."""

    def gradient(**told) -> torch.Tensor:
        sac = new_sac()
        sum(NucleiLesson(sac, **told)(batch(sac, two), 1).values()).backward()
        return sac.generator.head.weight.grad

    own = gradient(alone=2)
    assert torch.equal(gradient(alone=0), own)
    assert not torch.allclose(gradient(alone=0, heard=True), own, rtol=0.1)


def test_the_loss_of_an_exam_is_the_same_at_every_look(sac, two):
    shown = batch(sac, two)
    with torch.no_grad():
        images = shown["image"].float()
        features = sac.encode(images)
        nuclei_map = sac.generator(images, features)
        first, second = (NucleiLesson(sac, 0).examined(shown, nuclei_map, features, 5) for _ in range(2))
    taught = losses(sac, shown, 5)
    assert torch.equal(first, second)
    assert first.item() == pytest.approx(taught["generator"] + taught["mask"], rel=0.05)  # bf16, where it is fast
