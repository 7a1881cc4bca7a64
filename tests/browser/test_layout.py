"""Where things stand on the page, measured in a real Chromium: nothing covers anything, and nothing is cut off."""

BUSY = """() => {
    const edges = place => { const { top, bottom } = document.querySelector(place).getBoundingClientRect(); return [top, bottom] }
    const elsewhere = [...document.querySelectorAll('[data-testid=status-tracker]:not(.hide), .pending')]
    return document.querySelector('#sac-progress .progress-bar') && {
        elsewhere: elsewhere.filter(tracker => !tracker.closest('#sac-progress')).map(tracker => tracker.parentElement.id),
        title: edges('#sac-title'), row: edges('#sac-progress > .wrap'), tabs: edges('[role=tablist]') }
}"""
"""Once work has told how far it is: where else on the page that is told or veiled, and what lies above and below."""


def test_progress_is_told_in_one_row_that_covers_nothing(stage):
    stage.tab.click("#sac-example-2")
    busy = stage.tab.wait_for_function(BUSY, timeout=90_000).json_value()
    assert busy["elsewhere"] == []
    assert busy["title"][1] <= busy["row"][0] and busy["row"][1] <= busy["tabs"][0]
    stage.tab.wait_for_selector("#sac-told >> text=nuclei in", timeout=90_000)
    assert stage.tab.locator("#sac-progress > .wrap").is_hidden()


def test_progress_stays_in_sight_when_the_page_is_scrolled(open_page):
    stage = open_page()
    stage.tab.set_viewport_size({"width": 390, "height": 844})
    stage.tab.click("#sac-example-2")
    stage.tab.wait_for_function(BUSY, timeout=90_000)
    stage.tab.evaluate("document.querySelector('#sac-canvas').scrollIntoView()")
    assert stage.tab.locator("#sac-progress").bounding_box()["y"] == 0
