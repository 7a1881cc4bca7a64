"""A picture that was really segmented, and a canvas whose files go to a folder of the test's own."""

from __future__ import annotations

import gradio as gr
import pytest

from sac.ui import work
from sac.ui.canvas import SegCanvas
from sac.ui.desk import Desk
from sac.ui.examples import generated_field
from sac.ui.picture import Picture

VARIANTS = (("nuclei", "instances"), ("nuclei", "semantic"))


@pytest.fixture(scope="session")
def image():
    return generated_field(side=256, count=40)


@pytest.fixture(scope="session")
def sessions(image):
    """The picture segmented in either mode."""
    picture = Picture.of(image)
    asked = {(model, mode): work.loaded(model).config.options(mode=mode) for model, mode in VARIANTS}
    return {(model, mode): work.segmented(picture, model, asked[model, mode]) for model, mode in VARIANTS}


@pytest.fixture
def seated(image, sessions):
    """Makes a desk with the segmented picture on it."""

    def make(mode: str = "instances") -> Desk:
        desk = Desk()
        desk.add([image])
        desk.picture.begin(("nuclei", mode), sessions["nuclei", mode])
        return desk

    return make


@pytest.fixture
def canvas(tmp_path):
    with gr.Blocks():
        made = SegCanvas()
    made.GRADIO_CACHE = str(tmp_path / "cache")
    return made
