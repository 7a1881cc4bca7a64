"""`PYTHONPATH=. python tests/export/speed.py`: seconds that each format takes. Prints a table.

Not a test: nothing here passes or fails. Every format is made from a result of its own, so that it pays for all that it
needs; the zip of all shares what several need.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from sac.config import SegmentOptions
from sac.export import FILES, Result, zipped
from sac.images import Image
from sac.inference.instances import Instances
from sac.prompts import NEGATIVE, POSITIVE, Prompts

NEIGHBOURS = 4
"""Negative points of a nucleus, as SegmentOptions has them by default."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 4000], help="sides of the generated pictures")
    parser.add_argument("--nuclei", type=int, default=5000)
    parser.add_argument("--warm", action="store_true", help="import libraries before the clock starts")
    parsed = parser.parse_args()
    fields = {side: field(side, parsed.nuclei) for side in parsed.sides}
    if parsed.warm:
        zipped(field(100, 4))
    print(f"| {parsed.nuclei} nuclei on | " + " | ".join(f"{side}² | size" for side in fields) + " |")
    print("|---|" + "---|---|" * len(fields))
    for name, make in {**FILES, "**all, zipped**": zipped}.items():
        cells = [_cell(make, result) for result in fields.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def _cell(make: Callable[[Result], bytes], result: Result) -> str:
    fresh = Result(result.image, result.found, result.model, result.options)
    begun = time.perf_counter()
    made = make(fresh)
    return f"{time.perf_counter() - begun:.2f} s | {len(made) / 1e6:.1f} MB"


def field(side: int, count: int) -> Result:
    """A picture of stained tissue, side x side pixels, with `count` lobed nuclei, many of which touch, and its prompts."""
    rng = np.random.default_rng(0)
    labels, middles = _nuclei(rng, side, count)
    pixels = np.full((side, side, 3), (225, 190, 215), np.uint8)
    pixels[labels > 0] = (110, 70, 150)
    pixels += rng.integers(0, 25, (side, side, 1), np.uint8)
    image = Image("field.png", pixels, microns=0.25)
    found = Instances(
        labels=labels,
        numbers=np.arange(1, count + 1),
        certainty=rng.random(count, np.float32),
        stability=rng.random(count, np.float32),
        prompts=_prompts(rng, middles),
        prompt=np.arange(count),
        origin=("automatic",) * count,
    )
    return Result(image, found, "nuclei", SegmentOptions())


def _nuclei(rng: np.random.Generator, side: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels (side, side) int32 and centres (N, 2), as (x, y): one nucleus in each cell of a grid, a little off it."""
    cells = int(np.ceil(np.sqrt(count)))
    step = side / cells
    grid = np.stack(np.divmod(np.arange(count), cells)[::-1], axis=1)
    middles = (grid + 0.5 + rng.uniform(-0.15, 0.15, (count, 2))) * step
    labels = np.zeros((side, side), np.int32)
    for number, (x, y) in enumerate(middles, start=1):
        reach = int(step * 0.6) + 1
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        rows, columns = np.mgrid[top : min(side, int(y) + reach), left : min(side, int(x) + reach)]
        angle = np.arctan2(rows - y, columns - x)
        radius = step * rng.uniform(0.3, 0.5) * (1 + 0.2 * np.cos(rng.integers(2, 5) * (angle - rng.uniform(0, 6))))
        inside = np.hypot(rows - y, columns - x) < np.maximum(radius, 1.5)
        labels[rows[inside], columns[inside]] = number
    return labels, middles


def _prompts(rng: np.random.Generator, middles: np.ndarray) -> Prompts:
    others = rng.integers(0, len(middles), (len(middles), NEIGHBOURS))
    points = np.concatenate([middles[:, None], middles[others]], axis=1).astype(np.float32)
    labels = np.full(points.shape[:2], NEGATIVE, np.int8)
    labels[:, 0] = POSITIVE
    return Prompts(points, labels)


if __name__ == "__main__":
    main()
