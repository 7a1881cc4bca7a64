"""A case as one file: a zip of `case.json` and of arrays in NumPy's own format, which may come from anybody."""

from __future__ import annotations

import io
import json
import math
import re
import zipfile
import zlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from sac.cases.facts import Comment
from sac.config import LIMITS
from sac.errors import CaseError

SUFFIX = ".saccase"
TOLD = "case.json"
MEMBER = re.compile(r"(pixels|values|truth|labels-\d{1,2})\.npy")
TOLD_BYTES = 64 * 2**20
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
    if path.stat().st_size > LIMITS.case:
        raise CaseError(f"{path.name} is larger than {LIMITS.case >> 20} MB.")
    try:
        with zipfile.ZipFile(path) as archive:
            return _read(archive)
    except (
        zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, AttributeError, EOFError, OSError,
        RecursionError, OverflowError, NotImplementedError, RuntimeError, SyntaxError,
    ) as error:  # fmt: skip
        raise CaseError(f"{path.name} {NO_CASE}.") from error


def _read(archive: zipfile.ZipFile) -> tuple[str, str, dict[str, np.ndarray], list[Comment]]:
    members = {info.filename: info for info in archive.infolist()}
    if len(members) != len(archive.infolist()) or len(members) > 110:
        raise ValueError("members twice, or too many")
    room = LIMITS.values + 200 * LIMITS.pixels
    if members[TOLD].file_size > TOLD_BYTES or sum(m.file_size for m in members.values()) > room:
        raise ValueError("too large when unpacked")
    head = json.loads(archive.read(TOLD))
    arrays = {}
    for name, info in members.items():
        if name == TOLD:
            continue
        if not MEMBER.fullmatch(name):
            raise ValueError("a foreign member")
        arrays[name.removesuffix(".npy")] = _array(archive, info)
    comments = [_comment(told) for told in head["comments"][: LIMITS.comments]]
    return str(head["name"])[:120] or "imported", json.dumps(head["work"], allow_nan=False), arrays, comments


def _array(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """An array whose header claims no more than its member holds, and is allowed."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, _, dtype = reader(member)
    wanted = math.prod(shape) * dtype.itemsize
    if dtype.kind not in "uif" or len(shape) not in (2, 3) or not 0 < wanted <= min(info.file_size, LIMITS.values):
        raise ValueError("an array that is none of a case's")
    if math.prod(shape[:2]) > LIMITS.pixels or (len(shape) == 3 and shape[2] > LIMITS.samples):
        raise ValueError("more pixels than an image may have")
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _comment(told: dict[str, Any]) -> Comment:
    x, y, at = (float(told[name]) for name in ("x", "y", "at"))
    text, author = told["text"], told["author"]
    if not all(map(math.isfinite, (x, y, at))) or not isinstance(text, str) or not isinstance(author, str):
        raise ValueError("a comment that is none")
    return Comment(0, x, y, text[: LIMITS.comment], author[:60], at, bool(told["done"]))
