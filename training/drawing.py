"""Pictures of how a training goes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image as PillowImage

from sac.overlay import borders, outlined
from training.disk import room, written_whole

TRUTH = (255, 255, 255)


def draw(path: Path, image: np.ndarray, truth: np.ndarray, found: np.ndarray) -> None:
    """An image as PNG: what was found in colours, the truth's borders in white below. There whole, or not at all."""
    drawn = image.copy()
    drawn[borders(truth)] = TRUTH
    with room():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as partial:
            PillowImage.fromarray(outlined(drawn, found)).save(partial, "PNG", compress_level=1)
