"""How pictures come onto the desk and before the eye: files, examples, other parts of a file, regions of a slide."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from sac.bundle import each_file
from sac.cases import GONE
from sac.config import LIMITS, View
from sac.errors import DeskError, ImageError, SacError
from sac.images import Image, open_file, reopened
from sac.ui import source
from sac.ui.canvas import SegCanvas, Value
from sac.ui.desk import DESKS, Desk, at
from sac.ui.errors import as_text, shows_errors
from sac.ui.examples import EXAMPLES
from sac.ui.models import is_known, preferred
from sac.ui.orders import corners, order_of
from sac.ui.told import described, figures, not_opened, told
from sac.ui.work import fitting

EVERYTHING = 8
"""Outputs of `Opening.everything`."""
FIRST = "segment"
"""The name, among the tabs, of the one with the desk."""
GRACE = 900.0
"""Seconds for which a tab is kept after it seemed to be closed: a network may break, a laptop may sleep."""
SEATING = threading.Lock()
TOASTS = 3
"""Refused files that get a note of their own; all of them are listed beside the picture."""


class Opening:
    """The handlers that bring pictures. They hold nothing: a tab's work is on its desk."""

    def __init__(self, canvas: SegCanvas):
        self.canvas = canvas

    @shows_errors
    def files(self, desk: Desk | None, paths: list[str] | None, request: gr.Request, progress=gr.Progress()) -> tuple:
        """Lays uploaded files, and those in zips, on the desk: the good ones, and says which are not."""
        desk = seated(desk, request)
        first = len(desk.pictures)
        wrong = _laid(desk, [Path(path) for path in paths or []], lambda name: progress(0, desc=f"Opening {name}"))
        for sentence in wrong[:TOASTS]:
            gr.Warning(as_text(sentence), duration=None, title="Not opened")
        with desk.lock:
            if len(desk.pictures) > first:
                desk.index = first
            return desk, None, _fitting(desk), *self.everything(desk, not_opened(wrong))

    def example(self, label: str) -> Callable:
        """The handler that opens an example and picks the checkpoint it is best seen with."""

        @shows_errors
        def open_example(desk: Desk | None, request: gr.Request) -> tuple:
            model, make = EXAMPLES[label]
            desk = seated(desk, request)
            with desk.lock:
                desk.add([make()])
                return desk, gr.skip() if desk.picked else preferred(model), *self.everything(desk)

        return open_example

    @shows_errors
    def part(self, desk: Desk | None, id: str, channel: int, plane: float, microns: float | None, region: str) -> tuple:
        """Shows another channel, plane or region of the picture's file, or takes the size of its pixels.

        id: of the picture that was shown when that was chosen; what belongs to one that is gone since changes nothing.
        """
        desk = at(desk)
        if id and desk.place_of(id) is None:
            return tuple(gr.skip() for _ in range(EVERYTHING))
        with desk.opening:  # one at a time: a browser may send the same choice twice
            picture = desk.named(id)
            image = picture.image
            view = source.chosen(image, channel, plane, region)
            size = microns and microns != image.microns
            if view == image.view and not size:
                return tuple(gr.skip() for _ in range(EVERYTHING))
            other = image if view == image.view else reopened(image, view)
            if size:
                other = other.sized(View(microns=float(microns)).microns)
            with desk.lock:
                if view != image.view:
                    desk.put(other, picture)
                else:
                    picture.allow("edit").image = other
                return self.everything(desk)

    def region(self, desk: Desk | None, event: gr.EventData) -> tuple:
        """Opens the region of a whole slide that a rectangle on its preview covers."""
        order = order_of(event)
        try:
            image = at(desk).picture.image
            if not image.is_preview or order.get("picture") != desk.picture.id:
                raise ImageError("Show the slide again first.")
            other = reopened(image, replace(image.view, region=image.below(corners(order))))
            with desk.lock:
                desk.add([other])
                return self.everything(desk)
        except SacError as error:
            return _refused(desk, error), *[gr.skip()] * (EVERYTHING - 1)

    @shows_errors
    def show(self, desk: Desk | None, event: gr.EventData) -> tuple:
        """Shows another picture of the desk, closes one, or sends everything again."""
        if desk is None:
            return {"rev": 0}, "", "", *source.shown(None), gr.skip(), gr.skip()
        desk.left = None
        with desk.lock:
            over = (GONE,) if desk.close_over() else ()
            chosen, closed = (desk.place_of(order_of(event).get(what)) for what in ("picture", "remove"))
            if chosen is not None:
                desk.index = chosen
            if closed is not None:
                desk.remove(closed)
            shown = desk.picture.shown if desk.pictures else None
            return *self.everything(desk, *over), _fitting(desk), shown[1] if shown else gr.skip()

    def pick(self, desk: Desk | None, request: gr.Request) -> Desk:
        """The visitor chose a checkpoint: the page no longer does."""
        desk = seated(desk, request)
        desk.picked = True
        return desk

    def everything(self, desk: Desk, *more: str) -> tuple[Any, ...]:
        """What the page shows of the desk: canvas, words, figures, the panel of the source and its controls."""
        canvas = self.canvas.full(desk)  # first: it closes what may be seen no more
        picture = desk.picture if desk.pictures else None
        if picture is None:
            said = ""
        else:
            said = told(picture) if picture.session else described(picture)
        words = "\n\n".join(part for part in (said, *more) if part)
        return canvas, words, figures(picture) if picture else "", *source.shown(picture)


