"""What `fit --data` names, brought together."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from accelerate import PartialState
from accelerate.utils import parse_flag_from_env

from sac.errors import DataError
from training.datasets import files, from_hub
from training.datasets.gather import SURVEY, TrainingSet, gather
from training.datasets.sample import Sample
from training.disk import room


@dataclass(frozen=True)
class Named:
    """What the command line says of the data. split, columns: of data sets on the Hub; "" leaves the choice to names.

    first: images of each that are taken, 0 for all.
    """

    data: tuple[str, ...]
    split: str = ""
    columns: tuple[str, str] = ("", "")
    first: int = 0

    @property
    def titles(self) -> tuple[str, ...]:
        """What a card calls them: folders by their last two names, the others as they were named."""
        return tuple(map(title, self.data))


def training_set(named: Named, folder: Path, resume: bool) -> TrainingSet:
    """The training set of what was named, in `folder`: as it is there when a training is resumed, else made anew."""
    state = PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU"))  # the first to ask decides for all
    if state.is_main_process and not (resume and (folder / SURVEY).exists()):
        with TemporaryDirectory(prefix="sac-") as place, room():
            survey = gather(brought(named, Path(place)), folder).survey
        for sentence in (*survey.refused, *survey.problems):
            print(sentence, file=sys.stderr)
    state.wait_for_everyone()
    return TrainingSet(folder)


def brought(named: Named, place: Path) -> Iterator[Sample | DataError]:
    """Everything that was named, one after the other. A path that is here goes before a name on the Hub."""
    for name in named.data:
        if name and Path(name).exists():  # "" would be the working folder
            found = files.samples([Path(name)], place, links=True)
        elif Path(name).is_absolute() or name.count("/") != 1:
            raise DataError(f"{name!r} is not there: a folder, a file or owner/name on the Hub is needed")
        else:
            found = from_hub.samples(name, named.split, named.columns, place)
        yield from _first(named.first, (replace(s, source=title(name)) if isinstance(s, Sample) else s for s in found))


def _first(count: int, brought: Iterable[Sample | DataError]) -> Iterator[Sample | DataError]:
    """Up to `count` samples, where it is not 0, and what is wrong with those before."""
    taken = 0
    for sample in brought:
        yield sample
        taken += isinstance(sample, Sample)
        if taken == count:
            return


def title(name: str) -> str:
    path = Path(name).resolve()
    return f"{path.parent.name}/{path.name}" if path.exists() else name
