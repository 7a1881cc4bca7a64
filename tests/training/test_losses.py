"""Losses by hand."""

from __future__ import annotations

from math import log

import pytest
import torch

from training.losses import dice_loss, generator_loss, mask_iou, mask_loss

SURE = 40.0
"""A logit whose sigmoid is one to every digit."""


def _logits(*rows) -> torch.Tensor:
    """Rows of 0 and 1 as settled logits, one mask (2, 2) each."""
    return (torch.tensor(rows, dtype=torch.float32) * 2 - 1).view(-1, 2, 2) * SURE


def _target(*rows) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32).view(-1, 2, 2)


def test_dice_loss_by_hand():
    logits = _logits([1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    target = _target([1, 0, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0])
    # 1 - (2 * 1 + 1) / (2 + 1 + 1); equal; both empty; 1 - 1 / (4 + 0 + 1)
    assert dice_loss(logits, target).tolist() == pytest.approx([1 / 4, 0, 0, 4 / 5], abs=1e-6)


def test_mask_loss_by_hand():
    """Undecided everywhere, all inside: 4 ln 2, and 1 - (2 * 2 + 1) / (2 + 4 + 1)."""
    assert mask_loss(torch.zeros(1, 2, 2), torch.ones(1, 2, 2)).tolist() == pytest.approx([4 * log(2) + 2 / 7])


def test_right_mask_costs_nothing_and_wrong_much():
    target = _target([1, 1, 0, 0])
    right, wrong = mask_loss(_logits([1, 1, 0, 0]), target), mask_loss(_logits([0, 0, 1, 1]), target)
    assert right.item() == pytest.approx(0, abs=1e-5)
    assert wrong.item() == pytest.approx(4 * SURE + 1 - 1 / 5, rel=1e-5)


def test_mask_iou_by_hand():
    logits = _logits([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1])
    target = _target([1, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0])
    assert mask_iou(logits, target).tolist() == pytest.approx([1 / 3, 1, 0, 0])


def test_mask_iou_takes_no_gradient():
    logits = _logits([1, 1, 0, 0]).requires_grad_()
    assert not mask_iou(logits, _target([1, 0, 1, 0])).requires_grad


def test_generator_loss_by_hand():
    """Undecided map: ln 2 for the mask, half of 1 - (2 * 1 + 1) / (2 + 2 + 1), ln 2 for any distance."""
    inside = _target([1, 1, 0, 0])
    distance = _target([1, 0.3, 0, 0])
    loss = generator_loss(torch.zeros(1, 2, 2, 2), inside, distance)
    assert loss.item() == pytest.approx(2 * log(2) + 0.5 * 2 / 5)


def test_generator_loss_is_least_at_the_truth():
    inside, distance = _target([1, 1, 0, 0]), _target([0.9, 0.3, 0.05, 0.05])
    truth = torch.stack([_logits([1, 1, 0, 0]), torch.logit(distance)], dim=1).requires_grad_()
    least = generator_loss(truth, inside, distance)
    least.backward()
    assert truth.grad.abs().max() < 1e-4
    for channel in (0, 1):
        other = truth.detach().clone()
        other[:, channel] = -other[:, channel]
        assert generator_loss(other, inside, distance) > least + 0.1


def test_losses_are_means_over_nothing_else_than_their_row():
    """A row's loss does not depend on the rows beside it."""
    torch.manual_seed(0)
    logits, target = torch.randn(3, 8, 8), (torch.rand(3, 8, 8) > 0.5).float()
    for loss in (dice_loss, mask_loss, mask_iou):
        together = loss(logits, target)
        assert together.shape == (3,)
        assert torch.allclose(together[1:2], loss(logits[1:2], target[1:2]))
