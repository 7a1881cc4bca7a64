"""`python tests/browser/speed.py`: how fast the page is, server and browser on one machine. Prints a table.

Not a test: nothing here passes or fails. Times are of the browser's own clock, from the pointer's release to the
frame that shows the answer.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from conftest import CHROMIUM, FLAGS, ROOT, Stage, random_edits
from PIL import Image
from playwright.sync_api import sync_playwright

from sac.ui.examples import generated_field

CLICK = """([x, y]) => new Promise(done => {
  const view = document.querySelector('#sac-canvas'), box = view.getBoundingClientRect(), rev = view.dataset.rev
  const at = { clientX: x, clientY: y, bubbles: true, button: 0, pointerId: 1 }
  view.setPointerCapture = () => {}
  view.dispatchEvent(new PointerEvent('pointerdown', at))
  const begun = performance.now()
  new MutationObserver((changes, observer) => {
    if (view.dataset.rev === rev) return
    observer.disconnect()
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - begun)))
  }).observe(view, { attributes: true })
  view.dispatchEvent(new PointerEvent('pointerup', at))
})"""
FRAMES = """seconds => new Promise(done => {
  const slider = document.querySelector('#sac-opacity'), begun = performance.now()
  let frames = 0
  const step = () => {
    if (performance.now() - begun > 1000 * seconds) return done(frames / seconds)
    slider.value = frames++ % 100
    slider.dispatchEvent(new Event('input'))
    requestAnimationFrame(step)
  }
  step()
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 4000], help="sides of the generated pictures")
    parser.add_argument("--clicks", type=int, default=20)
    parsed = parser.parse_args()
    print(
        "| picture | nuclei | segmented | click to painted, median | slowest | opacity, frames/s | zip of all files |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server, address = _serve(folder)
        try:
            chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            ready = _ready(chromium, address)
            for side in parsed.sides:
                print(_row(chromium, address, Path(folder), side, parsed.clicks), flush=True)
            print(f"\n{_two_tabs(chromium, address, Path(folder))}")
            print(f"\nPage usable {ready:.1f} s after it was asked for, the server just up.")
        finally:
            server.terminate()
            server.wait(timeout=20)


def _serve(folder: str) -> tuple[subprocess.Popen, str]:
    server = subprocess.Popen(
        [sys.executable, "app.py", "--data-dir", folder],
        cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    line = next(line for line in server.stdout if "http://" in line)
    return server, line.split()[-1]


def _ready(chromium, address: str) -> float:
    """Seconds from asking for the page until its canvas is there: the first visitor's."""
    tab = chromium.new_page()
    begun = time.perf_counter()
    tab.goto(address)
    tab.wait_for_selector("#sac-canvas")
    seconds = time.perf_counter() - begun
    tab.close()
    return seconds


def _row(chromium, address: str, folder: Path, side: int, clicks: int) -> str:
    picture = folder / f"field-{side}.png"
    field = generated_field(side=500, count=170).pixels
    Image.fromarray(np.tile(field, (-(-side // 500), -(-side // 500), 1))[:side, :side]).save(picture)
    tab = chromium.new_page(viewport={"width": 1440, "height": 950})
    tab.goto(address)
    tab.wait_for_selector("#sac-canvas")
    stage = Stage(tab).open(picture)
    begun = time.perf_counter()
    tab.click("#sac-segment")
    tab.wait_for_function("Number(document.querySelector('#sac-canvas').dataset.nuclei) > 0", timeout=600_000)
    segmented = time.perf_counter() - begun
    nuclei = stage.count("nuclei")
    for _ in range(12):  # close enough to aim: at the nuclei of the middle
        tab.keyboard.press("+") if side > 1000 else None
    tab.wait_for_timeout(500)
    times = []
    tab.keyboard.press("2")  # without outlines and points, ground is told from nuclei by its colour
    for place in _ground(tab, clicks + 1):
        tab.keyboard.press("Escape")
        times.append(tab.evaluate(CLICK, place))
    tab.keyboard.press("2")
    rate = tab.evaluate(FRAMES, 3)
    begun = time.perf_counter()
    stage.download()
    zipped = time.perf_counter() - begun
    tab.close()
    median, slowest = statistics.median(times[1:]), max(times[1:])
    return (
        f"| {side}² | {nuclei} | {segmented:.1f} s | {median:.0f} ms | {slowest:.0f} ms | {rate:.0f} | {zipped:.1f} s |"
    )


def _two_tabs(chromium, address: str, folder: Path) -> str:
    """200 random edits, interleaved between two tabs, against each tab's edits alone."""
    picture = folder / "small.png"
    Image.fromarray(generated_field(side=256, count=40).pixels).save(picture)
    plans = [random_edits(seed, 100, 256) for seed in range(2)]

    def opened() -> Stage:
        tab = chromium.new_page(viewport={"width": 1440, "height": 950})
        tab.goto(address)
        tab.wait_for_selector("#sac-canvas")
        return Stage(tab).open(picture).push("sac-segment")

    tabs = [opened() for _ in plans]
    begun = time.perf_counter()
    for pair in zip(*plans):
        for tab, edit in zip(tabs, pair):
            tab.edit(*edit)
    seconds = time.perf_counter() - begun
    equal = []
    for tab, plan in zip(tabs, plans):
        alone = opened()
        for edit in plan:
            alone.edit(*edit)
        equal.append(alone.state() == tab.state())
    return (
        f"200 edits interleaved between two tabs in {seconds:.0f} s; each tab equal to its edits alone: {all(equal)}."
    )


def _ground(tab, count: int) -> list[list[float]]:
    """Places of the screen that lie on dark ground, spread over the stage."""
    return tab.evaluate(
        """count => {
          const view = document.querySelector('#sac-canvas'), box = view.getBoundingClientRect()
          const canvas = view.querySelector('canvas'), pen = canvas.getContext('2d'), found = []
          const k = canvas.width / box.width
          for (let i = 1; found.length < count && i < 20000; i++) {
            const x = box.width * (0.3 + 0.4 * (i * 0.7548777 % 1)), y = box.height * (0.1 + 0.6 * (i * 0.5698403 % 1))
            const seen = pen.getImageData(x * k - 8, y * k - 8, 17, 17).data
            let light = 0
            for (let j = 0; j < seen.length; j += 4) light = Math.max(light, seen[j], seen[j + 1], seen[j + 2])
            if (light < 40) found.push([box.left + x, box.top + y])
          }
          return found
        }""",
        count,
    )


if __name__ == "__main__":
    main()
