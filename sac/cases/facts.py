"""What is told of cases: small values, and who may do what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["view", "edit", "own"]
LEVELS = ("view", "edit", "own")
"""Each includes those before it."""

GONE = "There is no such case here, or the link to it has expired or was revoked."
"""The same for a case that is unknown, somebody else's or deleted, and for a link of any such kind."""


@dataclass(frozen=True)
class Owner:
    """Whoever a case belongs to: a login, the one at the machine, or the holder of a browser's key."""

    name: str


@dataclass(frozen=True)
class Link:
    """Whoever came by a link."""

    token: str


Who = Owner | Link


@dataclass(frozen=True)
class Case:
    """A case as somebody may see it. made, changed: seconds; size: bytes; thumbnail: JPEG; level: of who asked."""

    id: str
    name: str
    made: float
    changed: float
    version: int
    author: str
    nuclei: int
    size: int
    level: Level
    thumbnail: bytes


@dataclass(frozen=True)
class Version:
    """A state that was saved. beside: the version that somebody else had saved meanwhile, 0 where nobody had."""

    number: int
    author: str
    at: float
    nuclei: int
    beside: int


@dataclass(frozen=True)
class LinkFacts:
    """A link without its token, which is told once."""

    id: int
    level: Level
    made: float
    expires: float
    revoked: bool
    openings: int
    last_opened: float | None
    note: str


@dataclass(frozen=True)
class Comment:
    """A comment pinned to (x, y) in pixels of the picture."""

    id: int
    x: float
    y: float
    text: str
    author: str
    at: float
    done: bool
