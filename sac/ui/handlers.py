"""What happens when a visitor does something: each handler calls the method and sends the canvas what changed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gradio as gr

from sac.config import SegmentOptions
from sac.errors import CaseError, ImageError, SacError, Stopped
from sac.export import FILES, safe_stem, zipped, zipped_all
from sac.inference.compare import RIVALS
from sac.labels import read_labels
from sac.ui import work
from sac.ui.canvas import SegCanvas, Value
from sac.ui.desk import Desk, at
from sac.ui.errors import shows_errors
from sac.ui.models import thresholds
from sac.ui.orders import obey, order_of
from sac.ui.picture import PREVIEW, Picture
from sac.ui.told import counted, figures, plain, summary, told


class Handlers:
    """The handlers of one canvas. They hold nothing: a tab's work is on its desk."""

    def __init__(self, canvas: SegCanvas):
        self.canvas = canvas

    @shows_errors
    def press(self, desk: Desk | None, id: str, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Segments the picture that was shown when the button was pressed."""
        picture = at(desk).named(id).allow("edit")
        said = _segment(desk, picture, model, _options(mode, *settings), progress)
        with desk.lock:
            return self.canvas.full(desk), said, ""

    @shows_errors
    def press_all(self, desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> Iterator:
        """Segments every picture that has no result yet, and can be stopped between two.

        Each with the checkpoint that fits it, as long as the visitor chose none: a batch may be of several stains.
        """
        desk, options = at(desk), _options(mode, *settings)
        waiting = [p for p in desk.pictures if p.history is None and not p.image.is_preview]
        for number, picture in enumerate(waiting, start=1):
            yield gr.skip(), f"Segmenting {number} of {len(waiting)}: {plain(picture.image.name)}", gr.skip()
            try:
                _segment(desk, picture.allow("edit"), *_fitted(desk, picture, model, options), progress)
            except Stopped:
                raise
            except SacError as error:
                picture.trouble = str(error)
            with desk.lock:  # not while others go on: another thread may be the one that comes back
                value = self.canvas.full(desk)
            yield value, f"{number} of {len(waiting)} done", gr.skip()
        yield gr.skip(), summary(desk), gr.skip()

    @shows_errors
    def switch(self, desk: Desk | None, id: str, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Shows the picture's work under another model or mode, made now where there is none."""
        if desk is None or not desk.pictures or desk.named(id).history is None:
            return gr.skip(), gr.skip(), gr.skip()
        picture = at(desk).named(id)
        if (model, mode) not in picture.histories:
            _segment(desk, picture.allow("edit"), model, _options(mode, *settings), progress)
        with desk.lock:
            picture.shown = (model, mode)
            picture.rivals.clear()
            return self.canvas.full(desk), told(picture), ""

    @shows_errors
    def prompt(self, desk: Desk | None, id: str, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple:
        """Prompts anew with other settings: decoding only, at the scale as it is, and one step that can be undone."""
        if desk is None or not desk.pictures or desk.named(id).history is None:
            return gr.skip(), gr.skip(), gr.skip()
        picture = at(desk).named(id).allow("edit")
        model, mode = picture.shown
        options = replace(_options(mode, *settings), scale=picture.session.options.scale)
        said = _segment(desk, picture, model, options, progress)
        with desk.lock:
            return self.canvas.full(desk), said, ""

    def edit(self, desk: Desk | None, event: gr.EventData) -> Value:
        """Carries out one order of the canvas and sends back what changed."""
        order, answer = order_of(event), _answer(event)
        try:
            with at(desk, "edit").lock:
                picture = desk.picture
                if picture.session is None or order.get("picture") != picture.id:
                    return {"rev": desk.rev, "kind": "said", "answer": answer, "said": "Show the image again first."}
                before = picture.session
                history, select = obey(order, picture.history, work.embedded(picture))
                picture.commit(history)
                return self.canvas.patch(desk, before, answer, select)
        except CaseError as error:  # a link is over, and its picture gone, or it is not for edits
            return self.canvas.full(desk, answer=answer, said=str(error), warns=True, at=time.time())
        except SacError as error:
            rev = desk.rev if desk else 0
            return {"rev": rev, "kind": "said", "answer": answer, "said": str(error), "warns": True, "at": time.time()}

    @shows_errors
    def compare(self, desk: Desk | None, id: str, method: str, progress=gr.Progress()) -> tuple[Value, str]:
        """Segments the picture otherwise and lays both under the wipe."""
        picture = at(desk).named(id)
        picture.result()  # says so where nothing was segmented
        with desk.task(lambda share, word: progress(share, desc=word)) as tell:
            found = work.rival(picture, method, tell)
        labels = self.canvas.label_file(found, inline=picture.held is not None)
        value = {"rev": desk.rev, "kind": "rival", "of": picture.id, "name": RIVALS[method], "labels": labels}
        return value, figures(picture)

    def stop(self, desk: Desk | None) -> tuple:
        """Ends what is under way, and shows what there is."""
        if desk is None or not desk.stop():
            return gr.skip(), "Nothing is under way.", gr.skip()
        with desk.lock:
            return self.canvas.full(desk), "Stopped. What was finished stays.", gr.skip()

    @shows_errors
    def take_truth(self, desk: Desk | None, id: str, path: str) -> tuple[Value, str]:
        """Takes a ground truth for the picture that was shown when the file was chosen."""
        picture = at(desk).named(id).allow("edit")
        labels = read_labels(path, picture.image.size)
        with desk.lock:
            picture.truth = labels
            return self.canvas.full(desk), figures(picture)

    @shows_errors
    def remove_truth(self, desk: Desk | None) -> tuple[Any, str]:
        """Takes the ground truth away again."""
        if desk is None or not desk.pictures:
            return gr.skip(), ""
        with at(desk, "edit").lock:
            desk.picture.truth = None
            return self.canvas.full(desk), figures(desk.picture)

    @shows_errors
    def export(self, desk: Desk | None, event: gr.EventData) -> Value:
        """Makes the chosen file of the picture shown, or the files of all pictures."""
        desk, what = at(desk), str(order_of(event).get("what"))
        if what == "all":
            pictures = [p for p in desk.pictures if p.session] or [desk.picture]
            results = [p.result() for p in pictures]
            name, content = "segment-any-cell.zip", zipped_all(results)
        else:
            pictures, results = [desk.picture], [desk.picture.result()]
            name = f"{safe_stem(results[0].image.name)}.{what if what in FILES else 'zip'}"
            content = FILES[what](results[0]) if what in FILES else zipped(results[0])
        said = f"{name}: {counted(pictures)}"
        file = self.canvas.file(content, name, inline=any(p.held for p in desk.pictures))
        return {"rev": desk.rev, "kind": "file", "file": file, "name": name, "said": said}

    @shows_errors
    def judge(self, desk: Desk | None, event: gr.EventData) -> tuple[Value, Any]:
        """Scores and mistakes of the picture shown against its ground truth, after every edit."""
        answer = {"rev": desk.rev if desk else 0, "kind": "marks", "answer": _answer(event)}
        if desk is None or not desk.pictures or desk.picture.session is None:
            return {**answer, "kind": "said"}, gr.skip()
        if at(desk).picture.truth is None:
            return {**answer, "kind": "said"}, figures(desk.picture)
        found = work.mistakes(desk.picture)
        marks = {"missed": list(found.missed), "extra": list(found.extra), "merged": list(found.merged)}
        return {**answer, **marks}, figures(desk.picture)


def _answer(event: gr.EventData) -> str:
    """The number that the canvas waits for, as it came."""
    return str(order_of(event).get("answer"))[:20]


def _options(
    mode: str, strategy: str, kinds: str, pairs: int, negatives: int, certainty: float, prominence: float
) -> SegmentOptions:
    counts = {"pairs": int(pairs), "negatives": int(negatives)}
    return SegmentOptions(mode, strategy, kinds=kinds, certainty=certainty, prominence=prominence, **counts)


def _fitted(desk: Desk, picture: Picture, model: str, options: SegmentOptions) -> tuple[str, SegmentOptions]:
    """The checkpoint on the page and its settings, or the one that fits a picture, with thresholds of its own."""
    fitting = model if desk.picked else work.fitting(picture.image)
    if fitting == model:
        return model, options
    certainty, prominence = thresholds(fitting)
    return fitting, replace(options, certainty=certainty, prominence=prominence)


def _segment(desk: Desk, picture: Picture, model: str, options: SegmentOptions, progress: gr.Progress) -> str:
    """Segments one picture of a desk. Returns what to tell."""
    if picture.image.is_preview:
        raise ImageError(PREVIEW)
    begun = time.perf_counter()
    picture.busy = True
    try:
        with desk.task(lambda share, word: progress(share, desc=word)) as tell:
            session = work.segmented(picture, model, options, tell)
            tell(1.0, "Nuclei found")  # what was stopped meanwhile is not kept
        with desk.lock:
            picture.begin((model, options.mode), session)
    finally:
        picture.busy = False
    return told(picture, time.perf_counter() - begun)
