"""`PYTHONPATH=. python tests/decoding/large_slide.py`: seconds and memory of a preview and a region of a 2 GB slide.

Not a test: it makes a slide of some 2 GB in a temporary folder, tile by tile, of noise in which JPEG saves little.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import tifffile
from slides import APERIO

TILE = 512
SIDE = 56 * TILE
"""Pixels along a side of the slide: 822 megapixels."""
FACTORS = (4, 16)
ROOM = 6 * 2**30
"""Bytes of disk that must be free."""

MEASURE = """
import resource, sys, time
from sac.config import View
from sac.errors import ImageError
from sac.images import open_file
path, region = sys.argv[1], tuple(map(int, sys.argv[2:]))
begun = time.monotonic()
try:
    height, width = open_file(path, view=View(region=region)).size
    came = f"{width} x {height}"
except ImageError as error:
    came = str(error)
seconds = time.monotonic() - begun
peaks = [resource.getrusage(who).ru_maxrss / 1000 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(f"{came} | {seconds:.1f} | {peaks[0]:.0f} | {peaks[1]:.0f}")
"""
"""In a process of its own, since peaks are kept; Linux counts them in kB."""


def noise_tiles(count: int) -> Iterator[bytes]:
    """JPEG tiles of noise, eight different ones in turn."""
    rng = np.random.default_rng(0)
    packed = []
    for _ in range(8):
        stream = io.BytesIO()
        noise = rng.integers(0, 256, (TILE, TILE, 3), np.uint8)
        PIL.Image.fromarray(noise).save(stream, "JPEG", quality=93, subsampling=0)
        packed.append(stream.getvalue())
    return (packed[number % len(packed)] for number in range(count))


def write_slide(path: Path) -> None:
    """An Aperio slide of three levels."""
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in (1, *FACTORS):
            across = SIDE // factor
            tiff.write(
                noise_tiles((-(-across // TILE)) ** 2), shape=(across, across, 3), dtype=np.uint8, photometric="ycbcr",
                subsampling=(1, 1), tile=(TILE, TILE), compression="jpeg", metadata=None,
                description=APERIO.format(SIDE, SIDE),
            )  # fmt: skip


def measured(path: Path, region: tuple[int, ...]) -> str:
    arguments = [sys.executable, "-c", MEASURE, str(path), *map(str, region)]
    return subprocess.run(arguments, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        if shutil.disk_usage(folder).free < ROOM:
            sys.exit(f"{ROOM / 2**30:.0f} GB of temporary disk are needed")
        path, begun = Path(folder) / "large.svs", time.monotonic()
        write_slide(path)
        print(
            f"A slide of {SIDE} x {SIDE} pixels, {path.stat().st_size / 1e9:.2f} GB, written in {time.monotonic() - begun:.0f} s:\n"
        )
        print(
            "| opened | pixels | seconds | peak of the asking process, MB | of the decoding one, MB |\n|---|---|---|---|---|"
        )
        middle = SIDE // 2
        for called, region in {
            "preview": (),
            "region in the middle": (middle, middle, 1024, 1024),
            "large region": (middle - 2000, middle - 2000, 4000, 4000),
            "largest region": (100, 200, 10_000, 10_000),
        }.items():
            print(f"| {called} | {measured(path, region)} |", flush=True)


if __name__ == "__main__":
    main()
