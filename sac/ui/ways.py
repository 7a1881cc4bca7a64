"""How events run: which wait for one another, and the one row on which they tell how far they are."""

from __future__ import annotations

from typing import Any

import gradio as gr

QUICK = {"concurrency_id": "edits", "concurrency_limit": 4, "api_visibility": "private", "show_progress": "hidden"}
"""Edits do not wait for another visitor's picture."""
CSS = """
.gradio-container { overflow: clip !important; }
#sac-progress { position: sticky; top: 0; z-index: 30; height: 24px; min-height: 0; margin: -14px 0 -12px; padding: 0; border: 0; overflow: visible; background: none; pointer-events: none; }
#sac-progress > .wrap { inset: 0; flex-direction: row; align-items: center; gap: 14px; padding: 0 12px !important; border-radius: 6px; background: var(--background-fill-secondary); }
#sac-progress > .wrap:is(.hide, .generating, :has(.error)) { visibility: hidden; }
#sac-progress :is(.progress-text, .meta-text, .meta-text-center) { position: static; order: 3; transform: none; margin-left: auto; padding: 0; background: none; white-space: nowrap; }
#sac-progress :is(.progress-text, .progress-level-inner) { font-family: inherit; font-variant-numeric: tabular-nums; }
#sac-progress .margin { margin: 0; }
#sac-progress .progress-level { flex: 1; min-width: 0; flex-direction: row; gap: 14px; }
#sac-progress .progress-level-inner { margin: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
#sac-progress .progress-bar-wrap { flex: 1; width: auto; min-width: 60px; height: 6px; border: 0; border-radius: 3px; overflow: hidden; background: var(--border-color-primary); }
"""
"""A line of its own, that stays in sight when the page is scrolled: for that, nothing around it may be a box that scrolls
itself, as one with hidden overflow is. An error's sentence stands in a toast."""


def progress_row() -> gr.HTML:
    """Lays out the row; called under the heading, above the tabs."""
    return gr.HTML(elem_id="sac-progress", apply_default_css=False)


class Ways:
    """How events run that may take a while. Each tells how far it is on the same row: no picture and no words are
    veiled meanwhile, and no field is covered.

    slow: one picture at a time: two at once on two cores would both be slower than one after the other.
    opening: files are decoded beside everything else, a few at a time: each may take a process and its memory.
    keeping: what is saved, and opened again, does not wait for files that others send.
    hub: the Hub may be slow or silent: only those wait who asked for something of it.
    """

    def __init__(self, row: gr.HTML):
        self.plain: dict[str, Any] = {"api_visibility": "private", "show_progress_on": row}
        self.slow = self._taking_turns("inference", 1)
        self.opening = self._taking_turns("opening", 2)
        self.keeping = self._taking_turns("keeping", 2)
        self.hub = self._taking_turns("hub", 2)

    def _taking_turns(self, line: str, limit: int) -> dict[str, Any]:
        """limit: how many of that waiting line run at once."""
        return {**self.plain, "concurrency_id": line, "concurrency_limit": limit}
