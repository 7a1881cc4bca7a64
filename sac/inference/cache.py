"""Image embeddings kept by what they are of, within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from sac.inference.predictor import Embedding


class EmbeddingCache:
    """The most recently used embeddings, for all visitors together.

    A key says picture (by digest of its pixels), model and settings, so that only equal work is shared. Of two that
    want the same embedding at once, one computes and the other waits.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self._kept: OrderedDict[Hashable, Embedding] = OrderedDict()
        self._computing: dict[Hashable, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Embedding]) -> Embedding:
        """The embedding of `key`, made where it is not kept."""
        with self._guard:
            computing = self._computing.setdefault(key, threading.Lock())
        try:
            with computing:
                found = self._found(key)
                if found is None:
                    found = make()
                    self._keep(key, found)
                return found
        finally:
            with self._guard:
                self._computing.pop(key, None)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        with self._guard:
            return sum(e.nbytes for e in self._kept.values())

    def _found(self, key: Hashable) -> Embedding | None:
        with self._guard:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, embedding: Embedding) -> None:
        """One that alone is over the budget is kept until the next comes: it is the one being worked on."""
        with self._guard:
            self._kept[key] = embedding
            while len(self._kept) > 1 and sum(e.nbytes for e in self._kept.values()) > self.budget:
                self._kept.popitem(last=False)
