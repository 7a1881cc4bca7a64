"""From a batch of examples to decoded windows and their losses: shared by the base's training and SAC's."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sac.model.decoder import TokenPrompts, cut_windows, window_origins
from training.losses import mask_iou, mask_loss
from training.targets import border_distance, sample_prompts

BOX_SHARE = 0.2
"""Share of steps that prompt with boxes as well, so that a dragged box is understood."""

HINT_SHARE = 0.6
"""Share of steps that give the decoder a nuclei map as a dense prompt; without one it must do as well as it can."""


def example(rng: np.random.Generator, image: np.ndarray, labels: np.ndarray, prompts: int) -> dict[str, np.ndarray]:
    """One training example: image (3, H, W) uint8, labels (H, W) int64, distance (H, W), and `prompts` prompts."""
    distance = border_distance(labels)
    asked = sample_prompts(rng, labels, distance, prompts)
    return {
        "image": np.ascontiguousarray(image.transpose(2, 0, 1)),
        "labels": labels.astype(np.int64),
        "distance": distance,
        "points": asked.points,
        "point_labels": asked.labels,
        "boxes": asked.boxes,
        "ids": asked.ids,
    }


def token_prompts(batch: dict[str, Tensor], side: int, window: int, stride: int, step: int) -> TokenPrompts:
    """A batch's (B, K) prompts as rows (B K). `side` and `window` in tokens of `stride` pixels."""
    count, each = batch["ids"].shape
    points = batch["points"].flatten(0, 1)
    boxed = np.random.default_rng(step).random() < BOX_SHARE
    return TokenPrompts(
        image=torch.arange(count, device=points.device).repeat_interleave(each),
        points=points,
        labels=batch["point_labels"].flatten(0, 1),
        origins=window_origins(points[:, 0], side, window, stride),
        boxes=batch["boxes"].flatten(0, 1) if boxed else None,
    )


def window_targets(labels: Tensor, ids: Tensor, prompts: TokenPrompts, window: int, stride: int) -> Tensor:
    """The masks asked for, (N, window*stride, window*stride) float: label `ids` (N,) of each row's window."""
    cut = cut_windows(labels[:, None], prompts.image, prompts.origins * stride, window * stride)[:, 0]
    return ((cut == ids[:, None, None]) & (ids > 0)[:, None, None]).float()


def decoding_losses(logits: Tensor, ious: Tensor, targets: Tensor) -> dict[str, Tensor]:
    """Loss of the single-mask output plus the best of the multimask outputs, and of the predicted IoUs.

    logits (N, M, h, w) low-res, ious (N, M), targets (N, H, W).
    """
    masks = F.interpolate(logits.float(), size=targets.shape[-2:], mode="bilinear", align_corners=False)
    each = torch.stack([mask_loss(m, targets) for m in masks.unbind(1)], dim=1)
    actual = torch.stack([mask_iou(m, targets) for m in masks.unbind(1)], dim=1)
    loss = each[:, 0]
    if each.shape[1] > 1:
        loss = loss + 0.5 * each[:, 1:].min(dim=1).values
    return {"mask": loss.mean(), "iou": (ious.float() - actual).square().mean()}


def mean_iou(logits: Tensor, targets: Tensor) -> Any:
    """Mean IoU of the single-mask output over prompts that ask for something: a figure to watch."""
    masks = F.interpolate(logits[:, :1].float(), size=targets.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    asked = targets.flatten(1).any(1)
    return mask_iou(masks, targets)[asked].mean()
