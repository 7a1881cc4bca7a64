"""The tab that segments: pictures in, nuclei and their prompts on the stage, edits, comparisons, files out."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from sac.config import PROMINENCE_RANGE, SegmentOptions, View
from sac.errors import ImageError
from sac.export import safe_stem, zipped
from sac.images import read_image
from sac.inference.compare import RIVALS
from sac.ui import work
from sac.ui.about import about
from sac.ui.canvas import SegCanvas
from sac.ui.cases.keeping import Keeping
from sac.ui.cases.panel import CasePanel, case_panel, conflict_bar
from sac.ui.cases.sharing import ADDRESS, make, revoke
from sac.ui.checkpoint import CheckpointPanel, checkpoint_panel, fetch
from sac.ui.errors import shows_errors
from sac.ui.examples import EXAMPLES
from sac.ui.handlers import Handlers
from sac.ui.models import choices, default, thresholds
from sac.ui.opening import Opening, seated
from sac.ui.served import served
from sac.ui.source import source_controls
from sac.ui.ways import QUICK, Ways

MODE_NAMES = {"Instances": "instances", "Semantic": "semantic"}
STRATEGY_NAMES = {"Centroid of each region": "centroid", "Most probable pixel": "probability"}
KIND_NAMES = {"Both": "both", "Positive only": "positive", "Negative only": "negative"}
FOLD = "() => ({__type__: 'update', open: false})"
"""An accordion's new state, without a way to the server and back."""
AIM = "(desk, id, ...told) => [desk, document.querySelector('#sac-canvas')?.dataset.picture ?? '', ...told]"
"""Says which picture is meant, before the event waits its turn: that which is shown now."""


class Segmenting(NamedTuple):
    """What other tabs may use of this one: the visitor's desk, the choice of the checkpoint, the tabs.

    key: the browser's, which is known once the page has `arrived`. ways: how events run. everything: what shows the
    desk, in the order of `Opening.everything`. brought: a checkpoint came from the Hub; what is to follow hangs on its
    `success`.
    """

    desk: gr.State
    key: gr.BrowserState
    arrived: gr.events.Dependency
    model: gr.Dropdown
    tabs: gr.Tabs
    ways: Ways
    bring: Opening
    everything: list[gr.components.Component]
    case: CasePanel
    brought: gr.events.Dependency


