"""What each trained part is asked for. All of them take logits and return one number or one per row."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """1 - Dice of soft masks, per row. (N, H, W) each -> (N,). An empty target with an empty mask costs nothing."""
    mask = logits.sigmoid().flatten(1)
    target = target.flatten(1)
    return 1 - (2 * (mask * target).sum(1) + 1) / (mask.sum(1) + target.sum(1) + 1)


def mask_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice over the window, per row. (N, H, W) each -> (N,).

    Not SAM's focal loss: over windows that are mostly ground it learnt to say "empty".
    """
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none").flatten(1).mean(1)
    return 4 * entropy + dice_loss(logits, target)


@torch.no_grad()
def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of the thresholded masks, per row: what the decoder's IoU head is to predict. Both empty counts as 0."""
    mask, target = (logits > 0).flatten(1), (target > 0.5).flatten(1)
    union = (mask | target).sum(1)
    return (mask & target).sum(1) / union.clamp(min=1)


def generator_loss(nuclei_map: Tensor, inside: Tensor, distance: Tensor) -> Tensor:
    """The generator's own loss: cross-entropy against the nuclei mask (paper) with Dice, and against the distance.

    nuclei_map (B, 2, H, W) logits; inside and distance (B, H, W) in 0 to 1.
    """
    nuclei, depth = nuclei_map.float().unbind(1)
    entropy = F.binary_cross_entropy_with_logits(nuclei, inside)
    far = F.binary_cross_entropy_with_logits(depth, distance)
    return entropy + 0.5 * dice_loss(nuclei, inside).mean() + far
