"""All formats by name, and several of them, or of many pictures, at once."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sac.bundle import alike
from sac.errors import OptionError
from sac.export.chart import areas_png
from sac.export.coco import coco_json
from sac.export.imagej import rois_zip
from sac.export.labels import label_tiff
from sac.export.pictures import outlines_png, overlay_png, preview_png
from sac.export.prompts import prompts_json
from sac.export.qupath import geojson
from sac.export.result import Result
from sac.export.tables import nuclei_csv, summaries_csv, summary, summary_csv

FILES: dict[str, Callable[[Result], bytes]] = {
    "labels.tif": label_tiff,
    "overlay.png": overlay_png,
    "prompts.json": prompts_json,
    "nuclei.csv": nuclei_csv,
    "geojson": geojson,
    "preview.png": preview_png,
    "outlines.png": outlines_png,
    "rois.zip": rois_zip,
    "coco.json": coco_json,
    "summary.csv": summary_csv,
    "areas.png": areas_png,
}
"""All formats, by what follows the image's stem."""
CONTRACT = ("labels.tif", "overlay.png", "prompts.json", "nuclei.csv", "geojson")
"""Those that a command writes where no others are asked for."""
PICTURES = (".png", ".tif")
PACKED = (*PICTURES, ".zip")
"""Endings of what is compressed already: a zip stores it as it is."""
TOGETHER = "summary.csv"
"""The table of all pictures in a zip of many."""


def write_all(result: Result, folder: Path, formats: Iterable[str] = CONTRACT) -> list[Path]:
    """STEM.labels.tif and the others in `folder`. Returns their paths. Raises OptionError for an unknown format."""
    makers = {ending: _maker(ending) for ending in formats}
    folder.mkdir(parents=True, exist_ok=True)
    stem = safe_stem(result.image.name)
    written = []
    for ending, make in makers.items():
        path = folder / f"{stem}.{ending}"
        path.write_bytes(make(result))
        written.append(path)
    return written


def zipped(result: Result) -> bytes:
    """All formats of one picture in one zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        _add_all(archive, "", safe_stem(result.image.name), result)
    return stream.getvalue()


def zipped_all(results: Iterable[Result]) -> bytes:
    """All formats of many pictures in one zip: a folder each, and one table of all. Takes them one after the other."""
    stream, rows, taken = io.BytesIO(), [], {alike(TOGETHER)}
    with zipfile.ZipFile(stream, "w") as archive:
        for result in results:
            stem = _unique(safe_stem(result.image.name), taken)
            _add_all(archive, f"{stem}/", stem, result)
            rows.append(summary(result))
        _add(archive, TOGETHER, summaries_csv(rows))
    return stream.getvalue()


def safe_stem(name: str) -> str:
    """A file name without its ending, in characters that every system takes."""
    stem = name.rsplit(".", 1)[0] if "." in name[1:] else name
    safe = "".join(c if c.isalnum() or c in "-_. " else "_" for c in stem).strip(". ")
    return safe.encode()[:120].decode(errors="ignore").strip(". ") or "image"


def _maker(ending: str) -> Callable[[Result], bytes]:
    if ending not in FILES:
        raise OptionError(f"unknown format {ending!r}; known are {', '.join(FILES)}")
    return FILES[ending]


def _add_all(archive: zipfile.ZipFile, folder: str, stem: str, result: Result) -> None:
    for ending, content in _made(result).items():
        _add(archive, f"{folder}{stem}.{ending}", content)


def _made(result: Result) -> dict[str, bytes]:
    """All formats. Pictures are made beside the others, on a second core: packing them does not hold Python's lock."""
    pictures = [ending for ending in FILES if ending.endswith(PICTURES)]
    with ThreadPoolExecutor(1) as beside:
        drawn = beside.map(lambda ending: FILES[ending](result), pictures)
        made = {ending: make(result) for ending, make in FILES.items() if ending not in pictures}
        made |= zip(pictures, drawn)
    return {ending: made[ending] for ending in FILES}


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    archive.writestr(name, content, zipfile.ZIP_STORED if name.endswith(PACKED) else zipfile.ZIP_DEFLATED)


def _unique(stem: str, taken: set[str]) -> str:
    """The stem, or the first of STEM-2, STEM-3 that no file system takes for one of those `taken`, and takes it."""
    name, number = stem, 1
    while alike(name) in taken:
        number += 1
        name = f"{stem}-{number}"
    taken.add(alike(name))
    return name
