"""A case as one file: a zip of `case.json` and of arrays in NumPy's own format, which may come from anybody."""

from __future__ import annotations

import io
import json
import math
import os
import re
import struct
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sac.cases.facts import Comment
from sac.config import LIMITS
from sac.errors import CaseError

SUFFIX = ".saccase"
TOLD = "case.json"
MEMBER = re.compile(r"(pixels|values|truth|labels-[0-9]{1,2})\.npy")
MEMBERS = 110
DIRECTORY = 2**16
"""Bytes that the list of so many members takes at most."""
END, END_64 = struct.Struct("<4s4H2LH"), b"PK\x06\x07"
"""The last bytes of a zip without a comment; what stands before them in one that is longer than a case may be."""
HEADER = re.compile(
    r"\{'descr': '([<>|][uif][1248])', 'fortran_order': False, 'shape': \(([0-9]{1,9}(?:, [0-9]{1,9}){1,2})\), \} *\n"
)
"""All that NumPy writes before an array such as those of a case."""
TOLD_BYTES, SMALL = 64 * 2**20, 2**20
"""Of `case.json`, unpacked: the most, and what it may be however tightly it is packed."""
NO_CASE = "is not a case, or it is damaged; a file that was downloaded from Cases is accepted"


def to_file(name: str, told: str, arrays: dict[str, np.ndarray], comments: list[Comment]) -> bytes:
    """The bytes of the file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        head = {"name": name, "work": json.loads(told), "comments": [asdict(c) for c in comments]}
        archive.writestr(TOLD, json.dumps(head, allow_nan=False))
        for part, array in arrays.items():
            with archive.open(f"{part}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
    return stream.getvalue()


def from_file(path: Path) -> tuple[str, str, dict[str, np.ndarray], list[Comment]]:
    """Name, JSON of the work, arrays and comments. Raises CaseError for all that is no such file, or too large."""
    try:
        if path.stat().st_size > LIMITS.case:
            raise CaseError(f"{path.name} is larger than {LIMITS.case >> 20} MB.")
        with path.open("rb") as stream:
            _check_end(stream)
            with zipfile.ZipFile(stream) as archive:
                return _read(archive)
    except (
        zipfile.BadZipFile, zlib.error, struct.error, ValueError, KeyError, TypeError, AttributeError, EOFError, OSError,
        OverflowError, RuntimeError,
    ) as error:  # fmt: skip
        raise CaseError(f"{path.name} {NO_CASE}.") from error


def _check_end(stream: BinaryIO) -> None:
    """Raises ValueError where a zip says that it has very many members: only to list them would take long."""
    stream.seek(-END.size - 20, os.SEEK_END)
    longer, last = stream.read(20), stream.read()
    mark, _, _, _, count, size, _, comment = END.unpack(last)
    if mark != b"PK\x05\x06" or comment or longer[:4] == END_64 or count > MEMBERS or size > DIRECTORY:
        raise ValueError("no zip, or one of very many members")


def _read(archive: zipfile.ZipFile) -> tuple[str, str, dict[str, np.ndarray], list[Comment]]:
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()) or len(members) > MEMBERS:
        raise ValueError("members twice, or too many")
    if any(m.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for m in members.values()):
        raise ValueError("packed in a way that may take any memory")
    packed_too_well = members[TOLD].file_size > LIMITS.zip_ratio * members[TOLD].compress_size
    if packed_too_well and members[TOLD].file_size > SMALL:
        raise ValueError("packed too well")
    if members[TOLD].file_size > TOLD_BYTES or sum(m.file_size for m in members.values()) > LIMITS.desk:
        raise ValueError("too large when unpacked")
    head = json.loads(archive.read(TOLD))
    if len(head["work"]["sessions"]) > MEMBERS:
        raise ValueError("too many sessions")
    used = {
        "pixels.npy",
        "values.npy",
        "truth.npy",
        *(f"labels-{n}.npy" for n, _ in enumerate(head["work"]["sessions"])),
    }
    if not members.keys() - {TOLD} <= used:
        raise ValueError("a member that is none of a case's")
    arrays = {}
    for name, info in members.items():
        if name == TOLD:
            continue
        arrays[name.removesuffix(".npy")] = _array(archive, info)
    comments = [_comment(told) for told in head["comments"][: LIMITS.comments]]
    return str(head["name"])[:120] or "imported", json.dumps(head["work"], allow_nan=False), arrays, comments


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array whose header claims just what its member holds, and is allowed."""
    with archive.open(info) as member:
        shape, dtype, begin = _header(member)
    wanted = math.prod(shape) * dtype.itemsize
    if not 0 < wanted <= LIMITS.values or begin + wanted != info.file_size:
        raise ValueError("an array that is none of a case's")
    if math.prod(shape[:2]) > LIMITS.pixels or (len(shape) == 3 and shape[2] > LIMITS.samples):
        raise ValueError("more pixels than an image may have")
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _header(member: BinaryIO) -> tuple[tuple[int, ...], np.dtype, int]:
    """Shape, type and first byte of an array. Read letter by letter: NumPy would evaluate it as an expression."""
    if np.lib.format.read_magic(member) != (1, 0):
        raise ValueError("an array of a later format")
    length = int.from_bytes(member.read(2), "little")
    found = HEADER.fullmatch(member.read(length).decode("latin1"))
    if not found:
        raise ValueError("an array of another kind")
    return tuple(map(int, found[2].split(", "))), np.dtype(found[1]), member.tell()


def _comment(told: dict[str, Any]) -> Comment:
    x, y, at = (float(told[name]) for name in ("x", "y", "at"))
    text, author = told["text"], told["author"]
    if not all(map(math.isfinite, (x, y, at))) or not isinstance(text, str) or not isinstance(author, str):
        raise ValueError("a comment that is none")
    return Comment(0, x, y, text[: LIMITS.comment], author[:60], at, bool(told["done"]))
