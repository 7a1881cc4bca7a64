"""The door: every request passes it before Gradio sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gradio.utils import get_upload_folder
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sac.ui.serving import guests
from sac.ui.serving.entry import Entry, arrives
from sac.ui.serving.headers import Site, is_foreign, path_of, with_headers
from sac.ui.serving.sessions import GUEST
from sac.ui.serving.tabs import HEARTBEAT, Tabs, anew, is_asking, named, named_in

VISITOR = "sac.visitor"
"""Where a request's scope says who it comes from."""
CLOSED = (
    "/monitoring", "/gradio_api/vibe-", "/gradio_api/undo-vibe-", "/gradio_api/process_recording",
    "/gradio_api/deep_link", "/gradio_api/proxy=", "/gradio_api/dev/", "/gradio_api/runs", "/gradio_api/run-history",
    "/gradio_api/profiling", "/gradio_api/custom_component", "/gradio_api/stream/", "/gradio_api/token",
    "/gradio_api/file/", "/gradio_api/mcp",
)  # fmt: skip
"""What Gradio has and this page does not use."""
OPEN = ("/gradio_api/startup-events", "/manifest.json", "/favicon.ico")
"""What needs no login: Gradio calls the first itself when it starts; browsers ask for the others without cookies."""
FILE = "/gradio_api/file="
LARGEST = 64 * 2**20
"""Bytes of JSON that whoever logged in may send at once; files go another way."""
NEVER = "User-agent: *\nDisallow: /"
NO_HOST = "This page answers to localhost only; start it with --host, or name its other addresses in SAC_HOSTS."


@dataclass
class Door:
    """An ASGI application around another.

    entry: None where everybody may come in. events: the function of Gradio's that has a number, or None.
    """

    app: ASGIApp
    site: Site
    entry: Entry | None
    events: Callable[[int], Any]
    tabs: Tabs = field(default_factory=Tabs)
    pace: guests.Pace = field(default_factory=guests.Pace)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})  # the page has none
        request = Request(scope, receive)
        send = with_headers(send, request, self.site)
        answer = self._turned_away(request)
        if answer is None and self.entry:
            answer, receive, send = await self._asked_in(request, receive, send)
        try:
            await (answer or self.app)(scope, receive, send)
        finally:
            if answer is None and path_of(request).startswith(HEARTBEAT):
                self.tabs.release(named(request))

    def _turned_away(self, request: Request) -> Response | None:
        """The answer to what nobody may ask."""
        if not self.site.knows(request):
            return PlainTextResponse(NO_HOST, 400)
        if is_foreign(request, self.site):
            return PlainTextResponse("Another site's page may not ask this.", 403)
        path = path_of(request)
        if path.startswith(CLOSED):
            return JSONResponse({"detail": "Not Found"}, 404)
        if path.startswith(FILE) and not _is_served(path.removeprefix(FILE)):
            return JSONResponse({"detail": "File not allowed"}, 403)
        return None

    async def _asked_in(self, request: Request, receive: Receive, send: Send) -> tuple[Response | None, Receive, Send]:
        """The answer to who may not come in, or None and what the page then reads and sends with."""
        path = path_of(request)
        if path.rstrip("/") == "/login" and request.method == "POST":
            return await self.entry.login(request), receive, send
        if path.rstrip("/") == "/logout" and request.headers.get("sec-fetch-dest", "document") == "document":
            return self.entry.logout(request), receive, send
        if path == "/robots.txt":
            return PlainTextResponse(NEVER), receive, send
        if path in OPEN:
            return None, receive, send
        visitor = await self.entry.visitor(request)
        if visitor is None:
            return self.entry.refused(request), receive, send
        request.scope[VISITOR] = visitor
        is_guest = visitor.startswith(GUEST)
        if is_guest and not guests.may_reach(request):
            return PlainTextResponse("Only who has an account may do that", 403), receive, send
        body = b""
        if is_asking(request):
            body = anew(await _body(request, guests.LARGEST if is_guest else LARGEST))
            receive = _replayed(body, receive)
        refusal = await self._of_another(request, visitor, body)
        if is_guest and not refusal:
            refusal = self._held_back(request, visitor, body)
        if refusal:
            status, said = refusal
            return JSONResponse({"detail": said}, status), receive, send
        if is_guest and arrives(request):
            send = _with_cookie(send, self.entry.cookie_of_guest(request))
        return None, receive, send

    async def _of_another(self, request: Request, visitor: str, body: bytes) -> guests.Refusal | None:
        """Why a request may not speak for the tab that it names."""
        tab = named_in(body) if body else named(request)
        if not tab:
            return None
        names = [visitor, *await self.entry.guests(request)]
        status = self.tabs.claim(tab, names, visitor.startswith(GUEST))
        said = {403: "This tab is somebody else's", 429: "Too many tabs are open by this link; close some"}
        return (status, said[status]) if status in said else None

    def _held_back(self, request: Request, visitor: str, body: bytes) -> guests.Refusal | None:
        """Why a guest's event may not run."""
        if path_of(request) != guests.JOIN:
            return None
        event = guests.screened(body, self.events)
        if isinstance(event, tuple):
            return event
        if not self.pace.allows(visitor, guests.is_slow(event, self.events)):
            return 429, "That was too much at once for a link; wait a moment"
        return None


def visitor_of(request: Request) -> str | None:
    """For Gradio's `auth_dependency`: who the door let in."""
    return request.scope.get(VISITOR)


def _is_served(asked: str) -> bool:
    """Whether it is a file below the folder of temporary files, wherever links and dots may lead; never an address."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", asked) or "\0" in asked:
        return False
    try:
        return Path(asked).resolve().is_relative_to(Path(get_upload_folder()).resolve())
    except (OSError, RuntimeError):  # a name too long, a ring of links
        return False


async def _body(request: Request, most: int) -> bytes:
    """A request's content; of a larger one, a piece that is too large."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            break
    return bytes(body)


def _replayed(body: bytes, after: Receive) -> Receive:
    """A request whose body was read already: gives this one, then what follows it."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return parts.pop() if parts else await after()

    return receive


def _with_cookie(send: Send, cookie: str) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
        await send(message)

    return sending
