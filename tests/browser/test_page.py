"""The page in a real Chromium: it opens, segments, and what it shows is what it counted and exports."""

import json
import re
import zipfile

import numpy as np
import pytest
import tifffile
from browser.conftest import labels_in, random_edits
from PIL import Image

from sac.export import FILES

DISCS = ((50, 50), (120, 60), (190, 50), (60, 140), (180, 150))


@pytest.fixture
def discs(tmp_path):
    """A picture of five discs and its ground truth."""
    image, truth = np.full((240, 240, 3), 12, np.uint8), np.zeros((240, 240), np.uint16)
    y, x = np.mgrid[:240, :240]
    for number, (cx, cy) in enumerate(DISCS, start=1):
        inside = (x - cx) ** 2 + (y - cy) ** 2 < 13**2
        image[inside], truth[inside] = 180, number
    Image.fromarray(image).save(tmp_path / "five discs.png")
    tifffile.imwrite(tmp_path / "truth.tif", truth)
    return tmp_path


def uncertain_left(stage):
    """The count on the button, 0 where it shows none."""
    return int((re.findall(r"\d+", stage.tab.inner_text("#sac-next-uncertain")) or [0])[0])


def test_an_example_is_segmented_and_counted(stage):
    assert stage.count("nuclei") == 0
    stage.example()
    assert 70 <= stage.count("nuclei") <= 170  # 150 ellipses were drawn, some over others
    assert stage.count("points") >= stage.count("nuclei")
    assert f"{stage.count('nuclei')} nuclei" in stage.tab.inner_text("#sac-told")
    assert stage.colours() > 100


def test_layers_change_without_the_server(stage):
    stage.example()
    before, rev = stage.colours(), stage.count("rev")
    for layer in ("fill", "outline", "points"):
        stage.tab.click(f"[data-layer={layer}]")
    stage.tab.wait_for_timeout(200)
    assert stage.colours() < before / 2
    assert stage.count("rev") == rev


def test_an_uploaded_image_gives_a_zip_that_agrees_with_the_stage(stage, discs):
    stage.open(discs / "five discs.png")
    assert "240 × 240 px" in stage.tab.inner_text("#sac-told")
    stage.push("sac-segment")
    assert stage.count("nuclei") == 5
    download = stage.download()
    archive = zipfile.ZipFile(download.path())
    assert set(archive.namelist()) == {f"five discs.{ending}" for ending in FILES}
    assert np.unique(labels_in(download)).tolist() == [0, 1, 2, 3, 4, 5]
    assert len(json.loads(archive.read("five discs.geojson"))["features"]) == 5
    single = stage.download("nuclei.csv")
    assert single.suggested_filename == "five discs.nuclei.csv"
    assert len(single.path().read_text().splitlines()) == 6


def test_a_click_on_the_ground_asks_for_a_nucleus_and_undo_takes_it_back(stage):
    stage.example()
    before = labels_in(stage.download())
    points = stage.count("points")
    stage.change(lambda: stage.click(4, 250))
    assert stage.count("points") > points
    stage.push("sac-undo")
    assert stage.count("points") == points
    assert np.array_equal(labels_in(stage.download()), before)


