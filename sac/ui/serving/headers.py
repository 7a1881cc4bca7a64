"""What every answer tells the browser, and which requests come from another's page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import Message, Send

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
KEPT = ("/assets/", "/static/", "/svelte/")
"""Files of Gradio's own, which a browser may keep. Nothing else is."""
PLAIN = {
    "referrer-policy": "same-origin",  # "no-referrer" would make a form's Origin "null", as if another page had sent it
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), display-capture=()",
}
PAGE = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; form-action 'self'"
)
"""No script, picture or request from or to another host. Gradio's page has scripts inline and makes functions of text."""
FILE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
"""A file that is opened by its address, such as an SVG, runs nothing."""
NOBODY, HUB = "'self'", "'self' https://huggingface.co"
"""Who may show the page in a frame: nobody else; on a Space, the Hub."""


@dataclass(frozen=True)
class Site:
    """Where the page is served.

    hosts: the names it answers to, None for any. space: in a frame of the Hub's. public: the names that visitors know
    it by, should a proxy between them and this server use another.
    """

    hosts: frozenset[str] | None = LOOPBACK
    space: bool = False
    public: frozenset[str] = frozenset()

    def knows(self, request: Request) -> bool:
        """Whether the request is for this page. A page elsewhere can point its own name at this machine, and would
        be let in by the browser as its own server (DNS rebinding); the name it uses gives it away."""
        return self.hosts is None or name_of(request.headers.get("host", "")) in self.hosts


def path_of(request: Request) -> str:
    """The path by which Starlette finds who answers: without the prefix that GRADIO_ROOT_PATH sets."""
    path, root = request.scope["path"], request.scope.get("root_path", "").rstrip("/")
    return (path.removeprefix(root) or "/") if root and f"{path}/".startswith(f"{root}/") else path


def name_of(host: str) -> str:
    """A host without its port, in small letters; "" where it is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_foreign(request: Request, site: Site) -> bool:
    """Whether another site's page asks, in the name of whoever looks at it.

    Such a page may link here, or show the page in a frame where that is allowed, but get nothing else. Programs send
    none of these headers.
    """
    headers = request.headers
    if "origin" in headers:
        place = _place(headers["origin"])
        own = {_place(f"//{host}") for host in _own(request)}
        return place is None or (place not in own and place[0] not in site.public)
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    arriving = headers.get("sec-fetch-mode") == "navigate" and request.method in ("GET", "HEAD")
    return not (arriving and path_of(request) == "/")


def _own(request: Request) -> list[str]:
    """The hosts this page goes by: as asked for, and as a proxy says that it was. No foreign page can set the latter."""
    told = request.headers.get("x-forwarded-host", "").split(",")[0].strip()
    return [host for host in (request.headers.get("host", ""), told) if host]


def _place(origin: str) -> tuple[str, int] | None:
    """Host and port; None where an origin has none ("null"), which is never ours."""
    try:
        parts = urlsplit(origin)
        return (parts.hostname, parts.port if parts.port not in (None, 80, 443) else 0) if parts.hostname else None
    except ValueError:
        return None


def is_secure(request: Request) -> bool:
    """Whether the visitor came by https, here or at a proxy."""
    told = request.headers.get("x-forwarded-proto", "").split(",")[0].strip()
    return "https" in (request.url.scheme, told)


def with_headers(send: Send, request: Request, site: Site) -> Send:
    """`send` that adds our headers to the answer's own, and takes away Gradio's, which admit every site."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            _dress(MutableHeaders(scope=message), request, site)
        await send(message)

    return sending


def _dress(headers: MutableHeaders, request: Request, site: Site) -> None:
    for name in [name for name in headers if name.startswith("access-control-")]:
        del headers[name]
    headers.update(PLAIN)
    path = path_of(request)
    policy = FILE if path.startswith("/gradio_api/file") else headers.get("content-security-policy", PAGE)
    headers["content-security-policy"] = f"{policy}; frame-ancestors {HUB if site.space else NOBODY}"
    if not site.space:
        headers["x-frame-options"] = "SAMEORIGIN"
    if is_secure(request) or name_of(request.headers.get("host", "")) in LOOPBACK:
        headers["cross-origin-opener-policy"] = "same-origin"  # elsewhere browsers ignore it, and complain
    if not path.startswith(KEPT):
        headers["cache-control"] = "no-store"
