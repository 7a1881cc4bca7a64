"""How a picture is kept as a case and comes back: save, reload, older versions, comments, whoever arrives by a link."""

from __future__ import annotations

import re
import time
from typing import Any

import gradio as gr

from sac.cases import Link, Owner
from sac.errors import CaseChanged, CaseError, EditError, SacError
from sac.ui.canvas import SegCanvas, Value, case_of
from sac.ui.cases.held import Held, cases
from sac.ui.cases.panel import PANEL, shown
from sac.ui.cases.work import check_saved, hold, lay, work_of
from sac.ui.desk import Desk, at
from sac.ui.errors import shows_errors
from sac.ui.opening import EVERYTHING, Opening, seated
from sac.ui.orders import Order, number_of, order_of, place_of
from sac.ui.picture import Picture
from sac.ui.told import escaped, plain
from sac.ui.visitor import is_guest, owner_of

ID = re.compile(r"[0-9a-f]{16}")
"""What the address of one's own case names."""
Kept = tuple[Any, ...]
"""What `Keeping.save` and those like it answer: the canvas and the panel."""


class Keeping:
    """The handlers of a picture's case. They hold nothing: what may be done is asked of the store each time."""

    def __init__(self, canvas: SegCanvas, bring: Opening):
        self.canvas, self.bring = canvas, bring

    @shows_errors
    def save(self, desk: Desk | None, name: str, notes: str, author: str, key: str, request: gr.Request) -> Kept:
        """Keeps the picture shown: as a case of its own, or as the next version of the one that it is."""
        return self._saved(at(desk), name, notes, _signed(author, request), Owner(owner_of(key, request)))

    @shows_errors
    def keep_both(self, desk: Desk | None, name: str, notes: str, author: str, key: str, request: gr.Request) -> Kept:
        """Saves although somebody else did meanwhile: theirs stays as a version."""
        who = Owner(owner_of(key, request))
        return self._saved(at(desk), name, notes, _signed(author, request), who, beside=True)

    @shows_errors
    def reload(self, desk: Desk | None) -> tuple:
        """The case as it was last saved, in place of the work on the desk."""
        held = _held(at(desk).picture)
        lay(desk, held.id, held.who)
        return *self.bring.everything(desk), *shown(desk)

    @shows_errors
    def version(self, desk: Desk | None, number: int | None) -> tuple:
        """Another version of the case, on the desk."""
        held = _held(at(desk).picture)
        check_saved(desk, held.id)
        lay(desk, held.id, held.who, number)
        return *self.bring.everything(desk), *shown(desk)

    def turned(self, desk: Desk | None) -> tuple:
        """Another picture is shown, or the same as another case: what the panel says of it."""
        return shown(desk)

    def comment(self, desk: Desk | None, author: str, event: gr.EventData, request: gr.Request) -> Value:
        """Pins a comment, settles one, or takes one off."""
        order = order_of(event)
        try:
            picture = at(desk, "edit").picture
            if order.get("picture") != picture.id:
                raise EditError("Show the image again first.")
            said = _commented(_held(picture), order, _signed(author, request))
            return self._told(desk, picture, said)
        except CaseError as error:
            return self.canvas.full(desk, said=str(error), warns=True, at=time.time())
        except SacError as error:
            rev = desk.rev if desk else 0
            return {"rev": rev, "kind": "said", "said": str(error), "warns": True, "at": time.time()}

    def arrive(self, desk: Desk | None, key: str, request: gr.Request) -> tuple:
        """Whoever comes by a link finds its case ready to look at; with a link to look, nothing else.

        Whoever comes back to a case of their own finds that, as it was last saved.
        """
        asked = request.query_params.get("case")
        if not asked:
            return tuple(gr.skip() for _ in range(3 + EVERYTHING + PANEL))
        desk = seated(desk, request)
        try:
            if ID.fullmatch(asked):
                lay(desk, asked, Owner(owner_of(key, request)))
                return desk, gr.skip(), gr.skip(), *self.bring.everything(desk), *shown(desk)
            picture = lay(desk, cases().of_link(asked), Link(asked))
        except CaseError as error:
            rest = (gr.skip() for _ in range(EVERYTHING + PANEL))
            return desk, gr.update(value=escaped(str(error)), visible=True), gr.skip(), *rest
        looking = picture.held.level == "view"
        words = gr.update(value=_welcome(picture.held), visible=True)
        return desk, words, gr.update(visible=not looking), *self.bring.everything(desk), *shown(desk)

    def _saved(self, desk: Desk, name: str, notes: str, author: str, who: Owner, beside: bool = False) -> Kept:
        picture = desk.picture
        held, work = picture.held, work_of(picture, notes)
        try:
            if held is None:
                if is_guest(who.name):
                    raise CaseError("Only who has an account here can keep a picture as a case.")
                case = cases().create(who, name or picture.image.title, work, author)
            else:
                who = held.who
                case = cases().save(held.id, who, work, held.version, author, beside)
                if held.is_mine and name and name != case.name:
                    case = cases().rename(case.id, who, name)
        except CaseChanged as error:
            said = {"rev": desk.rev, "kind": "said", "said": "Not saved yet: see above", "at": time.time()}
            return said, *shown(desk, str(error))
        hold(picture, case, who, work)
        return self._told(desk, picture, f"Saved as version {case.version}"), *shown(desk)

    def _told(self, desk: Desk, picture: Picture, said: str) -> Value:
        return {
            "rev": desk.rev,
            "kind": "case",
            "of": picture.id,
            "case": case_of(picture),
            "said": said,
            "at": time.time(),
        }


def _held(picture: Picture) -> Held:
    if picture.held is None:
        raise CaseError("This picture is not kept as a case yet: save it first")
    return picture.held


def _commented(held: Held, order: Order, author: str) -> str:
    """Carries out an order about comments. Returns what to say."""
    do = order.get("do")
    if do == "pin":
        x, y = place_of(order)
        cases().comment(held.id, held.who, x, y, str(order.get("text") or ""), author)
        return "Comment pinned"
    if do == "settle":
        done = bool(order.get("done"))
        cases().settle(held.id, held.who, number_of(order, "comment"), done)
        return "Settled" if done else "Open again"
    if do == "remove":
        cases().uncomment(held.id, held.who, number_of(order, "comment"))
        return "Comment taken off"
    raise EditError("Comments can be pinned, settled and removed; nothing else.")


def _signed(author: str, request: gr.Request) -> str:
    """Who saves or comments: as the login says; without one, as people call themselves."""
    login = owner_of("", request).partition("login:")[2]
    return login or " ".join((author or "").split())[:60]


def _welcome(held: Held) -> str:
    kind = "to look at" if held.level == "view" else "to look at and to edit"
    notes = "".join(f"  \n{escaped(line)}" for line in held.notes.splitlines() if line.strip())
    return f"**Shared with you {kind}:** {plain(held.name)}{notes}"
