"""Whose a tab is. Gradio knows a tab by a name that the browser made up, and hands its work to whoever says that name."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable
from urllib.parse import unquote

from starlette.requests import Request

from sac.ui.serving.headers import path_of

HEARTBEAT = "/gradio_api/heartbeat/"
STREAM = "/gradio_api/queue/data"
ASKING = ("/gradio_api/queue/join", "/gradio_api/cancel", "/gradio_api/reset", "/gradio_api/run/", "/gradio_api/call/")
"""Begin the addresses whose JSON names the tab."""
MOST = 1000
"""Tabs that one member may have; beyond it, the one that was used longest ago is anybody's."""
MOST_OF_GUEST = 20
"""Tabs that may be open by one link: each may hold a picture."""


class Tabs:
    """The tabs that are open, and who came in by each."""

    def __init__(self):
        self.of: dict[str, str] = {}
        self.by: dict[str, OrderedDict[str, None]] = {}

    def claim(self, tab: str, names: Iterable[str], is_guest: bool) -> int:
        """200 where a tab belongs to one of these names, or to nobody so far; 403 or 429 where it may not be used."""
        names = tuple(names)
        owner = self.of.get(tab)
        if owner is None:
            owner, mine = names[0], self.by.setdefault(names[0], OrderedDict())
            if is_guest and len(mine) >= MOST_OF_GUEST:
                return 429
            while len(mine) >= MOST:
                self.release(next(iter(mine)))
            self.of[tab], mine[tab] = owner, None
        if owner not in names:
            return 403
        self.by[owner].move_to_end(tab)
        return 200

    def release(self, tab: str) -> None:
        """The tab was closed."""
        owner = self.of.pop(tab, None)
        if owner is not None:
            del self.by[owner][tab]
            if not self.by[owner]:
                del self.by[owner]


def is_asking(request: Request) -> bool:
    """Whether the body has to be read to know the tab."""
    return request.method == "POST" and path_of(request).startswith(ASKING)


def named(request: Request) -> str | None:
    """The tab that an address names."""
    path = path_of(request)
    if path.startswith(HEARTBEAT):
        return unquote(path.removeprefix(HEARTBEAT)).rstrip("/")
    return request.query_params.get("session_hash") if path.startswith(STREAM) else None


def anew(body: bytes) -> bytes:
    """JSON written anew, so that all who read it read the same: a name may stand there twice. Other content as it is."""
    told = _object(body)
    return body if told is None else json.dumps(told).encode()


def named_in(body: bytes) -> str | None:
    """The tab that a body names."""
    tab = (_object(body) or {}).get("session_hash")
    return tab if isinstance(tab, str) else None


def _object(body: bytes) -> dict | None:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None
