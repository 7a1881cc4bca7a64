"""Vanilla SAM's "everything" mode: segment-anything's own automatic mask generator, on one tile."""

from __future__ import annotations

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator

from sac.model.sac import ENCODING, SAC

POINTS_PER_SIDE = 12
"""Points of the grid along a tile's side: closer than nuclei are wide, as the tile is scaled."""
PREDICTED_IOU, STABLE = 0.5, 0.7
"""Thresholds in place of Meta's .88 and .95, under which a small base returns next to nothing."""
LARGEST = 0.25
"""Share of the tile from which a mask is the ground, not an object."""


@torch.inference_mode()
def everything(sac: SAC, tile: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Masks (H, W) bool with their predicted IoU, of a tile (H, W, 3) uint8 RGB. The adapter is off."""
    generator = SamAutomaticMaskGenerator(
        sac.sam, POINTS_PER_SIDE, pred_iou_thresh=PREDICTED_IOU, stability_score_thresh=STABLE
    )
    with ENCODING, sac.unadapted():
        found = generator.generate(np.ascontiguousarray(tile))
    most = LARGEST * tile.shape[0] * tile.shape[1]
    return [(mask["segmentation"], mask["predicted_iou"]) for mask in found if mask["area"] < most]
