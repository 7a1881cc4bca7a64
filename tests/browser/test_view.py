"""How the stage shows a picture and its tools in windows of other sizes, and brighter than it is."""

import numpy as np
import pytest
from PIL import Image

SIZES = ((1100, 700), (800, 1000), (1440, 950))
SIDE, GROUND, DIM, BRIGHT = 240, 12, (20, 20), (120, 120)
REACH = """() => {
  const stage = document.querySelector('.sac-stage').getBoundingClientRect()
  const all = document.querySelectorAll('.sac-stage :is(button, select, input)')
  return [...all].filter(each => each.offsetParent).map(each => {
    each.scrollIntoView({ block: 'center' })
    const box = each.getBoundingClientRect(), inside = box.left >= stage.left && box.right <= stage.right
    const hit = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)
    return { name: each.id || each.textContent, reached: inside && each.contains(hit) }
  })
}"""
"""Each control of the stage that is shown: is it inside, and would a click reach it?"""


@pytest.fixture
def viewed(stage, tmp_path):
    """A tab with a dim picture of one bright disc, not segmented: of what lies under the pointer the place is told."""
    y, x = np.mgrid[:SIDE, :SIDE]
    grey = np.where((x - BRIGHT[0]) ** 2 + (y - BRIGHT[1]) ** 2 < 15**2, 180, GROUND).astype(np.uint8)
    Image.fromarray(grey).convert("RGB").save(tmp_path / "dim.png")
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


@pytest.mark.parametrize("size", [(390, 844), (1024, 768)])
def test_no_tool_is_cut_off(viewed, size):
    resized(viewed, size)
    viewed.tab.evaluate("document.querySelector('[data-tool=comment]').hidden = false")  # as on a case
    tools = viewed.tab.evaluate(REACH)
    assert {"Pan", "Comment", "sac-export", "sac-opacity", "Fit"} <= {tool["name"] for tool in tools}
    assert [tool for tool in tools if not tool["reached"]] == []
    assert viewed.tab.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_on_a_phone_the_picture_follows_what_starts_it(viewed):
    resized(viewed, (390, 844))
    order = ["source", "segment", "canvas", "about", "prompts", "check", "case"]
    tops = [viewed.tab.locator(f"#sac-{name}").bounding_box()["y"] for name in order]
    assert tops == sorted(tops)


def seen(stage, x, y):
    """The grey that the stage shows at a pixel of the fitted picture."""
    (px, py), box = stage.at(x, y), stage.tab.locator("#sac-canvas").bounding_box()
    return stage.tab.evaluate(
        """([x, y]) => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() =>
             done(document.querySelector('#sac-canvas canvas').getContext('2d').getImageData(x, y, 1, 1).data[0]))))""",
        [px - box["x"], py - box["y"]],
    )


def test_brightness_lifts_what_is_dim_and_burns_nothing_out(viewed):
    viewed.tab.focus("#sac-brightness")
    viewed.tab.keyboard.press("End")
    assert seen(viewed, *DIM) > 4 * GROUND and 200 < seen(viewed, *BRIGHT) < 250
    viewed.tab.dblclick("#sac-brightness")
    assert (seen(viewed, *DIM), seen(viewed, *BRIGHT)) == (GROUND, 180)


def exported(stage):
    """The picture with what was found on it, and the label map, as files."""
    return [stage.download(what).path().read_bytes() for what in ("overlay.png", "labels.tif")]


def test_brightness_is_for_the_eye_alone_and_stays_for_other_pictures(viewed, tmp_path):
    viewed.push("sac-segment")
    before, rev = exported(viewed), viewed.count("rev")
    viewed.tab.focus("#sac-brightness")
    viewed.tab.keyboard.press("End")
    assert exported(viewed) == before and viewed.count("rev") == rev
    Image.fromarray(np.full((SIDE, SIDE, 3), GROUND, np.uint8)).save(tmp_path / "other.png")
    viewed.change(lambda: viewed.open(tmp_path / "other.png"))
    assert seen(viewed, *DIM) > 4 * GROUND
