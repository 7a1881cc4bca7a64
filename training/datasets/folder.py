"""A data folder: `images/` and `labels/` with equal stems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sac.decoding import Decoder
from sac.errors import DataError, ImageError
from sac.images import read_image
from sac.labels import read_label_image
from training.datasets.sample import Sample, doubts_of

SUFFIXES = (".png", ".webp", ".tif", ".tiff", ".jpg", ".jpeg", ".bmp")


@dataclass(frozen=True)
class Pair:
    """An image file and its label file."""

    image: Path
    labels: Path

    @property
    def name(self) -> str:
        return self.image.stem


def find_pairs(folder: Path) -> list[Pair]:
    """All pairs of a data folder, by name. Raises DataError where there is none, or an image has no labels."""
    images = [p for p in sorted((folder / "images").glob("*")) if p.suffix.lower() in SUFFIXES]
    if not images:
        raise DataError(f"{folder} holds no images/ with {', '.join(SUFFIXES)} files")
    labels = {p.stem: p for p in (folder / "labels").glob("*") if p.suffix.lower() in SUFFIXES}
    missing = [p.name for p in images if p.stem not in labels]
    if missing:
        raise DataError(f"{folder}: no file in labels/ for {', '.join(missing[:5])} ({len(missing)} in all)")
    return [Pair(p, labels[p.stem]) for p in images]


def load(pair: Pair, source: str = "", decoder: Decoder | None = None) -> Sample:
    """Reads a pair. A label file is a label image, as `sac.labels` reads it. Raises DataError."""
    try:
        image = read_image(pair.image, decoder=decoder)
        found = read_label_image(pair.labels, decoder=decoder)
    except ImageError as error:
        raise DataError(str(error)) from error
    return Sample(pair.name, image.pixels, found.labels, source, doubts_of(found), image.microns or 0.0)


def load_all(pairs: Iterable[Pair], source: str = "") -> Iterator[Sample]:
    """Reads pairs one after the other, in one process for all."""
    with Decoder() as decoder:
        for pair in pairs:
            yield load(pair, source, decoder)
