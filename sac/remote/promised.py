"""A file as its repository describes it, and whether what came is that file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True)
class Promised:
    """path: its name in the repository; size in bytes; digest: SHA-256 of a large file (Git-LFS), else Git's SHA-1."""

    path: str
    size: int
    digest: str

    @property
    def is_complete(self) -> bool:
        """Whether enough is said of it to check it; what describes it is a stranger's JSON."""
        return (
            type(self.size) is int
            and self.size >= 0
            and isinstance(self.digest, str)
            and bool(DIGEST.fullmatch(self.digest))
        )

    def is_at(self, place: Path) -> bool:
        return place.is_file() and place.stat().st_size == self.size and digest_of(place, self.digest) == self.digest

    @staticmethod
    def by_place(place: Path) -> bool:
        """Whether a file of the cache is what its blob's name says. A copy, whose name says nothing, is believed."""
        named = place.resolve().name
        return place.is_file() and (not DIGEST.fullmatch(named) or digest_of(place, named) == named)

    def wrong_with(self, place: Path) -> str:
        """What is wrong with what came, in words; "" for nothing."""
        size = place.stat().st_size
        if size == self.size and digest_of(place, self.digest) == self.digest:
            return ""
        if is_page(place):
            return f"a web page came in place of {self.path}: a proxy, or a network that wants a sign-in, may stand between"
        if size != self.size:
            return f"{self.path} came with another size than the {self.size} bytes that the Hub says it has; try again"
        return f"{self.path} came with another digest than the Hub says it has: it was changed on its way; try again"


def digest_of(place: Path, like: str) -> str:
    """A file's digest, of the kind that `like` is."""
    with place.open("rb") as file:
        if len(like) == 64:
            return hashlib.file_digest(file, "sha256").hexdigest()
        digest = hashlib.sha1(b"blob %d\0" % place.stat().st_size, usedforsecurity=False)
        while piece := file.read(2**20):
            digest.update(piece)
        return digest.hexdigest()


def is_page(place: Path) -> bool:
    with place.open("rb") as file:
        return file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
