"""The quick mode's embeddings: each crop of its pool goes through the image encoder once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from sac.model.sac import SAC, fast
from training.crops import POOL, Crops
from training.disk import room, written_whole
from training.places import EMBEDDINGS

AT_ONCE = 4


def embeddings(sac: SAC, crops: Crops, out: Path, kept: bool) -> Tensor:
    """Embeddings (POOL, C, h, w) float32 of all crops of the pool, written to `out`.

    kept: those that lie there are of this training, and are taken.
    """
    path = out / EMBEDDINGS
    if not (kept and path.exists()):
        features = _embedded(sac, crops)
        with room(), written_whole(path) as partial:
            save_file({"features": features}, partial)
    return load_file(path)["features"]


@torch.no_grad()
def _embedded(sac: SAC, crops: Crops) -> Tensor:
    found = []
    for first in tqdm(range(0, POOL, AT_ONCE), desc="embedding", disable=None):
        images = np.stack([crops.cut(number)[0] for number in range(first, min(first + AT_ONCE, POOL))])
        batch = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).to(sac.sam.device).float()
        with fast(sac.sam.device):
            found.append(sac.encode(batch).float().cpu())
    return torch.cat(found).contiguous()
