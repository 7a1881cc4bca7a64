"""The panel of a picture's case: its name and notes, versions, links."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import gradio as gr

from sac.cases import LinkFacts, Version
from sac.config import LIMITS
from sac.errors import CaseError
from sac.ui.cases.held import Held, cases
from sac.ui.desk import Desk
from sac.ui.told import escaped, plain

LEVELS = [("To look", "view"), ("To look and edit", "edit")]
WEEK = 7
PANEL = 10
"""Outputs of `shown`."""


class Conflict(NamedTuple):
    """What asks which work shall stand, where somebody else saved meanwhile."""

    group: gr.Row
    words: gr.Markdown
    keep_both: gr.Button
    reload: gr.Button


class CasePanel(NamedTuple):
    """What keeps and shares the picture shown."""

    name: gr.Textbox
    notes: gr.Textbox
    author: gr.Textbox
    save: gr.Button
    said: gr.Markdown
    conflict: Conflict
    versions: gr.Dropdown
    share: gr.Column
    level: gr.Radio
    days: gr.Slider
    note: gr.Textbox
    make: gr.Button
    token: gr.Textbox
    url: gr.Textbox
    links: gr.Markdown
    link: gr.Dropdown
    revoke: gr.Button

    @property
    def told(self) -> list[Any]:
        """What `shown` fills, in its order."""
        return [
            self.name, self.notes, self.said, self.conflict.group, self.conflict.words, self.versions, self.share, self.url,
            self.links, self.link,
        ]  # fmt: skip


def conflict_bar() -> Conflict:
    """Lays out the question, hidden until it is asked. Above the picture, where it cannot be missed."""
    with gr.Row(visible=False, elem_id="sac-case-changed") as group:
        words = gr.Markdown()
        keep_both = gr.Button("Keep both", size="sm", scale=0, min_width=110, elem_id="sac-case-both")
        reload = gr.Button("Reload", size="sm", scale=0, min_width=110, elem_id="sac-case-reload")
    return Conflict(group, words, keep_both, reload)


def case_panel(conflict: Conflict) -> CasePanel:
    """Lays the panel out."""
    name = gr.Textbox(label="Name", placeholder="the file's name", max_length=120, elem_id="sac-case-name")
    notes = gr.Textbox(label="Notes", lines=2, max_lines=8, max_length=20_000, elem_id="sac-case-notes")
    author = gr.Textbox(
        label="Your name, for versions and comments", max_length=60, elem_id="sac-case-author", placeholder="optional"
    )
    save = gr.Button("Save", size="sm", elem_id="sac-case-save")
    said = gr.Markdown(elem_id="sac-case-said")
    versions = gr.Dropdown([], label="Versions", elem_id="sac-case-versions", visible=False, filterable=False)
    with gr.Column(visible=False, elem_id="sac-case-share") as share:
        level = gr.Radio(
            LEVELS, value="view", label="A link for a colleague, who needs no account", elem_id="sac-link-level"
        )
        days = gr.Slider(1, LIMITS.link_days, WEEK, step=1, label="Days until it expires", elem_id="sac-link-days")
        note = gr.Textbox(label="Whom it is for", max_length=60, placeholder="optional", elem_id="sac-link-note")
        make = gr.Button("Make a link", size="sm", elem_id="sac-link-make")
        token = gr.Textbox(visible=False)
        url = gr.Textbox(
            label="The link: it is shown this once",
            interactive=False,
            visible=False,
            buttons=["copy"],
            elem_id="sac-link-url",
        )
        links = gr.Markdown(elem_id="sac-links")
        with gr.Row():
            link = gr.Dropdown([], label="A link to revoke", min_width=120, elem_id="sac-link-choice", visible=False)
            revoke = gr.Button("Revoke", size="sm", min_width=80, scale=0, elem_id="sac-link-revoke")
    return CasePanel(
        name, notes, author, save, said, conflict, versions, share, level, days, note, make,
        token, url, links, link, revoke,
    )  # fmt: skip


def shown(desk: Desk | None, conflict: str = "") -> tuple[Any, ...]:
    """How the panel shows the picture's case. conflict: the sentence that asks which work shall stand."""
    held = desk.picture.held if desk and desk.pictures else None
    try:
        versions, links = (cases().versions(held.id, held.who), links_shown(held)) if held else (None, None)
    except CaseError:  # revoked or deleted meanwhile: the next thing that is done will say so
        versions = None
    if versions is None:
        hidden = gr.update(visible=False)
        return "", "", "", hidden, "", hidden, hidden, hidden, "", hidden
    return (
        held.name if held.is_mine else gr.update(value=held.name, interactive=False),
        gr.skip() if conflict else held.notes,
        f"Version {held.version} of {plain(held.name)}",
        gr.update(visible=bool(conflict)),
        f"{escaped(conflict)} Reloading drops what you changed since." if conflict else "",
        gr.update(
            choices=[(version_words(v), v.number) for v in versions], value=held.version, visible=len(versions) > 1
        ),
        gr.update(visible=held.is_mine),
        gr.update(visible=False),
        *links,
    )


def links_shown(held: Held) -> tuple[str, dict]:
    """The links of one's own case: a table of all, the choice of those that may be revoked."""
    links = cases().links(held.id, held.who) if held.is_mine else []
    usable = [(link_words(link), link.id) for link in links if is_usable(link)]
    return links_table(links), gr.update(choices=usable, value=None, visible=bool(usable))


def is_usable(link: LinkFacts) -> bool:
    return not link.revoked and link.expires > time.time()


def version_words(version: Version) -> str:
    by = f" by {version.author}" if version.author else ""
    beside = f", beside {version.beside}" if version.beside else ""
    return f"{version.number}{by}{beside}: {version.nuclei} found, {moment(version.at)}"


def link_words(link: LinkFacts) -> str:
    """A link in a few words: its number, for whom, what for."""
    level = "look" if link.level == "view" else "edit"
    return f"{link.id}: {link.note or 'a link'} ({level})"


def links_table(links: list[LinkFacts]) -> str:
    """What became of each link. Markdown."""
    if not links:
        return ""
    rows = [f"| {escaped(link_words(link))} | {link.openings} | {_state(link)} |" for link in links]
    return "\n".join(["| Link | Opened | |", "|---|---|---|", *rows])


def _state(link: LinkFacts) -> str:
    if link.revoked:
        return "revoked"
    return f"until {moment(link.expires)[:10]}" if is_usable(link) else "expired"


def moment(seconds: float) -> str:
    """A date and time, in UTC, as nobody knows where a visitor is."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))
