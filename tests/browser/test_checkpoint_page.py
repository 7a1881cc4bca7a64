"""Another checkpoint on the page: what its training found goes with it."""

import json
import shutil

from browser.conftest import Stage, started

from sac import hub


def test_how_map_and_masks_are_read_is_the_chosen_checkpoint_s(browser, tmp_path, monkeypatch):
    own = shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "own")
    told = json.loads((own / hub.CONFIG).read_text())
    told["provenance"] |= {"certainty": 0.75, "prominence": 0.4, "title": "own"}
    (own / hub.CONFIG).write_text(json.dumps(told))
    monkeypatch.setenv("SAC_MODEL", str(own))
    with started("--data-dir", str(tmp_path / "server")) as address:
        tab = browser.new_context(viewport={"width": 1440, "height": 950}).new_page()
        tab.goto(address)
        tab.wait_for_selector("#sac-canvas")
        tab.click("#sac-prompts > button")
        least, dip = (f"#sac-{name} input[type=number]" for name in ("certainty", "prominence"))
        stage = Stage(tab)
        stage.example()
        assert tab.input_value("#sac-model input") == "own"
        assert (tab.input_value(least), tab.input_value(dip)) == ("0.75", "0.4")
        few = stage.count("nuclei")

        tab.click("#sac-model input")
        stage.change(tab.get_by_role("option", name="nuclei (general)").click)
        assert (tab.input_value(least), tab.input_value(dip)) == ("0.5", "0.1") and stage.count("nuclei") > few
        tab.context.close()