def build_segment_tab(tabs: gr.Tabs, key: gr.BrowserState, arrived: gr.events.Dependency, ways: Ways) -> Segmenting:
    """Lays out the tab and wires its events; called inside a `gr.Blocks`."""
    desk = gr.State(None)
    shared, conflict = gr.Markdown(visible=False, elem_id="sac-shared"), conflict_bar()
    with gr.Row(equal_height=False, elem_id="sac-desk"):
        with gr.Column(scale=1, min_width=270, elem_id="sac-controls") as controls:
            upload = gr.File(
                label="Images, slides, or a zip of them", elem_id="sac-upload", height=150, file_count="multiple",
                type="filepath",
            )  # fmt: skip
            with gr.Row(elem_id="sac-examples"):
                folder = gr.UploadButton(
                    "Folder", file_count="directory", type="filepath", size="sm", min_width=50, elem_id="sac-folder"
                )
                examples = [
                    gr.Button(label, size="sm", min_width=50, elem_id=f"sac-example-{number}")
                    for number, label in enumerate(EXAMPLES, start=1)
                ]
            with gr.Accordion("Pixel size, channel, plane, region", open=False, elem_id="sac-source") as panel:
                origin = source_controls()
            model = gr.Dropdown(choices([]), value=default(), label="Checkpoint", elem_id="sac-model")
            checkpoint = checkpoint_panel()
            mode = gr.Radio(
                list(MODE_NAMES.items()),
                value="instances",
                label="Mode: a mask for each nucleus, or one of all",
                elem_id="sac-mode",
            )
            start = gr.Button("Segment", variant="primary", size="lg", elem_id="sac-segment")
            with gr.Row(elem_id="sac-all"):
                start_all = gr.Button("Segment all", size="sm", min_width=110, elem_id="sac-segment-all")
                cancel = gr.Button("Cancel", size="sm", min_width=80, elem_id="sac-cancel")
            told = gr.Markdown(elem_id="sac-told")
            with gr.Accordion("Automatic prompts", open=False, elem_id="sac-prompts"):
                settings = _prompt_settings()
            with gr.Accordion("Compare and check", open=False, elem_id="sac-check"):
                rival = gr.Radio([(v, k) for k, v in RIVALS.items()], value="vanilla", label="Compare with")
                truth = gr.File(label="Ground truth: labels or mask", elem_id="sac-truth", height=150)
            with gr.Accordion("Case: save and share", elem_id="sac-case") as folding:
                case = case_panel(conflict)
        with gr.Column(scale=4, min_width=480):
            canvas = SegCanvas()
            figures = gr.Markdown(elem_id="sac-figures")

    do, bring, meant = Handlers(canvas), Opening(canvas), gr.Textbox("", visible=False)
    asked, shown = [desk, meant, model, mode, *settings], [canvas, told, figures]
    everything = [*shown, panel, *origin]
    for field in (upload, folder):
        field.upload(bring.files, [desk, field], [desk, field, model, *everything], **ways.opening)
    running: list[gr.events.Dependency] = []  # what may take long, and can be cancelled
    for button, label in zip(examples, EXAMPLES):
        chosen = button.click(bring.example(label), desk, [desk, model, *everything], **ways.plain)
        running.append(chosen.success(do.press, asked, shown, **ways.slow))
    channel, plane, microns, region = origin
    for changed in (channel.input, plane.release, microns.submit, microns.blur, region.submit):
        changed(bring.part, [desk, meant, *origin], everything, js=AIM, **ways.opening)
    canvas.region(bring.region, desk, everything, **ways.opening)
    running.append(start.click(do.press, asked, shown, js=AIM, **ways.slow))
    running.append(start_all.click(do.press_all, [desk, *asked[2:]], shown, **ways.slow))
    model.input(bring.pick, desk, desk, **QUICK)
    brought, *switched = _wire_checkpoint(checkpoint, do, asked, shown, ways)
    running += [*switched, mode.input(do.switch, asked, shown, js=AIM, **ways.slow)]
    for control in settings:
        changed = control.release if isinstance(control, gr.Slider) else control.input
        running.append(changed(do.prompt, asked, shown, js=AIM, **ways.slow))
    truth.upload(do.take_truth, [desk, meant, truth], [canvas, figures], js=AIM, **ways.plain)
    truth.clear(do.remove_truth, desk, [canvas, figures], **ways.plain)
    canvas.edit(do.edit, desk, canvas, trigger_mode="multiple", **QUICK)
    canvas.judge(do.judge, desk, [canvas, figures], **QUICK)
    canvas.show(bring.show, desk, [*everything, model, mode], trigger_mode="multiple", **QUICK)
    running.append(canvas.compare(do.compare, [desk, meant, rival], [canvas, figures], js=AIM, **ways.slow))
    cancel.click(do.stop, desk, shown, cancels=running, **QUICK)
    canvas.export(do.export, desk, canvas, **QUICK)
    keep = Keeping(canvas, bring)
    segmenting = Segmenting(desk, key, arrived, model, tabs, ways, bring, everything, case, brought)
    _wire_case(segmenting, keep, canvas)
    # Laid out open, then closed: fields of a panel that is laid out late lose what comes to them meanwhile.
    arrived.then(None, None, folding, js=FOLD, **ways.plain)
    arrived.then(keep.arrive, [desk, key], [desk, shared, controls, *everything, *case.told], **ways.keeping)
    _endpoint()
    return segmenting


def _wire_checkpoint(
    checkpoint: CheckpointPanel, do: Handlers, asked: list, shown: list, ways: Ways
) -> list[gr.events.Dependency]:
    """What tells of a checkpoint, and takes another.

    Returns the event by which one comes from the Hub, and those that segment anew.
    """
    desk, _, model, *_ = asked
    own = asked[-2:]
    model.change(about, model, checkpoint.told, **QUICK)
    model.change(thresholds, model, own, **QUICK)
    asked_for = gr.on([checkpoint.load.click, checkpoint.name.submit], seated, desk, desk, **QUICK)
    brought = asked_for.success(fetch, [desk, checkpoint.name], [model, checkpoint.name], **ways.hub)
    chosen = (brought.success, model.input)  # its own thresholds first: the picture is segmented with them
    return [brought, *(of(thresholds, model, own, **QUICK).then(do.switch, asked, shown, **ways.slow) for of in chosen)]