def test_delete_merge_split_and_their_undoing(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    before = labels_in(stage.download())
    stage.click(50, 45)
    stage.press("Delete")
    assert stage.count("nuclei") == 4
    stage.press("Control+z")
    stage.tab.keyboard.press("s")
    stage.change(lambda: stage.drag((120, 40), (120, 82)))
    assert stage.count("nuclei") == 6
    stage.tab.keyboard.press("i")
    stage.click(112, 66)
    stage.tab.click("[data-tool=several]")
    stage.click(128, 66)
    stage.push("sac-merge")
    assert stage.count("nuclei") == 5
    for _ in range(2):
        stage.push("sac-undo")
    assert np.array_equal(labels_in(stage.download()), before)


def test_a_right_click_takes_its_pixel_from_the_nucleus(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    assert labels_in(stage.download())[150, 188] > 0
    stage.change(lambda: stage.click(188, 150, button="right"))
    assert labels_in(stage.download())[150, 188] == 0


def test_an_automatic_point_is_switched_off_and_on_again(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    stage.click(60, 140)
    stage.tab.wait_for_selector("#sac-point:visible")
    stage.push("sac-point")
    assert stage.count("nuclei") == 4
    stage.push("sac-point")
    assert stage.count("nuclei") == 5


def test_a_point_is_moved_and_a_box_is_drawn_by_hand(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    points = stage.count("points")
    stage.change(lambda: stage.drag((60, 140), (64, 143)))
    assert (stage.count("nuclei"), stage.count("points")) == (5, points)
    stage.click(190, 45)
    stage.press("Delete")
    assert stage.count("nuclei") == 4
    stage.change(lambda: stage.drag((175, 35), (205, 65)))
    assert stage.count("nuclei") == 5
    assert labels_in(stage.download())[50, 190] > 0


def test_a_box_about_nothing_says_so(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    stage.change(lambda: stage.drag((2, 2), (9, 9)))
    assert stage.count("nuclei") == 5
    assert "Nothing found in this box: draw it closer" in stage.tab.inner_text(".sac-selected")


def test_the_least_certain_are_walked_and_counted(stage):
    stage.example()
    before = uncertain_left(stage)
    assert before > 0
    stage.tab.click("#sac-next-uncertain")
    told = stage.tab.inner_text(".sac-selected")
    certainty, stability = (float(re.search(rf"{word} ([\d.]+)", told)[1]) for word in ("certainty", "stability"))
    least = re.search(r"below ([\d.]+\d)", stage.tab.get_attribute("#sac-next-uncertain", "title"))[1]
    assert certainty * stability < float(least) + 0.01  # two digits are told
    stage.push("sac-accept")
    assert uncertain_left(stage) == before - 1


def test_vanilla_sam_stands_beside_under_one_wipe(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    stage.tab.click("#sac-compare")
    stage.tab.wait_for_selector(".sac-wipe:visible", timeout=60_000)
    assert "Vanilla SAM, same prompts" in stage.tab.inner_text("#sac-figures")
    rev = stage.count("rev")
    stage.tab.focus(".sac-wipe")
    stage.tab.keyboard.press("ArrowRight")
    assert stage.tab.get_attribute(".sac-wipe", "aria-valuenow") == "52" and stage.count("rev") == rev
    stage.tab.click("#sac-compare")
    assert stage.tab.locator(".sac-wipe").is_hidden()


def test_a_ground_truth_gives_scores_and_marks_what_was_deleted(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    stage.tab.click("#sac-check button")
    stage.change(lambda: stage.tab.set_input_files("#sac-truth input[type=file]", str(discs / "truth.tif")))
    stage.tab.wait_for_selector("#sac-figures td >> text=1.000")  # F1: all five
    stage.click(50, 45)
    stage.press("Delete")
    stage.tab.wait_for_selector("#sac-figures td >> text=0.889")  # F1 of four of five: 8 / 9


def test_semantic_mode_and_the_way_back_lose_nothing(stage, discs):
    stage.open(discs / "five discs.png").push("sac-segment")
    stage.click(50, 45)
    stage.press("Delete")
    stage.change(lambda: stage.tab.click("#sac-mode label >> nth=1"))
    assert stage.count("nuclei") >= 5
    stage.change(lambda: stage.tab.click("#sac-mode label >> nth=0"))
    assert stage.count("nuclei") == 4


def test_several_images_are_segmented_in_one_go_and_kept_apart(stage, discs):
    first = Image.open(discs / "five discs.png")
    first.rotate(90).save(discs / "turned.png")
    stage.open(discs / "five discs.png", discs / "turned.png")
    stage.tab.click("#sac-segment-all")
    stage.tab.wait_for_selector("#sac-told >> text=2 of 2 images segmented", timeout=60_000)
    stage.click(50, 45)
    stage.press("Delete")
    assert stage.count("nuclei") == 4
    stage.change(lambda: stage.tab.click(".sac-card >> nth=1"))
    assert stage.count("nuclei") == 5
    stage.change(lambda: stage.tab.click(".sac-card >> nth=0"))
    assert stage.count("nuclei") == 4 and "edited" in stage.tab.inner_text(".sac-card >> nth=0")


def test_edits_of_two_tabs_do_not_mix(open_page, discs):
    """Random edits, interleaved between two tabs, equal each tab's edits alone."""
    plans = [random_edits(seed, 8, 240) for seed in range(2)]
    tabs = [open_page().open(discs / "five discs.png").push("sac-segment") for _ in plans]
    for pair in zip(*plans):
        for tab, edit in zip(tabs, pair):
            tab.edit(*edit)
    for tab, plan in zip(tabs, plans):
        alone = open_page().open(discs / "five discs.png").push("sac-segment")
        for edit in plan:
            alone.edit(*edit)
        assert alone.state() == tab.state()


def test_more_pairs_are_more_points_of_the_semantic_mode(stage, discs):
    stage.open(discs / "five discs.png")
    stage.tab.click("#sac-mode label >> nth=1")
    stage.push("sac-segment")
    few = stage.count("points")
    stage.tab.click("#sac-prompts button")
    stage.tab.wait_for_timeout(500)  # the panel slides open
    stage.tab.click("#sac-pairs input[type=range]")  # its middle: 16 or 17 of 32
    points = "Number(document.querySelector('#sac-canvas').dataset.points)"
    stage.tab.wait_for_function(f"{points} > {few}")
    stage.tab.click("#sac-kinds label >> nth=1")
    stage.tab.wait_for_selector(".sac-live >> text=and 0 negative prompts")
    while stage.tab.is_enabled("#sac-undo"):
        stage.push("sac-undo")
    assert stage.count("points") == few


def test_what_waits_its_turn_is_done_to_the_picture_it_was_meant_for(stage, discs):
    """Another picture was turned to meanwhile."""
    Image.open(discs / "five discs.png").rotate(90).save(discs / "turned.png")
    stage.open(discs / "five discs.png", discs / "turned.png")
    waiting = []
    stage.tab.route("**/queue/join*", lambda route: route.continue_() if waiting else waiting.append(route))
    stage.tab.click("#sac-segment")
    while not waiting:
        stage.tab.wait_for_timeout(50)
    stage.change(lambda: stage.tab.click(".sac-card >> nth=1"))
    waiting[0].continue_()
    stage.tab.wait_for_selector(".sac-card >> nth=0 >> text=5 nuclei", timeout=60_000)
    assert "new" in stage.tab.inner_text(".sac-card >> nth=1") and stage.count("nuclei") == 0


def test_segment_all_can_be_cancelled(stage, discs, tmp_path):
    rng = np.random.default_rng(0)
    for number in range(6):
        Image.fromarray(rng.integers(0, 60, (700, 700, 3), np.uint8)).save(tmp_path / f"{number}.png")
    stage.open(*(tmp_path / f"{number}.png" for number in range(6)))
    stage.tab.click("#sac-segment-all")
    stage.tab.wait_for_selector("#sac-told >> text=Segmenting")
    stage.tab.click("#sac-cancel")
    stage.tab.wait_for_selector("#sac-told >> text=Stopped")
    assert "new" in stage.tab.inner_text(".sac-card >> nth=5")
    stage.open(discs / "five discs.png").push("sac-segment")
    assert stage.count("nuclei") == 5


@pytest.mark.parametrize("what", ["segment", "everything"])
def test_what_takes_long_can_be_cancelled(stage, discs, tmp_path, what):
    """It ends, too: what was stopped does not come after all, and the next does not wait for it."""
    Image.fromarray(np.random.default_rng(0).integers(0, 60, (2600, 2600, 3), np.uint8)).save(tmp_path / "large.png")
    if what == "segment":
        stage.open(tmp_path / "large.png")
        stage.tab.click("#sac-segment")
        stage.tab.wait_for_selector("text=Embedding the image", timeout=60_000)
    else:
        stage.example()
        stage.tab.click("#sac-check >> text=Compare and check")
        stage.tab.click("text=Vanilla SAM, everything mode")
        stage.tab.click("#sac-compare")
        stage.tab.wait_for_selector("text=Vanilla SAM, tile", timeout=60_000)
    nuclei = stage.count("nuclei")
    stage.tab.click("#sac-cancel")
    stage.tab.wait_for_selector("#sac-told >> text=Stopped")
    stage.tab.wait_for_timeout(6000)
    assert stage.count("nuclei") == nuclei and not stage.tab.is_visible(".toast-wrap >> text=/./")
    assert stage.tab.locator(".wrap .error:visible").count() == 0
    stage.tab.click("#sac-cancel")
    stage.tab.wait_for_selector("#sac-told >> text=Nothing is under way.")
    stage.open(discs / "five discs.png").push("sac-segment")
    assert stage.count("nuclei") == 5


@pytest.mark.parametrize("locale", ["de-DE", "fr-FR"])
def test_other_languages_and_the_dark_break_nothing(open_page, locale):
    stage = open_page(locale=locale, color_scheme="dark").example()
    stage.tab.keyboard.press("?")
    assert stage.tab.is_visible("dialog.sac-keys")
    stage.tab.keyboard.press("Escape")
    stage.change(lambda: stage.click(4, 250))
    stage.press("Control+z")


def test_a_tablet_in_portrait_shows_every_control(open_page):
    stage = open_page().example()
    stage.tab.set_viewport_size({"width": 800, "height": 1100})
    box = stage.tab.locator("#sac-canvas").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 800
    for identity in ("undo", "redo", "delete", "merge", "compare", "next-uncertain", "export"):
        inside = stage.tab.locator(f"#sac-{identity}").bounding_box()
        assert inside["x"] >= 0 and inside["x"] + inside["width"] <= 800
    assert stage.tab.evaluate("document.documentElement.scrollWidth") <= 800


def test_a_file_that_is_no_image_gets_one_sentence_and_the_page_goes_on(stage, tmp_path):
    (tmp_path / "notes.png").write_text("not an image")
    stage.tab.set_input_files("#sac-upload input[type=file]", str(tmp_path / "notes.png"))
    stage.tab.wait_for_selector("text=notes.png is not an image that can be read")
    assert "Traceback" not in stage.tab.content()
    assert stage.example().count("nuclei") > 0


def test_a_name_with_markup_is_only_text(stage, discs):
    name = "<img src=x onerror=alert(1)>${alert(2)}.png"
    (discs / "five discs.png").rename(discs / name)
    stage.open(discs / name).push("sac-segment")
    assert stage.tab.locator(".sac-card img").count() == 1 and stage.tab.locator("img[src=x]").count() == 0
    assert stage.count("nuclei") == 5


def test_the_endpoint_answers_a_client(address, tmp_path):
    from gradio_client import Client, handle_file

    from sac.ui.examples import generated_field

    Image.fromarray(generated_field(side=256, count=30).pixels).save(tmp_path / "field.png")
    client = Client(address, verbose=False)
    summary, archive = client.predict(handle_file(tmp_path / "field.png"), "nuclei", "semantic", api_name="/segment")
    assert summary["model"] == "nuclei" and summary["settings"]["mode"] == "semantic" and summary["nuclei"] > 0
    assert set(zipfile.ZipFile(archive).namelist()) == {f"field.{ending}" for ending in FILES}


def test_only_the_named_endpoint_is_public(address):
    from gradio_client import Client

    assert list(Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"]) == ["/segment"]
