"""The tab that segments: pictures in, nuclei and their prompts on the stage, edits, comparisons, files out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from sac import hub
from sac.config import SegmentOptions
from sac.errors import ImageError, SacError
from sac.export import FILES, safe_stem, zipped
from sac.images import read_image, read_labels
from sac.inference.compare import RIVALS
from sac.ui import work
from sac.ui.canvas import SegCanvas, Value
from sac.ui.desk import DESKS, Desk, Picture
from sac.ui.errors import shows_errors
from sac.ui.examples import EXAMPLES
from sac.ui.orders import obey

MODE_NAMES = {"Instances: one mask per nucleus": "instances", "Semantic: one mask of all nuclei": "semantic"}
MODEL_NAMES = {"nuclei (general)": "nuclei", "nuclei-he (H&E, stains)": "nuclei-he"}
STRATEGY_NAMES = {"Centroid of each region": "centroid", "Most probable pixel": "probability"}
KIND_NAMES = {"Both": "both", "Positive only": "positive", "Negative only": "negative"}
SLOW = {"concurrency_id": "inference", "concurrency_limit": 1, "api_visibility": "private"}
"""One picture at a time: two at once on two cores would both be slower than one after the other."""
QUICK = {"concurrency_id": "edits", "concurrency_limit": 4, "api_visibility": "private", "show_progress": "hidden"}
"""Edits do not wait for another visitor's picture."""


def build_segment_tab() -> None:
    """Lays out the tab and wires its events; called inside a `gr.Blocks`."""
    desk = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=290):
            upload = gr.File(
                label="Images: PNG, JPEG, WebP, BMP, TIFF", elem_id="sac-upload", height=150, file_count="multiple",
                type="filepath",
            )  # fmt: skip
            with gr.Row(elem_id="sac-examples"):
                examples = [
                    gr.Button(label, size="sm", min_width=110, elem_id=f"sac-example-{number}")
                    for number, label in enumerate(EXAMPLES, start=1)
                ]
            model = gr.Dropdown(list(MODEL_NAMES.items()), value=hub.DEFAULT, label="Checkpoint", elem_id="sac-model")
            mode = gr.Radio(list(MODE_NAMES.items()), value="instances", label="Mode", elem_id="sac-mode")
            start = gr.Button("Segment", variant="primary", size="lg", elem_id="sac-segment")
            with gr.Row(elem_id="sac-all"):
                start_all = gr.Button("Segment all", size="sm", min_width=110, elem_id="sac-segment-all")
                cancel = gr.Button("Cancel", size="sm", min_width=80, elem_id="sac-cancel")
            told = gr.Markdown(elem_id="sac-told")
            with gr.Accordion("Automatic prompts", open=False, elem_id="sac-prompts"):
                settings = _prompt_settings()
            with gr.Accordion("Compare and check", open=False, elem_id="sac-check"):
                rival = gr.Radio([(v, k) for k, v in RIVALS.items()], value="vanilla", label="Compare with")
                truth = gr.File(label="Ground truth: label image or binary mask", elem_id="sac-truth", height=100)
        with gr.Column(scale=4, min_width=520):
            canvas = SegCanvas()
            figures = gr.Markdown(elem_id="sac-figures")

    asked = [desk, model, mode, *settings]
    shown, private = [canvas, told], {"api_visibility": "private"}
    upload.upload(_opener(canvas), [desk, upload], [desk, upload, *shown], **private)
    for button, label in zip(examples, EXAMPLES):
        chosen = button.click(_example(canvas, label), desk, [desk, model, *shown], **private)
        chosen.success(_runner(canvas), asked, shown, **SLOW)
    start.click(_runner(canvas), asked, shown, **SLOW)
    running = start_all.click(_all_runner(canvas), asked, shown, **SLOW)
    cancel.click(lambda: "Stopped. What was finished stays.", None, told, cancels=running, **private)
    for control in (model, mode):
        control.input(_switcher(canvas), asked, shown, **SLOW)
    for control in settings:
        changed = control.release if isinstance(control, gr.Slider) else control.input
        changed(_prompter(canvas), asked, shown, **SLOW)
    truth.upload(_truth(canvas), [desk, truth], [canvas, figures], **private)
    truth.clear(_no_truth(canvas), desk, [canvas, figures], **private)
    canvas.edit(_editor(canvas), desk, canvas, trigger_mode="multiple", **QUICK)
    canvas.show(_shower(canvas), desk, [*shown, model, mode], trigger_mode="multiple", **QUICK)
    canvas.compare(_comparer(canvas), [desk, rival], [canvas, figures], **SLOW)
    canvas.judge(_judge, desk, [canvas, figures], **QUICK)
    canvas.export(_exporter(canvas), desk, canvas, **QUICK)
    _endpoint()


