"""The tab with a visitor's cases: what it looks like, and its wires."""

from __future__ import annotations

import gradio as gr

from sac.cases.file import SUFFIX
from sac.ui.cases.shelf import Shelf, Shelving
from sac.ui.segment_tab import Segmenting
from sac.ui.ways import QUICK


def build_cases_tab(tab: gr.Tab, segmenting: Segmenting) -> None:
    """Lays out the tab and wires its events; called inside it."""
    with gr.Row():
        gr.Markdown("What you saved as a case, on this machine, until you delete it.", elem_id="sac-cases-told")
        brings = gr.UploadButton(
            f"Import {SUFFIX}", file_types=[SUFFIX], type="filepath", size="sm", scale=0, min_width=150,
            elem_id="sac-cases-import",
        )  # fmt: skip
    shelf = Shelf(elem_id="sac-cases")
    do, key = Shelving(segmenting.bring), segmenting.key
    tab.select(do.mine, key, shelf, **QUICK)
    brings.upload(do.bring, [brings, key], [shelf, brings], **segmenting.ways.opening)
    opened = [segmenting.desk, segmenting.tabs, shelf, *segmenting.everything, *segmenting.case.told]
    shelf.deed(do.deed, [segmenting.desk, key], opened, trigger_mode="multiple", **segmenting.ways.keeping)
