"""Who has come in: sessions of those who logged in, and links that guests came with. In memory: a restart logs out."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sac.logins import Accounts

WEEK = 7 * 24 * 3600.0
"""Seconds after which one logs in again."""
MOST = 10_000
"""Sessions and links that are remembered; beyond it the oldest go."""
FRESH = 1.0
"""Seconds for which an answer about a link is believed, so that a page of many requests asks once."""
GUEST = "link:"
"""How a guest's name begins. Nobody can log in under one: a name in the file of passwords has no colon."""
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
"""What a link's token looks like. Anything else is none, and nobody is asked."""


@dataclass(frozen=True)
class Session:
    """proof: `Accounts.proof` at the login, so that a new password, or none, ends the sessions of the old one."""

    name: str
    proof: str
    until: float


class Sessions:
    """Tokens of those who logged in."""

    def __init__(self, accounts: Accounts, clock: Callable[[], float] = time.monotonic):
        self.accounts, self.clock = accounts, clock
        self.open: OrderedDict[str, Session] = OrderedDict()

    def begin(self, name: str) -> str:
        token = secrets.token_urlsafe(32)
        self.open[token] = Session(name, self.accounts.proof(name), self.clock() + WEEK)
        while len(self.open) > MOST:
            self.open.popitem(last=False)
        return token

    def name(self, token: str) -> str | None:
        """Whose session it is, if it still is one."""
        session = self.open.get(token)
        if session is None:
            return None
        if session.until <= self.clock() or session.proof != self.accounts.proof(session.name):
            self.end(token)
            return None
        return session.name

    def end(self, token: str) -> None:
        self.open.pop(token, None)


class Links:
    """Whether a link is valid: asked anew with every request, so that it ends when it is revoked."""

    def __init__(self, is_link: Callable[[str], bool], clock: Callable[[], float] = time.monotonic):
        self.is_link, self.clock = is_link, clock
        self.asked: OrderedDict[str, tuple[bool, float]] = OrderedDict()

    def valid(self, token: str) -> bool:
        if not TOKEN.fullmatch(token):
            return False
        answer, until = self.asked.get(token, (False, 0.0))
        if until <= self.clock():
            answer = bool(self.is_link(token))
            self.asked[token] = answer, self.clock() + FRESH
            self.asked.move_to_end(token)
            while len(self.asked) > MOST:
                self.asked.popitem(last=False)
        return answer


def guest(token: str) -> str:
    """The name of whoever comes with a link; the link cannot be told from it."""
    return f"{GUEST}{hashlib.sha256(token.encode()).hexdigest()[:16]}"
