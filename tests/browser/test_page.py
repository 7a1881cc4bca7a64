"""The page in a real Chromium: it opens, segments an example, and shows what it counted."""

import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A server of its own, as `python app.py` starts it."""
    folder = tmp_path_factory.mktemp("server")
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(
        [sys.executable, "app.py", "--data-dir", str(folder)],
        cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    for line in server.stdout:
        if "http://" in line:
            break
    else:
        pytest.fail("the server ended before it was up")
    threading.Thread(target=server.stdout.read, daemon=True).start()
    yield line.split()[-1]
    server.terminate()
    server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, address):
    """A fresh tab. Errors in its console and requests to other hosts fail the test that used it."""
    tab = browser.new_page(viewport={"width": 1440, "height": 950})
    wrong = []
    tab.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    tab.on("pageerror", lambda error: wrong.append(str(error)))
    tab.on("request", lambda request: wrong.append(request.url) if _is_outside(request.url, address) else None)
    tab.goto(address)
    tab.wait_for_selector("#sac-canvas")
    yield tab
    tab.close()
    assert wrong == []


def _is_outside(url, address):
    return url.startswith("http") and not url.startswith(address.rstrip("/"))


def _press_and_wait(page, selector):
    before = page.get_attribute("#sac-canvas", "data-rev")
    page.click(selector)
    page.wait_for_function(f"document.querySelector('#sac-canvas').dataset.rev !== '{before}'", timeout=90_000)
    stage = page.locator("#sac-canvas")
    return int(stage.get_attribute("data-nuclei")), int(stage.get_attribute("data-points"))


def _colours(page):
    """How many different colours the stage shows."""
    counted = """() => { const c = document.querySelector('#sac-canvas canvas')
        const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)
        return new Set(d).size }"""
    return page.evaluate(counted)


def test_an_example_is_segmented_and_counted(page):
    assert page.get_attribute("#sac-canvas", "data-nuclei") == "0"
    nuclei, points = _press_and_wait(page, "#sac-example-2")
    assert 70 <= nuclei <= 170  # 150 ellipses were drawn, some over others
    assert points >= nuclei
    assert f"{nuclei} nuclei" in page.inner_text("#sac-told")
    assert _colours(page) > 100


def test_layers_change_without_the_server(page):
    _press_and_wait(page, "#sac-example-2")
    before = _colours(page)
    rev = page.get_attribute("#sac-canvas", "data-rev")
    for layer in ("fill", "outline", "points"):
        page.click(f"[data-layer={layer}]")
    page.wait_for_timeout(200)
    assert _colours(page) < before / 2
    assert page.get_attribute("#sac-canvas", "data-rev") == rev


def test_an_uploaded_image_gives_a_zip_that_agrees_with_the_stage(page, tmp_path):
    image = np.full((200, 240, 3), 12, np.uint8)
    y, x = np.mgrid[:200, :240]
    for cx, cy in ((50, 50), (120, 60), (190, 50), (60, 140), (180, 150)):
        image[(x - cx) ** 2 + (y - cy) ** 2 < 13**2] = 180
    Image.fromarray(image).save(tmp_path / "five discs.png")
    page.set_input_files("#sac-upload input[type=file]", str(tmp_path / "five discs.png"))
    page.wait_for_selector("#sac-told >> text=240 × 200 px")
    nuclei, _ = _press_and_wait(page, "#sac-segment")
    assert nuclei == 5
    with page.expect_download() as download:
        page.click("#sac-download")
    archive = zipfile.ZipFile(download.value.path())
    assert sorted(archive.namelist())[0] == "five discs.geojson" and len(archive.namelist()) == 5
    (tmp_path / "labels.tif").write_bytes(archive.read("five discs.labels.tif"))
    assert tifffile.imread(tmp_path / "labels.tif").max() == 5
    assert len(json.loads(archive.read("five discs.geojson"))["features"]) == 5


def test_a_file_that_is_no_image_gets_one_sentence_and_the_page_goes_on(page, tmp_path):
    (tmp_path / "notes.png").write_text("not an image")
    page.set_input_files("#sac-upload input[type=file]", str(tmp_path / "notes.png"))
    page.wait_for_selector("text=notes.png is not an image that can be read")
    assert "Traceback" not in page.content()
    assert _press_and_wait(page, "#sac-example-2")[0] > 0


def test_the_endpoint_answers_a_client(address, tmp_path):
    from gradio_client import Client, handle_file

    from sac.ui.examples import generated_field

    Image.fromarray(generated_field(side=256, count=30).pixels).save(tmp_path / "field.png")
    client = Client(address, verbose=False)
    summary, archive = client.predict(handle_file(tmp_path / "field.png"), "nuclei", "semantic", api_name="/segment")
    assert summary["model"] == "nuclei" and summary["settings"]["mode"] == "semantic" and summary["nuclei"] > 0
    assert len(zipfile.ZipFile(archive).namelist()) == 5


def test_only_the_named_endpoint_is_public(address):
    from gradio_client import Client

    assert list(Client(address, verbose=False).view_api(return_format="dict")["named_endpoints"]) == ["/segment"]
