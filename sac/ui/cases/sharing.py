"""Links to the case of the picture shown: made, listed, revoked."""

from __future__ import annotations

from typing import Any

from sac.errors import CaseError
from sac.ui.cases.held import Held, cases
from sac.ui.cases.panel import links_shown
from sac.ui.desk import Desk, at
from sac.ui.errors import shows_errors

ADDRESS = """token => ({
    __type__: 'update', visible: true, value: `${location.origin}${location.pathname}?case=${encodeURIComponent(token)}`
})"""
"""Only the browser knows under which address it found the page."""


@shows_errors
def make(desk: Desk | None, level: str, days: float, note: str) -> tuple[Any, ...]:
    """A new link. Returns its token, which is told this once, and the links as the panel shows them."""
    held = _own(desk)
    _, token = cases().link(held.id, held.who, level, int(days), note)
    return token, *links_shown(held)


@shows_errors
def revoke(desk: Desk | None, link: int | None) -> tuple[Any, ...]:
    """From now on, the link opens nothing."""
    held = _own(desk)
    if link is None:
        raise CaseError("Choose the link to revoke first")
    cases().revoke(held.id, held.who, link)
    return links_shown(held)


def _own(desk: Desk | None) -> Held:
    """The case of the picture shown, which has to be the visitor's own."""
    held = at(desk).picture.held
    if held is None:
        raise CaseError("This picture is not kept as a case yet: save it first")
    held.allow("own")
    return held
