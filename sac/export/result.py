"""What every export is made from: one segmented image, and what it was made with."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from sac import __version__
from sac.config import SegmentOptions
from sac.export.measurements import Columns, measurements
from sac.export.outlines import Outline, outlines
from sac.images import Image
from sac.inference.instances import Instances

SOFTWARE = f"segment-any-cell {__version__}"
BY_USER = "as the user says"
"""How a note ends that Image.sized makes."""


@dataclass(frozen=True)
class Result:
    """One segmented image, and what it was made with: all that an export says.

    What several files need (ranks, outlines, measurements) is worked out once, when it is first asked for. truth (H, W):
    the ground truth that its user has for it, if any.
    """

    image: Image
    found: Instances
    model: str
    options: SegmentOptions
    truth: np.ndarray | None = None

    def about(self) -> dict[str, Any]:
        """Model, settings, software and notes, as every export carries them; `place` where it is part of a file."""
        place = self.place()
        return {
            "image": self.image.name,
            "model": self.model,
            "software": SOFTWARE,
            "settings": asdict(self.options),
            "micrometres_per_pixel": self.image.microns,
            "notes": self.notes(),
            **({"place": place} if place else {}),
        }

    def notes(self) -> list[str]:
        """What was done to the picture, then how it was segmented, each sentence once.

        Of sizes of a pixel that a user named, only the last holds: the picture's.
        """
        outdated = {note for note in self.found.notes if note.endswith(BY_USER)}
        told = dict.fromkeys((*self.image.notes, *self.found.notes))
        return [note for note in told if note not in outdated or note in self.image.notes]

    def place(self) -> dict[str, Any]:
        """Which part of its file the image is; empty for all of it.

        region: left, top, width and height in the file's own pixels; downsample: how many of them are along one of the
        image's; plane and channel: those that were segmented, from 1 on, where the file has several.
        """
        image, place = self.image, self.image.place
        told: dict[str, Any] = {}
        if (place.corner, place.downsample, place.size) != ((0, 0), 1, image.size):
            height, width = (round(side * place.downsample) for side in image.size)
            told["region"] = [*place.corner, width, height]
        if place.downsample != 1:
            told["downsample"] = place.downsample
        if len(image.planes) > 1:
            told["plane"] = image.plane
        if image.channel > 0 and image.values.shape[2] > 1:
            told["channel"] = image.channel
        return told

    def signature(self) -> str:
        """Software, model and settings as a line of ASCII: all that a picture's tag may hold."""
        said = f"{SOFTWARE}; {self.model}; {json.dumps(asdict(self.options))}"
        return said.encode("ascii", "backslashreplace").decode()

    @cached_property
    def ranks(self) -> np.ndarray:
        """The label map with each number replaced by its place in `found.numbers`, from 1 on: (H, W) int32.

        So that nothing here depends on how high the numbers are, or on gaps between them.
        """
        labels, numbers = self.found.labels, self.found.numbers
        if len(numbers) == numbers.max(initial=0):
            return labels.astype(np.int32, copy=False)
        ranks, inside = np.zeros(labels.shape, np.int32), labels > 0
        ranks[inside] = np.searchsorted(numbers, labels[inside]) + 1
        return ranks

    @cached_property
    def outlines(self) -> list[Outline]:
        """Where each nucleus ends, to the pixel, in the order of `found.numbers`."""
        return outlines(self.ranks, len(self.found))

    @cached_property
    def measurements(self) -> Columns:
        """What was measured of each nucleus: a column per measurement, in the order of `found.numbers`."""
        return measurements(self.image, self.found, self.ranks, self.outlines)
