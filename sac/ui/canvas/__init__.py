"""The stage: a canvas in the browser that draws picture, masks and prompts without asking the server."""

from __future__ import annotations

import base64
import gzip
import io
import mimetypes
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from PIL import Image as PillowImage

from sac.inference.session import Session
from sac.ui.cases.held import Held, cases
from sac.ui.desk import Desk
from sac.ui.picture import Picture
from sac.ui.served import served

HERE = Path(__file__).parent
SCRIPTS = ("view.js", "value.js", "tools.js", "case.js")
"""In this order they are one script: what is drawn, what the server sends, what the visitor does, what a case adds."""
LOSSLESS = 4_000_000
"""Pixels up to which the picture travels as PNG; larger ones travel as JPEG, for the eye alone."""

Value = dict[str, Any]


class SegCanvas(gr.HTML):
    """Shows a desk's picture. Its template never depends on the value, so that the canvas and its listeners live on.

    A value is of a kind: "full" replaces everything, "patch" changes what an edit changed, others add to what is
    shown. `rev` counts the states of the desk; a patch names the state it starts from.
    """

    def __init__(self, **settings: Any):
        super().__init__(
            value={"rev": 0},
            html_template=(HERE / "stage.html").read_text(encoding="utf-8"),
            css_template=(HERE / "stage.css").read_text(encoding="utf-8"),
            js_on_load="\n".join((HERE / script).read_text(encoding="utf-8") for script in SCRIPTS),
            apply_default_css=False,
            **settings,
        )

    def get_block_name(self) -> str:
        return "html"

    def full(self, desk: Desk, **more: Any) -> Value:
        """Everything that the desk shows. Pixels and labels travel as files, those of a case inline."""
        desk.close_over()
        desk.rev += 1
        value = {"rev": desk.rev, "kind": "full", "strip": strip(desk), "index": desk.index, **more}
        if not desk.pictures:
            return value
        picture = desk.picture
        height, width = picture.image.size
        inline = picture.held is not None
        value |= {
            "picture": picture.id,
            "name": picture.image.title,
            "width": width,
            "height": height,
            "microns": picture.image.microns,
            "slide": _slide(picture),
            "image": self.file(*encoded(picture.image.pixels), inline=inline),
            "truth": None if picture.truth is None else self.label_file(picture.truth, inline),
            "case": case_of(picture),
        }
        return value | (self._work(picture) if picture.session else {})

    def _work(self, picture: Picture) -> Value:
        session = picture.session
        return {
            "mode": session.options.mode,
            "sought": picture.sought,
            "labels": self.label_file(session.labels, inline=picture.held is not None),
            **_facts(session),
            **_steps(picture),
        }

    def patch(self, desk: Desk, before: Session, answer: Any, select: int = 0) -> Value:
        """What differs between the session before an edit and the one shown now, as an answer to an order."""
        picture, base = desk.picture, desk.rev
        desk.rev += 1
        rows, columns = picture.history.window
        cut = np.ascontiguousarray(picture.session.labels[rows, columns]).astype("<u4")
        return {
            "rev": desk.rev,
            "kind": "patch",
            "base": base,
            "answer": answer,
            "select": select,
            "window": [columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start],
            "labels": base64.b64encode(zlib.compress(cut.tobytes(), 1)).decode(),
            **_changes(before, picture.session),
            **_steps(picture),
            "unsaved": picture.is_unsaved,
            "strip": strip(desk),
        }

    def file(self, content: bytes, name: str, inline: bool = False) -> Value:
        """Bytes as a file that the page may fetch, in Gradio's cache, which is swept.

        inline: within the answer itself, for what must not lie where a path alone would fetch it.
        """
        if inline:
            kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
            return {"url": f"data:{kind};base64,{base64.b64encode(content).decode()}"}
        path = served(content, name, self.GRADIO_CACHE)
        return FileData(path=path, orig_name=name).model_dump()

    def label_file(self, labels: np.ndarray, inline: bool = False) -> Value:
        """Little-endian uint32, row by row, gzipped without the time: what the canvas reads back to the last number."""
        packed = gzip.compress(labels.astype("<u4").tobytes(), compresslevel=1, mtime=0)
        return self.file(packed, "labels.gz", inline)


def strip(desk: Desk) -> list[Value]:
    """The desk's pictures in a row, each with its state."""
    return [
        {
            "picture": picture.id,
            "name": picture.image.title,
            "state": picture.state,
            "nuclei": len(picture.session.nuclei) if picture.session else None,
            "sought": picture.sought,
            "thumbnail": picture.thumbnail,
        }
        for picture in desk.pictures
    ]


def case_of(picture: Picture) -> Value | None:
    """The case that a picture is kept as, with its comments: what the canvas shows of it."""
    held = picture.held
    if held is None:
        return None
    facts = {
        "id": held.id if held.is_mine else "",
        "name": held.name,
        "version": held.version,
        "level": held.level,
        "unsaved": picture.is_unsaved,
    }
    return facts | {"comments": comments_of(held)}


def comments_of(held: Held) -> list[Value]:
    """Each comment of a case: where it is pinned, and what it says."""
    return [
        {"id": c.id, "x": c.x, "y": c.y, "text": c.text, "author": c.author, "at": c.at, "done": c.done}
        for c in cases().comments(held.id, held.who)
    ]


FACTS: dict[str, Callable[[Any], list]] = {
    "nuclei": lambda n: [*n.window, n.area, round(n.certainty, 3), round(n.stability, 3), n.origin, n.accepted],
    "points": lambda p: [round(p.x, 1), round(p.y, 1), p.kind, p.by_hand, p.on],
    "rows": lambda row: [[list(p) for p in row.points], row.box],
}
"""What the canvas keeps of a session's nuclei, points and rows: short lists."""


def _facts(session: Session) -> dict[str, dict[str, list]]:
    """Nuclei, points and rows by number, which JSON wants as text."""
    return {part: {str(n): told(fact) for n, fact in getattr(session, part).items()} for part, told in FACTS.items()}


def _changes(before: Session, after: Session) -> dict[str, dict[str, list | None]]:
    """The facts that are new or other after an edit, and None for what is gone. What an edit leaves is the same object."""
    changes = {}
    for part, told in FACTS.items():
        old, new = getattr(before, part), getattr(after, part)
        gone = {str(number): None for number in old.keys() - new.keys()}
        changes[part] = gone | {str(n): told(fact) for n, fact in new.items() if old.get(n) is not fact}
    return changes


def _slide(picture: Picture) -> Value | None:
    """Of the preview of a whole slide, what the canvas needs to offer regions of it."""
    if not picture.image.is_preview:
        return None
    height, width = picture.image.place.size
    return {"width": width, "height": height, "downsample": picture.image.place.downsample}


def _steps(picture: Picture) -> dict[str, int]:
    return {"undo": len(picture.history.past), "redo": len(picture.history.future)}


def encoded(pixels: np.ndarray) -> tuple[bytes, str]:
    stream = io.BytesIO()
    picture = PillowImage.fromarray(pixels)
    if picture.width * picture.height <= LOSSLESS:
        picture.save(stream, "PNG", compress_level=1)
        return stream.getvalue(), "picture.png"
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue(), "picture.jpg"
