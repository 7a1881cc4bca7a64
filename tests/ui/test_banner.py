"""What a page says of keeping what is made on it: on a Space always, elsewhere only where something is wrong."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest

from sac.space.keeping import OFF, ON, OVERTAKEN, UNFETCHED, Keeping
from sac.ui import banner
from sac.ui.page import build_page

MOUNTS = """overlay / overlay rw 0 0
proc /proc proc rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/sdb /data ext4 rw 0 0
hf-mount /bucket fuse.hf-mount rw 0 0
10.0.0.1:/x /data/far nfs4 rw 0 0
"""


@pytest.fixture
def on_space(monkeypatch, tmp_path):
    """Says that this is a Space with such mounts; the data folder is to be set."""
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setenv("SPACE_ID", "owner/cells")
    whole = banner.mounted
    monkeypatch.setattr(banner, "mounted", lambda folder: whole(folder, tmp_path / "mounts"))


def _keeping(state: str, at: float = 0.0, is_late: bool = False) -> Keeping:
    made = Keeping()
    made.state, made.at, made.is_late = state, at, is_late
    return made


def _said(page: gr.Blocks) -> list[str]:
    return [part.value for part in page.blocks.values() if part.elem_id == "sac-banner"]


def test_a_machine_of_ones_own_says_nothing(monkeypatch):
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert _said(build_page()) == []
    assert banner.told(_keeping(ON, at=60)) == ""


def test_a_space_that_forgets_says_so_at_its_top(on_space, monkeypatch, tmp_path):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))
    page = build_page()
    assert _said(page) == [banner.FORGETS]
    above = [part.elem_id for part in page.children[:2]]
    assert above == ["sac-title", "sac-banner"]
    assert all(f.api_visibility == "private" for f in page.fns.values() if not f.name or "lambda" in f.name)


@pytest.mark.parametrize(
    "folder, said",
    [
        ("/home/user/app", banner.FORGETS), ("/dev/shm/x", banner.FORGETS), ("/data", banner.MOUNTED),
        ("/data/sac", banner.MOUNTED), ("/database", banner.FORGETS), ("/bucket", banner.REMOTE), ("/data/far", banner.REMOTE),
    ],
)  # fmt: skip
def test_a_mounted_folder_is_known(on_space, monkeypatch, folder, said):
    monkeypatch.setenv("SAC_DATA_DIR", folder)
    assert banner.told(_keeping(OFF)) == said and folder not in said


def test_without_a_list_of_mounts_nothing_counts_as_mounted():
    assert banner.mounted(Path("/data"), Path("/nowhere")) == ""


@pytest.mark.parametrize(
    "keeping, words",
    [
        (_keeping(ON), "every 5 minutes, and are there after a restart."),
        (_keeping(ON, at=3661), "after a restart; last at 01:01 UTC."),
        (_keeping(ON, at=3661, is_late=True), "could not be kept since 01:01 UTC"),
        (_keeping(ON, is_late=True), "could not be kept yet"),
        (_keeping(UNFETCHED), "could not be fetched when this page started"),
        (_keeping(OVERTAKEN), "Another copy of this page"),
    ],
)
def test_what_is_kept_is_said_with_its_time(on_space, keeping, words):
    assert words in banner.told(keeping)
