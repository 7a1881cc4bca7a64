"""A data folder: `images/` and `labels/` with equal stems."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from sac.errors import DataError
from training.datasets.sample import Sample

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


def load(pair: Pair, source: str = "") -> Sample:
    """Reads a pair. A label file is one instance map: integers, one number per nucleus."""
    return Sample(pair.name, _read(pair.image, "RGB"), _read(pair.labels).astype(np.int32), source)


def _read(path: Path, mode: str | None = None) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.array(image.convert(mode) if mode else image)
    except OSError as error:
        raise DataError(f"{path.name} cannot be read as an image") from error
