"""Starts the server: a page, behind its door."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import App, ORJSONResponse
from starlette.types import ASGIApp

from sac.config import data_folder
from sac.errors import OptionError
from sac.logins import Accounts
from sac.ui.serving.door import Door, visitor_of
from sac.ui.serving.entry import Entry
from sac.ui.serving.headers import LOOPBACK, Site, name_of
from sac.ui.serving.share import NO_LOGINS

IsLink = Callable[[str], bool]
FIXED = {
    "share": False, "quiet": True, "enable_monitoring": False, "mcp_server": False, "ssr_mode": False, "num_workers": 0,
    "prevent_thread_lock": True,
}  # fmt: skip
"""No second server beside this one, neither Node's nor Gradio's own for files: they would not pass the door."""


@dataclass(frozen=True)
class Serving:
    """How the page is served, and to whom."""

    host: str = ""
    """Address to listen on; "" is GRADIO_SERVER_NAME, else this machine alone."""
    port: int | None = None
    """None: the first free one from 7860 on."""
    share: bool = False
    """Whether a public link shall be made. Needs auth_file."""
    auth_file: Path | None = None
    """Who may log in. None: everybody who reaches the page may use it."""

    def __post_init__(self):
        if self.share and not self.auth_file:
            raise OptionError(NO_LOGINS)
        if self.port is not None and not 1 <= self.port <= 65535:
            raise OptionError(f"port {self.port} is outside 1 to 65535")

    @property
    def address(self) -> str:
        return self.host or os.environ.get("GRADIO_SERVER_NAME", "") or "127.0.0.1"

    @property
    def site(self) -> Site:
        """A page for this machine alone answers to no other name; SAC_HOSTS adds those of a proxy before it."""
        space = bool(os.environ.get("SPACE_ID"))
        local = name_of(self.address) in LOOPBACK or self.address in LOOPBACK
        told = f"{os.environ.get('SAC_HOSTS', '')},{os.environ.get('SPACE_HOST', '')}".split(",")
        named = frozenset(name_of(host.strip()) for host in told if host.strip())
        return Site(LOOPBACK | named if local and not self.share and not space else None, space, named)


class Doored(App):
    """Gradio's application with a door around all of it, middleware included."""

    def __init__(self, page: gr.Blocks, site: Site, entry: Entry | None):
        self.made = lambda app: Door(app, site, entry, page.fns.get)
        super().__init__(
            auth_dependency=visitor_of if entry else None, default_response_class=ORJSONResponse, openapi_url=None
        )

    def build_middleware_stack(self) -> ASGIApp:
        return self.made(super().build_middleware_stack())


def no_link(token: str) -> bool:
    """For a page without cases."""
    return False


def serve(page: gr.Blocks, serving: Serving, is_link: IsLink = no_link, **settings: Any) -> str:
    """Launches a page and returns its address on this machine; the server runs on in threads of its own.

    is_link: whether a token is that of a link which is valid now; it lets a guest in. settings: for `launch`.
    Raises OptionError where the file of passwords is not as it should be, or no port is free.
    """
    site = serving.site
    entry = Entry(Accounts(serving.auth_file), is_link, site) if serving.auth_file else None
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "")  # uvicorn would believe whom a local proxy names as the visitor
    try:
        _, address, _ = page.launch(
            _app=Doored(page, site, entry),
            server_name=serving.address,
            server_port=serving.port,
            blocked_paths=_private(serving),
            **FIXED,
            **settings,
        )
    except OSError as error:
        raise OptionError(f"port {serving.port or '7860 and those after it'} is taken; --port names another") from error
    return address.rstrip("/")


def _private(serving: Serving) -> list[str]:
    """What Gradio is told to serve in no case, should a handler ever return its path."""
    names = [data_folder() / name for name in ("secret", "cases", "users", ".keeping")]
    return [str(path.absolute()) for path in [*names, serving.auth_file] if path]
