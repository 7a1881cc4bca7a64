"""What a user brought becomes a training set on disk, and a survey of it that is shown before anything starts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from datasets import Dataset, Features, Value
from datasets import Image as Picture
from datasets.arrow_writer import ArrowWriter
from PIL import Image as PillowImage

from sac.errors import DataError
from training.augment import is_coloured, median_diameter
from training.datasets.sample import DOUBTS, Sample
from training.disk import write_json, written_whole

TABLE, SURVEY = "samples.arrow", "survey.json"
FEATURES = Features({"name": Value("string"), "source": Value("string"), "image": Picture(), "labels": Picture()})
HELD = 32
"""Samples that are kept decoded: more than a lab brings, less than memory holds."""
INVERTED = 0.9
"""Share of an image from which its nuclei are taken for its ground."""
FEW = 20
"""Nuclei in all below which there is little to learn."""


@dataclass(frozen=True)
class Facts:
    """What is known of a sample without reading it again. diameter: of its median nucleus, in pixels."""

    name: str
    source: str
    height: int
    width: int
    nuclei: int
    diameter: float
    covered: float
    """Share of its pixels that are nucleus."""
    coloured: bool
    bright: bool
    doubts: tuple[str, ...]
    digest: str
    microns: float = 0.0
    """Size of a pixel in µm; 0 where it is not known."""

    @classmethod
    def of(cls, sample: Sample) -> Facts:
        height, width = sample.labels.shape
        return cls(
            name=sample.name,
            source=sample.source,
            height=height,
            width=width,
            nuclei=int(np.count_nonzero(np.bincount(sample.labels.ravel())[1:])),
            diameter=round(median_diameter(sample.labels), 2),
            covered=round(float((sample.labels > 0).mean()), 4),
            coloured=is_coloured(sample.image),
            bright=bool(sample.image[::4, ::4].mean() > 128),
            doubts=sample.doubts,
            digest=hashlib.sha256(sample.image.tobytes()).hexdigest(),
            microns=sample.microns,
        )

    @property
    def kind(self) -> tuple[str, bool, bool]:
        """Samples of one kind are drawn alike: by source, colour and brightness."""
        return self.source, self.coloured, self.bright

    @property
    def look(self) -> str:
        """Colour and brightness in words."""
        return f"{'coloured' if self.coloured else 'grey'}, {'bright' if self.bright else 'dark'}"


@dataclass(frozen=True)
class Survey:
    """What was found. refused: a sentence for each image or annotation that was left out."""

    facts: tuple[Facts, ...]
    refused: tuple[str, ...] = ()

    @property
    def nuclei(self) -> int:
        return sum(f.nuclei for f in self.facts)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is likely to spoil the training, a sentence each."""
        return tuple(_problems(self))

    def check(self) -> None:
        """Raises DataError where nothing can be learnt."""
        if not self.facts:
            first = f": {self.refused[0]}" if self.refused else ""
            raise DataError(f"no image with its nuclei was found{first}")
        if not self.nuclei:
            raise DataError(f"none of the {len(self.facts)} images has a nucleus in its labels: they are empty")


def _problems(survey: Survey) -> Iterable[str]:
    facts = survey.facts
    for doubt, words in DOUBTS.items():
        count = sum(doubt in f.doubts for f in facts)
        if count:
            yield f"The labels of {counted(count)} {words}."
    empty = sum(not f.nuclei for f in facts)
    if empty:
        yield f"{counted(empty)} {'has' if empty == 1 else 'have'} no nucleus in the labels."
    inverted = sum(f.covered > INVERTED for f in facts)
    if inverted:
        yield f"Nuclei cover nearly all of {counted(inverted)}: is the ground marked instead?"
    if len(facts) > 1 and all(f.nuclei == 1 for f in facts):
        yield "Every image has one nucleus only: is each label one colour for all nuclei?"
    twice = len(facts) - len({f.digest for f in facts})
    if twice:
        yield f"{counted(twice)} came twice; equal images may stand on both sides of the validation split."
    looks = {f.look for f in facts if f.nuclei}
    if len(looks) == 1 and len(facts) > 1:
        yield f"All images look alike ({looks.pop()}): on others the adapter may be worse than before."
    if 0 < survey.nuclei < FEW:
        yield f"There are only {survey.nuclei} nuclei in all; some hundred teach more."


def counted(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


class TrainingSet:
    """Samples on disk, read when they are asked for, and what is known of each. Raises DataError where they are gone."""

    def __init__(self, folder: Path):
        self.folder = folder
        try:
            told = json.loads((folder / SURVEY).read_text())
        except FileNotFoundError as error:
            raise DataError("the images that were brought are no longer here: bring them again") from error
        facts = tuple(Facts(**{**f, "doubts": tuple(f["doubts"])}) for f in told["facts"])
        self.survey = Survey(facts, tuple(told["refused"]))
        self._rows = Dataset.from_file(str(folder / TABLE)) if facts else []
        self._sample = lru_cache(maxsize=HELD)(self._read)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Sample:
        return self._sample(index)

    def __reduce__(self):
        return TrainingSet, (self.folder,)

    def _read(self, index: int) -> Sample:
        row = self._rows[index]
        image, labels = np.array(row["image"]), np.array(row["labels"]).astype(np.int32)
        facts = self.survey.facts[index]
        return Sample(row["name"], image, labels, row["source"], facts.doubts, facts.microns)


def gather(
    brought: Iterable[Sample | DataError], folder: Path, told: Callable[[str], None] = lambda name: None
) -> TrainingSet:
    """Writes samples, one by one, to `folder`, and what is wrong with those that come as an error.

    `told` hears the name of each. The survey is written last: without it, the set is not there. Who reads a former set
    of the folder reads on: its table is replaced, not written over. Raises DataError where nothing can be learnt from
    what came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SURVEY).unlink(missing_ok=True)
    facts, refused = [], []
    with (
        written_whole(folder / TABLE) as partial,
        ArrowWriter(features=FEATURES, path=str(partial), writer_batch_size=1) as table,
    ):
        for sample in brought:
            if isinstance(sample, DataError):
                refused.append(str(sample))
                continue
            told(sample.name)
            table.write(
                {"name": sample.name, "source": sample.source}
                | {k: {"bytes": v, "path": None} for k, v in _packed(sample)}
            )
            facts.append(Facts.of(sample))
        table.finalize()
    survey = Survey(tuple(facts), tuple(refused))
    write_json(folder / SURVEY, {"facts": [asdict(f) for f in facts], "refused": refused})
    survey.check()
    return TrainingSet(folder)


def _packed(sample: Sample) -> Iterable[tuple[str, bytes]]:
    """Lossless and small: PNG for the image, TIFF for labels, which may be numbered beyond 16 bit."""
    for column, values, how in (
        ("image", sample.image, {"format": "PNG", "compress_level": 1}),
        ("labels", sample.labels, {"format": "TIFF", "compression": "tiff_adobe_deflate"}),
    ):
        stream = io.BytesIO()
        PillowImage.fromarray(values).save(stream, **how)
        yield column, stream.getvalue()
