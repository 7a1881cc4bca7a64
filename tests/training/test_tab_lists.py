"""What a tab chooses its checkpoints from: the embedded ones, a visitor's own, and those that came from the Hub."""

from __future__ import annotations

import gradio as gr
import pytest
from starlette.requests import Request

from sac.ui.desk import Desk
from training.jobs import Jobs
from training.tab_handlers import Teaching

CELLS = f"ada/cells@{'1' * 40}"


@pytest.mark.parametrize("brought", [[], [CELLS]])
def test_what_came_from_the_hub_stays_in_the_lists(tmp_path, monkeypatch, brought):
    monkeypatch.delenv("SAC_MODEL", raising=False)
    desk, teach = Desk(), Teaching(Jobs(tmp_path))
    desk.models = brought
    request = gr.Request(Request({"type": "http", "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 5000)}))
    to_start_from, to_segment_with = teach.offer(desk, "key", request)
    assert [name for _, name in to_start_from["choices"]] == ["nuclei", "nuclei-he", "glands", *brought]
    assert to_segment_with == to_start_from and "value" not in to_segment_with
    assert teach.offer(None, "key", request)[0]["choices"] == to_start_from["choices"][:3]
