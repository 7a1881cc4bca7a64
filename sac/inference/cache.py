"""What is dear to make, kept by what it is of, within a budget of bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What knows the memory that it holds."""

    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Cache(Generic[T]):
    """The most recently used embeddings, or models, for all visitors together.

    An embedding's key says picture (by digest of its pixels), model and settings, so that only equal work is shared. Of
    two that want the same at once, one makes it and the other waits. What goes is only let go of: who uses it keeps it.
    What is kept by two keys counts once.
    """

    def __init__(self, budget: int):
        self.budget = budget
        self._kept: OrderedDict[Hashable, T] = OrderedDict()
        self._making: dict[Hashable, threading.Lock] = {}
        self._guard = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """What is kept of `key`, made where nothing is."""
        with self._guard:
            making = self._making.setdefault(key, threading.Lock())
        try:
            with making:
                found = self._found(key)
                if found is None:
                    found = make()
                    self._keep(key, found)
                return found
        finally:
            with self._guard:
                self._making.pop(key, None)

    @property
    def nbytes(self) -> int:
        """Bytes that are kept now."""
        with self._guard:
            return self._held()

    def _found(self, key: Hashable) -> T | None:
        with self._guard:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: Hashable, value: T) -> None:
        """One that alone is over the budget is kept until the next comes: it is the one being worked on."""
        with self._guard:
            self._kept[key] = value
            while len(self._kept) > 1 and self._held() > self.budget:
                self._kept.popitem(last=False)

    def _held(self) -> int:
        return sum({id(value): value.nbytes for value in self._kept.values()}.values())
