"""The tab that teaches: data in, a training watched and steered, its checkpoint used. What it looks like, and its wires."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from sac.ui.models import choices, default
from sac.ui.segment_tab import Segmenting
from training.jobs import Jobs
from training.tab_data import Bringing
from training.tab_form import LORA, settings_form
from training.tab_handlers import Teaching
from training.tab_watch import CSS, CURVES, status

EVERY = 2.0
"""Seconds between two looks at a training."""
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
METHODS = [("LoRA and decoder", False), ("Quick: decoder alone", True)]
HEADS = {"loss": "Loss", "dice": "Dice", "msa": "mSA"}
COLOURS = {"training": "#94a3b8", "validation": "#0d9488"}


def build_train_tab(segmenting: Segmenting) -> None:
    """Lays out the tab and wires its events; called inside a `gr.Tab`."""
    jobs = Jobs()
    jobs.start_next()  # what waited when the server ended
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            form = _form()
        with gr.Column(scale=3, min_width=520):
            view = _view(jobs)
    _wire_data(form, segmenting, Bringing(jobs))
    _wire_training(form, view, segmenting, Teaching(jobs))


class Form(NamedTuple):
    """What a training is asked for with. draft: the training set that was brought, before a training is begun."""

    draft: gr.State
    data: gr.File
    corrections: gr.Button
    source: HubFields
    found: gr.Markdown
    samples: gr.Gallery
    start_from: gr.Dropdown
    quick: gr.Radio
    title: gr.Textbox
    settings: list[gr.components.Component]
    estimate: gr.Markdown
    start: gr.Button

    @property
    def values(self) -> list[gr.components.Component]:
        """In the order in which handlers take them."""
        return [self.title, self.start_from, self.quick, *self.settings]


def _form() -> Form:
    data = gr.File(
        label="Images and masks, or a zip", elem_id="train-data", file_count="multiple", type="filepath", height=150
    )
    corrections = gr.Button("Teach from my corrections", size="sm", elem_id="train-corrections")
    with gr.Accordion("A data set on the Hub", open=False, elem_id="train-hub"):
        source = _hub_fields()
    found = gr.Markdown(elem_id="train-found")
    samples = gr.Gallery(
        columns=2, height="auto", show_label=False, elem_id="train-samples", object_fit="cover", interactive=False,
        visible=False,
    )  # fmt: skip
    start_from = gr.Dropdown(choices([]), value=default(), label="Start from", elem_id="train-from")
    quick = gr.Radio(METHODS, value=False, label="What learns", elem_id="train-method")
    title = gr.Textbox(label="Name of the new checkpoint", value="mine", max_length=60, elem_id="train-title")
    with gr.Accordion("Settings", open=False, elem_id="train-settings"):
        settings = settings_form()
    estimate = gr.Markdown(elem_id="train-estimate")
    start = gr.Button("Start", variant="primary", size="lg", elem_id="train-start", interactive=False)
    return Form(
        gr.State(None), data, corrections, source, found, samples, start_from, quick, title, settings, estimate, start
    )


class HubFields(NamedTuple):
    """What names a data set on the Hub."""

    name: gr.Textbox
    look: gr.Button
    split: gr.Dropdown
    image: gr.Dropdown
    mask: gr.Dropdown
    take: gr.Button


def _hub_fields() -> HubFields:
    return HubFields(
        gr.Textbox(label="Data set", placeholder="owner/name", elem_id="train-hub-name"),
        gr.Button("Look", size="sm", elem_id="train-hub-look"),
        gr.Dropdown([], label="Split", elem_id="train-hub-split"),
        gr.Dropdown([], label="Column with the images", elem_id="train-hub-image"),
        gr.Dropdown([], label="Column with the masks", elem_id="train-hub-mask"),
        gr.Button("Take", size="sm", elem_id="train-hub-take"),
    )


class View(NamedTuple):
    """What shows a training. seen: what of it the page shows already. plots, tiles: first what holds them, which is
    hidden as long as there is nothing in them."""

    seen: gr.State
    chosen: gr.Dropdown
    status: gr.HTML
    steer: list[gr.Button]
    after: After
    plots: list[Any]
    tiles: list[Any]
    log: gr.Textbox

    @property
    def watched(self) -> list[Any]:
        """What `Teaching.show` fills, in its order."""
        return [self.seen, self.status, *self.steer, *self.plots, *self.tiles, self.log, *self.after[:5]]


def _view(jobs: Jobs) -> View:
    chosen = gr.Dropdown([], label="My trainings", elem_id="train-jobs", filterable=False)
    told = gr.HTML(status(None, jobs), css_template=CSS)
    with gr.Row():
        steer = [
            gr.Button(word, size="sm", min_width=80, interactive=False, elem_id=f"train-{word.lower()}")
            for word in ("Pause", "Resume", "Cancel", "Delete")
        ]
    after = _after()
    with gr.Row(visible=False) as seen_plots:
        plots = [
            gr.LinePlot(
                None, x="step", y=name, color="images", title=HEADS[name], height=230, min_width=220,
                elem_id=f"train-{name}", color_map=COLOURS,
            )
            for name in CURVES
        ]  # fmt: skip
    with gr.Column(visible=False) as seen_tiles:
        gr.Markdown("Validation tiles, as they were last segmented; the truth's borders are white.")
        tiles = gr.Gallery(
            show_label=False, columns=6, height="auto", elem_id="train-tiles", interactive=False, object_fit="cover"
        )
    with gr.Accordion("Log", open=False):
        log = gr.Textbox(show_label=False, lines=8, interactive=False, elem_id="train-log")
    return View(gr.State(None), chosen, told, steer, after, [seen_plots, *plots], [seen_tiles, tiles], log)


class After(NamedTuple):
    """What shows and uses a finished training; the first five are filled when it is shown."""

    group: gr.Column
    words: gr.Markdown
    image: gr.Radio
    wipe: gr.ImageSlider
    file: gr.DownloadButton
    use: gr.Button
    name: gr.Textbox
    rename: gr.Button
    repository: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    push: gr.Button
    pushed: gr.Markdown


def _after() -> After:
    with gr.Column(visible=False, elem_id="train-after") as group:
        words = gr.Markdown(elem_id="train-outcome")
        image = gr.Radio([], label="Image held out", elem_id="train-image")
        wipe = gr.ImageSlider(label="Before | after", interactive=False, elem_id="train-wipe", max_height=420)
        with gr.Row():
            use = gr.Button("Use it now", variant="primary", size="sm", elem_id="train-use")
            file = gr.DownloadButton("Download", size="sm", elem_id="train-download")
            name = gr.Textbox(
                placeholder="Another name", show_label=False, container=False, max_length=60, elem_id="train-name"
            )
            rename = gr.Button("Rename", size="sm", min_width=80, scale=0, elem_id="train-rename")
        with gr.Accordion("Send to the Hugging Face Hub", open=False, elem_id="train-push"):
            repository = gr.Textbox(label="Repository", placeholder="owner/name", elem_id="train-push-name")
            token = gr.Textbox(
                label="Your token with the right to write; it is not kept", type="password", elem_id="train-push-token"
            )
            private = gr.Checkbox(True, label="Private")
            push = gr.Button("Send", size="sm", elem_id="train-push-send")
            pushed = gr.Markdown(elem_id="train-pushed")
    return After(group, words, image, wipe, file, use, name, rename, repository, token, private, push, pushed)


def _wire_data(form: Form, segmenting: Segmenting, bring: Bringing) -> None:
    ways, source = segmenting.ways, form.source
    brought = [form.draft, form.found, form.samples, form.estimate, form.start]
    named = [source.name, source.split, source.image, source.mask]
    form.data.upload(bring.files, [form.draft, form.data], brought, **ways.opening)
    form.data.clear(bring.files, [form.draft, form.data], brought, **ways.plain)
    form.corrections.click(bring.corrections, [form.draft, segmenting.desk], brought, **ways.opening)
    source.look.click(bring.look, source.name, [source.split, source.image, source.mask], **ways.opening)
    source.take.click(bring.hub, [form.draft, *named], brought, **ways.opening)


def _wire_training(form: Form, view: View, segmenting: Segmenting, teach: Teaching) -> None:
    ways, key, chosen, after, watched = segmenting.ways, segmenting.key, view.chosen, view.after, view.watched
    lists = [chosen, form.start_from, segmenting.model]
    changes = [part.change for part in (form.draft, form.quick, *form.settings)]
    told = [form.draft, *form.values]  # one after the other: a slow answer does not come after a later one
    gr.on(changes, teach.estimate, told, [form.estimate, form.start], trigger_mode="always_last", **QUIET)
    form.start_from.change(teach.started_from, form.start_from, form.settings[-len(LORA) :], **QUIET)
    form.start.click(teach.start, [form.draft, key, *form.values], [form.draft, chosen, form.start], **ways.plain)
    segmenting.arrived.then(teach.arrive, key, lists, **QUIET)
    segmenting.brought.success(teach.offer, [segmenting.desk, key], [form.start_from, segmenting.model], **QUIET)
    gr.Timer(EVERY).tick(teach.watch, [chosen, view.seen, key], watched, **QUIET)
    chosen.change(teach.show, [chosen, key], watched, **QUIET)
    pause, resume, cancel, delete = view.steer
    for button, act in ((pause, teach.pause), (resume, teach.resume), (cancel, teach.cancel)):
        button.click(act, [chosen, key], watched, **QUIET)
    delete.click(teach.delete, [chosen, segmenting.desk, key], lists, **QUIET)
    after.image.change(teach.compare, [chosen, after.image, key], after.wipe, **QUIET)
    used = [segmenting.desk, segmenting.model, segmenting.tabs]
    after.use.click(teach.use, [chosen, segmenting.desk, key], used, **ways.plain)
    renamed = after.rename.click(teach.rename, [chosen, after.name, segmenting.desk, key], lists, **ways.plain)
    renamed.then(teach.show, [chosen, key], watched, **QUIET)
    sent = [chosen, after.repository, after.token, after.private, key]
    after.push.click(teach.push, sent, [after.token, after.pushed], **ways.plain)
