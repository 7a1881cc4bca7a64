"""Several files at once: folders and zips become the image files in them, one by one."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sac.config import LIMITS
from sac.errors import ImageError

ENDINGS = {
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".btf", ".tf8", ".lsm",
    ".stk", ".svs", ".ndpi", ".scn", ".bif",
}  # fmt: skip
"""By which a file in a folder or zip is taken for an image."""
HIDDEN = re.compile(r"\.[^.]|__MACOSX$")
"""Files and folders that systems leave behind."""
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
        try:
            if path.is_dir():
                yield from _in_folder(path)
            elif path.suffix.lower() == ".zip":
                yield from _in_zip(path, room)
            else:
                yield Sent(path, path.name)
        except ImageError as error:
            yield error


def _in_folder(folder: Path) -> Iterator[Sent | ImageError]:
    inside = sorted(Path(place) / name for place, _, names in os.walk(folder) for name in names)
    names = [path.relative_to(folder).as_posix() for path in inside]
    images, others = _sorted_out(names)
    yield from (Sent(path, name) for path, name in zip(inside, names) if name in images)
    yield from _left_out(folder.name, len(images), others)


def _in_zip(path: Path, room: Path) -> Iterator[Sent | ImageError]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = {m.filename: m for m in archive.infolist() if not m.is_dir()}
            _judge(path.name, list(members.values()))
            images, others = _sorted_out(members)
            for number, name in enumerate(images):
                yield _unpacked(archive, members[name], room / f"{path.stem[:40]}-{number}{Path(name).suffix}")
    except (zipfile.BadZipFile, NotImplementedError, OSError) as error:
        raise ImageError(f"{path.name} is not a zip that can be read") from error
    yield from _left_out(path.name, len(images), others)


def _judge(name: str, members: list[zipfile.ZipInfo]) -> None:
    """Judges a zip by its directory, before anything is unpacked. Raises ImageError."""
    if len(members) > LIMITS.zip_members:
        raise ImageError(f"{name} has {len(members)} files; up to {LIMITS.zip_members} are accepted")
    total = sum(m.file_size for m in members)
    if total > LIMITS.zip_bytes:
        raise ImageError(f"{name} unpacks to {total / 2**30:.1f} GB; up to {LIMITS.zip_bytes / 2**30:.0f} are accepted")


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path) -> Sent | ImageError:
    """One member as a file of its own."""
    if member.flag_bits & 1:
        return ImageError(f"{member.filename} is encrypted; send the zip without a password")
    packed_too_well = member.file_size > LIMITS.zip_ratio * member.compress_size and member.file_size > SMALL
    if packed_too_well or member.file_size > LIMITS.upload:
        return ImageError(
            f"{member.filename} unpacks to {member.file_size / 2**20:.0f} MB, from {member.compress_size / 2**20:.1f}; "
            f"up to {LIMITS.upload // 2**20} MB and {LIMITS.zip_ratio} times are accepted"
        )
    try:
        with archive.open(member) as packed, path.open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError):
        return ImageError(f"{member.filename} is damaged in the zip")
    return Sent(path, member.filename)


def _sorted_out(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which names are those of images, and which others would be missed; what systems leave behind is neither."""
    seen = [n for n in names if not any(HIDDEN.match(part) for part in PurePosixPath(n).parts)]
    images = [n for n in seen if PurePosixPath(n).suffix.lower() in ENDINGS]
    return images, [n for n in seen if n not in set(images) and PurePosixPath(n).name.lower() != "thumbs.db"]


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
