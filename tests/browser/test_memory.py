"""What a tab held is let go when it closes. The page runs in this process, so that its desks can be looked at."""

import gc
import time

import pytest

from sac.ui.desk import DESKS
from sac.ui.page import build_page, launch_settings
from sac.ui.picture import Picture


@pytest.fixture
def own_address():
    page = build_page()
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, **launch_settings())
    yield address
    page.close(verbose=False)


def test_a_closed_tab_frees_its_pictures(browser, own_address, monkeypatch):
    monkeypatch.setattr("sac.ui.opening.GRACE", 0.5)
    before = len(DESKS)
    tab = browser.new_context().new_page()
    tab.goto(own_address)
    tab.click("#sac-example-2")
    tab.wait_for_function("Number(document.querySelector('#sac-canvas').dataset.nuclei) > 0", timeout=90_000)
    assert len(DESKS) == before + 1
    tab.context.close()
    for _ in range(100):
        gc.collect()
        if not any(isinstance(thing, Picture) for thing in gc.get_objects()):
            break
        time.sleep(0.2)
    else:
        pytest.fail("the closed tab's picture is still in memory after 20 s")
    assert len(DESKS) == before
