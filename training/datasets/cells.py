"""The process that reads a parquet file: `python -m training.datasets.cells`, a request on stdin, rows on stdout.

A file's claims make the reader take memory before anything can be judged: it is this process's, which is limited. It
opens the one file, and follows no path and no address in it. Each answer is a line of JSON, with bytes behind it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sac.config import LIMITS
from sac.errors import DataError
from training.datasets.columns import Columns

SECONDS = 600
"""Of computing that a file may take; 4 GB of images take up to 10."""
MEMORY = 3 * 2**30
"""Bytes that the process may take: three times a page, and writers put up to 1,024 pictures into one."""
BUFFER = 2**20


def main() -> None:
    _limit()
    asked = json.loads(sys.stdin.readline())
    name = asked["name"]
    try:
        with Path(asked["path"]).open("rb") as stream:
            for answer, contents in _answers(stream, name, asked["columns"]):
                sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
                sys.stdout.buffer.writelines(contents)
    except DataError as error:
        _end(str(error))
    except MemoryError:
        _end(f"{name} needs more memory than one table gets; save it in smaller row groups")
    except BrokenPipeError:
        sys.exit(1)
    except Exception:  # the reader raises whatever it likes on a damaged file
        _end(f"{name} is damaged, or not a parquet file")


def _answers(stream: BinaryIO, name: str, wanted: list[str] | None) -> Iterator[tuple[dict[str, Any], list[bytes]]]:
    """The columns; then, where some are wanted, a row at a time; then the end."""
    table = pq.ParquetFile(stream, buffer_size=BUFFER, pre_buffer=False, arrow_extensions_enabled=False)
    columns = Columns.of(table.schema_arrow)
    yield {"images": columns.images, "masks": columns.masks}, []
    if wanted:
        image, mask = columns.chosen((wanted[0], wanted[1]), name)
        tops = {_top(column, table.schema_arrow.names) for column in (image, mask, columns.name) if column}
        _judge(table.metadata, tops, name)
        for batch in table.iter_batches(1, columns=sorted(tops), use_threads=False):
            for row in batch.to_pylist():
                told, contents = _row(row, image, mask, columns.name)
                yield told | {"list": mask not in columns.images}, contents
    yield {"end": True}, []


def _judge(metadata: pq.FileMetaData, tops: set[str], name: str) -> None:
    """Judges a table by what it claims, before anything is read. Raises DataError."""
    if metadata.num_rows > LIMITS.zip_members:
        raise DataError(f"{name} has {metadata.num_rows} rows; up to {LIMITS.zip_members} are accepted")
    groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
    chunks = [group.column(n) for group in groups for n in range(group.num_columns)]
    size = sum(c.total_uncompressed_size for c in chunks if _top(c.path_in_schema, tops) in tops)
    if size > LIMITS.zip_bytes:
        raise DataError(f"{name} unpacks to {size / 2**30:.1f} GB; up to {LIMITS.zip_bytes / 2**30:.0f} are accepted")


def _top(column: str, tops: Any) -> str:
    """The field of the table that a dotted name lies in; the name itself may have dots, too."""
    return next((top for top in tops if column == top or column.startswith(top + ".")), column)


def _row(row: dict[str, Any], image: str, mask: str, name: str) -> tuple[dict[str, Any], list[bytes]]:
    """What is said of a row, and the contents of its image and masks."""
    images, masks = list(_cells(row, image)), list(_cells(row, mask))
    told = {"name": "" if name not in row or row[name] is None else str(row[name])[:1000]}
    contents = images + masks
    if len(images) != 1 or None in contents:
        what = "image" if len(images) != 1 or None in images else "mask"
        return told | {"refused": f"its {what} has no bytes; a path or an address in their place is not followed"}, []
    size = sum(map(len, contents))
    if size > LIMITS.upload or len(masks) > LIMITS.zip_members:
        most = f"{LIMITS.upload >> 20} MB and {LIMITS.zip_members} masks are accepted"
        return told | {"refused": f"it has {size >> 20} MB and {len(masks)} masks; up to {most}"}, []
    return told | {"sizes": [len(content) for content in contents]}, contents


def _cells(value: Any, column: str) -> Iterator[bytes | None]:
    """The contents below a dotted name, None for one that is not there."""
    if isinstance(value, list):
        for element in value:
            yield from _cells(element, column)
    elif column and isinstance(value, dict):
        top = _top(column, value)
        yield from _cells(value.get(top), column[len(top) + 1 :])
    elif isinstance(value, dict):
        yield value.get("bytes")
    else:
        yield value


def _limit() -> None:
    """Binds this process, where the system can: memory of its own, seconds of computing, no file to write."""
    pa.set_memory_pool(pa.system_memory_pool())  # the others set more aside than is given
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (
        (resource.RLIMIT_DATA, MEMORY),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, SECONDS),
    ):
        resource.setrlimit(what, (most, most))


def _end(sentence: str) -> None:
    sys.stdout.buffer.write(json.dumps({"error": sentence}).encode() + b"\n")


if __name__ == "__main__":
    main()
