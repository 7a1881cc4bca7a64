"""The case that a picture on a desk belongs to, and what its visitor may do with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sac.cases import Cases, Level, Owner, Who
from sac.config import data_folder
from sac.errors import CaseError


@dataclass(frozen=True)
class Held:
    """A case as a tab holds it. who: by what right; version: the one that the tab's work began from.

    What `who` may do is asked of the store each time: a link may be revoked while a tab is open.
    """

    id: str
    who: Who
    name: str
    version: int
    level: Level
    notes: str = ""

    @property
    def is_mine(self) -> bool:
        return isinstance(self.who, Owner)

    def allow(self, level: Level) -> None:
        """Raises CaseError where it may not, or no longer, be used at `level`."""
        cases().allowed(self.id, self.who, level)


def cases() -> Cases:
    """The cases of this machine's data folder."""
    return _cases(data_folder())


def is_link(token: str) -> bool:
    """Whether a token is that of a link which opens a case now."""
    try:
        cases().of_link(token)
    except CaseError:
        return False
    return True


@lru_cache(maxsize=4)
def _cases(folder: Path) -> Cases:
    """A place that the page might serve is refused: see `Cases`. folder: which it is, for the cache."""
    return Cases()
