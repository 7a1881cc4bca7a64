"""Rivals: adapters that begin as nothing, experts who click where they say, masks that come apart at necks."""

import numpy as np
import pytest
import torch

from sac import hub
from sac.config import SACConfig, SegmentOptions
from sac.inference.maps import map_of
from sac.inference.predictor import embed
from sac.prompts import NEGATIVE, POSITIVE
from training.baselines.adapters import with_adapters
from training.baselines.classical import parted
from training.baselines.expert import Expert
from training.baselines.methods import EXPERT, KNOWN
from training.baselines.one_mask import OneMaskLesson, _whole_mask
from training.baselines.subject import Subject


@pytest.fixture(scope="module")
def discs():
    """Three bright discs of 24 pixels, two of them touching: pixels (128, 128, 3) and their labels."""
    y, x = np.mgrid[:128, :128]
    labels = np.zeros((128, 128), np.int32)
    for number, (cx, cy) in enumerate(((30, 40), (53, 40), (90, 90)), start=1):
        labels[(x - cx) ** 2 + (y - cy) ** 2 < 12**2] = number
    return np.repeat(np.where(labels > 0, 190, 15).astype(np.uint8)[..., None], 3, axis=2), labels


def test_fresh_adapters_change_nothing_and_can_learn():
    sac = hub.new(SACConfig()).learning(False)
    image = torch.rand(1, 3, 256, 256) * 255
    before = sac.encode(image, adapted=False)
    adapters = with_adapters(sac.sam.image_encoder.base_model.model)
    assert len(adapters) == 12  # two in each of six blocks
    assert torch.equal(sac.encode(image, adapted=False), before)
    torch.nn.init.ones_(adapters[0].up.bias)
    assert not torch.allclose(sac.encode(image, adapted=False), before)
    # 192 channels through 48: two matrices and two biases, twelve times
    assert sum(w.numel() for a in adapters for w in a.parameters()) == 12 * (2 * 192 * 48 + 48 + 192)


def test_a_mask_of_touching_discs_comes_apart_at_the_neck(discs):
    found = parted(discs[1] > 0, diameter=24)
    assert found.max() == 3 and ((found > 0) == (discs[1] > 0)).all()
    assert len(np.unique(found[40, 20:63])) >= 2  # along the line through both
    assert parted(np.zeros((9, 9), bool), diameter=24).max() == 0
    specks = np.zeros((40, 40), bool)
    specks[5:7, 5:7] = specks[20:24, 20:24] = True
    assert parted(specks, diameter=96).max() == 2 and ((parted(specks, diameter=96) > 0) == specks).all()
    found = parted(specks, diameter=96, smallest=5)
    assert found.max() == 1 and found[5:7, 5:7].max() == 0 and (found[20:24, 20:24] == 1).all()


def test_an_expert_clicks_where_they_say(discs):
    labels = discs[1]
    expert = Expert(labels)

    def at(points):
        return labels[points[..., 1].astype(int), points[..., 0].astype(int)]

    for prompts in (expert.careless(), expert.good()):
        assert at(prompts.points)[:, 0].tolist() == [1, 2, 3] and (prompts.labels[:, 0] == POSITIVE).all()
    assert np.abs(expert.good().points[2, 0] - 90).max() <= 1  # the middle of the third disc
    assert np.hypot(*(expert.careless().points[2, 0] - 90)) > 7  # its rim: over .65 of the radius
    prompts = expert.several_with_negatives()
    assert (prompts.labels == np.array([POSITIVE] * 3 + [NEGATIVE] * 4)).all()
    assert (at(prompts.points)[:, :3] == [[1], [2], [3]]).all()
    assert (at(prompts.points)[:, 3:] != [[1], [2], [3]]).all()


def test_an_expert_knows_the_nuclei_of_a_window(discs):
    window = (slice(64, 128), slice(64, 128))
    assert np.abs(Expert(discs[1]).within(window, 3) - 90).max() <= 1
    assert Expert(discs[1]).within((slice(100, 128), slice(0, 20)), 3).shape == (0, 2)
    assert len(Expert(discs[1]).within((slice(0, 128), slice(0, 128)), 2)) == 2


def test_an_expert_of_nothing_says_nothing():
    prompts = Expert(np.zeros((16, 16), np.int32)).several_with_negatives()
    assert len(prompts) == 0


def test_one_mask_is_learnt_by_the_decoder_alone(discs):
    sac = hub.new(SACConfig()).learning(False)
    sac.mask_decoder.requires_grad_(True)
    lesson = OneMaskLesson(sac)
    image = torch.from_numpy(np.pad(discs[0], ((0, 128), (0, 128), (0, 0))).transpose(2, 0, 1)[None].copy())
    labels = torch.from_numpy(np.pad(discs[1], ((0, 128), (0, 128)))[None].astype(np.int64))
    batch = {"image": image, "labels": labels, "distance": (labels > 0).float()}
    optimizer = torch.optim.AdamW(sac.mask_decoder.parameters(), lr=1e-3)
    losses = []
    for step in range(12):
        loss = lesson(batch, step)["mask"]
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert all(w.grad is None for name, w in sac.named_parameters() if not name.startswith("mask_decoder"))


def test_every_method_answers_with_a_label_map(discs, sac):
    subject = Subject(sac, *discs, scale=1.0)
    for name, method in KNOWN.items():
        found, seconds = subject.timed(method)
        assert found.shape == discs[1].shape and np.issubdtype(found.dtype, np.integer) and seconds > 0, name


@pytest.mark.parametrize("count", [0, 1])
def test_a_mirrored_picture_has_the_mirrored_mask(discs, sac, count):
    pixels, labels = (np.pad(a, ((0, 128), (0, 128)) + ((0, 0),) * (a.ndim - 2)) for a in discs)
    whole = _whole_mask(Subject(sac, pixels, labels, scale=1.0), count)
    for axis in (0, 1):
        subject = Subject(sac, np.flip(pixels, axis).copy(), np.flip(labels, axis).copy(), scale=1.0)
        mirrored = np.flip(_whole_mask(subject, count), axis)
        assert (mirrored == whole).mean() > (0.999 if count == 0 else 0.9)  # experts choose other nuclei


def test_every_method_is_charged_the_measuring_once(discs, sac):
    subject, charged = Subject(sac, discs[0]), []

    def method(asked: Subject) -> np.ndarray:
        charged.append([asked.scale, asked.scale, asked._reused][-1])
        return np.zeros((1, 1), np.int32)

    first, second = (subject.timed(method)[1] for _ in range(2))
    assert charged == [0.0, subject._measuring] and min(first, second) >= subject._measuring > 0


def test_who_asks_an_expert_without_truth_is_told(discs, sac):
    with pytest.raises(ValueError, match="no truth"):
        Subject(sac, discs[0], scale=1.0).timed(EXPERT["one good point"])


def test_asking_the_base_leaves_what_learns_as_it_was():
    sac = hub.new(SACConfig()).learning(False)
    sac.encode(torch.zeros(1, 3, 256, 256), adapted=False)
    assert not any(w.requires_grad for w in sac.parameters())
    sac.learning(True).encode(torch.zeros(1, 3, 256, 256), adapted=False)
    assert all(w.requires_grad for name, w in sac.named_parameters() if "lora_" in name)


def test_a_map_without_sam_is_the_map_with_it(discs, sac):
    embedding = embed(sac, discs[0], 1.5, SegmentOptions())
    assert np.array_equal(map_of(sac, discs[0], 1.5, SegmentOptions()), embedding.nuclei_map)
