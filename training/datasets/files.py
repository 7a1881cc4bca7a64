"""What a user brought in files becomes samples, one by one; what does not fit is named and passed over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np

from sac.bundle import is_image
from sac.config import LIMITS
from sac.decoding import Decoder
from sac.decoding.decoded import spoken
from sac.errors import DataError, ImageError
from sac.images import Image, open_file
from sac.labels import LabelImage, read_label_image
from training.datasets import aperio, geojson, runs
from training.datasets.brought import Brought
from training.datasets.coco import Listed, is_list
from training.datasets.documents import read_json
from training.datasets.layouts import Layout, Pair, arranged
from training.datasets.outlines import Drawing
from training.datasets.runs import RunTable
from training.datasets.sample import Sample, doubts_of

TOLD = 20
"""Sentences of one kind that are said; the others are counted."""
TABLE = ".parquet"
LISTS = (".json", ".csv")
"""Files that may speak of many images."""


def samples(paths: Sequence[Path], room: Path, links: bool = False) -> Iterator[Sample | DataError]:
    """Images with their nuclei, of files, folders and zips, in the order of their names; in a sentence, what is none.

    What a zip holds is unpacked into the folder `room` for as long as it is read. links: whether links that lead out
    of a folder are followed: in one's own, not in one that was sent.
    """
    with Brought(paths, room, links) as brought:
        yield from read(brought, room)


def read(brought: Brought, room: Path) -> Iterator[Sample | DataError]:
    """The same of what is open already."""
    with Decoder() as decoder:
        yield from brought.problems
        yield from _tables(brought, room)
        yield from Reading(brought, decoder).samples()


def _tables(brought: Brought, room: Path) -> Iterator[Sample | DataError]:
    for name in brought.names:
        if name.lower().endswith(TABLE):
            from training.datasets import table

            try:
                with brought.fetched(name) as path:
                    yield from table.samples(path, brought.source(name), room)
            except DataError as error:
                yield error


class Refusals:
    """Counts sentences of a kind, so that a few stand for many."""

    def __init__(self):
        self._counts: Counter[str] = Counter()

    def told(self, kind: str, sentence: str) -> Iterator[DataError]:
        """The sentence, while there are few. kind: the same of many files, as the end of "and 380 others ..."."""
        self._counts[kind] += 1
        if self._counts[kind] <= TOLD:
            yield DataError(on_one_line(sentence))

    def rest(self) -> Iterator[DataError]:
        for kind, count in self._counts.items():
            if count > TOLD:
                yield DataError(f"and {count - TOLD} {'other' if count == TOLD + 1 else 'others'} {kind}")


class Reading:
    """Reads what was brought. decoder: the process that decodes its pictures."""

    def __init__(self, brought: Brought, decoder: Decoder):
        self.brought, self.decoder = brought, decoder
        self.refusals = Refusals()
        self._json = lru_cache(maxsize=2)(self._read_json)

    def samples(self) -> Iterator[Sample | DataError]:
        lists, broken = {}, set()
        for name in self.brought.names:
            if name.lower().endswith(LISTS):
                try:
                    lists |= self._listed(name)
                except DataError as error:
                    broken.add(name)
                    yield from self.refusals.told("that cannot be read", str(error))
        layout = arranged([name for name in self.brought.names if name not in broken], lists)
        called = names_of([pair.image for pair in layout.pairs])
        for pair in layout.pairs:
            try:
                yield self.sample(pair, called[pair.image])
            except (DataError, ImageError) as error:
                yield from self.refusals.told("that cannot be read", str(error))
        yield from self._unpaired(layout)
        yield from self.refusals.rest()
        yield from self._left_out({*lists} | broken)

    def sample(self, pair: Pair, name: str) -> Sample:
        """Reads a pair. Raises DataError or ImageError."""
        image = self._image(pair.image)
        read = {"labels": self._label_image, "masks": self._masks, "outlines": self._outlines, "coco": self._coco}
        labels, doubts = read[pair.kind](pair, image.size)
        source = self.brought.source(pair.image)
        return Sample(spoken(name), image.pixels, labels, source, doubts, image.microns or 0.0)

    def _image(self, name: str) -> Image:
        with self.brought.fetched(name) as path:
            image = open_file(path, name, decoder=self.decoder)
        if image.is_preview:
            height, width = image.place.size
            raise DataError(
                f"{spoken(name)} is a whole slide of {width} x {height} pixels; training takes parts of up to "
                f"{LIMITS.whole // 10**6} megapixels, each saved as a picture of its own"
            )
        return image

    def _read_labels(self, name: str) -> LabelImage:
        with self.brought.fetched(name) as path:
            return read_label_image(path, name, self.decoder)

    def _label_image(self, pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
        found = self._read_labels(pair.annotations[0])
        _judge_size(pair.image, size, pair.annotations[0], found.labels.shape)
        return found.labels, doubts_of(found)

    def _masks(self, pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
        """One mask per nucleus, laid over each other."""
        drawing, jpeg = Drawing(size), False
        for name in pair.annotations:
            found = self._read_labels(name)
            _judge_size(pair.image, size, name, found.labels.shape)
            drawing.add_mask(found.labels > 0)
            jpeg |= found.is_jpeg
        return drawing.labels, ("jpeg",) * jpeg + _doubts(drawing)

    def _outlines(self, pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
        name, drawing = pair.annotations[0], Drawing(size)
        if name.lower().endswith(".xml"):
            with self.brought.fetched(name) as path:
                outlines = aperio.outlines(path, name)
        else:
            outlines = geojson.outlines(self._json(name), name)
        try:
            for outline in outlines:
                drawing.add_outline(outline)
        except DataError as error:
            raise DataError(f"{name}: {error}") from error
        return drawing.labels, _doubts(drawing)

    def _coco(self, pair: Pair, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
        drawing = self._json(pair.annotations[0]).drawn(pair.image, size)
        return drawing.labels, _doubts(drawing)

    def _read_json(self, name: str) -> object:
        """A COCO list, or what else the file holds; of a CSV a table of run lengths, None for another."""
        with self.brought.fetched(name) as path:
            if name.lower().endswith(".csv"):
                return runs.read(path, name)
            document = read_json(path, name)
        return Listed(document, name) if is_list(document) else document

    def _listed(self, name: str) -> dict[str, list[str]]:
        document = self._json(name)
        return {name: document.names} if isinstance(document, Listed | RunTable) else {}

    def _unpaired(self, layout: Layout) -> Iterator[DataError]:
        for sentence in layout.unclear:
            yield from self.refusals.told("for which it is not clear what belongs together", sentence)
        for name in layout.unlabelled:
            stem = PurePosixPath(name).stem
            yield from self.refusals.told(
                "without labels",
                f"{name} has no labels: a file of the same name in labels/ or masks/, {stem}_mask.png, "
                f"{stem}.geojson, {stem}.xml or a COCO list are known",
            )
        for name in layout.imageless:
            yield from self.refusals.told("without an image", f"{name} has no image of the same name")

    def _left_out(self, told: set[str]) -> Iterator[DataError]:
        """What to say of files that are neither images nor annotations. told: those of which enough was said."""
        known = (".xml", ".json", ".geojson", TABLE)
        names = [name for name in self.brought.names if name not in told]
        others = [name for name in names if not is_image(name) and PurePosixPath(name).suffix.lower() not in known]
        if others:
            told = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
            count = "1 file is" if len(others) == 1 else f"{len(others)} files are"
            told = on_one_line(told)
            yield DataError(f"{count} neither image nor annotation by name, and left out: {told}")


def on_one_line(sentence: str) -> str:
    """Without what names of files may hold and no sentence does."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in sentence)


def names_of(images: Sequence[str]) -> dict[str, str]:
    """What to call samples: the files' stems; where those repeat, with their folder, or as the file is called."""
    shapes = (lambda path: path.stem, lambda path: str(path.with_suffix("")), str)
    counts = [Counter(shape(PurePosixPath(image)) for image in images) for shape in shapes]
    called = {}
    for image in images:
        names = [shape(PurePosixPath(image)) for shape in shapes]
        called[image] = next(name for name, count in zip(names, counts) if count[name] == 1 or name == image)
    return called


def _judge_size(image: str, size: tuple[int, int], labels: str, found: tuple[int, ...]) -> None:
    if found != size:
        raise DataError(f"{image} is of {size}, {labels} of {found} (height, width): they must agree")


def _doubts(drawing: Drawing) -> tuple[str, ...]:
    return ("overlap",) * drawing.overlap
