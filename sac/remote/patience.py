"""Waiting for what may never come: a watch that ends by silence, not by length."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import TypeVar

from sac.remote.repository import Silence

SILENCE = 7
"""Seconds without news after which something is given up; an answer and its first file may be silent in turn."""
CRAWL = 2_000
"""Bytes that count as news: a server that drips is as good as a silent one."""
TICK = 0.1
"""Seconds between two looks."""

T = TypeVar("T")


class Meter:
    """What a piece of work tells of itself, bytes, and is told: that it was given up, and should end.

    is_here: whether it is busy with what came. That takes as long as this machine takes, and is no silence.
    """

    def __init__(self):
        self.bytes, self.given_up, self.is_here = 0, False, False

    @contextmanager
    def here(self) -> Iterator[None]:
        """Within it, nothing is waited for."""
        self.is_here = True
        try:
            yield
        finally:
            self.is_here = False


def patiently(work: Callable[[Meter], T], watch: Callable[[int], None] = lambda count: None) -> T:
    """What `work` returns or raises; Silence where it brings nothing for SILENCE seconds. watch: hears the bytes.

    The work has a thread of its own: neither the search for an address nor headers that come byte by byte end by the
    client's own timeouts. `watch` is called in the caller's thread.
    """
    meter, outcome = Meter(), Future()
    threading.Thread(target=_work, args=(work, meter, outcome), daemon=True).start()
    heard, since = 0, time.monotonic()
    try:
        while not wait([outcome], TICK).done:
            watch(meter.bytes)
            if meter.is_here or abs(meter.bytes - heard) >= CRAWL:
                heard, since = meter.bytes, time.monotonic()
            elif time.monotonic() - since > SILENCE:
                raise Silence(f"nothing for {SILENCE} s")
    finally:
        meter.given_up = True
    return outcome.result()


def _work(work: Callable[[Meter], T], meter: Meter, outcome: Future) -> None:
    try:
        outcome.set_result(work(meter))
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is raised again where it is waited for
        outcome.set_exception(error)
