"""A data set on the Hub, by owner/name: its parquet files, and nothing else of it.

Its scripts are not run, its README is not read, and the server's own token is not shown. A folder of the same name is no
data set: only the Hub is asked.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from httpx2 import TransportError
from huggingface_hub import HfApi, get_session, hf_hub_url
from huggingface_hub.errors import RevisionNotFoundError
from huggingface_hub.hf_api import DatasetInfo
from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

from sac.config import LIMITS
from sac.decoding.decoded import spoken
from sac.errors import DataError
from sac.remote.repository import NAME, PATIENCE, asked
from training.datasets import table
from training.datasets.sample import Sample

REVISION = re.compile(r"[\w][\w./-]*")
CONVERTED = "refs/convert/parquet"
"""The branch in which the Hub keeps data sets of other kinds as parquet files."""
SHARD = re.compile(r"[-_.]?\d+-of-\d+(-[0-9a-f]+)?$")
NUMBER = re.compile(r"(part[-_.]?)?\d*")
"""What names of files say beside their split: train-00000-of-00002, part-0."""
FOOTER = 2**18
"""Bytes at a file's end that nearly always hold what it says of its columns; else they are asked for again."""
LARGEST_FOOTER = 2**24
ASKED = 20
"""Configurations whose columns are asked for; those of others are found when they are read."""


