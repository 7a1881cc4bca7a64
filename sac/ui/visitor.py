"""Who asks: by login, by being at this machine, or by a key that lies in the browser."""

from __future__ import annotations

import hashlib
import os
import secrets
from contextlib import suppress

import gradio as gr

from sac.config import data_folder
from sac.ui.serving.sessions import GUEST

LOCAL = ("127.0.0.1", "::1", "localhost")
FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-real-ip", "forwarded", "via")


def visitor_key() -> gr.BrowserState:
    """The browser's key, "" at first. It is kept in the browser, encrypted with this machine's own secret."""
    return gr.BrowserState("", storage_key="segment-any-cell", secret=_secret())


def kept_key(key: str) -> str:
    """The key of a browser that has one, else a new one."""
    return key or secrets.token_urlsafe(24)


def owner_of(key: str, request: gr.Request) -> str:
    """Whose work a request may see: a name that tells nothing of the key.

    "login:NAME", "link:..." for a guest, "local", or "key:...". Whoever sits at the machine itself, without a login, is
    one and the same; behind a proxy, nobody does.
    """
    if request.username:
        if request.username.startswith(GUEST):
            return request.username
        return f"login:{request.username}"
    if _is_local(request):
        return "local"
    return f"key:{hashlib.sha256(key.encode()).hexdigest()}" if key else f"key:{secrets.token_hex(16)}"


def is_guest(owner: str) -> bool:
    """Whether somebody came by a link to a page on which others have logins."""
    return owner.startswith(GUEST)


def is_trusted(owner: str) -> bool:
    """Whether an owner may have this machine fetch gigabytes: who sits at it, and who has a login here."""
    return owner == "local" or owner.startswith("login:")


def _is_local(request: gr.Request) -> bool:
    host = request.headers.get("host", "").rsplit(":", 1)[0].strip("[]")
    forwarded = any(name in request.headers for name in FORWARDED)
    return host in LOCAL and request.client.host in LOCAL and not forwarded


def _secret() -> str:
    path = data_folder() / "secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), open(path, "x", opener=_private) as file:  # made once, kept from then on
        file.write(secrets.token_urlsafe(32))
    return path.read_text()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
