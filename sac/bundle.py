"""Several files at once: folders and zips become the image files in them, one by one."""

from __future__ import annotations

import errno
import lzma
import os
import re
import shutil
import struct
import tempfile
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

from sac.config import LIMITS
from sac.decoding.decoded import spoken
from sac.errors import NO_ROOM, ImageError

ENDINGS = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8", ".lsm",
    ".stk", ".svs", ".ndpi", ".scn", ".bif",
}  # fmt: skip
"""By which a file in a folder or zip is taken for an image."""
HIDDEN = re.compile(r"\.[^.]|__MACOSX$")
"""Files and folders that systems leave behind."""
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, RuntimeError)
"""What Python raises for a damaged zip; RuntimeError: for a way of packing that it does not know, too."""
ENTRY = 1024
"""Bytes that a zip's list may take for each of its members, in the mean: the longest names are seldom."""
END, END_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
"""How a zip ends, and what stands before it in one that is longer than 4 GB or has many members."""
SMALL = 2**25
"""Bytes below which it does not matter how tightly a zip's member is packed."""


@dataclass(frozen=True)
class Sent:
    """A file that a user brought. name: what to call it: in a folder or zip, its path there."""

    path: Path
    name: str


def each_file(paths: Sequence[Path], room: Path) -> Iterator[Sent | ImageError]:
    """Files as they are, those in folders and zips one after the other; what cannot be had as an error in its place.

    A zip's member is unpacked when its turn comes, into the folder `room`, under a name that is not the zip's to choose.
    """
    for path in paths:
        if not path.is_dir() and path.suffix.lower() != ".zip":
            yield Sent(path, path.name)
            continue
        try:
            with opened(path, room, links=True) as bundle:
                yield from _images(bundle)
        except ImageError as error:
            yield error


def _images(bundle: Bundle) -> Iterator[Sent | ImageError]:
    images = [name for name in bundle.names if is_image(name)]
    for name in images:
        try:
            yield Sent(bundle.fetch(name), name)
        except ImageError as error:
            yield error
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            yield ImageError(f"{name} and what follows it in {bundle.name}: there is no room left on the disk")
            return
    yield from _left_out(bundle.name, len(images), [name for name in bundle.names if not is_image(name)])


def alike(name: str) -> str:
    """A name as file systems compare it that know neither case nor how a letter's accent was typed."""
    return unicodedata.normalize("NFC", name).casefold()


def is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in ENDINGS


def opened(path: Path, room: Path, links: bool = False, members: int | None = None) -> Bundle:
    """A folder or a zip. Raises ImageError for a zip that is none, or too large. links: see `Folder`; members: `Zip`."""
    return Folder(path, links) if path.is_dir() else Zip(path, room, members)


class Bundle:
    """What is in a folder or zip. names: of its files, paths with slashes, without what systems leave behind."""

    name: str
    names: tuple[str, ...]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Closes it."""

    def fetch(self, name: str) -> Path:
        """One of its files, on disk. Raises ImageError where it cannot be had, OSError where the disk is full."""
        raise NotImplementedError

    def drop(self, path: Path) -> None:
        """Gives back the room that a fetched file took."""


class Folder(Bundle):
    """links: whether links that lead out of the folder are followed: in one's own folder, not in one that was sent."""

    def __init__(self, path: Path, links: bool = False):
        self.name, self._path, self._links = path.name, path, links
        self.names = tuple(_seen(self._walk()))

    def _walk(self) -> list[str]:
        seen, names = set(), []
        for place, folders, files in os.walk(self._path, followlinks=self._links):
            real = os.path.realpath(place)
            if real in seen:  # a link to a folder around it
                folders.clear()
                continue
            seen.add(real)
            names += [(Path(place) / file).relative_to(self._path) for file in files]
        return [path.as_posix() for path in sorted(names)]

    def fetch(self, name: str) -> Path:
        path = self._path / name
        if not self._links and not path.resolve().is_relative_to(self._path.resolve()):
            raise ImageError(f"{spoken(name)} is a link that leads out of {spoken(self.name)}")
        return path


