"""What stands at the top of a page on a Space: whether what is made there outlives a restart."""

from __future__ import annotations

import os
import time
from pathlib import Path

import gradio as gr

from sac.config import data_folder
from sac.space.keeping import EVERY, OFF, ON, OVERTAKEN, UNFETCHED, Keeping
from sac.ui.ways import QUICK

MOUNTS = Path("/proc/mounts")
NETWORK = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "gluster", "lustre", "virtiofs", "afs")
"""How the kinds of file systems begin that are other machines': SQLite's log is not safe there."""

FORGETS = (
    "**Cases and trainings made here are lost when this Space restarts**: download what you need. A duplicate of this"
    " Space can keep them, in a private data set or in a mounted folder of its owner's; its README says how."
)
MOUNTED = "Cases and trainings are kept in a mounted folder of this Space's owner's, and are there after a restart."
REMOTE = (
    "Cases and trainings lie in a folder that is mounted over a network: they outlast a restart, but one at a bad moment"
    " may damage the cases. Download what matters."
)
KEPT = (
    "Cases and finished trainings are kept in a private data set of this page's owner's, every {minutes} minutes, and"
    " are there after a restart{when}."
)
LATE = "**Cases and trainings could not be kept {when}**: it is tried again every {minutes} minutes."
NOT_THERE = (
    "**What was kept could not be fetched when this page started.** It is safe where it is, and comes back with the next"
    " restart; what is made until then is lost with it: download what you need."
)
TAKEN = (
    "**Another copy of this page keeps its work in the same data set.** What is made here is no longer kept: download"
    " what you need."
)


def build_banner(page: gr.Blocks, keeping: Keeping) -> None:
    """Lays the banner out where there is something to say. It says how things stand when the page is opened."""
    if told(keeping) or keeping.state != OFF:
        banner = gr.Markdown(told(keeping), elem_id="sac-banner")
        page.load(lambda: told(keeping), None, banner, **QUICK)


def told(keeping: Keeping) -> str:
    """How what is made here is kept, in words for visitors; "" on a machine of one's own while all is well."""
    space = bool(os.environ.get("SPACE_ID"))
    if keeping.state in (UNFETCHED, OVERTAKEN):
        return {UNFETCHED: NOT_THERE, OVERTAKEN: TAKEN}[keeping.state]
    if keeping.state == ON and keeping.is_late:
        return LATE.format(when=f"since {_clock(keeping.at)}" if keeping.at else "yet", minutes=EVERY)
    if not space:
        return ""
    if keeping.state == ON:
        return KEPT.format(when=f"; last at {_clock(keeping.at)}" if keeping.at else "", minutes=EVERY)
    kind = mounted(data_folder())
    if not kind:
        return FORGETS
    return REMOTE if kind.startswith(NETWORK) else MOUNTED


def mounted(folder: Path, mounts: Path = MOUNTS) -> str:
    """The kind of file system that a folder lies on, "" where that is the machine's own, or goes with it."""
    try:
        lines = [line.split() for line in mounts.read_text().splitlines()]
    except OSError:
        return ""
    path = folder.absolute()
    holding = [(place, kind) for _, place, kind, *_ in lines if path.is_relative_to(place)]
    place, kind = max(reversed(holding), key=lambda found: len(found[0]), default=("/", ""))
    return "" if place == "/" or kind in ("tmpfs", "ramfs", "overlay") else kind


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M UTC", time.gmtime(seconds))
