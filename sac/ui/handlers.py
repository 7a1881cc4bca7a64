"""What happens when a visitor does something: each handler calls the method and sends the canvas what changed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from sac.config import SegmentOptions
from sac.errors import ImageError, SacError
from sac.export import FILES, safe_stem, zipped
from sac.images import read_image
from sac.labels import read_labels
from sac.inference.compare import RIVALS
from sac.ui import work
from sac.ui.canvas import SegCanvas, Value
from sac.ui.desk import DESKS, Desk, Picture
from sac.ui.errors import shows_errors
from sac.ui.examples import EXAMPLES
from sac.ui.orders import obey
from sac.ui.told import described, figures, plain, summary, told


class Handlers:
    """The handlers of one canvas. They hold nothing: a tab's work is on its desk."""

    def __init__(self, canvas: SegCanvas):
        self.canvas = canvas

    @shows_errors
    def open_files(self, desk: Desk | None, paths: list[str] | None, request: gr.Request) -> tuple:
        """Lays uploaded files on the desk: the good ones, and says which are not."""
        desk, images, wrong = _seated(desk, request), [], []
        for path in paths or []:
            try:
                images.append(read_image(path))
            except ImageError as error:
                wrong.append(str(error))
        for sentence in wrong:
            gr.Warning(sentence, duration=None, title="Not opened")
        with desk.lock:
            if images:
                desk.add(images)
            return desk, None, self.canvas.full(desk), described(desk.picture) if desk.pictures else "", ""

    def example(self, label: str) -> Callable:
        """The handler that opens an example and picks the checkpoint it is best seen with."""

        @shows_errors
        def open_example(desk: Desk | None, request: gr.Request) -> tuple[Desk, str, Value, str, str]:
            model, make = EXAMPLES[label]
            desk = _seated(desk, request)
            with desk.lock:
                desk.add([make()])
                return desk, model, self.canvas.full(desk), described(desk.picture), ""

        return open_example

    @shows_errors
    def press(self, desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Segments the picture shown."""
        desk = _at(desk)
        said = _segment(desk, desk.picture, model, _options(mode, *settings), progress)
        with desk.lock:
            return self.canvas.full(desk), said, ""

    @shows_errors
    def press_all(self, desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> Iterator:
        """Segments every picture that has no result yet, and can be stopped between two."""
        desk, options = _at(desk), _options(mode, *settings)
        waiting = [picture for picture in desk.pictures if picture.history is None]
        for number, picture in enumerate(waiting, start=1):
            yield gr.skip(), f"Segmenting {number} of {len(waiting)}: {plain(picture.image.name)}", gr.skip()
            try:
                _segment(desk, picture, model, options, progress)
            except SacError as error:
                picture.trouble = str(error)
            with desk.lock:
                yield self.canvas.full(desk), f"{number} of {len(waiting)} done", gr.skip()
        yield gr.skip(), summary(desk), gr.skip()

    @shows_errors
    def switch(self, desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Shows the picture's work under another model or mode, made now where there is none."""
        if desk is None or not desk.pictures or desk.picture.history is None:
            return gr.skip(), gr.skip(), gr.skip()
        picture = desk.picture
        if (model, mode) not in picture.histories:
            _segment(desk, picture, model, _options(mode, *settings), progress)
        with desk.lock:
            picture.shown = (model, mode)
            picture.rivals.clear()
            return self.canvas.full(desk), told(picture), ""

    @shows_errors
    def prompt(self, desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Prompts anew with other settings: decoding only, and one step that can be undone."""
        if desk is None or not desk.pictures or desk.picture.history is None:
            return gr.skip(), gr.skip(), gr.skip()
        model, mode = desk.picture.shown
        said = _segment(desk, desk.picture, model, _options(mode, *settings), progress)
        with desk.lock:
            return self.canvas.full(desk), said, ""

    def edit(self, desk: Desk | None, event: gr.EventData) -> Value:
        """Carries out one order of the canvas and sends back what changed."""
        order, answer = _order(event), _answer(event)
        try:
            with _at(desk).lock:
                picture = desk.picture
                if picture.session is None or order.get("index") != desk.index:
                    return {"rev": desk.rev, "kind": "said", "answer": answer, "said": "Show the image again first."}
                before = picture.session
                history, select = obey(order, picture.history, work.embedded(picture))
                picture.commit(history)
                return self.canvas.patch(desk, before, answer, select)
        except SacError as error:
            rev = desk.rev if desk else 0
            return {"rev": rev, "kind": "said", "answer": answer, "said": str(error), "warns": True, "at": time.time()}

    @shows_errors
    def show(self, desk: Desk | None, event: gr.EventData) -> tuple:
        """Shows another picture of the desk, closes one, or sends everything again."""
        if desk is None:
            return {"rev": 0}, "", "", gr.skip(), gr.skip()
        with desk.lock:
            index, removed = _order(event).get("index"), _order(event).get("remove")
            if isinstance(index, int) and 0 <= index < len(desk.pictures):
                desk.index = index
            if isinstance(removed, int):
                desk.remove(removed)
            if not desk.pictures:
                return self.canvas.full(desk), "", "", gr.skip(), gr.skip()
            picture = desk.picture
            model, mode = picture.shown or (gr.skip(), gr.skip())
            said = told(picture) if picture.session else described(picture)
            return self.canvas.full(desk), said, figures(picture), model, mode

    @shows_errors
    def compare(self, desk: Desk | None, method: str, progress=gr.Progress()) -> tuple[Value, str]:
        """Segments the picture otherwise and lays both under the wipe."""
        index, picture = _at(desk).index, desk.picture
        picture.result()  # says so where nothing was segmented
        found = work.rival(picture, method, lambda share, word: progress(share, desc=word))
        labels = self.canvas.label_file(found)
        value = {"rev": desk.rev, "kind": "rival", "of": index, "name": RIVALS[method], "labels": labels}
        return value, figures(picture)

    @shows_errors
    def take_truth(self, desk: Desk | None, path: str) -> tuple[Value, str]:
        """Takes a ground truth for the picture shown."""
        picture = _at(desk).picture
        labels = read_labels(path, picture.image.size)
        with desk.lock:
            picture.truth = labels
            return self.canvas.full(desk), figures(picture)

    def remove_truth(self, desk: Desk | None) -> tuple[Any, str]:
        """Takes the ground truth away again."""
        if desk is None or not desk.pictures:
            return gr.skip(), ""
        with desk.lock:
            desk.picture.truth = None
            return self.canvas.full(desk), figures(desk.picture)

    @shows_errors
    def export(self, desk: Desk | None, event: gr.EventData) -> Value:
        """Makes the chosen file of the picture shown."""
        result, what = _at(desk).picture.result(), str(_order(event).get("what"))
        content = FILES[what](result) if what in FILES else zipped(result)
        name = f"{safe_stem(result.image.name)}.{what if what in FILES else 'zip'}"
        said = f"{name}: {len(result.found)} nuclei"
        return {"rev": desk.rev, "kind": "file", "file": self.canvas.file(content, name), "name": name, "said": said}

    def judge(self, desk: Desk | None, event: gr.EventData) -> tuple[Value, Any]:
        """Scores and mistakes of the picture shown against its ground truth, after every edit."""
        answer = {"rev": desk.rev if desk else 0, "kind": "marks", "answer": _answer(event)}
        if desk is None or not desk.pictures or desk.picture.session is None:
            return {**answer, "kind": "said"}, gr.skip()
        if desk.picture.truth is None:
            return {**answer, "kind": "said"}, figures(desk.picture)
        found = work.mistakes(desk.picture)
        marks = {"missed": list(found.missed), "extra": list(found.extra), "merged": list(found.merged)}
        return {**answer, **marks}, figures(desk.picture)


def _order(event: gr.EventData) -> dict[str, Any]:
    """What the canvas sent: from a browser, so it may be anything."""
    return event._data if isinstance(event._data, dict) else {}


def _answer(event: gr.EventData) -> str:
    """The number that the canvas waits for, as it came."""
    return str(_order(event).get("answer"))[:20]


def _options(mode: str, strategy: str, kinds: str, pairs: int, negatives: int, certainty: float) -> SegmentOptions:
    return SegmentOptions(
        mode=mode, strategy=strategy, kinds=kinds, pairs=int(pairs), negatives=int(negatives), certainty=certainty
    )


def _seated(desk: Desk | None, request: gr.Request) -> Desk:
    """The tab's desk, a new one at first; `forget` empties it when the tab closes."""
    if desk is None:
        desk = Desk()
    DESKS[request.session_hash] = desk
    return desk


def forget(request: gr.Request) -> None:
    """A tab was closed: its pictures and all work on them leave the memory."""
    desk = DESKS.pop(request.session_hash, None)
    if desk:
        desk.clear()


def _at(desk: Desk | None) -> Desk:
    """The desk that has a picture on it. Raises ImageError where there is none."""
    if desk is None or not desk.pictures:
        raise ImageError("There is no image yet: drop one on the page, or pick an example.")
    return desk


def _segment(desk: Desk, picture: Picture, model: str, options: SegmentOptions, progress: gr.Progress) -> str:
    """Segments one picture of a desk. Returns what to tell."""
    begun = time.perf_counter()
    session = work.segmented(picture, model, options, lambda share, word: progress(share, desc=word))
    with desk.lock:
        picture.begin((model, options.mode), session)
    return told(picture, time.perf_counter() - begun)