def _prompt_settings() -> list[gr.components.Component]:
    """Controls of the automatic prompts, in the order of `_options`."""
    default = SegmentOptions()
    strategy, kinds = ([(k, v) for k, v in names.items()] for names in (STRATEGY_NAMES, KIND_NAMES))
    return [
        gr.Radio(strategy, value=default.strategy, label="Where a point is put", elem_id="sac-strategy"),
        gr.Radio(kinds, value=default.kinds, label="Which points are given", elem_id="sac-kinds"),
        gr.Slider(1, 32, default.pairs, step=1, label="Semantic: pairs of points per tile", elem_id="sac-pairs"),
        gr.Slider(0, 8, default.negatives, step=1, label="Instances: most negatives per nucleus",
                  elem_id="sac-negatives"),
        gr.Slider(0, 1, default.certainty, step=0.05, label="Instances: least certainty", elem_id="sac-certainty"),
    ]  # fmt: skip


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


def _opener(canvas: SegCanvas) -> Callable:
    """A handler that lays uploaded files on the desk: the good ones, and says which are not."""

    @shows_errors
    def open_files(desk: Desk | None, paths: list[str] | None, request: gr.Request) -> tuple[Desk, None, Value, str]:
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
            return desk, None, canvas.full(desk), _described(desk.picture) if desk.pictures else ""

    return open_files


def _example(canvas: SegCanvas, label: str) -> Callable:
    """A handler that opens an example and picks the checkpoint it is best seen with."""

    @shows_errors
    def choose(desk: Desk | None, request: gr.Request) -> tuple[Desk, str, Value, str]:
        model, make = EXAMPLES[label]
        desk = _seated(desk, request)
        with desk.lock:
            desk.add([make()])
            return desk, model, canvas.full(desk), _described(desk.picture)

    return choose


def _segment(desk: Desk, picture: Picture, model: str, options: SegmentOptions, progress: gr.Progress) -> str:
    """Segments one picture of a desk. Returns what to tell."""
    begun = time.perf_counter()
    session = work.segmented(picture, model, options, lambda share, word: progress(share, desc=word))
    with desk.lock:
        picture.begin((model, options.mode), session)
    return _told(picture, time.perf_counter() - begun)


