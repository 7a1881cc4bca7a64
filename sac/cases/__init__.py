"""Cases: pictures and the work on them, kept in SQLite, shared by links that can be revoked."""

from sac.cases.facts import GONE, LEVELS, Case, Comment, Level, Link, LinkFacts, Owner, Version, Who
from sac.cases.packing import Variant, Work
from sac.cases.store import Cases

__all__ = [
    "GONE", "LEVELS", "Case", "Cases", "Comment", "Level", "Link", "LinkFacts", "Owner", "Variant", "Version", "Who",
    "Work",
]  # fmt: skip