class Zip(Bundle):
    """A zip, judged by its directory. A file is unpacked when it is asked for, into `room`, under a name of our own.

    members: files that it may hold; None for as many as a visitor may send.
    """

    def __init__(self, path: Path, room: Path, members: int | None = None):
        self.name, self._room, self._stem = path.name, room, path.stem[:40]
        members = members or LIMITS.zip_members
        try:
            with path.open("rb") as stream:
                listed = _listed(stream)
            if listed > members * ENTRY:
                raise ImageError(f"{self.name} has too many files; up to {members} are accepted")
            self._archive = zipfile.ZipFile(path)
        except (*UNREADABLE, OSError) as error:
            raise ImageError(f"{self.name} is not a zip that can be read") from error
        files = [member for member in self._archive.infolist() if member.filename and not member.is_dir()]
        self._members = {member.filename: member for member in files}
        self.names = tuple(_seen(self._members))
        try:
            _judge(path.name, files, members)
        except ImageError:
            self._archive.close()
            raise

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def fetch(self, name: str) -> Path:
        member = self._members[name]
        _judge_member(member)
        if shutil.disk_usage(self._room).free < member.file_size + LIMITS.disk_reserve:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        handle, path = tempfile.mkstemp(PurePosixPath(name).suffix[:16], f"{self._stem}-", self._room)
        try:
            with open(handle, "wb") as file, self._archive.open(member) as packed:
                shutil.copyfileobj(packed, file)
        except (*UNREADABLE, OSError) as error:
            os.unlink(path)
            if getattr(error, "errno", None) in NO_ROOM:
                raise
            raise ImageError(f"{member.filename} is damaged in the zip") from error
        return Path(path)

    def drop(self, path: Path) -> None:
        path.unlink(missing_ok=True)


def _listed(stream: BinaryIO) -> int:
    """Bytes of a zip's list of members, as its end says: `zipfile` reads as many, and keeps an object for each member.

    0 where there is no such end (APPNOTE.TXT 4.3.14 and 4.3.16), which `zipfile` says.
    """
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - END.size - 2**16))
    last = stream.read()
    at = last.rfind(b"PK\x05\x06")
    if at < 0 or len(last) - at < END.size:
        return 0
    listed = END.unpack_from(last, at)[5]
    longer = last.rfind(b"PK\x06\x06", 0, at)
    if listed == 2**32 - 1 and longer >= 0 and len(last) - longer >= END_64.size:
        listed = END_64.unpack_from(last, longer)[8]
    return listed


def _judge(name: str, members: list[zipfile.ZipInfo], most: int) -> None:
    """Judges a zip by its directory, before anything is unpacked. Raises ImageError."""
    if len(members) > most:
        raise ImageError(f"{name} has {len(members)} files; up to {most} are accepted")
    total = sum(m.file_size for m in members)
    if total > LIMITS.zip_bytes:
        raise ImageError(f"{name} unpacks to {total / 2**30:.1f} GB; up to {LIMITS.zip_bytes / 2**30:.0f} are accepted")


def _judge_member(member: zipfile.ZipInfo) -> None:
    """Judges one file of a zip, before it is unpacked. Raises ImageError."""
    if member.flag_bits & 1:
        raise ImageError(f"{member.filename} is encrypted; send the zip without a password")
    packed_too_well = member.file_size > LIMITS.zip_ratio * member.compress_size and member.file_size > SMALL
    if packed_too_well or member.file_size > LIMITS.upload:
        raise ImageError(
            f"{member.filename} unpacks to {member.file_size / 2**20:.0f} MB, from {member.compress_size / 2**20:.1f}; "
            f"up to {LIMITS.upload // 2**20} MB and {LIMITS.zip_ratio} times are accepted"
        )


def _seen(names: Iterable[str]) -> Iterator[str]:
    """Names without those that systems leave behind."""
    for name in names:
        path = PurePosixPath(name)
        if not any(HIDDEN.match(part) for part in path.parts) and path.name.lower() != "thumbs.db":
            yield name


def _left_out(name: str, images: int, others: list[str]) -> Iterator[ImageError]:
    """What to say of the files that are no images."""
    if not images:
        yield ImageError(f"{name} holds no image")
    elif others:
        told = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
        count = (
            "1 file is no image by its name and was"
            if len(others) == 1
            else f"{len(others)} files are no images by their names and were"
        )
        yield ImageError(f"{name}: {count} left out: {told}")
