"""The stage: a canvas in the browser that draws picture, masks and prompts without asking the server."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from PIL import Image as PillowImage

from sac.export import Result
from sac.inference.instances import Instances

HERE = Path(__file__).parent
LOSSLESS = 4_000_000
"""Pixels up to which the picture travels as PNG; larger ones travel as JPEG, for the eye alone."""


class SegCanvas(gr.HTML):
    """Shows a Result. Its template never depends on the value, so that the canvas and its listeners live on."""

    def __init__(self, **settings: Any):
        super().__init__(
            value={"rev": 0},
            html_template=(HERE / "canvas.html").read_text(encoding="utf-8"),
            css_template=(HERE / "canvas.css").read_text(encoding="utf-8"),
            js_on_load=(HERE / "canvas.js").read_text(encoding="utf-8"),
            apply_default_css=False,
            **settings,
        )

    def get_block_name(self) -> str:
        return "html"

    def show(self, result: Result, rev: int) -> dict[str, Any]:
        """The value that makes the canvas show `result`. Pixels and labels travel as files."""
        height, width = result.image.size
        return {
            "rev": rev,
            "width": width,
            "height": height,
            "name": result.image.name,
            "mode": result.options.mode,
            "image": self._file(*_picture(result.image.pixels)),
            "labels": self._file(_labels(result.found.labels), "labels.gz"),
            "certainty": [round(float(c), 3) for c in result.found.certainty],
            "prompts": prompt_rows(result.found, result.options.mode),
        }

    def _file(self, content: bytes, name: str) -> dict[str, Any]:
        path = save_bytes_to_cache(content, name, cache_dir=self.GRADIO_CACHE)
        return FileData(path=path, orig_name=name).model_dump()


def prompt_rows(found: Instances, mode: str) -> list[dict[str, Any]]:
    """Each row of prompts: the nucleus it became (0: none, or all of them) and its points as [x, y, label]."""
    nucleus = np.zeros(len(found.prompts), np.int64)
    if mode == "instances":
        nucleus[found.prompt] = np.arange(1, len(found) + 1)
    rows = zip(nucleus.tolist(), found.prompts.points.round(1).tolist(), found.prompts.labels.tolist())
    return [
        {"nucleus": number, "points": [[*place, kind] for place, kind in zip(places, kinds) if kind >= 0]}
        for number, places, kinds in rows
    ]


def _picture(pixels: np.ndarray) -> tuple[bytes, str]:
    stream = io.BytesIO()
    picture = PillowImage.fromarray(pixels)
    if picture.width * picture.height <= LOSSLESS:
        picture.save(stream, "PNG", compress_level=1)
        return stream.getvalue(), "picture.png"
    picture.save(stream, "JPEG", quality=90)
    return stream.getvalue(), "picture.jpg"


def _labels(labels: np.ndarray) -> bytes:
    """Little-endian uint32, row by row, gzipped: what the canvas reads back to the last number."""
    return gzip.compress(labels.astype("<u4").tobytes(), compresslevel=1)
