"""The tab that segments: a picture in, its nuclei and their prompts on the stage, files out."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from sac import hub
from sac.config import MODES, SegmentOptions
from sac.errors import ImageError, OptionError
from sac.export import Result, safe_stem, zipped
from sac.images import Image, read_image
from sac.inference.segment import Progress, segment
from sac.model.sac import SAC
from sac.ui.canvas import SegCanvas
from sac.ui.errors import shows_errors
from sac.ui.examples import EXAMPLES

MODE_NAMES = {"Instances: one mask per nucleus": "instances", "Semantic: one mask of all nuclei": "semantic"}
MODEL_NAMES = {"nuclei (general)": "nuclei", "nuclei-he (H&E, stains)": "nuclei-he"}
INFERENCE = {"concurrency_id": "inference", "concurrency_limit": 1}
"""One picture at a time: two at once on two cores would both be slower than one after the other."""

revisions = itertools.count(1)


@dataclass(frozen=True, eq=False)
class Opened:
    """The picture that one browser tab has open. Compared by identity, so that Gradio neither hashes nor copies it."""

    image: Image

    def __deepcopy__(self, memo: dict) -> Opened:
        return self


@dataclass(frozen=True)
class Run:
    """A finished segmentation and how long it took, in seconds."""

    result: Result
    seconds: float

    def summary(self) -> dict[str, Any]:
        """What the endpoint says: counts, time, and what the result was made with."""
        found = self.result.found
        kinds = [kind for _, _, kind in found.prompts.shown]
        return {
            "nuclei": len(found),
            "positive_prompts": kinds.count(1),
            "negative_prompts": kinds.count(0),
            "seconds": round(self.seconds, 2),
            **self.result.about(),
        }


def build_segment_tab() -> None:
    """Lays out the tab and wires its events; called inside a `gr.Blocks`."""
    opened = gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=280):
            upload = gr.File(
                label="Image: PNG, JPEG, WebP, BMP, TIFF", elem_id="sac-upload", height=150, type="filepath"
            )
            with gr.Row(elem_id="sac-examples"):
                examples = [
                    gr.Button(label, size="sm", min_width=110, elem_id=f"sac-example-{number}")
                    for number, label in enumerate(EXAMPLES, start=1)
                ]
            model = gr.Dropdown(list(MODEL_NAMES.items()), value=hub.DEFAULT, label="Checkpoint", elem_id="sac-model")
            mode = gr.Radio(list(MODE_NAMES.items()), value="instances", label="Mode", elem_id="sac-mode")
            start = gr.Button("Segment", variant="primary", size="lg", elem_id="sac-segment")
            told = gr.Markdown(elem_id="sac-told")
            download = gr.DownloadButton("Download results (zip)", visible=False, size="md", elem_id="sac-download")
        with gr.Column(scale=4, min_width=520):
            canvas = SegCanvas()

    private = {"api_visibility": "private"}
    upload.upload(shows_errors(_open), upload, [opened, told], **private)
    upload.clear(lambda: (None, ""), None, [opened, told], **private)
    for button, label in zip(examples, EXAMPLES):
        chosen = button.click(_example(label), None, [opened, model, told], **private)
        chosen.then(_runner(canvas), [opened, model, mode], [canvas, told, download], **INFERENCE, **private)
    start.click(_runner(canvas), [opened, model, mode], [canvas, told, download], **INFERENCE, **private)
    _endpoint()


def _open(path: str) -> tuple[Opened, str]:
    image = read_image(path)
    return Opened(image), _described(image)


def _example(label: str) -> Callable[[], tuple[Opened, str, str]]:
    """A handler that opens an example and picks the checkpoint it is best seen with."""

    def choose() -> tuple[Opened, str, str]:
        model, make = EXAMPLES[label]
        image = make()
        return Opened(image), model, _described(image)

    return choose


def _runner(canvas: SegCanvas):
    """A handler that segments the open picture onto `canvas`."""

    @shows_errors
    def press(opened: Opened | None, model: str, mode: str, progress=gr.Progress()) -> tuple[dict, str, Any]:
        if opened is None:
            raise ImageError("There is no image yet: drop one on the upload field, or pick an example.")
        run = segment_image(opened.image, model, mode, lambda share, word: progress(share, desc=word))
        return (
            canvas.show(run.result, next(revisions)),
            _told(run),
            gr.DownloadButton(value=_zip(run.result), visible=True),
        )

    return press


def _endpoint() -> None:
    """`/segment`: (file, model, mode) -> (summary as JSON, zip of the five outputs)."""
    file, model, mode = gr.File(visible=False), gr.Textbox(visible=False), gr.Textbox(visible=False)
    summary, archive, call = gr.JSON(visible=False), gr.File(visible=False), gr.Button(visible=False)

    @shows_errors
    def segment_file(file: str, model: str = hub.DEFAULT, mode: str = "instances") -> tuple[dict, str]:
        if not file:
            raise ImageError("No file was sent; send one image")
        run = segment_image(read_image(file), model or hub.DEFAULT, mode or "instances")
        return run.summary(), _zip(run.result)

    call.click(segment_file, [file, model, mode], [summary, archive], api_name="segment", **INFERENCE)


def segment_image(image: Image, model: str, mode: str, progress: Progress = lambda share, word: None) -> Run:
    """Segments one image with an embedded checkpoint."""
    if model not in hub.EMBEDDED:
        raise OptionError(f"unknown model {model!r}; it is one of {', '.join(hub.EMBEDDED)}")
    if mode not in MODES:
        raise OptionError(f"unknown mode {mode!r}; it is one of {', '.join(MODES)}")
    options = SegmentOptions(mode=mode)
    sac = loaded(model)
    begun = time.perf_counter()
    found = segment(image, sac, options, progress)
    return Run(Result(image, found, model, options), time.perf_counter() - begun)


@lru_cache(maxsize=2)
def loaded(model: str) -> SAC:
    """A checkpoint in memory, shared by all visitors: it is only read."""
    return hub.load(model)


def _zip(result: Result) -> str:
    """Path of the five outputs in one zip, in Gradio's own cache, which is swept."""
    return save_bytes_to_cache(zipped(result), f"{safe_stem(result.image.name)}.zip", get_upload_folder())


def _described(image: Image) -> str:
    height, width = image.size
    size = f"{width} × {height} px" + (f", {image.microns:.3g} µm per pixel" if image.microns else "")
    return "  \n".join([f"{_plain(image.name)}: {size}", *image.notes])


def _told(run: Run) -> str:
    found = run.result.found
    lines = [f"**{len(found)} nuclei** in {run.seconds:.1f} s", f"{_plain(run.result.image.name)}", *found.notes]
    return "  \n".join(lines)


def _plain(name: str) -> str:
    """A file's name as Markdown that means nothing but itself."""
    return f"`{name.replace('`', chr(39))}`"
