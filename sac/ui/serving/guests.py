"""What a guest may do who came with a link, without an account: look at the page, and use its buttons.

Four rules, which need not know the page:

1. A guest reaches the page, what it is drawn with, and the queue of its events; no other address. So there is no
   upload, and no endpoint for programs.
2. An event of a guest carries no file: neither one that lies here already nor one that would be fetched for him.
3. An event of a guest is a button of the page (`api_visibility="private"`), and none that is marked `members_only`.
4. Guests by one link have so many tabs, and ask so often; see `Pace` and `tabs`.

What a case lets its guest see and change is the case's matter, which asks the link itself.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from sac.ui.serving.headers import path_of

PAGES = ("/", "/config", "/config/", "/theme.css", "/gradio_api/theme.css", "/gradio_api/queue/data")
FILES = ("/assets/", "/static/", "/svelte/", "/gradio_api/file=", "/gradio_api/heartbeat/")
JOIN = "/gradio_api/queue/join"
ACTIONS = (JOIN, "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/reset/")
LARGEST = 4 * 2**20
"""Bytes of an event: orders of the page are far smaller."""
DEEPEST = 40
MODEL = "inference"
"""The queue of events for which the model works."""
MOST_GUESTS = 10_000
MARK = "members_only"


@dataclass(frozen=True)
class Allowance:
    """So many at once, and so many each second from then on."""

    at_once: float
    each_second: float


SLOW, QUICK = Allowance(4, 0.2), Allowance(60, 4.0)
"""What a link may ask of the model, and in all: a guest may work, but not keep others from it."""

Refusal = tuple[int, str]
Event = dict[str, Any]


def members_only(function: Callable) -> Callable:
    """Marks a handler of the page that guests may not call. Above other decorators."""
    setattr(function, MARK, True)
    return function


def may_reach(request: Request) -> bool:
    path = path_of(request)
    if request.method in ("GET", "HEAD"):
        return path in PAGES or path.startswith(FILES)
    return request.method == "POST" and path in ACTIONS


def screened(body: bytes, events: Callable[[int], Any]) -> Event | Refusal:
    """A guest's event, if it may run; else status and reason. events: Gradio's function by its number, or None."""
    if len(body) > LARGEST:
        return 413, "That is too much for one request"
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return 400, "That is no request of this page"
    if not isinstance(event, dict) or not _may_run(event.get("fn_index"), events):
        return 403, "Only who has an account may do that"
    if holds_file(event):
        return 403, "Only who has an account may bring files"
    return event


def holds_file(value: Any, depth: int = 0) -> bool:
    """Whether Gradio would take a part of it for a file, or it is too deep to tell."""
    if depth > DEEPEST:
        return True
    if isinstance(value, dict):
        return isinstance(value.get("path"), str) or any(holds_file(part, depth + 1) for part in value.values())
    return isinstance(value, list) and any(holds_file(part, depth + 1) for part in value)


class Pace:
    """How often each guest may ask for something."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self.clock = clock
        self.left: OrderedDict[tuple[str, bool], tuple[float, float]] = OrderedDict()

    def allows(self, guest: str, is_slow: bool) -> bool:
        """Counts one more; False where that is too many."""
        allowance, now = SLOW if is_slow else QUICK, self.clock()
        left, since = self.left.pop((guest, is_slow), (allowance.at_once, now))
        left = min(allowance.at_once, left + (now - since) * allowance.each_second)
        self.left[guest, is_slow] = max(0.0, left - 1), now
        while len(self.left) > MOST_GUESTS:
            self.left.popitem(last=False)
        return left >= 1


def is_slow(event: Event, events: Callable[[int], Any]) -> bool:
    """Whether the model works for it, one event after the other."""
    return events(event["fn_index"]).concurrency_id == MODEL


def _may_run(number: Any, events: Callable[[int], Any]) -> bool:
    event = events(number) if type(number) is int else None
    return event is not None and event.api_visibility == "private" and not getattr(event.fn, MARK, False)
