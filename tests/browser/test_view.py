"""How the stage shows a picture: where it lies in a view that changes its size."""

import numpy as np
import pytest
from PIL import Image

SIZES = ((1100, 700), (800, 1000), (1440, 950))
SIDE = 240


@pytest.fixture
def viewed(stage, tmp_path):
    """A tab with a dim picture that is not segmented: what lies under the pointer is told by its place."""
    Image.fromarray(np.full((SIDE, SIDE, 3), 12, np.uint8)).save(tmp_path / "dim.png")
    return stage.open(tmp_path / "dim.png")


def resized(stage, size):
    """The window has another size, and the stage was drawn in it."""
    stage.tab.set_viewport_size(dict(zip(("width", "height"), size)))
    stage.tab.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return stage


def below(stage, x, y):
    """The picture's pixel that the stage says lies at a place of the page."""
    stage.tab.mouse.move(x, y)
    return [int(number) for number in stage.tab.inner_text(".sac-hover").split(",")]


def middle(stage):
    box = stage.tab.locator("#sac-canvas").bounding_box()
    return below(stage, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def test_a_fitted_picture_is_fitted_anew_in_a_view_of_another_size(viewed):
    viewed.tab.keyboard.press("+")
    viewed.tab.click("[data-view=fit]")
    for size in SIZES:
        resized(viewed, size)
        for corner in ([1, 1], [SIDE - 2, SIDE - 2]):
            assert below(viewed, *viewed.at(*corner)) == corner


def test_what_is_in_the_middle_of_a_moved_picture_stays_there(viewed):
    for key in ("+", "+", "+", "+", "ArrowLeft", "ArrowDown"):
        viewed.tab.keyboard.press(key)
    before = middle(viewed)
    assert before != [SIDE // 2, SIDE // 2]
    for size in SIZES:
        assert middle(resized(viewed, size)) == pytest.approx(before, abs=1)


def test_a_picture_keeps_its_place_while_another_tab_is_in_front(viewed):
    viewed.tab.keyboard.press("+")
    viewed.tab.keyboard.press("ArrowLeft")
    before = middle(viewed)
    for name in ("Cases", "Segment"):
        viewed.tab.get_by_role("tab", name=name).click()
        viewed.tab.wait_for_selector("#sac-canvas", state="hidden" if name == "Cases" else "visible")
    assert middle(viewed) == before
