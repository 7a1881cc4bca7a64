"""The way in: a name and a password, or the link to a case."""

from __future__ import annotations

import asyncio
import html
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from sac.logins import Accounts
from sac.ui.serving.guessing import Guesses, in_words
from sac.ui.serving.headers import Site, is_secure, path_of
from sac.ui.serving.sessions import TOKEN, WEEK, Links, Sessions, guest

PAGE = Template((Path(__file__).parent / "login.html").read_text(encoding="utf-8"))
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'self'"
LOGGED_IN, LINKS = "sac-login", "sac-links"
"""Cookies: a session's token; the links that a browser came with, the last one first."""
MOST_LINKS = 8
LARGEST = 4096
"""Bytes of a login form."""
WAITING = 32
"""Logins that wait for their turn: each try takes time and memory by intention."""
WRONG = "Name or password is wrong."


@dataclass
class Entry:
    """Says who a request comes from, and lets in or sends away."""

    accounts: Accounts
    is_link: Callable[[str], bool]
    site: Site
    guesses: Guesses = field(default_factory=Guesses)
    sessions: Sessions = field(init=False)
    links: Links = field(init=False)

    def __post_init__(self):
        self.sessions, self.links = Sessions(self.accounts), Links(self.is_link)
        self._turn, self._waiting = asyncio.Lock(), 0

    async def visitor(self, request: Request) -> str | None:
        """The name of who logged in, "link:..." for a guest, None for anybody else."""
        name = self.sessions.name(request.cookies.get(LOGGED_IN, ""))
        return name or await run_in_threadpool(self._guest, request)

    async def guests(self, request: Request) -> list[str]:
        """All names of guests that a request may go by: a browser may carry several links."""
        tokens = dict.fromkeys(token for token in [*_tokens(request), *_carried(request)] if TOKEN.fullmatch(token))
        return await run_in_threadpool(lambda: [guest(token) for token in tokens if self.links.valid(token)])

    def cookie_of_guest(self, request: Request) -> str:
        """What the answer to a guest's arrival sets, so that the page's further requests are his, too."""
        tokens = [token for token in [*_tokens(request), *_carried(request)] if TOKEN.fullmatch(token)]
        return self._cookie(request, LINKS, ".".join(list(dict.fromkeys(tokens))[:MOST_LINKS]))

    async def login(self, request: Request) -> Response:
        """The answer to a form with `username` and `password`: from the page, or from a program (gradio_client)."""
        form = parse_qs((await _body(request)).decode(errors="replace"))
        name, password = (form.get(key, [""])[0] for key in ("username", "password"))
        address = request.client.host if request.client else ""
        if self._waiting >= WAITING:
            return self.refused(request, 503, "Too many people log in at this moment; try again soon.")
        self._waiting += 1
        try:
            async with self._turn:  # one try after the other, so that many at once are counted, too
                return await self._tried(request, name.strip(), password, address)
        finally:
            self._waiting -= 1

    async def _tried(self, request: Request, name: str, password: str, address: str) -> Response:
        wait = self.guesses.wait(name, address)
        if wait:
            said = f"Too many wrong passwords; try again in {in_words(wait)}."
            return self.refused(request, 429, said, {"retry-after": str(int(wait) + 1)})
        if not await run_in_threadpool(self.accounts.check, name, password):
            self.guesses.wrong(name, address)
            return self.refused(request, 401, WRONG)
        self.guesses.right(name, address)
        answer = RedirectResponse("./", 303) if _is_page(request) else JSONResponse({"success": True})
        cookie = self._cookie(request, LOGGED_IN, self.sessions.begin(name), int(WEEK))
        answer.headers.append("set-cookie", cookie)
        return answer

    def logout(self, request: Request) -> Response:
        self.sessions.end(request.cookies.get(LOGGED_IN, ""))
        answer = RedirectResponse("./", 303)
        for name in (LOGGED_IN, LINKS):
            answer.headers.append("set-cookie", self._cookie(request, name, "", 0))
        return answer

    def refused(
        self, request: Request, status: int = 401, said: str = "", headers: dict[str, str] | None = None
    ) -> Response:
        """The login page where a person looks, a sentence of JSON elsewhere."""
        if not _is_page(request):
            return JSONResponse({"detail": said or "Not authenticated"}, status, headers)
        if not said and "case" in request.query_params:
            said = "This link does not exist, was withdrawn, or has expired."
        return HTMLResponse(
            PAGE.substitute(said=html.escape(said)), status, {"content-security-policy": POLICY, **(headers or {})}
        )

    def _guest(self, request: Request) -> str | None:
        token = next((token for token in _tokens(request) if self.links.valid(token)), None)
        return guest(token) if token else None

    def _cookie(self, request: Request, name: str, value: str, age: int | None = None) -> str:
        """On a Space the page is in a frame of another site's, where only such cookies are sent as are for that."""
        reach = "SameSite=None; Secure; Partitioned" if self.site.space else "SameSite=Lax"
        secure = "; Secure" if is_secure(request) and not self.site.space else ""
        return f"{name}={value}; Path=/; HttpOnly; {reach}{secure}" + (f"; Max-Age={age}" if age is not None else "")


def arrives(request: Request) -> bool:
    """Whether the page itself is asked for."""
    return path_of(request) == "/" and request.method in ("GET", "HEAD")


def _tokens(request: Request) -> list[str]:
    """The link that a request names: the page's address has it, and Gradio repeats it with each event of that tab.

    Only where none is named do the cookie's count: two tabs with two links stay two guests.
    """
    named = request.query_params.getlist("case")
    return [token for token in named or _carried(request) if TOKEN.fullmatch(token)][:MOST_LINKS]


def _carried(request: Request) -> list[str]:
    return request.cookies.get(LINKS, "").split(".")


def _is_page(request: Request) -> bool:
    """Whether the answer is for a person's eyes."""
    sent = path_of(request).startswith("/login") and "text/html" in request.headers.get("accept", "")
    return arrives(request) or sent


async def _body(request: Request) -> bytes:
    """A form's bytes; none, where it is larger than a login can be."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            return b""
    return bytes(body)
