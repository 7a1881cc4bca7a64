"""From a batch of examples to decoded windows and their losses: shared by the base's training and SAC's."""

from __future__ import annotations

from dataclasses import dataclass

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


PAIRS = (1, 3, 8, 16)
"""Pairs of positive and negative prompts that the semantic mode learns with (paper's ablation)."""


def example(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray, prompts: int, diameter: float
) -> dict[str, np.ndarray]:
    """One training example: image (3, H, W) uint8, labels (H, W) int64, distance (H, W), and `prompts` prompts.

    diameter: of a typical nucleus, in pixels.
    """
    distance = border_distance(labels)
    asked = sample_prompts(rng, labels, distance, prompts, diameter)
    return {
        "image": np.ascontiguousarray(image.transpose(2, 0, 1)),
        "labels": labels.astype(np.int64),
        "distance": distance,
        "points": asked.points,
        "point_labels": asked.labels,
        "boxes": asked.boxes,
        "ids": asked.ids,
    }


def pairs(rng: np.random.Generator, labels: np.ndarray, distance: np.ndarray) -> dict[str, np.ndarray]:
    """k pairs of points (2 max(PAIRS), 2) float32 over a crop, with labels (2 max(PAIRS),); the rest is unused (-1)."""
    points, kinds = np.zeros((2 * max(PAIRS), 2), np.float32), np.full(2 * max(PAIRS), -1, np.int64)
    count = int(rng.choice(PAIRS))
    for kind, places in ((1, np.argwhere(distance > 0.5)), (0, np.argwhere(labels == 0))):
        if len(places):
            rows = slice(kind * max(PAIRS), kind * max(PAIRS) + count)
            points[rows] = places[rng.integers(len(places), size=count), ::-1]
            kinds[rows] = kind
    return {"pairs": points, "pair_labels": kinds}


@dataclass(frozen=True)
class Frame:
    """A base's geometry: `tokens` along a side, frame pixels per token, crop pixels per token, decoding window."""

    tokens: int
    stride: int
    pixels: int
    window: int


def token_prompts(batch: dict[str, Tensor], frame: Frame, step: int) -> TokenPrompts:
    """A batch's (B, K) prompts, in pixels of its crops, as rows (B K) in SAM's frame."""
    count, each = batch["ids"].shape
    zoom = frame.stride / frame.pixels
    points = batch["points"].flatten(0, 1) * zoom
    boxed = np.random.default_rng(step).random() < BOX_SHARE
    return TokenPrompts(
        image=torch.arange(count, device=points.device).repeat_interleave(each),
        points=points,
        labels=batch["point_labels"].flatten(0, 1),
        origins=window_origins(points[:, 0], frame.tokens, frame.window, frame.stride),
        boxes=batch["boxes"].flatten(0, 1) * zoom if boxed else None,
    )


def pixel_windows(maps: Tensor, prompts: TokenPrompts, frame: Frame) -> Tensor:
    """What `maps` (B, C, H, W), on a crop's pixels, show in each prompt's window: (N, C, h, w)."""
    return cut_windows(maps, prompts.image, prompts.origins * frame.pixels, frame.window * frame.pixels)


def window_targets(labels: Tensor, ids: Tensor, prompts: TokenPrompts, frame: Frame) -> Tensor:
    """The masks asked for, (N, h, w) float: label `ids` (N,) of each row's window, nothing where that is 0."""
    cut = pixel_windows(labels[:, None], prompts, frame)[:, 0]
    return ((cut == ids[:, None, None]) & (ids > 0)[:, None, None]).float()


def decoding_losses(logits: Tensor, ious: Tensor, targets: Tensor, prior: Tensor | None = None) -> dict[str, Tensor]:
    """Loss of the single-mask output plus the best of the multimask outputs, and of the predicted IoUs.

    logits (N, M, h, w) low-res, ious (N, M), targets (N, H, W). prior (N, 1, H, W): logits that are added.
    """
    masks = F.interpolate(logits.float(), size=targets.shape[-2:], mode="bilinear", align_corners=False)
    masks = masks if prior is None else masks + prior
    each = torch.stack([mask_loss(m, targets) for m in masks.unbind(1)], dim=1)
    actual = torch.stack([mask_iou(m, targets) for m in masks.unbind(1)], dim=1)
    loss = each[:, 0]
    if each.shape[1] > 1:
        loss = loss + 0.5 * each[:, 1:].min(dim=1).values
    return {"mask": loss.mean(), "iou": (ious.float() - actual).square().mean()}
