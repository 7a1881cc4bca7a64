"""What a method is shown: a picture, the model at hand, and an expert to ask where the method needs one."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from sac.config import SegmentOptions
from sac.inference.instances import SMALLEST
from sac.inference.predictor import Embedding, embed
from sac.inference.scale import estimate_scale
from sac.model.sac import SAC
from training.baselines.expert import Expert


class Subject:
    """A picture (H, W, 3) uint8 and a model. Methods share what is measured and embedded, but each is charged its time.

    scale: magnification that every method works at; 0 lets the model's generator measure the nuclei. truth: label map
    (H, W), which the expert alone may look at.
    """

    def __init__(self, sac: SAC, pixels: np.ndarray, truth: np.ndarray | None = None, scale: float = 0.0):
        self.sac, self.pixels, self._truth, self._scale = sac, pixels, truth, scale
        self._embeddings: dict[bool, tuple[Embedding, float]] = {}
        self._measuring, self._reused = 0.0, 0.0
        self._is_charged = False

    @property
    def scale(self) -> float:
        if not self._scale:
            begun = time.perf_counter()
            self._scale = estimate_scale(self.sac, self.pixels)
            self._measuring = time.perf_counter() - begun
        elif not self._is_charged:
            self._reused += self._measuring
        self._is_charged = True
        return self._scale

    @property
    def diameter(self) -> float:
        """Of the nuclei that the model looks for, in pixels of the picture."""
        return self.sac.config.diameter / self.scale

    @property
    def smallest(self) -> float:
        """Area, in pixels of the picture, below which a mask is noise."""
        return SMALLEST / self.scale**2

    @property
    def expert(self) -> Expert:
        if self._truth is None:
            raise ValueError("this method asks an expert, and there is no truth to tell one")
        return Expert(self._truth)

    def embedding(self, adapted: bool = True) -> Embedding:
        scale = self.scale
        if adapted in self._embeddings:
            self._reused += self._embeddings[adapted][1]
        else:
            begun = time.perf_counter()
            found = embed(self.sac, self.pixels, scale, SegmentOptions(adapted=adapted))
            self._embeddings[adapted] = found, time.perf_counter() - begun
        return self._embeddings[adapted][0]

    def timed(self, method: Method) -> tuple[np.ndarray, float]:
        """A method's label map (H, W) and its seconds, as if it had been alone."""
        self._reused, self._is_charged, begun = 0.0, False, time.perf_counter()
        found = method(self)
        return found, time.perf_counter() - begun + self._reused


Method = Callable[[Subject], np.ndarray]
"""A subject to a label map (H, W) int32."""
