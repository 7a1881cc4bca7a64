"""Where things stand on the page, measured in a real Chromium: nothing covers anything, and nothing is cut off."""

import numpy as np
import tifffile
from browser.test_teach import Teach, field, packed

BUSY = """() => {
    const box = place => document.querySelector(place).getBoundingClientRect()
    const elsewhere = [...document.querySelectorAll('[data-testid=status-tracker]:not(.hide), .pending')]
    return document.querySelector('#sac-progress .progress-bar') && {
        elsewhere: elsewhere.filter(part => !part.closest('#sac-progress')).map(part => part.parentElement.id),
        from: box('#sac-title').bottom, row: box('#sac-progress > .wrap').toJSON(), to: box('[role=tablist]').top }
}"""
"""Once work has told how far it is: what else on the page tells it or is veiled, and where the row lies."""
FIELD = """place => {
    const box = part => document.querySelector(`${place} ${part}`).getBoundingClientRect()
    const words = document.createRange()
    words.selectNodeContents(document.querySelector(`${place} button > .wrap`))
    return [box('label').bottom, box('.icon-wrap').top, words.getBoundingClientRect().bottom, box('button').bottom]
}"""
"""Of an empty upload field: where its label ends, its icon begins, its words end and the field ends."""
CUT = """place => [...document.querySelectorAll(place)].filter(part => {
    const outer = part.closest('.block').getBoundingClientRect(), inner = part.getBoundingClientRect()
    return inner.left < outer.left || inner.right > outer.right || inner.bottom > outer.bottom || inner.top < outer.top
}).length"""
"""How many of the parts of that kind stick out of their component."""


def never_seen(path, seed):
    """A picture that the server has not embedded for another test: so work takes its time, and tells how far it is."""
    noise = np.random.default_rng(seed).integers(0, 60, (900, 900), np.uint8)
    noise[100:120, 100:120] = 250
    tifffile.imwrite(path, noise)
    return path


def test_progress_is_told_in_one_row_that_covers_nothing(stage, tmp_path):
    stage.open(never_seen(tmp_path / "noise.tif", 1))
    stage.tab.click("#sac-segment")
    busy = stage.tab.wait_for_function(BUSY, timeout=90_000).json_value()
    assert busy["elsewhere"] == []
    assert busy["from"] <= busy["row"]["top"] and busy["row"]["bottom"] <= busy["to"]
    stage.tab.wait_for_selector("#sac-progress > .wrap", state="hidden", timeout=90_000)


def test_progress_stays_in_sight_when_the_page_is_scrolled(open_page, tmp_path):
    stage = open_page()
    stage.tab.set_viewport_size({"width": 390, "height": 844})
    stage.open(never_seen(tmp_path / "noise.tif", 2))
    stage.tab.click("#sac-segment")
    stage.tab.wait_for_function(BUSY, timeout=90_000)
    stage.tab.evaluate("document.querySelector('#sac-canvas').scrollIntoView()")
    assert stage.tab.locator("#sac-progress").bounding_box()["y"] == 0


def test_upload_fields_show_their_icon_and_all_their_words(stage):
    stage.tab.click("#sac-check > button")
    stage.tab.wait_for_selector("#sac-truth .icon-wrap")
    stage.tab.get_by_role("tab", name="Teach").click()
    stage.tab.wait_for_selector("#train-data .icon-wrap")
    teach = stage.tab.evaluate(FIELD, "#train-data")
    stage.tab.get_by_role("tab", name="Segment").click()
    fields = [teach, *(stage.tab.evaluate(FIELD, place) for place in ("#sac-upload", "#sac-truth"))]
    assert [edges for edges in fields if edges != sorted(edges)] == []


def test_a_ground_truth_is_called_by_its_name(stage, tmp_path):
    tifffile.imwrite(tmp_path / "10ba6cbee4873b32.tif", np.eye(512, dtype=np.uint16))
    stage.example()
    stage.tab.click("#sac-check > button")
    stage.change(lambda: stage.tab.set_input_files("#sac-truth input[type=file]", tmp_path / "10ba6cbee4873b32.tif"))
    name = stage.tab.locator("#sac-truth .filename").bounding_box()
    assert name["width"] > 80 and stage.tab.evaluate(CUT, "#sac-truth td") == 0
    lines = "e => getComputedStyle(e).borderTopColor"
    assert stage.tab.eval_on_selector("#sac-figures td", lines) == stage.tab.eval_on_selector("#sac-truth", lines)


def test_the_words_of_the_examples_do_not_touch_the_edges(stage):
    room = "buttons => buttons.map(b => [b.scrollWidth <= b.clientWidth, parseFloat(getComputedStyle(b).paddingLeft)])"
    assert stage.tab.eval_on_selector_all("#sac-examples button", room) == [[True, 8]] * 3


def test_the_heading_does_not_move_where_a_page_needs_no_scrollbar(stage):
    def left(tab):
        stage.tab.get_by_role("tab", name=tab).click()
        stage.tab.wait_for_timeout(300)
        return stage.tab.locator("#sac-title").bounding_box()["x"]

    stage.tab.set_viewport_size({"width": 1440, "height": 700})
    assert left("Segment") == left("Cases")


def test_an_arrow_key_changes_the_size_of_a_pixel_by_a_thousandth(stage):
    stage.example()
    stage.tab.click("#sac-source > button")
    stage.tab.fill("#sac-microns input", "0.325")
    stage.tab.press("#sac-microns input", "ArrowUp")
    assert stage.tab.input_value("#sac-microns input") == "0.326"


def test_teaching_shows_samples_whole_no_empty_plots_and_starts_once_its_cost_is_told(stage, tmp_path):
    teach = Teach(stage)
    assert teach.tab.locator("#train-loss").count() == 0
    teach.bring(packed(tmp_path / "mine.zip", [field(n, side=100) for n in range(4)]))
    teach.tab.wait_for_selector("#train-samples img >> nth=3")
    assert teach.tab.evaluate(CUT, "#train-samples .thumbnail-item") == 0
    told = "document.querySelector('#train-estimate').innerText.includes('GB of memory')"
    startable = "!document.querySelector('#train-start').disabled"
    assert teach.tab.wait_for_function(f"{startable} && [{told}]", timeout=60_000).json_value() == [True]
