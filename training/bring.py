"""What `fit --data` names, brought together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from accelerate import PartialState

from sac.errors import DataError
from training.datasets.folder import find_pairs, load
from training.datasets.gather import SURVEY, TrainingSet, gather
from training.datasets.sample import Sample

SET = "set"
"""Folder, in that of a training, which holds its training set."""


def training_set(data: list[str], folder: Path, resume: bool) -> TrainingSet:
    """The training set of what `data` names, in `folder`: as it is there when a training is resumed, else made anew."""
    state = PartialState()
    if state.is_main_process and not (resume and (folder / SURVEY).exists()):
        gather(_brought(data), folder)
    state.wait_for_everyone()
    return TrainingSet(folder)


def _brought(data: list[str]) -> Iterator[Sample | DataError]:
    for name in data:
        yield from (load(pair, source=named(name)) for pair in find_pairs(Path(name)))


def named(folder: str) -> str:
    """What a card calls a folder of data."""
    return f"{Path(folder).resolve().parent.name}/{Path(folder).resolve().name}"
