"""SAM's mask decoder over windows: equal to SAM's own on the whole, and windows are cut where they should be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from sac.model.decoder import TokenPrompts, WindowDecoder, cut_windows, window_origins
from sac.model.sam import TINY_WIDTH, build_sam

SIDE, STRIDE = 32, 8


@pytest.fixture(scope="module")
def sam():
    torch.manual_seed(0)
    return build_sam("tiny").eval().requires_grad_(False)


@pytest.fixture(scope="module")
def features():
    """Image embeddings of two different images."""
    return torch.randn(2, TINY_WIDTH, SIDE, SIDE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def hints():
    return torch.randn(2, 1, 4 * SIDE, 4 * SIDE, generator=torch.Generator().manual_seed(2))


def _prompts(origins=((0, 0),) * 4, boxes=False) -> TokenPrompts:
    """Four objects of two images, in mixed order, each with a positive, a negative and an unused point."""
    points = torch.tensor(
        [
            [[40.0, 200.0], [90.0, 10.0], [0.0, 0.0]],
            [[128.0, 128.0], [100.0, 130.0], [0.0, 0.0]],
            [[250.0, 5.0], [200.0, 50.0], [0.0, 0.0]],
            [[70.0, 70.0], [71.5, 95.0], [0.0, 0.0]],
        ]
    )
    return TokenPrompts(
        image=torch.tensor([1, 0, 0, 1]),
        points=points,
        labels=torch.tensor([[1, 0, -1]]).repeat(4, 1),
        origins=torch.tensor(origins),
        boxes=torch.cat([points[:, 0] - 10, points[:, 0] + 12], dim=1) if boxes else None,
    )


def _by_sam_itself(sam, features, prompts, hints):
    """segment-anything's MaskDecoder.forward, once per prompt on the embedding of its image."""
    rows = []
    for n, image in enumerate(prompts.image.tolist()):
        sparse, dense = sam.prompt_encoder(
            points=(prompts.points[n : n + 1], prompts.labels[n : n + 1]),
            boxes=None if prompts.boxes is None else prompts.boxes[n : n + 1],
            masks=None if hints is None else hints[image : image + 1],
        )
        answers = [
            sam.mask_decoder(features[image : image + 1], sam.prompt_encoder.get_dense_pe(), sparse, dense, multimask)
            for multimask in (False, True)
        ]
        rows.append([torch.cat(part, dim=1) for part in zip(*answers)])
    return (torch.cat(part) for part in zip(*rows))


@pytest.mark.parametrize("encoding", ["centre", "place"])
@pytest.mark.parametrize("boxes", [False, True])
@pytest.mark.parametrize("hinted", [False, True])
def test_a_window_as_large_as_the_embedding_is_sams_own_decoding(sam, features, hints, encoding, boxes, hinted):
    prompts, hint = _prompts(boxes=boxes), hints if hinted else None
    logits, ious = WindowDecoder(SIDE, encoding)(sam.mask_decoder, sam.prompt_encoder, features, prompts, hint)
    own_logits, own_ious = _by_sam_itself(sam, features, prompts, hint)
    assert logits.shape == (4, 4, 128, 128)
    assert torch.allclose(logits, own_logits, atol=1e-4)
    assert torch.allclose(ious, own_ious, atol=1e-4)


def test_place_and_centre_agree_on_a_window_in_the_centre(sam, features, hints):
    prompts = _prompts(origins=((8, 8),) * 4)
    place, centre = (
        WindowDecoder(16, encoding)(sam.mask_decoder, sam.prompt_encoder, features, prompts, hints)[0]
        for encoding in ("place", "centre")
    )
    assert place.shape == (4, 4, 64, 64)
    assert torch.allclose(place, centre, atol=1e-4)


def test_place_and_centre_differ_elsewhere(sam, features):
    prompts = _prompts(origins=((0, 3), (16, 8), (8, 8), (1, 1)))
    place, centre = (
        WindowDecoder(16, e)(sam.mask_decoder, sam.prompt_encoder, features, prompts)[0] for e in ("place", "centre")
    )
    same = [torch.allclose(a, b, atol=1e-4) for a, b in zip(place, centre)]
    assert same == [False, False, True, False]


@pytest.mark.parametrize("encoding", ["centre", "place"])
def test_each_row_is_answered_as_if_it_were_alone(sam, features, hints, encoding):
    prompts = _prompts(origins=((9, 16), (4, 0), (16, 0), (4, 0)), boxes=True)
    decode = WindowDecoder(16, encoding)
    logits, ious = decode(sam.mask_decoder, sam.prompt_encoder, features, prompts, hints)
    for n in range(4):
        alone, iou = decode(sam.mask_decoder, sam.prompt_encoder, features, prompts[[n]], hints)
        assert torch.allclose(logits[n], alone[0], atol=1e-4)
        assert torch.allclose(ious[n], iou[0], atol=1e-4)
    assert not torch.allclose(logits[0], logits[1], atol=1e-2)


def test_centred_windows_know_nothing_of_their_place(sam, features, hints):
    """Everything moved by (5, 3) tokens: the same masks."""
    prompts = _prompts(origins=((2, 12), (8, 8), (10, 0), (4, 3)), boxes=True)
    shift = torch.tensor([5, 3])
    moved = replace(
        prompts,
        points=prompts.points + shift * STRIDE,
        boxes=prompts.boxes + (shift * STRIDE).repeat(2),
        origins=prompts.origins + shift,
    )
    decode = WindowDecoder(16)
    here, _ = decode(sam.mask_decoder, sam.prompt_encoder, features, prompts, hints)
    there, _ = decode(
        sam.mask_decoder, sam.prompt_encoder, features.roll((3, 5), (2, 3)), moved, hints.roll((12, 20), (2, 3))
    )
    assert torch.allclose(here, there, atol=1e-4)


def test_windows_are_cut_at_their_origins_x_first():
    index = torch.arange(2 * 4 * 5).view(2, 1, 4, 5)  # value = 20 image + 5 row + column
    cut = cut_windows(index, torch.tensor([1, 0]), torch.tensor([[3, 1], [0, 2]]), 2)
    assert cut.tolist() == [[[[28, 29], [33, 34]]], [[[10, 11], [15, 16]]]]


def test_windows_of_no_rows():
    empty = torch.zeros(0, dtype=torch.long)
    assert cut_windows(torch.zeros(2, 3, 4, 4), empty, torch.zeros(0, 2, dtype=torch.long), 2).shape == (0, 3, 2, 2)


def test_origins_put_the_point_in_the_middle_and_stay_inside():
    centres = torch.tensor([[128.0, 64.0], [0.0, 0.0], [255.0, 255.0], [100.0, 200.0]])
    # 128/8 - 8 = 8, 64/8 - 8 = 0; then clamped to 0 and to 32 - 16; 12.5 - 8 = 4.5 rounds to even, 25 - 8 to 16
    assert window_origins(centres, SIDE, 16, STRIDE).tolist() == [[8, 0], [0, 0], [16, 16], [4, 16]]
    assert window_origins(centres, SIDE, SIDE, STRIDE).tolist() == [[0, 0]] * 4
