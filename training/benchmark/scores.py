"""What an answer is worth against the truth, in all the scores that a table may have."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np

from sac.gland_metrics import gland_scores
from sac.metrics import score


def scores(truth: np.ndarray, found: np.ndarray, glands: bool) -> dict[str, float]:
    """Scores by name, of label maps (H, W). glands: those of the GlaS challenge, too.

    Its Hausdorff distance is the picture's diagonal where nothing was found, in place of infinity: means stay finite.
    """
    told = score(truth, found).to_json()
    if glands:
        theirs = gland_scores(truth, found)
        told |= asdict(theirs) | {"object_hausdorff": min(theirs.object_hausdorff, float(np.hypot(*found.shape)))}
    return told
