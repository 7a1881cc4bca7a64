"""Fitting a real, small SAC: it learns two pictures by heart, and goes on where it stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import default_collate

from sac import hub
from sac.config import SACConfig
from training.cards import sac_card
from training.datasets.sample import Sample
from training.fit import PAIRS, Crops, FitOptions, NucleiLesson, _semantic_points, fit, fit_to, provenance

pytestmark = pytest.mark.usefixtures("no_trace")
OPTIONS = FitOptions(steps=4, batch=1, prompts=4, generator_steps=1, save_every=2)


def _sample(seed: int, light: bool) -> Sample:
    """Twelve faint discs of 24 pixels with a strong core, which the base alone takes for the whole."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    ground, ink = (220, 90) if light else (30, 160)
    image, labels = np.full((160, 160), float(ground)), np.zeros((160, 160), np.int32)
    for number in range(12):
        row, column = divmod(number, 4)
        centre = np.array([27 + 50 * row, 20 + 40 * column]) + rng.uniform(-5, 5, 2)
        distance = np.hypot(y - centre[0], x - centre[1])
        labels[distance < 12] = number + 1
        image[distance < 12] = ground + (ink - ground) / 3
        image[distance < 6] = ink
    image += rng.normal(0, 4, labels.shape)
    return Sample(f"sample-{seed}", np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2), labels)


@pytest.fixture(scope="module")
def samples():
    return [_sample(0, light=False), _sample(1, light=True)]


@torch.no_grad()
def _losses(sac, crops: Crops, step: int) -> dict[str, float]:
    batch = default_collate([crops[k] for k in range(4)])
    return {name: value.item() for name, value in NucleiLesson(sac.eval(), 0)(batch, step).items()}


HINTED = 1
"""A step that gives the decoder the generator's map, which is noise before training."""


def _learnt(sac, samples, options, out) -> tuple[dict[str, float], dict[str, float]]:
    """Losses on crops that the training saw, before and after it."""
    crops = Crops(samples, sac.config.diameter, sac.config.tile, options)
    before = _losses(sac, crops, HINTED)
    return before, _losses(fit(sac, samples, options, out), crops, HINTED)


def test_two_pictures_are_learnt_by_the_generator(new_sac, samples, tmp_path):
    options = FitOptions(steps=40, batch=1, prompts=2, generator_steps=40, learning_rate=0.01)
    before, after = _learnt(new_sac(), samples, options, tmp_path)
    assert after["generator"] < 0.7 * before["generator"]


def test_two_pictures_are_learnt_by_the_decoder(new_sac, samples, tmp_path):
    options = FitOptions(steps=12, batch=1, prompts=4, generator_steps=0, learning_rate=3e-3)
    before, after = _learnt(new_sac(), samples, options, tmp_path)
    assert after["mask"] < 0.6 * before["mask"]
    assert after["iou"] < 0.6 * before["iou"]


def test_interrupted_and_resumed_is_uninterrupted_bit_for_bit(new_sac, samples, tmp_path, monkeypatch):
    whole = fit(new_sac(0), samples, OPTIONS, tmp_path / "whole").state_dict()
    forward = NucleiLesson.forward

    def interrupted(self, batch, step):
        if step == 3:
            raise KeyboardInterrupt
        return forward(self, batch, step)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(NucleiLesson, "forward", interrupted)
        fit(new_sac(0), samples, OPTIONS, tmp_path / "cut")
    resumed = fit(new_sac(99), samples, OPTIONS, tmp_path / "cut", resume=True).state_dict()
    assert [name for name in whole if not torch.equal(whole[name], resumed[name])] == []
    fresh = new_sac(0).state_dict()
    changed = [name for name in whole if not torch.equal(whole[name], fresh[name])]
    assert changed and all("lora_" in n or n.startswith(("generator.", "mask_decoder.")) for n in changed)


