"""A table: a parquet file with a column of images and one of masks, row by row."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sac.config import LIMITS
from sac.decoding import KEPT, Decoder
from sac.decoding.decoded import spoken
from sac.errors import DataError, ImageError
from sac.images import Image, read_image
from sac.labels import LabelImage, read_label_image
from training.datasets.outlines import Drawing
from training.datasets.sample import Sample, doubts_of

ROOT = Path(__file__).parents[2]
LINE = 2**20
"""Bytes that a line of the reading process may have."""

Answers = Iterator[tuple[dict[str, Any], list[bytes]]]


@dataclass(frozen=True)
class Row:
    """A row's image file and mask files, as bytes, or why they are refused. is_list: whether each mask is a nucleus."""

    name: str
    image: bytes = b""
    masks: tuple[bytes, ...] = ()
    is_list: bool = False
    refused: str = ""


def samples(
    path: Path, source: str, room: Path, columns: tuple[str, str] = ("", ""), first: int = 1
) -> Iterator[Sample | DataError]:
    """Each row as a sample, or what is wrong with it; what is wrong with the table comes last.

    columns: of images and of masks, "" for the one that is called so. Each picture is for a moment a file in the
    folder `room`, and goes through the same door as one that was uploaded. first: the number of the first row.
    """
    try:
        with _asked(path, source, columns) as answers, Decoder() as decoder:
            next(answers)
            reading = _Reading(source, room / "cell", decoder)
            for number, row in enumerate(_rows(answers), start=first):
                yield reading.sample(row, f"{spoken(source)} row {number}")
    except DataError as error:
        yield error


def columns_of(path: Path, name: str = "") -> tuple[list[str], list[str]]:
    """The columns that may hold images and those that may hold masks, likely ones first. Raises DataError."""
    with _asked(path, name or path.name) as answers:
        told, _ = next(answers)
        return list(told["images"]), list(told["masks"])


@dataclass(frozen=True)
class _Reading:
    """Reads rows of a table called `source`. Each picture is for a moment the file `cell`, which `decoder` decodes."""

    source: str
    cell: Path
    decoder: Decoder

    def sample(self, row: Row, where: str) -> Sample | DataError:
        if row.refused:
            return DataError(f"{where}: {row.refused}")
        try:
            image = self._image(row.image, f"{where}: its image")
            labels, doubts = self._labels(row, image.size, f"{where}: its mask")
            return Sample(spoken(row.name) or where, image.pixels, labels, self.source, doubts, image.microns or 0.0)
        except ImageError as error:
            return DataError(str(error))

    def _image(self, content: bytes, name: str) -> Image:
        with self._file(content) as path:
            return read_image(path, name, decoder=self.decoder)

    def _labels(self, row: Row, size: tuple[int, int], name: str) -> tuple[np.ndarray, tuple[str, ...]]:
        """Labels (H, W) int32 of a row, and what makes them doubtful. Of a list, each mask is a nucleus."""
        if not row.is_list:
            found = self._label_image(next(iter(row.masks)), size, name)
            return found.labels, doubts_of(found)
        drawing, jpeg = Drawing(size), False
        for mask in row.masks:
            found = self._label_image(mask, size, name)
            drawing.add_mask(found.labels > 0)
            jpeg |= found.is_jpeg
        return drawing.labels, ("jpeg",) * jpeg + ("overlap",) * drawing.overlap

    def _label_image(self, content: bytes, size: tuple[int, int], name: str) -> LabelImage:
        with self._file(content) as path:
            return read_label_image(path, name, self.decoder, size)

    @contextmanager
    def _file(self, content: bytes) -> Iterator[Path]:
        try:
            self.cell.write_bytes(content)
            yield self.cell
        finally:
            self.cell.unlink(missing_ok=True)


def _rows(answers: Answers) -> Iterator[Row]:
    for told, contents in answers:
        if "refused" in told:
            yield Row(told["name"], refused=told["refused"])
        else:
            yield Row(told["name"], contents[0], tuple(contents[1:]), told["list"])


@contextmanager
def _asked(path: Path, source: str, columns: tuple[str, str] | None = None) -> Iterator[Answers]:
    """What the process that reads the file answers: its columns, then its rows where columns are wanted."""
    asked = {"path": str(path.resolve()), "name": spoken(source), "columns": columns}
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"OPENBLAS_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    command = [sys.executable, "-m", "training.datasets.cells"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, **pipes) as child:
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.close()
            yield _answers(child.stdout, spoken(source))
        finally:
            child.kill()


def _answers(stream: BinaryIO, source: str) -> Answers:
    """Lines and the contents behind them, until the end. Raises DataError with the process's own sentence."""
    while True:
        try:
            told = json.loads(stream.readline(LINE))
            contents = [_exactly(stream, size) for size in _judged(told.get("sizes", []))]
        except (
            ValueError,
            TypeError,
            AttributeError,
        ) as error:  # no answer, or half of one: its limits ended the process
            raise DataError(f"{source} is damaged, or takes too much memory or time to be read") from error
        if "error" in told:
            raise DataError(told["error"])
        if "end" in told:
            return
        yield told, contents


def _judged(sizes: list[int]) -> list[int]:
    """A process that a file had taken over could say anything."""
    if min(sizes, default=0) < 0 or sum(sizes) > LIMITS.upload:
        raise ValueError(f"contents of {sum(sizes)} bytes")
    return sizes


def _exactly(stream: BinaryIO, size: int) -> bytes:
    content = stream.read(size)
    if len(content) != size:
        raise ValueError("a content ends early")
    return content