def _wire_case(segmenting: Segmenting, keep: Keeping, canvas: SegCanvas) -> None:
    """What saves, shares and comments the picture shown."""
    desk, key, case, ways = segmenting.desk, segmenting.key, segmenting.case, segmenting.ways
    arrived, everything = segmenting.arrived, segmenting.everything
    written, kept = [desk, case.name, case.notes, case.author, key], [canvas, *case.told]
    for asked in (canvas.keep, case.save.click):
        asked(keep.save, written, kept, **ways.keeping)
    case.conflict.keep_both.click(keep.keep_both, written, kept, **ways.keeping)
    case.conflict.reload.click(keep.reload, desk, [*everything, *case.told], **ways.keeping)
    case.versions.input(keep.version, [desk, case.versions], [*everything, *case.told], **ways.keeping)
    canvas.turned(keep.turned, desk, case.told, trigger_mode="multiple", **QUICK)
    canvas.comment(keep.comment, [desk, case.author], canvas, trigger_mode="multiple", **QUICK)
    name = gr.BrowserState("", storage_key="segment-any-cell-name")
    case.author.change(None, case.author, name, js="name => name", **ways.plain)
    arrived.then(None, name, case.author, js="name => name || ''", **ways.plain)
    made = case.make.click(make, [desk, case.level, case.days, case.note], [case.token, case.links, case.link], **QUICK)
    made.success(None, case.token, case.url, js=ADDRESS, **ways.plain)
    case.revoke.click(revoke, [desk, case.link], [case.links, case.link], **QUICK)


def _prompt_settings() -> list[gr.components.Component]:
    """Controls of the automatic prompts, in the order in which the handlers take them."""
    usual, (least, dip) = SegmentOptions(), thresholds(default())
    strategy, kinds = ([(k, v) for k, v in names.items()] for names in (STRATEGY_NAMES, KIND_NAMES))
    return [
        gr.Radio(strategy, value=usual.strategy, label="Where a point is put", elem_id="sac-strategy"),
        gr.Radio(kinds, value=usual.kinds, label="Which points are given", elem_id="sac-kinds"),
        gr.Slider(1, 32, usual.pairs, step=1, label="Semantic: pairs of points per tile", elem_id="sac-pairs"),
        gr.Slider(0, 8, usual.negatives, step=1, label="Instances: most negatives per nucleus",
                  elem_id="sac-negatives"),
        gr.Slider(0, 1, least, step=0.05, label="Instances: least certainty", elem_id="sac-certainty"),
        gr.Slider(*PROMINENCE_RANGE, dip, step=0.01, label="Instances: least dip between two nuclei",
                  elem_id="sac-prominence"),
    ]  # fmt: skip


def _endpoint() -> None:
    """`/segment`: (file, model, mode, view) -> (summary as JSON, zip of all outputs). `view`: fields of View."""
    file, model, mode = gr.File(visible=False), gr.Textbox(visible=False), gr.Textbox(visible=False)
    view = gr.JSON(visible=False)
    summary, archive, call = gr.JSON(visible=False), gr.File(visible=False), gr.Button(visible=False)

    @shows_errors
    def segment_file(
        file: str, model: str = default(), mode: str = "instances", view: dict | None = None
    ) -> tuple[dict, str]:
        if not file:
            raise ImageError("No file was sent; send one image")
        image = read_image(file, view=View.of(view))
        run = work.segment_file(image, model or default(), mode or "instances")
        name = f"{safe_stem(run.result.image.name)}.zip"
        return run.summary(), served(zipped(run.result), name)

    call.click(
        segment_file, [file, model, mode, view], [summary, archive], api_name="segment", concurrency_id="inference",
        concurrency_limit=1,
    )  # fmt: skip
