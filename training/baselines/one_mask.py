"""SAM taught to draw one mask of all nuclei: what SAM-FT and MSA learn, and how they are asked."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sac.config import SegmentOptions
from sac.inference.maps import FLIPS
from sac.inference.tiled import Tiled
from sac.inference.tiles import Tile
from sac.model.decoder import TokenPrompts
from sac.model.sac import SAC, SEMANTIC_MASK, fast
from sac.prompts import POSITIVE, UNUSED
from training.baselines.classical import parted
from training.baselines.subject import Method, Subject
from training.losses import mask_loss

POINTS = (0, 1, 3)
"""Points of an expert that a crop may come with (paper, figure 3)."""


class OneMaskLesson(nn.Module):
    """The mask of all nuclei of a crop, with 0, 1 or 3 points on nuclei. What of `sac` learns is its caller's choice."""

    def __init__(self, sac: SAC):
        super().__init__()
        self.sac = sac

    def forward(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        points, labels = _points(batch["distance"].cpu().numpy(), step)
        features = self.sac.encode(batch["image"].float(), adapted=False)
        masks = _masks(self.sac, features, points, labels)
        return {"mask": mask_loss(masks, (batch["labels"] > 0).float()).mean()}


def _points(distance: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Random points well inside nuclei, as many for each crop of a step: (B, P, 2) float32 and (B, P) int64."""
    rng = np.random.default_rng([step, 1])
    count = int(rng.choice(POINTS))
    points, labels = _nothing(len(distance), max(1, count))
    for row, depth in enumerate(distance):
        places = np.argwhere(depth > 0.5)
        if count and len(places):
            points[row], labels[row] = places[rng.integers(len(places), size=count), ::-1], POSITIVE
    return points, labels


def _nothing(rows: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((rows, count, 2), np.float32), np.full((rows, count), UNUSED, np.int64)


def _masks(sac: SAC, features: Tensor, points: np.ndarray, labels: np.ndarray) -> Tensor:
    """Logits (B, side, side) of each crop's mask. points (B, P, 2) in pixels of the crop."""
    prompts = TokenPrompts(
        image=torch.arange(len(features), device=features.device),
        points=torch.from_numpy(points).to(features.device) * (sac.frame / sac.config.tile),
        labels=torch.from_numpy(labels).to(features.device),
        origins=torch.zeros(len(features), 2, dtype=torch.long, device=features.device),
    )
    logits, _ = sac.decode(features, prompts, whole=True)
    return F.interpolate(logits[:, SEMANTIC_MASK, None].float(), size=(sac.config.tile,) * 2, mode="bilinear")[:, 0]


def one_mask(count: int) -> Method:
    """The method of a SAM that learnt `OneMaskLesson`, with `count` points of an expert on each tile."""

    def method(subject: Subject) -> np.ndarray:
        return parted(_whole_mask(subject, count), subject.diameter, subject.smallest)

    return method


@torch.inference_mode()
def _whole_mask(subject: Subject, count: int) -> np.ndarray:
    """The mask (H, W) bool of a picture, tile by tile, averaged over the mirrorings that SAC's map is averaged over."""
    sac = subject.sac
    tiled = Tiled.of(sac, subject.pixels, subject.scale, SegmentOptions().overlap)
    points, labels = _asked(subject, tiled.tiles, count)
    logits: list[Tensor] = []
    for crops in tiled.crops(sac):
        first = sum(map(len, logits))
        rows = slice(first, first + len(crops))
        with fast(sac.sam.device):
            seen = (_seen_mirrored(sac, crops, points[rows], labels[rows], axes) for axes in FLIPS)
            logits.append(sum(seen) / len(FLIPS))
    return tiled.whole(torch.cat(logits)[:, None])[0] > 0


def _seen_mirrored(sac: SAC, crops: Tensor, points: np.ndarray, labels: np.ndarray, axes: tuple[int, ...]) -> Tensor:
    """Logits (T, side, side) of crops (T, 3, side, side) that are shown mirrored along `axes`, turned back."""
    there = [points[..., 0], points[..., 1]]
    for axis in axes:
        there[3 - axis] = sac.config.tile - 1 - there[3 - axis]
    features = sac.encode(crops.flip(axes), adapted=False).float()
    return _masks(sac, features, np.stack(there, axis=-1), labels).flip([axis - 1 for axis in axes])


def _asked(subject: Subject, tiles: list[Tile], count: int) -> tuple[np.ndarray, np.ndarray]:
    """What the expert says of each tile, in pixels of the tile."""
    points, labels = _nothing(len(tiles), max(1, count))
    if not count:
        return points, labels
    expert, scale = subject.expert, subject.scale
    for row, tile in enumerate(tiles):
        top, left, side = (round(v / scale) for v in (tile.y, tile.x, tile.side))
        window = (slice(top, min(top + side, len(expert.truth))), slice(left, min(left + side, expert.truth.shape[1])))
        found = expert.within(window, count)
        points[row, : len(found)] = (found + 0.5) * scale - 0.5 - np.array([tile.x, tile.y], np.float32)
        labels[row, : len(found)] = POSITIVE
    return points, labels