@dataclass(frozen=True)
class Split:
    """One or several parquet files (path, bytes) with the same columns: those that may hold images, and masks."""

    files: tuple[tuple[str, int], ...]
    images: tuple[str, ...] = ()
    masks: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes that are to be fetched."""
        return sum(size for _, size in self.files)


@dataclass(frozen=True)
class Repository:
    """A data set at one commit."""

    name: str
    commit: str
    splits: dict[str, Split]

    def split(self, wanted: str) -> Split:
        """The split of that name; for "" the only one. Raises DataError."""
        if not wanted and len(self.splits) == 1:
            return next(iter(self.splits.values()))
        if wanted not in self.splits:
            raise DataError(f"{self.name} has no split {spoken(wanted)!r}; it has {spoken(', '.join(self.splits))}")
        return self.splits[wanted]


def splits(name: str) -> dict[str, Split]:
    """The splits of data set owner/name or owner/name@revision, as config/split or split. Raises DataError."""
    repository = _repository(name)
    columns, found = {}, {}
    for title, split in repository.splits.items():
        config = title.rpartition("/")[0]
        if config not in columns:  # splits of a configuration have the same columns
            columns[config] = _columns(repository, *split.files[0]) if len(columns) < ASKED else ((), ())
        found[title] = replace(split, images=tuple(columns[config][0]), masks=tuple(columns[config][1]))
    return found


def samples(name: str, split: str, columns: tuple[str, str], room: Path) -> Iterator[Sample | DataError]:
    """Each row of a split as a sample, or what is wrong with it; what is wrong with the data set comes last.

    Files are fetched into the folder `room`, one at a time, and removed when they are read.
    """
    try:
        repository = _repository(name)
        chosen = repository.split(split)
        if chosen.size > LIMITS.zip_bytes:
            most = f"{LIMITS.zip_bytes / 2**30:.0f} are accepted"
            raise DataError(f"{name} {spoken(split)}: its files have {chosen.size / 2**30:.1f} GB; up to {most}")
        number = 1
        for file, size in chosen.files:
            for sample in _fetched(repository, file, size, columns, room, number):
                yield sample
                number += 1
    except DataError as error:
        yield error


def split_of(path: str) -> str:
    """config/split of a file, by its path: data/train-00000-of-00002.parquet, config/split/0000.parquet."""
    *folders, stem = PurePosixPath(path).with_suffix("").parts
    split = SHARD.sub("", stem)
    if NUMBER.fullmatch(split):
        split = folders.pop() if folders else "all"
    return "/".join([*(folder for folder in folders if folder not in ("data", "default")), split])


def _repository(name: str) -> Repository:
    """Asks the Hub for the parquet files of a data set: its own, or those that the Hub made of it. Raises DataError."""
    repository, _, revision = name.partition("@")
    if not NAME.fullmatch(repository) or (revision or "@" in name) and not REVISION.fullmatch(revision):
        raise DataError(
            f"{spoken(name)!r} is not the name of a data set on the Hub: owner/name, or owner/name@revision, is"
        )
    info = asked(name, lambda: _info(repository, revision or None), DataError)
    if info.gated or info.private:
        raise DataError(f"{name} is not open to everybody: accept its terms on the Hub, and upload its files instead")
    found = _files(info)
    if not found and not revision:
        info = asked(name, lambda: _converted(repository), DataError) or info
        found = _files(info)
    if not found:
        raise DataError(f"{name} has no parquet files on the Hub; upload its images and masks instead")
    files: dict[str, list[tuple[str, int]]] = {}
    for file in found:
        files.setdefault(split_of(file[0]), []).append(file)
    return Repository(repository, info.sha, {title: Split(tuple(some)) for title, some in files.items()})


def _info(repository: str, revision: str | None) -> DatasetInfo:
    return HfApi(token=False).dataset_info(repository, revision=revision, files_metadata=True, timeout=PATIENCE)


def _converted(repository: str) -> DatasetInfo | None:
    try:
        return _info(repository, CONVERTED)
    except RevisionNotFoundError:
        return None


def _files(info: DatasetInfo) -> list[tuple[str, int]]:
    """(path, bytes) of the parquet files."""
    found = [(PurePosixPath(file.rfilename), file.size) for file in info.siblings or ()]
    return sorted(
        (path.as_posix(), size)
        for path, size in found
        if path.suffix == ".parquet" and size and ".." not in path.parts and not path.is_absolute()
    )


def _fetched(
    repository: Repository, file: str, size: int, columns: tuple[str, str], room: Path, first: int
) -> Iterator[Sample | DataError]:
    """The rows of one file, which is there for as long."""
    path = room / "fetched.parquet"
    try:
        asked(repository.name, lambda: _save(repository, file, size, path), DataError)
        yield from table.samples(path, repository.name, room, columns, first)
    finally:
        path.unlink(missing_ok=True)


def _save(repository: Repository, file: str, size: int, path: Path) -> None:
    with path.open("wb") as saved:
        saved.writelines(_pieces(repository, file, 0, size))


def _columns(repository: Repository, file: str, size: int) -> tuple[list[str], list[str]]:
    """A file's columns of pictures, by its last bytes; none where those are damaged, which reading it will say."""
    end = asked(repository.name, lambda: _end(repository, file, size, FOOTER), DataError)
    footer = int.from_bytes(end[-8:-4], "little") + 8
    if len(end) < footer <= min(size, LARGEST_FOOTER):
        end = asked(repository.name, lambda: _end(repository, file, size, footer), DataError)
    with tempfile.TemporaryDirectory() as room:
        path = Path(room) / "end.parquet"
        path.write_bytes(end)
        try:
            return table.columns_of(path, repository.name)
        except DataError:
            return [], []


def _end(repository: Repository, file: str, size: int, wanted: int) -> bytes:
    return b"".join(_pieces(repository, file, max(0, size - wanted), size))


def _pieces(repository: Repository, file: str, first: int, size: int) -> Iterator[bytes]:
    """A file's bytes from the one numbered `first` on; a connection that ends early is taken up again where it ended.

    The client's own download tries for minutes where nothing comes, and takes more than the Hub had said.
    """
    url = hf_hub_url(repository.name, file, repo_type="dataset", revision=repository.commit)
    headers = {**build_hf_headers(token=False), "Accept-Encoding": "identity"}
    while first < size:
        begun, part = first, {"Range": f"bytes={first}-{size - 1}"}
        try:
            with get_session().stream("GET", url, headers=headers | part, timeout=PATIENCE) as answer:
                hf_raise_for_status(answer)
                for piece in answer.iter_bytes():
                    first += len(piece)
                    if first > size:
                        raise ValueError(f"more than {size} bytes")
                    yield piece
        except TransportError:
            if first == begun:
                raise
        if first == begun:
            raise ValueError("no bytes")
