"""The data sets of the SAC paper, as their authors give them out and as data folders.

| set | training part | test part |
|---|---|---|
| dsb2018 | `train/`, or `stage1_train` | `val/`, or `stage1_test` with `stage1_solution.csv` |
| monuseg | `train/`, or `MoNuSeg 2018 Training Data` | `test/`, or `MoNuSegTestData` |
| glas | `train/`, or `train_*` of `Warwick QU Dataset` | `testA/` and `testB/`, or `testA_*` and `testB_*` of it |

The first of each are data folders, with `images/` and `labels/`; the others are folders or zips, named as they were
downloaded. What an authors' folder holds is told by `training.datasets.layouts`, as for any other that is brought.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from sac.errors import DataError
from training.datasets import files
from training.datasets.brought import Brought
from training.datasets.sample import Sample

Part = Literal["train", "test"]
ZIP_MEMBERS = 50_000
"""Files that an official zip may hold: stage1_train.zip has a mask for each of 29,461 nuclei."""


@dataclass(frozen=True)
class Lot:
    """Images of a part that lie together.

    name: of the lot, and of its data folder. places: what the authors' folder or zip may be called, "" for a data
    folder; a name's letters and digits count. table: a CSV beside it that holds nuclei; needed: whether there are no
    others. start: how its files' names begin, where other lots lie there, too.
    """

    part: Part
    name: str
    places: tuple[str, ...] = ()
    table: str = ""
    needed: bool = False
    start: str = ""

    def paths(self, folder: Path) -> list[Path]:
        """What holds it in the set's folder, or is it; none where it is not there."""
        if not self.places:
            return [folder / self.name] if (folder / self.name / "images").is_dir() else []
        inside = [folder] if self.start and (folder / f"{self.start}1_anno.bmp").is_file() else []
        names = [_letters(place) for place in self.places]
        near = [folder, *_listed(folder)] if folder.is_dir() else [folder]
        place = (inside + [path for path in near if _holds(path) and _plain(path) in names])[:1]
        if not place or not self.table:
            return place
        tables = [path for path in _listed(place[0].parent) if _plain(path) == _letters(self.table)]
        return place + tables[:1] if tables or not self.needed else []

    @property
    def wanted(self) -> str:
        """What is looked for, in words."""
        if not self.places:
            return f"{self.name}/ with images/ and labels/"
        beside = f" with {self.table}.csv" if self.needed else ""
        return f"{self.places[0]} as a folder or zip{beside}"


@dataclass(frozen=True)
class OfficialSet:
    """A data set of the paper.

    licence: of its images and labels; free: whether weights trained on it may be used for anything. objects: what is
    marked. called: pattern of what its folder may be called. folders, official: its lots, as data folders or as the
    authors give them out.
    """

    name: str
    title: str
    licence: str
    free: bool
    objects: Literal["nuclei", "glands"]
    called: str
    folders: tuple[Lot, ...]
    official: tuple[Lot, ...]


_WARWICK = ("Warwick QU Dataset (Released 2016_07_08)", "Warwick QU Dataset")
SETS = {
    known.name: known
    for known in (
        OfficialSet(
            name="dsb2018",
            title="Data Science Bowl 2018, stage 1",
            licence="CC0 1.0",
            free=True,
            objects="nuclei",
            called=r"dsb.?2018|data.?science.?bowl.?2018|bbbc038",
            folders=(Lot("train", "train"), Lot("test", "val")),
            official=(
                Lot("train", "stage1_train", ("stage1_train",), "stage1_train_labels"),
                Lot("test", "stage1_test", ("stage1_test",), "stage1_solution", needed=True),
            ),
        ),
        OfficialSet(
            name="monuseg",
            title="MoNuSeg 2018",
            licence="CC BY-NC-SA 4.0",
            free=False,
            objects="nuclei",
            called=r"monuseg",
            folders=(Lot("train", "train"), Lot("test", "test")),
            official=(
                Lot("train", "train", ("MoNuSeg 2018 Training Data", "MoNuSegTrainingData")),
                Lot("test", "test", ("MoNuSegTestData", "MoNuSeg 2018 Test Data")),
            ),
        ),
        OfficialSet(
            name="glas",
            title="GlaS (MICCAI 2015)",
            licence="research use only",
            free=False,
            objects="glands",
            called=r"(^|[^a-z])glas($|[^a-z])|warwick.?qu",
            folders=(Lot("train", "train"), Lot("test", "testA"), Lot("test", "testB")),
            official=(
                Lot("train", "train", _WARWICK, start="train_"),
                Lot("test", "testA", _WARWICK, start="testA_"),
                Lot("test", "testB", _WARWICK, start="testB_"),
            ),
        ),
    )
}
"""By name."""


def recognised(folder: Path) -> OfficialSet:
    """Which set lies in a folder, or is a zip of it: by what is in it, else by its name. Raises DataError."""
    folder = _here(folder)
    for known in SETS.values():
        if any(lot.paths(folder) for lot in known.official):
            return known
    for known in SETS.values():
        if re.search(known.called, folder.name.lower()):
            return known
    named = ", ".join(f"{known.title} ({known.name})" for known in SETS.values())
    raise DataError(f"{folder.name} is none of the data sets that are known by name or layout: {named}")


def lots(folder: Path, part: Part) -> list[tuple[Lot, list[Path]]]:
    """The lots of a part, and what holds each. Raises DataError where one is missing."""
    known, folder = recognised(folder), _here(folder)
    ways = [[lot for lot in way if lot.part == part] for way in (known.folders, known.official)]
    for way in ways:
        found = [(lot, lot.paths(folder)) for lot in way]
        if all(paths for _, paths in found):
            return found
    wanted = "; or ".join(dict.fromkeys(" and ".join(dict.fromkeys(lot.wanted for lot in way)) for way in ways))
    raise DataError(f"{folder.name} does not hold the {part} part of {known.title}: {wanted}")


def samples(folder: Path, part: Part, room: Path) -> Iterator[Sample | DataError]:
    """The images of a part of a set with what is marked in them; in a sentence, what cannot be read.

    Their source is the set's and the lot's name: "glas/testA". What a zip holds is unpacked into `room` for as long as
    it is read. Raises DataError where the part is not there.
    """
    known = recognised(folder)
    for lot, paths in lots(folder, part):
        with LotFiles(lot, paths, room) as found:
            if not found.names and not found.problems:
                yield DataError(f"{paths[0].name} holds no file of {known.name}/{lot.name}")
            for sample in files.read(found, room):
                yield replace(sample, source=f"{known.name}/{lot.name}") if isinstance(sample, Sample) else sample


class LotFiles(Brought):
    """The files of one lot."""

    def __init__(self, lot: Lot, paths: list[Path], room: Path):
        super().__init__(paths, room, links=True, members=ZIP_MEMBERS)
        self._start = lot.start.lower()

    @property
    def names(self) -> list[str]:
        return [name for name in super().names if name.rsplit("/", 1)[-1].lower().startswith(self._start)]


def _here(folder: Path) -> Path:
    """Its whole path, so that "." has a name, too. Raises DataError."""
    if not folder.exists():
        raise DataError(f"{folder.name or folder} is not there: a data set's folder or zip is needed")
    return folder.absolute()


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{folder.name} cannot be read") from error


def _holds(path: Path) -> bool:
    return path.is_dir() or path.suffix.lower() == ".zip"


def _letters(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def _plain(path: Path) -> str:
    """A file's or folder's name without what says how it is packed, by its letters and digits."""
    name = path.name.lower()
    return _letters(name.removesuffix(".zip").removesuffix(".csv") if path.is_file() else name)
