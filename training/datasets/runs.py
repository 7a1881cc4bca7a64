"""Nuclei of many images as run lengths in one table, as the Data Science Bowl 2018 has them.

A row for each nucleus: ImageId, EncodedPixels and, in some tables, Height, Width and Usage. EncodedPixels are pairs
START LENGTH: pixels are counted from 1 on, down the columns, one column after the other.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np

from sac.bundle import alike
from sac.errors import DataError
from training.datasets.documents import content
from training.datasets.outlines import Drawing

NEEDED = {"ImageId", "EncodedPixels"}
HEAD = 1000
"""Bytes in which the names of the columns end."""
ROWS = 1_000_000
"""Nuclei of one table; the largest of the Data Science Bowl has about a tenth."""
DIGITS = 10
"""Of the largest number that may stand in a row; images have fewer pixels."""
IGNORED = "Ignored"
"""Usage of rows that were not scored: what they hold is no ground truth."""

Row = tuple[str, str, str]
"""EncodedPixels, Height and Width as they are written; the sizes "" where the table has none."""


def read(path: Path, name: str) -> RunTable | None:
    """The table in a CSV file, None for one with other columns. Raises DataError."""
    try:
        with path.open("rb") as stream:
            head = stream.readline(HEAD)
    except OSError as error:
        raise DataError(f"{name} cannot be read") from error
    columns = {column.strip(' "\r\n') for column in head.decode("utf-8-sig", "replace").split(",")}
    return RunTable(content(path, name), name) if columns >= NEEDED else None


class RunTable:
    """The nuclei of each image of a table. Raises DataError for what is none."""

    def __init__(self, table: bytes, name: str):
        self.name = name
        self._rows: dict[str, list[Row]] = defaultdict(list)
        try:
            rows = csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""))
            for count, row in enumerate(rows, 1):
                self._add(row, count)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{name} is no CSV that can be read") from error

    def _add(self, row: dict[str, str | None], count: int) -> None:
        if count > ROWS:
            raise DataError(f"{self.name} has more than {ROWS:,} rows")
        if not row["ImageId"]:
            raise DataError(f"{self.name} has no ImageId in row {count}")
        if row.get("Usage") != IGNORED:
            told = tuple((row.get(column) or "").strip() for column in ("EncodedPixels", "Height", "Width"))
            self._rows[alike(row["ImageId"].strip())].append(told)

    @property
    def names(self) -> list[str]:
        """The images' files; those of the Data Science Bowl are all PNG."""
        return [f"{image}.png" for image in self._rows]

    def drawn(self, path: str, size: tuple[int, int]) -> Drawing:
        """The nuclei of the image of `size` (height, width) that lies at `path`. Raises DataError."""
        drawing = Drawing(size)
        try:
            for encoded, *told in self._rows[alike(PurePosixPath(path).stem)]:
                _judge_size(told, size)
                drawing.add_runs(*decoded(encoded, drawing.labels.size))
        except DataError as error:
            raise DataError(f"{path}: {error} in {self.name}") from error
        return drawing


def _judge_size(told: list[str], size: tuple[int, int]) -> None:
    if any(told) and told != [str(side) for side in size]:
        height, width = (side[:DIGITS] for side in told)
        raise DataError(f"of {size} as a file, and of ({height}, {width}) (height, width)")


def decoded(encoded: str, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Where runs start and end, from 0 on and in order, (R,) int64 each. Raises DataError."""
    words = encoded.split()
    if len(words) % 2 or not all(w.isascii() and w.isdigit() and len(w) <= DIGITS for w in words):
        raise DataError("a nucleus has run lengths that are no pairs START LENGTH of whole numbers")
    runs = np.array([*map(int, words)], np.int64).reshape(-1, 2)
    runs = runs[np.argsort(runs[:, 0], kind="stable")]
    starts, ends = runs[:, 0] - 1, runs.sum(axis=1) - 1
    if len(runs) and (starts[0] < 0 or runs[:, 1].min() < 1 or ends.max() > pixels):
        raise DataError(f"a nucleus has a run beyond the image's {pixels} pixels")
    if (starts[1:] < ends[:-1]).any():
        raise DataError("a nucleus has runs that overlap")
    return starts, ends