def forget(request: gr.Request) -> None:
    """A tab was closed, or cannot be reached: unless it speaks again within `GRACE`, all that it had leaves the memory."""
    tab = request.session_hash
    if desk := DESKS.get(tab):
        desk.left = mark = time.monotonic()
        timer = threading.Timer(GRACE, _cleared, (tab, mark))  # which keeps no desk in memory that nobody else does
        timer.daemon = True
        timer.start()


def _cleared(tab: str, mark: float) -> None:
    desk = DESKS.get(tab)
    if desk and desk.left == mark:  # it did not speak since
        DESKS.pop(tab, None)
        desk.clear()


def seated(desk: Desk | None, request: gr.Request) -> Desk:
    """The tab's desk, a new one at first; `forget` empties it when the tab closes.

    Two files that a fresh tab opens at once find no desk in its state, and would each make its own: so the second takes
    the one that the first has made.
    """
    with SEATING:
        desk = desk or DESKS.get(request.session_hash) or Desk()
        desk.left = None
        DESKS[request.session_hash] = desk
    return desk


def _fitting(desk: Desk) -> str | dict:
    """The checkpoint for the picture shown: that of its work, else the one that fits, else what the visitor chose.

    The page's choice has no checkpoint that whoever came by a link may not use, or that is no longer here.
    """
    if not desk.pictures or (desk.picked and not desk.picture.shown):
        return gr.skip()
    picture = desk.picture
    if picture.held and picture.shown and not is_known(picture.shown[0], desk.models, picture.held.is_mine):
        return gr.skip()
    return picture.shown[0] if picture.shown else fitting(picture.image)


def _laid(desk: Desk, paths: list[Path], begins: Callable[[str], None]) -> list[str]:
    """Lays what is in files and zips on the desk, one by one. Returns a sentence for each that is not."""
    wrong, wasted = [], 0.0
    for sent in each_file(paths, desk.room):
        if wasted > LIMITS.wasted_seconds:
            return [*wrong, "What follows was left out: too much time went into files that cannot be opened."]
        if isinstance(sent, ImageError):
            wrong.append(str(sent))
            continue
        begins(sent.name)
        began = time.monotonic()
        try:
            image: Image = open_file(sent.path, sent.name)
            with desk.lock:
                desk.add([image])
        except DeskError as error:
            return [*wrong, f"{sent.name} and what follows it: {error}"]
        except ImageError as error:
            wrong.append(str(error))
            wasted += time.monotonic() - began
            if sent.path.is_relative_to(desk.room):  # unpacked for nothing
                sent.path.unlink(missing_ok=True)
    return wrong


def _refused(desk: Desk | None, error: SacError) -> Value:
    """An error as the canvas says it."""
    return {"rev": desk.rev if desk else 0, "kind": "said", "said": str(error), "warns": True, "at": time.time()}