def test_the_first_steps_teach_the_generator_alone(new_sac, samples):
    sac = new_sac()
    crops = Crops(samples, sac.config.diameter, sac.config.tile, OPTIONS)
    batch = default_collate([crops[0]])
    lesson = NucleiLesson(sac, generator_steps=3)
    with torch.no_grad():
        assert set(lesson(batch, 2)) == {"generator"}
        assert {"generator", "mask", "iou"} <= set(lesson(batch, 3))


def test_some_steps_decode_all_nuclei_at_once(new_sac, samples):
    sac = new_sac()
    batch = default_collate([Crops(samples, sac.config.diameter, sac.config.tile, OPTIONS)[0]])
    with torch.no_grad():
        semantic = ["semantic" in NucleiLesson(sac, 0)(batch, step) for step in range(8)]
    assert 0 < sum(semantic) < 8


def test_crops_are_functions_of_their_number(samples):
    first, second = (Crops(samples, 24.0, 256, OPTIONS)[5] for _ in range(2))
    assert all(np.array_equal(first[name], second[name]) for name in first)
    assert not np.array_equal(first["image"], Crops(samples, 24.0, 256, OPTIONS)[6]["image"])
    other = Crops(samples, 24.0, 256, replace(OPTIONS, seed=1))[5]
    assert not np.array_equal(first["image"], other["image"])


def test_pictures_without_nuclei_teach_that_there_are_none(new_sac):
    empty = Sample("empty", np.full((90, 90, 3), 60, np.uint8), np.zeros((90, 90), np.int32))
    sac = new_sac()
    losses = _losses(sac, Crops([empty], sac.config.diameter, sac.config.tile, OPTIONS), step=0)
    assert losses and all(np.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("seed", range(6))
def test_semantic_points_lie_where_they_say(seed):
    labels = np.zeros((64, 64), np.int32)
    labels[10:40, 20:50] = 1
    distance = (labels > 0).astype(np.float32)
    points, kinds = _semantic_points(np.random.default_rng(seed), labels, distance)
    assert points.shape == (2 * max(PAIRS), 2) and kinds.shape == (2 * max(PAIRS),)
    x, y = points.astype(int).T
    assert (labels[y, x][kinds == 1] == 1).all() and (labels[y, x][kinds == 0] == 0).all()
    assert (kinds == 1).sum() == (kinds == 0).sum() and (kinds == 1).sum() in PAIRS


def test_fit_to_writes_a_checkpoint_that_loads(samples, tmp_path):
    data = tmp_path / "mine" / "train"
    for part in ("images", "labels"):
        (data / part).mkdir(parents=True)
    for sample in samples:
        Image.fromarray(sample.image).save(data / "images" / f"{sample.name}.png")
        Image.fromarray(sample.labels.astype(np.uint16)).save(data / "labels" / f"{sample.name}.png")
    config = SACConfig(generator_widths=(8, 16), rank=2)
    options = replace(OPTIONS, steps=1, hold_out=0.0, licence="cc0-1.0")
    fit_to(tmp_path / "out", [str(data)], config, options, resume=False)
    loaded = hub.load(str(tmp_path / "out"))
    assert (loaded.config.rank, loaded.config.generator_widths) == (2, (8, 16))
    source = loaded.config.provenance
    assert (source["data"], source["images"], source["held_out"], source["seed"]) == (["mine/train"], 2, 0, 0)
    assert "license: cc0-1.0" in (tmp_path / "out" / "README.md").read_text()
    assert (tmp_path / "out" / "held_out.txt").read_text() == ""


def test_provenance_keeps_what_came_before():
    first = provenance({}, ["a/dsb/train"], OPTIONS, (9, 1))
    second = provenance(first, ["b/he/train", "a/dsb/train"], OPTIONS, (5, 0))
    third = provenance(second, ["b/he/train"], OPTIONS, (5, 0))
    assert (first["data"], first["before"]) == (["dsb/train"], [])
    assert (third["data"], third["images"]) == (["dsb/train", "he/train"], 5)
    assert third["before"] == [first["command"], second["command"]]
    assert sac_card("mine", SACConfig(provenance=third)).count("| trained before |") == 2
