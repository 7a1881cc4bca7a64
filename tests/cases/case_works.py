"""Works to keep as cases, made by hand and from numbers; what a database holds."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np

from sac.cases import Work
from sac.config import SegmentOptions
from sac.images import Image
from sac.inference.instances import Instances
from sac.inference.session import Session
from sac.prompts import Prompts

SHOWN = ("nuclei", "instances")


def by_hand() -> Session:
    """1: 20 x 10 pixels; 2: 10 x 10, touching it; 3: 10 x 10, far away, asked with a box. A fourth was asked in vain."""
    labels = np.zeros((60, 80), np.int32)
    labels[10:20, 10:30], labels[10:20, 30:40], labels[40:50, 60:70] = 1, 2, 3
    points = [[[20, 15], [34, 15]], [[34, 15], [20, 15]], [[65, 45], [0, 0]], [[5, 55], [0, 0]]]
    asked = np.array([[1, 0], [1, 0], [1, -1], [1, -1]], np.int8)
    boxes = np.full((4, 4), np.nan, np.float32)
    boxes[2] = 59.5, 39.5, 70.25, 50.75
    found = Instances(
        labels=labels,
        numbers=np.array([1, 2, 3]),
        certainty=np.array([0.9, 0.75, 0.3], np.float32),  # 0.9 and 0.3 are not the same in 32 bits
        stability=np.array([1.0, 0.5, 0.1], np.float32),
        prompts=Prompts(np.array(points, np.float32), asked, asked == 0, boxes),
        prompt=np.array([0, 1, 2]),
        origin=("automatic", "edited", "clicked"),
        notes=("a note of the segmentation",),
    )
    return Session.begin(found, SegmentOptions(negatives=3, certainty=0.45))


def tiles() -> Session:
    """The same map in semantic mode: rows belong to tiles, of which the second has none of the points."""
    session = by_hand()
    options = SegmentOptions(mode="semantic", strategy="probability", scale=1.5, adapted=False)
    rows = {1: session.rows[1], 2: replace(session.rows[4], points=())}
    return replace(session, options=options, rows=rows, last=9)


def work(notes: str = "looked at twice\nthe left edge is out of focus: µ, 核, 🔬") -> Work:
    """A picture of 16 bit with two channels, worked on in either mode, with a truth."""
    rng = np.random.default_rng(0)
    image = Image(
        "tissue.tif",
        rng.integers(0, 256, (60, 80, 3), np.uint8),
        0.325,
        ("16 bit was scaled to 8",),
        rng.integers(0, 65536, (60, 80, 2), np.uint16),
        ("DAPI", "Ki-67"),
        1,
    )
    truth = np.roll(by_hand().labels, 3, axis=1)
    sessions = {SHOWN: by_hand(), ("nuclei-he", "semantic"): tiles()}
    return Work(image, sessions, SHOWN, notes, truth, {"nuclei": "nuclei (general)", "nuclei-he": "nuclei-he (H&E)"})


def numbered(number: int, side: int = 64) -> Work:
    """A work that only this number has: noise, with a nucleus, and the number in its notes."""
    pixels = np.random.default_rng(number).integers(0, 256, (side, side, 3), np.uint8)
    return Work(Image(f"{number}", pixels), {}, None, f"number {number}")


def digest(work: Work) -> str:
    """Of all that a case keeps, written down without the store's own code."""
    digest = hashlib.sha256()
    for array in (work.image.pixels, work.image.values, work.truth, *(s.labels for s in work.sessions.values())):
        digest.update(repr(None if array is None else (array.shape, array.dtype.str, array.tobytes())).encode())
    digest.update(repr(facts(work)).encode())
    return digest.hexdigest()


def facts(work: Work) -> tuple:
    """All that is no array, and not the picture's name, which the case gives."""
    image = work.image
    sessions = {
        variant: (s.options, s.nuclei, s.points, s.rows, s.last, s.notes) for variant, s in work.sessions.items()
    }
    told = (image.microns, image.notes, image.channels, image.channel)
    return told, sessions, work.shown, work.notes, work.models


def rows(path: Path) -> dict[str, list[tuple]]:
    """Every row of every table."""
    with closing(sqlite3.connect(path)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(database.execute(f"SELECT * FROM {name}"), key=repr) for name in names}


def whole(path: Path) -> bool:
    """Whether SQLite finds nothing wrong with a database."""
    with closing(sqlite3.connect(path)) as database:
        checks = [database.execute(f"PRAGMA {check}").fetchall() for check in ("integrity_check", "foreign_key_check")]
    return checks == [[("ok",)], []]


def content(folder: Path) -> bytes:
    """All bytes of all files of a folder."""
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())