def _runner(canvas: SegCanvas) -> Callable:
    """A handler that segments the picture shown."""

    @shows_errors
    def press(desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple[Value, str]:
        desk = _at(desk)
        told = _segment(desk, desk.picture, model, _options(mode, *settings), progress)
        with desk.lock:
            return canvas.full(desk), told

    return press


def _all_runner(canvas: SegCanvas) -> Callable:
    """A handler that segments every picture that has no result yet, and can be stopped between two."""

    @shows_errors
    def press_all(desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> Iterator:
        desk, options = _at(desk), _options(mode, *settings)
        waiting = [picture for picture in desk.pictures if picture.history is None]
        for number, picture in enumerate(waiting, start=1):
            yield gr.skip(), f"Segmenting {number} of {len(waiting)}: {_plain(picture.image.name)}"
            try:
                _segment(desk, picture, model, options, progress)
            except SacError as error:
                picture.trouble = str(error)
            with desk.lock:
                yield canvas.full(desk), f"{number} of {len(waiting)} done"
        yield gr.skip(), _summary(desk)

    return press_all


def _switcher(canvas: SegCanvas) -> Callable:
    """A handler that shows the picture's work under another model or mode, made now where there is none."""

    @shows_errors
    def switch(desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple[Any, Any]:
        if desk is None or not desk.pictures or desk.picture.history is None:
            return gr.skip(), gr.skip()
        picture = desk.picture
        if (model, mode) not in picture.histories:
            _segment(desk, picture, model, _options(mode, *settings), progress)
        with desk.lock:
            picture.shown = (model, mode)
            picture.rivals.clear()
            return canvas.full(desk), _told(picture)

    return switch


def _prompter(canvas: SegCanvas) -> Callable:
    """A handler that prompts anew with other settings: decoding only, and one step that can be undone."""

    @shows_errors
    def prompt(desk: Desk | None, model: str, mode: str, *settings, progress=gr.Progress()) -> tuple[Any, Any]:
        if desk is None or not desk.pictures or desk.picture.history is None:
            return gr.skip(), gr.skip()
        model, mode = desk.picture.shown
        told = _segment(desk, desk.picture, model, _options(mode, *settings), progress)
        with desk.lock:
            return canvas.full(desk), told

    return prompt


def _editor(canvas: SegCanvas) -> Callable:
    """A handler that carries out one order of the canvas and sends back what changed."""

    def edit(desk: Desk | None, event: gr.EventData) -> Value:
        order = event._data if isinstance(event._data, dict) else {}
        answer = str(order.get("answer"))[:20]
        try:
            with _at(desk).lock:
                picture = desk.picture
                if picture.session is None or order.get("index") != desk.index:
                    return {"rev": desk.rev, "kind": "said", "answer": answer, "said": "Show the image again first."}
                before = picture.session
                history, select = obey(order, picture.history, work.embedded(picture))
                picture.commit(history)
                return canvas.patch(desk, before, answer, select)
        except SacError as error:
            rev = desk.rev if desk else 0
            return {"rev": rev, "kind": "said", "answer": answer, "said": str(error), "warns": True, "at": time.time()}

    return edit


def _shower(canvas: SegCanvas) -> Callable:
    """A handler that shows another picture of the desk, closes one, or sends everything again."""

    @shows_errors
    def show(desk: Desk | None, event: gr.EventData) -> tuple[Value, str, Any, Any]:
        if desk is None:
            return {"rev": 0}, "", gr.skip(), gr.skip()
        with desk.lock:
            index, removed = event._data.get("index"), event._data.get("remove")
            if isinstance(index, int) and 0 <= index < len(desk.pictures):
                desk.index = index
            if isinstance(removed, int):
                desk.remove(removed)
            if not desk.pictures:
                return canvas.full(desk), "", gr.skip(), gr.skip()
            picture = desk.picture
            model, mode = picture.shown or (gr.skip(), gr.skip())
            told = _told(picture) if picture.session else _described(picture)
            return canvas.full(desk), told, model, mode

    return show


def _comparer(canvas: SegCanvas) -> Callable:
    """A handler that segments the picture otherwise and lays both under the wipe."""

    @shows_errors
    def compare(desk: Desk | None, method: str, progress=gr.Progress()) -> tuple[Value, str]:
        picture = _at(desk).picture
        picture.result()  # says so where nothing was segmented
        found = work.rival(picture, method, lambda share, word: progress(share, desc=word))
        value = {"rev": desk.rev, "kind": "rival", "name": RIVALS[method], "labels": canvas.label_file(found)}
        return value, _figures(picture)

    return compare


def _truth(canvas: SegCanvas) -> Callable:
    """A handler that takes a ground truth for the picture shown."""

    @shows_errors
    def take(desk: Desk | None, path: str) -> tuple[Value, str]:
        picture = _at(desk).picture
        labels = read_labels(path, picture.image.size)
        with desk.lock:
            picture.truth = labels
            return canvas.full(desk), _figures(picture) if picture.session else ""

    return take


def _no_truth(canvas: SegCanvas) -> Callable:
    """A handler that takes the ground truth away again."""

    def remove(desk: Desk | None) -> tuple[Any, str]:
        if desk is None or not desk.pictures:
            return gr.skip(), ""
        with desk.lock:
            desk.picture.truth = None
            return canvas.full(desk), ""

    return remove


def _judge(desk: Desk | None, event: gr.EventData) -> tuple[Value, Any]:
    """Scores and mistakes of the picture shown against its ground truth, after every edit."""
    answer = {"rev": desk.rev if desk else 0, "kind": "marks", "answer": str(event._data.get("answer"))[:20]}
    if desk is None or not desk.pictures or desk.picture.truth is None or desk.picture.session is None:
        return {**answer, "kind": "said"}, gr.skip()
    found = work.mistakes(desk.picture)
    marks = {"missed": list(found.missed), "extra": list(found.extra), "merged": list(found.merged)}
    return {**answer, **marks}, _figures(desk.picture)


def _exporter(canvas: SegCanvas) -> Callable:
    """A handler that makes the chosen file of the picture shown."""

    @shows_errors
    def export(desk: Desk | None, event: gr.EventData) -> Value:
        result, what = _at(desk).picture.result(), event._data.get("what")
        content = FILES[what](result) if what in FILES else zipped(result)
        name = f"{safe_stem(result.image.name)}.{what if what in FILES else 'zip'}"
        said = f"{name}: {len(result.found)} nuclei"
        return {"rev": desk.rev, "kind": "file", "file": canvas.file(content, name), "name": name, "said": said}

    return export


def _endpoint() -> None:
    """`/segment`: (file, model, mode) -> (summary as JSON, zip of the five outputs)."""
    file, model, mode = gr.File(visible=False), gr.Textbox(visible=False), gr.Textbox(visible=False)
    summary, archive, call = gr.JSON(visible=False), gr.File(visible=False), gr.Button(visible=False)

    @shows_errors
    def segment_file(file: str, model: str = hub.DEFAULT, mode: str = "instances") -> tuple[dict, str]:
        if not file:
            raise ImageError("No file was sent; send one image")
        run = work.segment_file(read_image(file), model or hub.DEFAULT, mode or "instances")
        name = f"{safe_stem(run.result.image.name)}.zip"
        return run.summary(), save_bytes_to_cache(zipped(run.result), name, get_upload_folder())

    call.click(
        segment_file, [file, model, mode], [summary, archive], api_name="segment", concurrency_id="inference",
        concurrency_limit=1,
    )  # fmt: skip


def _described(picture: Picture) -> str:
    image = picture.image
    height, width = image.size
    size = f"{width} × {height} px" + (f", {image.microns:.3g} µm per pixel" if image.microns else "")
    return "  \n".join([f"{_plain(image.name)}: {size}", *image.notes])


def _told(picture: Picture, seconds: float | None = None) -> str:
    session = picture.session
    time_taken = "" if seconds is None else f" in {seconds:.1f} s"
    return "  \n".join([f"**{len(session.nuclei)} nuclei**{time_taken}", _plain(picture.image.name), *session.notes])


def _summary(desk: Desk) -> str:
    """What came of "segment all": counts, and one line for each that could not be done."""
    done = [p for p in desk.pictures if p.session]
    lines = [f"**{len(done)} of {len(desk.pictures)} images segmented**"]
    lines += [f"{sum(len(p.session.nuclei) for p in done)} nuclei in all"]
    return "  \n".join(lines + [p.trouble for p in desk.pictures if p.trouble])


def _figures(picture: Picture) -> str:
    """The scores as a table in Markdown."""
    heads = {"dice": "Dice", "iou": "IoU", "aji": "AJI", "pq": "PQ", "f1": "F1", "msa": "mSA"}
    against = "SAC, as shown" if picture.truth is None else "the ground truth"
    lines = [f"Scores against {against}", "", f"| | nuclei | {' | '.join(heads.values())} |", "|---" * 8 + "|"]
    for row in work.figures(picture):
        cells = [f"{row[k]:.3f}" if k in row else "" for k in heads]
        lines.append(f"| {row['method']} | {row['nuclei']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _plain(name: str) -> str:
    """A file's name as Markdown that means nothing but itself."""
    return f"`{name.replace('`', chr(39))}`"
