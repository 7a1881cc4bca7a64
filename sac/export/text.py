"""JSON and CSV as every program reads them: no NaN, no infinity, no cell that runs as a formula."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""First characters of a text cell that a spreadsheet would run."""


def to_json(value: Any) -> bytes:
    """JSON in ASCII. Raises ValueError for NaN and infinity, which the standard does not know."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def to_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> bytes:
    """A table with a header, in UTF-8; None is an empty cell. Lines end as RFC 4180 has it."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue().encode(errors="backslashreplace")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
