"""Outlines as Aperio's ImageScope writes them: the XML of MoNuSeg."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

import numpy as np

from sac.errors import DataError
from training.datasets.documents import content
from training.datasets.outlines import Piece, ring


def outlines(path: Path, name: str) -> list[list[Piece]]:
    """Each Region of Annotations/Annotation/Regions, in pixels. Raises DataError."""
    regions = _Regions(name)
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = regions.refuse
    parser.StartElementHandler = regions.begin
    parser.EndElementHandler = regions.end
    try:
        parser.Parse(content(path, name), True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise DataError(f"{name} is no XML that can be read") from error
    return regions.found


class _Regions:
    """Collects regions while a parser goes through the file: no tree, no entity and no second file."""

    def __init__(self, name: str):
        self.name = name
        self.found: list[list[Piece]] = []
        self._corners: list[tuple[str | None, str | None]] = []
        self._excludes = False
        self._depth = 0

    def refuse(self, *_: object) -> NoReturn:
        raise DataError(f"{self.name} has a document type; an ImageScope file of outlines has none")

    def begin(self, tag: str, told: dict[str, str]) -> None:
        if not self._depth and tag != "Annotations":
            raise DataError(f"{self.name} begins with {tag[:40]}; an ImageScope file of outlines with Annotations")
        self._depth += 1
        if tag == "Region":
            self._corners, self._excludes = [], told.get("NegativeROA") == "1"
        elif tag == "Vertex":
            self._corners.append((told.get("X"), told.get("Y")))

    def end(self, tag: str) -> None:
        self._depth -= 1
        if tag == "Region" and not self._excludes:
            self.found.append([[self._ring()]])

    def _ring(self) -> np.ndarray:
        try:
            return ring(self._corners)
        except DataError as error:
            raise DataError(f"{self.name}: a Vertex has no numbers X and Y") from error
