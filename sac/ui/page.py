"""The page: a heading and its tabs."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import gradio as gr

from sac import __version__
from sac.config import LIMITS
from sac.errors import OptionError
from sac.space.keeping import Keeping
from sac.ui.banner import build_banner
from sac.ui.cases.tab import build_cases_tab
from sac.ui.opening import FIRST, forget
from sac.ui.segment_tab import Segmenting, build_segment_tab
from sac.ui.visitor import kept_key, visitor_key
from sac.ui.ways import CSS as PROGRESS_CSS
from sac.ui.ways import QUICK, Ways, progress_row

FONTS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
"""The visitor's own: no request leaves for another host."""
CSS = """
html { scrollbar-gutter: stable; }
.gradio-container { max-width: 1920px !important; padding: 12px !important; }
.gradio-container > .main { padding: 0 !important; }
#sac-title h1 { margin: 0; font-size: 1.5rem; }
#sac-title p { margin: 2px 0 0; opacity: .75; }
#sac-banner { border-left: 4px solid var(--border-color-primary); padding: 2px 12px; font-size: .9rem; }
#sac-shared { border-left: 4px solid var(--color-accent); padding: 6px 12px; background: var(--background-fill-secondary); }
#sac-case-changed { align-items: center; border-left: 4px solid #d97706; padding: 6px 12px; background: var(--background-fill-secondary); }
:is(#sac-links, #sac-figures, #sac-about-told, #train-outcome) :is(th, td) { border-color: var(--border-color-primary); }
#sac-figures :is(th, td) { padding: 5px 9px; }
#sac-links table { font-size: .8rem; display: table; width: 100%; line-height: 1.3; }
#sac-links :is(th, td) { padding: 3px 6px; }
#sac-links th { white-space: nowrap; }
#sac-examples { gap: 6px; }
#sac-examples button { flex: 1 1 auto; padding: 4px 8px; white-space: nowrap; }
.file-preview .download { flex: none; width: auto; min-width: 0; }
:is(#train-samples, #train-tiles) .grid-wrap { min-height: 0; max-height: none; }
#train-tiles .grid-container { grid-template-columns: repeat(auto-fill, minmax(140px, 200px)); }
#sac-told p { overflow-wrap: anywhere; }
#sac-about-told .prose { font-size: .85rem; overflow-wrap: anywhere; }
#sac-hub-told .prose { font-size: .8rem; opacity: .8; }
#sac-about-told ul { padding-left: 1.1em; margin: 4px 0; }
#sac-about-told table { font-size: .75rem; line-height: 1.25; display: table; width: 100%; }
#sac-about-told :is(th, td) { padding: 2px 3px; white-space: nowrap; }
#sac-about-told :is(th, td):first-child { white-space: normal; }
@media (max-width: 830px) { #sac-controls { min-width: min(250px, 100%) !important; } } /* so that both columns fit a tablet */
@media (max-width: 790px) {
  /* One column: the picture follows what starts it; panels that are seldom unfolded come after it. */
  #sac-desk { flex-direction: column; align-items: stretch; }
  #sac-controls { display: contents; }
  #sac-controls > :is(#sac-about, #sac-prompts, #sac-check, #sac-case) { order: 1; }
}
"""
SWEEP = (3600, 24 * 3600)
"""Seconds between two sweeps of temporary files, and the age from which they go."""


More = Callable[[Segmenting], None]
"""Lays out one more tab, which may use what the first one holds."""


def build_page(more: dict[str, More] | None = None, keeping: Keeping | None = None) -> gr.Blocks:
    """The whole page, ready to launch with `launch_settings()`. more: further tabs by their names."""
    with gr.Blocks(title="Segment Any Cell", delete_cache=SWEEP, analytics_enabled=False) as page:
        gr.Markdown(
            f"# Segment Any Cell\nEvery nucleus of a microscopy image, with the prompts that found it. {__version__}",
            elem_id="sac-title",
        )
        build_banner(page, keeping or Keeping())
        ways = Ways(progress_row())
        key = visitor_key()
        arrived = page.load(kept_key, key, key, **QUICK)
        with gr.Tabs() as tabs:
            with gr.Tab("Segment", id=FIRST):
                segmenting = build_segment_tab(tabs, key, arrived, ways)
            with gr.Tab("Cases") as shelf:
                build_cases_tab(shelf, segmenting)
            for name, build in (more or {}).items():
                with gr.Tab(name):
                    build(segmenting)
        page.unload(forget)
    return page.queue(max_size=LIMITS.queue)


def largest_upload() -> int:
    """Bytes of an uploaded file: the limit, or what SAC_UPLOAD_MB says, for slides on one's own machine."""
    told = os.environ.get("SAC_UPLOAD_MB", "")
    if told and not told.isdecimal():
        raise OptionError(f"SAC_UPLOAD_MB is {told!r}; a whole number of megabytes is needed")
    usual = LIMITS.upload_on_space if os.environ.get("SPACE_ID") else LIMITS.upload
    return int(told) * 2**20 if told else usual


def launch_settings() -> dict[str, Any]:
    """How the page is served, wherever it runs."""
    theme = gr.themes.Default(
        primary_hue="teal", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
    )
    return {"theme": theme, "css": CSS + PROGRESS_CSS, "max_file_size": largest_upload(), "run_history": False}
