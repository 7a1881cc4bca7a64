"""What a guest may do who came with a link, without an account: look at the page, and use its buttons.

Three rules, which need not know the page:

1. A guest reaches the page, what it is drawn with, and the queue of its events; no other address. So there is no
   upload, and no endpoint for programs.
2. An event of a guest carries no file: neither one that lies here already nor one that would be fetched for him.
3. An event of a guest is a button of the page (`api_visibility="private"`), and none that is marked `members_only`.

What a case lets its guest see and change is the case's matter, which asks the link itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from starlette.requests import Request
from starlette.types import Message, Receive

from sac.ui.serving.headers import path_of

PAGES = ("/", "/config", "/config/", "/theme.css", "/gradio_api/theme.css", "/gradio_api/queue/data")
FILES = ("/assets/", "/static/", "/svelte/", "/gradio_api/file=", "/gradio_api/heartbeat/")
JOIN = "/gradio_api/queue/join"
ACTIONS = (JOIN, "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/reset/")
LARGEST = 4 * 2**20
"""Bytes of an event: orders of the page are far smaller."""
DEEPEST = 40
MARK = "members_only"

Refusal = tuple[int, str]


def members_only(function: Callable) -> Callable:
    """Marks a handler of the page that guests may not call. Above other decorators."""
    setattr(function, MARK, True)
    return function


def may_reach(request: Request) -> bool:
    path = path_of(request)
    if request.method in ("GET", "HEAD"):
        return path in PAGES or path.startswith(FILES)
    return request.method == "POST" and path in ACTIONS


async def screened(request: Request, events: Callable[[int], Any]) -> Receive | Refusal:
    """What the queue is to read: the guest's event, if it may run, written anew; else status and reason.

    events: Gradio's function by its number, or None.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
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
    return _replayed(json.dumps(event).encode(), request.receive)


def holds_file(value: Any, depth: int = 0) -> bool:
    """Whether Gradio would take a part of it for a file, or it is too deep to tell."""
    if depth > DEEPEST:
        return True
    if isinstance(value, dict):
        return isinstance(value.get("path"), str) or any(holds_file(part, depth + 1) for part in value.values())
    return isinstance(value, list) and any(holds_file(part, depth + 1) for part in value)


def _may_run(number: Any, events: Callable[[int], Any]) -> bool:
    event = events(number) if type(number) is int else None
    return event is not None and event.api_visibility == "private" and not getattr(event.fn, MARK, False)


def _replayed(body: bytes, after: Receive) -> Receive:
    """A request whose body was read already: gives this one, then what follows it."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return parts.pop() if parts else await after()

    return receive
