"""A visitor's cases on their shelf: opened, renamed, duplicated, downloaded, deleted for good, brought from a file."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from sac.cases import Case, Owner
from sac.cases.file import SUFFIX
from sac.errors import CaseError
from sac.export import safe_stem
from sac.ui.cases.held import cases
from sac.ui.cases.panel import PANEL, shown
from sac.ui.cases.work import check_saved, lay
from sac.ui.desk import Desk
from sac.ui.errors import as_text, shows_errors
from sac.ui.models import told_to_others
from sac.ui.opening import EVERYTHING, FIRST, Opening, seated
from sac.ui.orders import order_of
from sac.ui.serving.guests import members_only
from sac.ui.visitor import owner_of

HERE = Path(__file__).parent


class Shelf(gr.HTML):
    """Cards of cases. Its value is {"cases": [...]}, or {"file": {"name", "url"}} for the browser to keep."""

    def __init__(self, **settings: Any):
        super().__init__(
            value={},
            html_template=(HERE / "shelf.html").read_text(encoding="utf-8"),
            css_template=(HERE / "shelf.css").read_text(encoding="utf-8"),
            js_on_load=(HERE / "shelf.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            **settings,
        )

    def get_block_name(self) -> str:
        return "html"


class Shelving:
    """The handlers of the shelf. Whose cases they are is asked anew each time."""

    def __init__(self, bring: Opening):
        self.opening = bring

    @members_only
    @shows_errors
    def mine(self, key: str, request: gr.Request) -> dict:
        """What is on the visitor's shelf."""
        return _shelf(Owner(owner_of(key, request)))

    @members_only
    @shows_errors
    def bring(self, path: str | None, key: str, request: gr.Request) -> tuple:
        """A case from a file, which may come from anybody."""
        if not path:
            raise CaseError(f"No file was sent; send a case as a {SUFFIX} file")
        who = Owner(owner_of(key, request))
        gr.Info(f"Imported as {as_text(cases().import_file(who, Path(path)).name)}", duration=5)
        return _shelf(who), None

    @members_only
    @shows_errors
    def deed(self, desk: Desk | None, key: str, event: gr.EventData, request: gr.Request) -> tuple:
        """Does with one case what was asked. Returns the desk, the tab, the shelf, all that shows a desk."""
        order, who = order_of(event), Owner(owner_of(key, request))
        do, case = order.get("do"), str(order.get("case"))
        rest = tuple(gr.skip() for _ in range(EVERYTHING + PANEL))
        if do == "open":
            desk = seated(desk, request)
            check_saved(desk, case)
            lay(desk, case, who)
            return desk, gr.Tabs(selected=FIRST), _shelf(who), *self.opening.everything(desk), *shown(desk)
        if do == "download":
            return gr.skip(), gr.skip(), {"file": _file(case, who)}, *rest
        if do not in DEEDS:
            raise CaseError("A case can be opened, renamed, duplicated, downloaded and deleted; nothing else.")
        DEEDS[do](case, who, order)
        if _refreshed(desk, case, who):
            rest = *self.opening.everything(desk), *shown(desk)
        return gr.skip(), gr.skip(), _shelf(who), *rest


DEEDS = {
    "rename": lambda case, who, order: cases().rename(case, who, str(order.get("name") or "")),
    "duplicate": lambda case, who, order: cases().duplicate(case, who),
    "delete": lambda case, who, order: cases().delete(case, who),
}
"""What changes a case on the shelf, by its name there."""


def _refreshed(desk: Desk | None, case: str, who: Owner) -> bool:
    """Whether the case lies on the desk, where it is called now as it is called on the shelf."""
    there = [p for p in desk.pictures if p.held and p.held.is_mine and p.held.id == case] if desk else []
    for picture in there:
        with suppress(CaseError):  # it was deleted
            picture.held = replace(picture.held, name=cases().facts(case, who).name)
    return bool(there)


def _shelf(who: Owner) -> dict:
    return {"cases": [_card(case) for case in cases().mine(who)]}


def _card(case: Case) -> dict:
    return {
        "id": case.id,
        "name": case.name,
        "changed": case.changed,
        "version": case.version,
        "author": case.author,
        "nuclei": case.nuclei,
        "thumbnail": f"data:image/jpeg;base64,{base64.b64encode(case.thumbnail).decode()}",
    }


def _file(case: str, who: Owner) -> dict:
    """A case as a file, within the answer: by a path, others could fetch it."""
    name = f"{safe_stem(cases().facts(case, who).name + SUFFIX)}{SUFFIX}"
    content = base64.b64encode(cases().export(case, who, told_to_others)).decode()
    return {"name": name, "url": f"data:application/zip;base64,{content}"}
