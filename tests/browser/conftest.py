"""A server as `python app.py` starts it, and tabs of a real Chromium that tolerate no error and no other host."""

import os
import shutil
import subprocess
import sys
import threading
import zipfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items):
    """Without a browser these tests say why they do not run."""
    for item in items:
        if CHROMIUM is None and Path(item.fspath).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.skip(reason="no Chromium on this machine"))


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the page is served."""
    with started("--data-dir", str(tmp_path_factory.mktemp("server"))) as address:
        yield address


@contextmanager
def started(*flags):
    """The address of a page that runs as `python app.py` with flags."""
    server = subprocess.Popen(
        [sys.executable, "app.py", *flags],
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    for line in server.stdout:
        if "http://" in line:
            break
    else:
        pytest.fail("the server ended before it was up")
    threading.Thread(target=server.stdout.read, daemon=True).start()
    try:
        yield line.split()[-1]
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


OF_LEAVING = ("AbortError: signal is aborted", "errored out.")
"""What Gradio's client says of requests that end with their page, when it is left or loaded anew."""


@pytest.fixture
def open_page(browser, address):
    """Opens tabs. Errors in their consoles and requests to other hosts fail the test that used them."""
    wrong, tabs = [], []

    def heard(words):
        if not any(said in words for said in OF_LEAVING):
            wrong.append(words)

    def is_outside(url):
        return url.startswith("http") and not url.startswith(address.rstrip("/"))

    def open_tab(url=address, **settings):
        tab = browser.new_context(viewport={"width": 1440, "height": 950}, **settings).new_page()
        tab.on("console", lambda message: heard(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: heard(str(error)))
        tab.on("request", lambda request: wrong.append(request.url) if is_outside(request.url) else None)
        tab.goto(url)
        tab.wait_for_selector("#sac-canvas")
        tabs.append(tab)
        return Stage(tab)

    yield open_tab
    for tab in tabs:
        tab.context.close()
    assert wrong == []


@pytest.fixture
def stage(open_page):
    """A fresh tab."""
    return open_page()


def labels_in(download):
    """The label map of an exported zip."""
    archive = zipfile.ZipFile(download.path())
    with archive.open(next(name for name in archive.namelist() if name.endswith("labels.tif"))) as file:
        return tifffile.imread(file)


def random_edits(seed, count, height):
    """(what, y): boxes dragged at the left border, nuclei deleted, steps undone."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(["box", "delete", "undo"], p=(0.4, 0.3, 0.3), size=count)
    return list(zip(kinds.tolist(), rng.integers(5, height - 25, count).tolist()))


class Stage:
    """A tab and what is on its canvas."""

    def __init__(self, tab):
        self.tab = tab

    def count(self, name):
        """data-nuclei, data-points or data-rev."""
        return int(self.tab.get_attribute("#sac-canvas", f"data-{name}"))

    @property
    def said(self):
        return self.tab.inner_text(".sac-live")

    def example(self, number=2):
        """An example, opened and segmented."""
        self.tab.click(f"#sac-example-{number}")
        self.tab.wait_for_function("Number(document.querySelector('#sac-canvas').dataset.nuclei) > 0", timeout=90_000)
        return self

    def open(self, *files):
        """Files put into the upload field, until the strip shows them."""
        before = self.tab.locator(".sac-card").count()
        self.tab.set_input_files("#sac-upload input[type=file]", [str(file) for file in files])
        self.tab.wait_for_function(f"document.querySelectorAll('.sac-card').length > {before}", timeout=30_000)
        return self

    def change(self, act):
        """Does something that changes the canvas, and waits until it has."""
        rev = self.count("rev")
        act()
        self.tab.wait_for_function(f"document.querySelector('#sac-canvas').dataset.rev !== '{rev}'", timeout=90_000)
        return self

    def press(self, key):
        return self.change(lambda: self.tab.keyboard.press(key))

    def push(self, identity):
        """Presses the button of that id."""
        return self.change(lambda: self.tab.click(f"#{identity}"))

    def at(self, x, y):
        """Where a square picture's pixel lies on the page, while the whole picture is fitted in."""
        size = int(self.tab.get_attribute("#sac-canvas", "data-width"))
        box = self.tab.locator("#sac-canvas").bounding_box()
        zoom = min(box["width"], box["height"]) / size
        left, top = box["x"] + (box["width"] - size * zoom) / 2, box["y"] + (box["height"] - size * zoom) / 2
        return left + (x + 0.5) * zoom, top + (y + 0.5) * zoom

    def click(self, x, y, **how):
        self.tab.mouse.click(*self.at(x, y), **how)
        return self

    def drag(self, start, end):
        """The left button pressed at one place, moved, and let go at another."""
        self.tab.mouse.move(*self.at(*start))
        self.tab.mouse.down()
        self.tab.mouse.move(*self.at(*end), steps=12)
        self.tab.mouse.up()

    def edit(self, what, y):
        """One of `random_edits`."""
        if what == "undo":
            return self.push("sac-undo") if self.tab.is_enabled("#sac-undo") else self
        self.tab.keyboard.press("Escape")
        self.tab.keyboard.press("0")  # fit: walking to a nucleus had zoomed in
        if what == "box":
            return self.change(lambda: self.drag((3, y), (25, y + 18)))
        self.tab.keyboard.press(".")
        return self.press("Delete") if self.count("nuclei") else self

    def state(self):
        """Counts and the label map, as exported."""
        return self.count("nuclei"), self.count("points"), labels_in(self.download()).tolist()

    def colours(self):
        """How many different colours the stage shows."""
        return self.tab.evaluate("""() => { const c = document.querySelector('#sac-canvas canvas')
            const d = new Uint32Array(c.getContext('2d').getImageData(0, 0, c.width, c.height).data.buffer)
            return new Set(d).size }""")

    def download(self, what="zip"):
        """The file that Export gives."""
        self.tab.select_option("#sac-export-what", what)
        with self.tab.expect_download() as download:
            self.tab.click("#sac-export")
        return download.value
