"""The tab that teaches: data in, a training watched and steered, its checkpoint used."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from sac import hub
from sac.ui.models import choices
from sac.ui.segment_tab import Segmenting
from sac.ui.visitor import visitor_key
from training.jobs import Jobs
from training.tab_data import Bringing
from training.tab_form import settings_form
from training.tab_handlers import Teaching
from training.tab_watch import CSS, CURVES, status

EVERY = 2.0
"""Seconds between two looks at a training."""
PLAIN = {"api_visibility": "private"}
QUIET = {"api_visibility": "private", "show_progress": "hidden"}
GATHERING = {"concurrency_id": "opening", "concurrency_limit": 2, "api_visibility": "private"}
METHODS = [("LoRA and decoder", False), ("Quick: decoder alone", True)]
HEADS = {"loss": "Loss", "dice": "Dice", "msa": "mSA"}


def build_train_tab(page: gr.Blocks, segmenting: Segmenting) -> None:
    """Lays out the tab and wires its events; called inside a `gr.Tab`."""
    jobs = Jobs()
    jobs.start_next()  # what waited when the server ended
    key, draft, seen = visitor_key(), gr.State(None), gr.State(None)
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            data = gr.File(
                label="Images and masks, or a zip", elem_id="train-data",
                file_count="multiple", type="filepath", height=130,
            )  # fmt: skip
            fix = gr.Button("Teach from my corrections", size="sm", elem_id="train-corrections")
            with gr.Accordion("A data set on the Hub", open=False, elem_id="train-hub"):
                source = _hub_fields()
            found = gr.Markdown(elem_id="train-found")
            samples = gr.Gallery(
                columns=4,
                height=120,
                show_label=False,
                elem_id="train-samples",
                object_fit="cover",
                interactive=False,
                visible=False,
            )
            start_from = gr.Dropdown(choices([]), value=hub.DEFAULT, label="Start from", elem_id="train-from")
            quick = gr.Radio(METHODS, value=False, label="What learns", elem_id="train-method")
            title = gr.Textbox(label="Name of the new checkpoint", value="mine", max_length=60, elem_id="train-title")
            with gr.Accordion("Settings", open=False, elem_id="train-settings"):
                settings = settings_form()
            estimate = gr.Markdown(elem_id="train-estimate")
            start = gr.Button("Start", variant="primary", size="lg", elem_id="train-start", interactive=False)
        with gr.Column(scale=3, min_width=520):
            chosen = gr.Dropdown([], label="My trainings", elem_id="train-jobs", filterable=False)
            told = gr.HTML(status(None, jobs), css_template=CSS)
            with gr.Row():
                pause, resume, cancel, delete = (
                    gr.Button(word, size="sm", min_width=80, interactive=False, elem_id=f"train-{word.lower()}")
                    for word in ("Pause", "Resume", "Cancel", "Delete")
                )
            after = _after_fields()
            with gr.Row():
                plots = [
                    gr.LinePlot(
                        None, x="step", y=name, color="images", title=HEADS[name], height=230, min_width=220,
                        elem_id=f"train-{name}", color_map={"training": "#94a3b8", "validation": "#0d9488"},
                    )
                    for name in CURVES
                ]  # fmt: skip
            with gr.Column(visible=False) as seen_tiles:
                gr.Markdown("Validation tiles, as they were last segmented; the truth's borders are white.")
                tiles = gr.Gallery(
                    show_label=False,
                    columns=6,
                    height=170,
                    elem_id="train-tiles",
                    interactive=False,
                    object_fit="cover",
                )
            with gr.Accordion("Log", open=False):
                log = gr.Textbox(show_label=False, lines=8, interactive=False, elem_id="train-log")
    teach, bring, clock = Teaching(jobs), Bringing(jobs), gr.Timer(EVERY)
    steer = [pause, resume, cancel, delete]
    watched = [
        seen,
        told,
        *steer,
        *plots,
        seen_tiles,
        tiles,
        log,
        after.group,
        after.words,
        after.image,
        after.wipe,
        after.file,
    ]
    brought, form = [draft, found, samples, start], [title, start_from, quick, *settings]
    data.upload(bring.files, [draft, data], brought, **GATHERING)
    data.clear(bring.files, [draft, data], brought, **PLAIN)
    fix.click(bring.corrections, [draft, segmenting.desk], brought, **GATHERING)
    source.look.click(bring.look, source.name, [source.split, source.image, source.mask], **GATHERING)
    source.take.click(bring.hub, [draft, source.name, source.split, source.image, source.mask], brought, **GATHERING)
    for change in (draft.change, quick.change, *(field.change for field in settings)):
        change(teach.estimate, [draft, *form], estimate, **QUIET)
    start_from.change(teach.started_from, start_from, settings[-4:], **QUIET)
    page.load(teach.arrive, key, [key, chosen, start_from, segmenting.model], **QUIET)
    start.click(teach.start, [draft, key, *form], [draft, chosen, start], **PLAIN)
    clock.tick(teach.watch, [chosen, seen, key], watched, **QUIET)
    chosen.change(teach.show, [chosen, key], watched, **QUIET)
    for button, act in ((pause, teach.pause), (resume, teach.resume), (cancel, teach.cancel)):
        button.click(act, [chosen, key], watched, **QUIET)
    delete.click(teach.delete, [chosen, key], [chosen, start_from, segmenting.model], **QUIET)
    after.image.change(teach.compare, [chosen, after.image, key], after.wipe, **QUIET)
    used = [segmenting.desk, segmenting.model, segmenting.tabs]
    after.use.click(teach.use, [chosen, segmenting.desk, key], used, **PLAIN)
    renamed = after.rename.click(
        teach.rename, [chosen, after.name, key], [chosen, start_from, segmenting.model], **PLAIN
    )
    renamed.then(teach.show, [chosen, key], watched, **QUIET)
    after.push.click(
        teach.push, [chosen, after.repository, after.token, after.private, key], [after.token, after.pushed], **PLAIN
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


class AfterFields(NamedTuple):
    """What shows and uses a finished training."""

    group: gr.Column
    words: gr.Markdown
    image: gr.Radio
    wipe: gr.ImageSlider
    use: gr.Button
    file: gr.DownloadButton
    name: gr.Textbox
    rename: gr.Button
    repository: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    push: gr.Button
    pushed: gr.Markdown


def _after_fields() -> AfterFields:
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
            token = gr.Textbox(label="Your token with the right to write; it is not kept", type="password")
            private = gr.Checkbox(True, label="Private")
            push = gr.Button("Send", size="sm", elem_id="train-push-send")
            pushed = gr.Markdown()
    return AfterFields(group, words, image, wipe, use, file, name, rename, repository, token, private, push, pushed)
