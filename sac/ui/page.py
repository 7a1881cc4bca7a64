"""The page: a heading and its tabs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from sac import __version__
from sac.config import LIMITS
from sac.ui.opening import forget
from sac.ui.segment_tab import build_segment_tab

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""The visitor's own: no request leaves for another host."""
CSS = """
.gradio-container { max-width: 1920px !important; padding: 12px !important; }
.gradio-container > .main { padding: 0 !important; }
#sac-title h1 { margin: 0; font-size: 1.5rem; }
#sac-title p { margin: 2px 0 0; opacity: .75; }
#sac-examples { gap: 6px; }
#sac-examples button { padding: 4px 6px; white-space: nowrap; }
#sac-told p { overflow-wrap: anywhere; }
"""
SWEEP = (3600, 24 * 3600)
"""Seconds between two sweeps of temporary files, and the age from which they go."""


def build_page() -> gr.Blocks:
    """The whole page, ready to launch with `launch_settings()`."""
    with gr.Blocks(title="Segment Any Cell", delete_cache=SWEEP, analytics_enabled=False) as page:
        gr.Markdown(
            f"# Segment Any Cell\nEvery nucleus of a microscopy image, with the prompts that found it. {__version__}",
            elem_id="sac-title",
        )
        with gr.Tab("Segment"):
            build_segment_tab()
        page.unload(forget)
    return page.queue(max_size=LIMITS.queue)


def launch_settings() -> dict[str, Any]:
    """How the page is served, wherever it runs."""
    theme = gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
    )
    return {"theme": theme, "css": CSS, "max_file_size": LIMITS.upload, "run_history": False}
