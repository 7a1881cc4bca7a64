"""Files of every lab on the page: stacks, channels, slides, zips and folders in, every format out."""

import json
import zipfile

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

SPOTS = ((60, 60), (150, 70), (70, 160), (170, 170))


def spots(side=240, value=200):
    """Four discs of 13 pixels on black: (side, side) uint8."""
    y, x = np.mgrid[:side, :side]
    inside = np.any([(x - cx) ** 2 + (y - cy) ** 2 < 13**2 for cx, cy in SPOTS], axis=0)
    return np.where(inside, value, 12).astype(np.uint8)


@pytest.fixture
def stack(tmp_path):
    """Two planes of two channels of 16 bit: spots in the second, called DAPI; .5 µm per pixel."""
    values = np.full((2, 2, 240, 240), 300, np.uint16)
    values[:, 1] = spots().astype(np.uint16) * 40
    settings = {"axes": "ZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["GFP", "DAPI"]}}
    tifffile.imwrite(tmp_path / "stack.ome.tif", values, metadata=settings)
    return tmp_path / "stack.ome.tif"


@pytest.fixture
def slide(tmp_path):
    """A pyramid of 5200 x 5200 pixels, .25 µm each, spots all over its upper left quarter."""
    whole = np.full((5200, 5200, 3), 12, np.uint8)
    whole[:2400, :2400] = np.tile(spots(), (10, 10))[..., None]
    settings = {"tile": (256, 256), "photometric": "rgb", "compression": "jpeg", "metadata": None}
    with tifffile.TiffWriter(tmp_path / "slide.tif") as tiff:
        for step in (1, 4):
            settings |= {"resolution": (40_000 / step,) * 2, "resolutionunit": 3, "subfiletype": int(step > 1)}
            tiff.write(np.ascontiguousarray(whole[::step, ::step]), **settings)
    return tmp_path / "slide.tif"


def cards(stage):
    return stage.tab.locator(".sac-card b").all_inner_texts()


def wait_for_cards(stage, count):
    stage.tab.wait_for_function(f"document.querySelectorAll('.sac-card').length === {count}")


def test_a_stack_shows_its_nuclear_channel_and_lets_choose(stage, stack):
    stage.open(stack)
    told = stage.tab.inner_text("#sac-told")
    assert "0.5 µm" in told and "DAPI" in told and "uint16" in told
    assert stage.tab.input_value("#sac-channel input") == "2: DAPI"
    stage.tab.click("#sac-channel input")
    stage.tab.click("[role=option]:has-text('GFP')")
    stage.tab.wait_for_function("document.querySelector('.sac-card b').textContent.includes('channel 1')")
    assert len(cards(stage)) == 1  # nothing was done to it yet: the other channel took its place
    stage.tab.click("#sac-channel input")
    stage.tab.click("[role=option]:has-text('DAPI')")
    stage.tab.wait_for_function("document.querySelector('.sac-card b').textContent.includes('channel 2')")
    stage.tab.click("#sac-segment")
    stage.tab.wait_for_function("document.querySelector('#sac-canvas').dataset.nuclei === '4'", timeout=60_000)


def test_the_size_of_a_pixel_reaches_the_table(stage, tmp_path):
    Image.fromarray(spots()).save(tmp_path / "spots.png")
    stage.open(tmp_path / "spots.png")
    stage.tab.click("#sac-source button")
    stage.tab.fill("#sac-microns input", "0.5")
    stage.tab.press("#sac-microns input", "Enter")
    stage.tab.wait_for_selector("#sac-told:has-text('0.5 µm, as the user says')")
    stage.push("sac-segment")
    table = pd.read_csv(stage.download("nuclei.csv").path())
    assert len(table) == 4 and table["area_um2"].tolist() == pytest.approx((table["area_px"] / 4).tolist())


def test_a_region_of_a_slide_is_chosen_on_its_preview(stage, slide):
    stage.tab.set_input_files("#sac-upload input[type=file]", str(slide))
    stage.tab.wait_for_function("document.querySelector('.sac-live').textContent.includes('5,200 × 5,200 px')")
    box = stage.tab.locator("#sac-canvas").bounding_box()
    side = min(box["width"], box["height"])
    left, top = box["x"] + (box["width"] - side) / 2, box["y"] + (box["height"] - side) / 2
    stage.tab.mouse.move(left + side * 480 / 5200, top + side * 480 / 5200)
    stage.tab.mouse.down()
    stage.tab.mouse.move(left + side * 960 / 5200, top + side * 960 / 5200, steps=4)
    assert "mm" in stage.tab.inner_text(".sac-hover")
    stage.tab.mouse.up()
    wait_for_cards(stage, 2)
    left, top, width, height = map(int, stage.tab.input_value("#sac-region textarea, #sac-region input").split(","))
    assert [left, top, width, height] == pytest.approx([480, 480, 480, 480], abs=20)
    stage.push("sac-segment")
    assert stage.count("nuclei") == pytest.approx(16, abs=4)  # four tiles of four spots, some cut
    outlines = json.loads(stage.download("geojson").path().read_text())
    x, y = outlines["features"][0]["geometry"]["coordinates"][0][0]
    assert left <= x <= left + width and top <= y <= top + height  # in the slide's pixels, not the region's
    stage.tab.click(".sac-card button >> nth=0")
    stage.tab.wait_for_function("document.querySelector('.sac-live').textContent.includes('whole slide')")
    stage.tab.click("#sac-segment")
    stage.tab.wait_for_selector("text=drag a rectangle over the part to segment >> nth=1")


def test_good_files_of_a_zip_are_segmented_and_all_results_leave_in_one(stage, tmp_path):
    for name in ("a", "b"):
        Image.fromarray(spots()).save(tmp_path / f"{name}.png")
    with zipfile.ZipFile(tmp_path / "plate.zip", "w") as archive:
        for name in ("a", "b"):
            archive.write(tmp_path / f"{name}.png", f"plate/{name}.png")
        archive.writestr("plate/broken.png", b"no")
    stage.tab.set_input_files("#sac-upload input[type=file]", str(tmp_path / "plate.zip"))
    wait_for_cards(stage, 2)
    assert "broken.png is not an image" in stage.tab.inner_text("#sac-told")
    stage.tab.click("#sac-segment-all")
    stage.tab.wait_for_selector("#sac-told:has-text('2 of 2 images segmented')", timeout=90_000)
    results = zipfile.ZipFile(stage.download("all").path())
    tables = [name for name in results.namelist() if name.endswith("nuclei.csv")]
    assert len(tables) == 2 and all(len(pd.read_csv(results.open(name))) == 4 for name in tables)
    summary = pd.read_csv(
        results.open(next(name for name in results.namelist() if name.endswith("summary.csv") and "/" not in name))
    )
    assert summary["nuclei"].tolist() == [4, 4]


def test_a_folder_is_opened(stage, tmp_path):
    folder = tmp_path / "plate"
    folder.mkdir()
    for name in ("a", "b"):
        Image.fromarray(spots()).save(folder / f"{name}.png")
    with stage.tab.expect_file_chooser() as chooser:
        stage.tab.click("#sac-folder")
    chooser.value.set_files(str(folder))
    wait_for_cards(stage, 2)


def test_the_endpoint_takes_a_view(address, stack):
    from gradio_client import Client, handle_file

    client = Client(address, verbose=False)
    view = {"channel": 2, "plane": 1, "region": [0, 0, 240, 120]}
    summary, archive = client.predict(handle_file(stack), "nuclei", "instances", view, api_name="/segment")
    assert summary["nuclei"] == 2 and summary["micrometres_per_pixel"] == 0.5
    assert len(zipfile.ZipFile(archive).namelist()) > 5
    with pytest.raises(Exception, match="channels; there is no 7"):
        client.predict(handle_file(stack), "nuclei", "instances", {"channel": 7}, api_name="/segment")


def test_a_bad_files_name_with_markup_is_only_text(stage, tmp_path):
    name = "<img src=x onerror=alert(1)><b>bad.png"
    (tmp_path / name).write_bytes(b"no")
    stage.tab.set_input_files("#sac-upload input[type=file]", str(tmp_path / name))
    stage.tab.wait_for_selector("#sac-told:has-text('Not opened')")
    assert stage.tab.locator("img[src=x]").count() == 0 and stage.tab.locator("b:has-text('bad.png')").count() == 0
