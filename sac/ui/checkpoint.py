"""Which checkpoint is in use, beside its choice: what it is, and another one from the Hub."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from sac.config import LIMITS
from sac.errors import CheckpointError
from sac.ui import work
from sac.ui.about import about
from sac.ui.desk import Desk
from sac.ui.errors import shows_errors
from sac.ui.models import choices, default
from sac.ui.serving.guests import members_only
from sac.ui.visitor import owner_of


class CheckpointPanel(NamedTuple):
    """What tells of the checkpoint, and what asks the Hub for another."""

    told: gr.Markdown
    name: gr.Textbox
    load: gr.Button


def checkpoint_panel() -> CheckpointPanel:
    """Lays it out; called below the choice of the checkpoint."""
    with gr.Accordion("About this checkpoint", open=False, elem_id="sac-about"):
        panel = CheckpointPanel(
            gr.Markdown(about(default()), elem_id="sac-about-told", latex_delimiters=[]),
            gr.Textbox(
                label="A checkpoint on the Hub: owner/name", placeholder="owner/name", max_length=200,
                elem_id="sac-hub-name",
            ),
            gr.Button("Load", size="sm", elem_id="sac-hub-load"),
        )  # fmt: skip
        gr.Markdown("A public one. It is checked, and kept on this machine.", elem_id="sac-hub-told")
    return panel


@members_only
@shows_errors
def fetch(desk: Desk, name: str | None, request: gr.Request, progress=gr.Progress()) -> tuple[dict, str]:
    """Fetches a checkpoint from the Hub and chooses it. Returns the choice, and an empty field."""
    if len(desk.models) >= LIMITS.brought:
        raise CheckpointError(f"One tab takes up to {LIMITS.brought} checkpoints from the Hub; open another for more.")
    owner = owner_of("", request)
    brought = work.brought((name or "").strip(), owner, lambda share, words: progress(share, desc=words))
    with desk.lock:
        desk.picked = True
        desk.models = list(dict.fromkeys([*desk.models, brought]))
        return gr.update(choices=choices(desk.models), value=brought), ""
