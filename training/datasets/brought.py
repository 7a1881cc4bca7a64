"""All that a user brought, folders, zips and files of their own, as one set of names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from sac.bundle import Bundle, opened
from sac.errors import DataError, ImageError


class Loose(Bundle):
    """Files that came on their own."""

    name = "files"

    def __init__(self, paths: Sequence[Path]):
        self._paths = {path.name: path for path in paths}
        self.names = tuple(self._paths)

    def fetch(self, name: str) -> Path:
        return self._paths[name]


class Brought:
    """names: of all files; of more than one folder or zip, each name begins with that of its own.

    problems: what could not be opened at all, a sentence each. links, members: see `sac.bundle`, Folder and Zip.
    """

    def __init__(self, paths: Sequence[Path], room: Path, links: bool = False, members: int | None = None):
        self.problems: list[DataError] = []
        self._places: dict[str, tuple[Bundle, str]] = {}
        self._open = ExitStack()
        packed = [path for path in paths if path.is_dir() or path.suffix.lower() == ".zip"]
        loose = [path for path in paths if path not in packed]
        for path in packed:
            try:
                bundle = self._open.enter_context(opened(path, room, links, members))
                self._take(bundle, path.stem if len(packed) > 1 else "")
            except ImageError as error:
                self.problems.append(DataError(str(error)))
        self._take(Loose(loose))
        if len({path.name for path in loose}) < len(loose):
            self.problems.append(DataError("several of the files have one name; send them in folders, or in a zip"))

    def _take(self, bundle: Bundle, prefix: str = "") -> None:
        for name in bundle.names:
            known = f"{prefix}/{name}" if prefix else name
            number = 2
            while known in self._places:
                known = f"{prefix or bundle.name} {number}/{name}"
                number += 1
            self._places[known] = bundle, name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def names(self) -> list[str]:
        return sorted(self._places)

    def source(self, name: str) -> str:
        """What the folder or zip is called that a file lies in."""
        return self._places[name][0].name

    @contextmanager
    def fetched(self, name: str) -> Iterator[Path]:
        """A file on disk, for as long as it is needed. Raises DataError where it cannot be had."""
        bundle, inside = self._places[name]
        try:
            path = bundle.fetch(inside)
        except ImageError as error:
            raise DataError(str(error)) from error
        try:
            yield path
        finally:
            bundle.drop(path)
