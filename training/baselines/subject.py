"""What a method is shown: a picture, the model at hand, and an expert to ask where the method needs one."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sac.config import SegmentOptions
from sac.inference.predictor import Embedding, embed
from sac.inference.scale import estimate_scale
from sac.model.sac import SAC
from training.baselines.expert import Expert


class Subject:
    """A picture (H, W, 3) uint8 and a model. Methods share its embeddings, but each is charged their time.

    scale: magnification that every method works at; 0 lets the model's generator measure the nuclei. truth: label map
    (H, W), which the expert alone may look at.
    """

    def __init__(self, sac: SAC, pixels: np.ndarray, truth: np.ndarray | None = None, scale: float = 0.0):
        self.sac, self.pixels, self._truth, self._scale = sac, pixels, truth, scale
        self._embeddings: dict[bool, tuple[Embedding, float]] = {}
        self._reused = 0.0

    @property
    def scale(self) -> float:
        if not self._scale:
            self._scale = estimate_scale(self.sac, self.pixels)
        return self._scale

    @property
    def diameter(self) -> float:
        """Of the nuclei that the model looks for, in pixels of the picture."""
        return self.sac.config.diameter / self.scale

    @property
    def expert(self) -> Expert:
        if self._truth is None:
            raise ValueError("this method asks an expert, and there is no truth to tell one")
        return Expert(self._truth)

    def embedding(self, adapted: bool = True) -> Embedding:
        if adapted in self._embeddings:
            self._reused += self._embeddings[adapted][1]
        else:
            begun = time.perf_counter()
            found = embed(self.sac, self.pixels, self.scale, SegmentOptions(adapted=adapted))
            self._embeddings[adapted] = found, time.perf_counter() - begun
        return self._embeddings[adapted][0]

    def timed(self, method: Method) -> tuple[np.ndarray, float]:
        """A method's label map (H, W) and its seconds, as if it had been alone."""
        self._reused, begun = 0.0, time.perf_counter()
        found = method(self)
        return found, time.perf_counter() - begun + self._reused


Method = Callable[[Subject], np.ndarray]
"""A subject to a label map (H, W) int32."""
