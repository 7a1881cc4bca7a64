"""The one door for pictures: a file becomes an Image, with a note for everything that was changed on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sac.config import View
from sac.decoding import Decoder, decode
from sac.decoding.decoded import Decoded, spoken
from sac.errors import ImageError
from sac.intensities import to_rgb

LAMP = 60
"""Median grey level from which the light of a picture is a lamp's: darker ones are fluorescence."""
COLOURED = 8
"""Mean difference, in grey levels, between a pixel's strongest and weakest colour from which a picture is not grey."""


@dataclass(frozen=True)
class Place:
    """Where an image lies in its file: size (height, width) of the whole, corner (x, y), file's pixels per pixel.

    depth_and_time: its plane's places along z and time, from 0 on; empty where the file has one along both.
    """

    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    downsample: float = 1.0
    depth_and_time: tuple[int, ...] = ()


@dataclass(frozen=True)
class Image:
    """A picture as the method sees it.

    pixels (H, W, 3) uint8 RGB. microns: size of a pixel in µm, where it is known. notes: one sentence for each change
    from what was in the file. values (H, W, C): the file's own intensities, without opacity; channels: a name each,
    and channel: the one that is shown, from 1 on, or -1 for all; planes: names of the file's planes; plane: which it is, from 1 on; view: what of the file this is; place: where in it; source: the file, where
    it is still there.
    """

    name: str
    pixels: np.ndarray
    microns: float | None = None
    notes: tuple[str, ...] = field(default=())
    values: np.ndarray | None = None
    channels: tuple[str, ...] = ()
    channel: int = -1
    planes: tuple[str, ...] = ("",)
    plane: int = 1
    view: View = field(default_factory=View)
    place: Place | None = None
    source: Path | None = None

    def __post_init__(self):
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 3 or self.pixels.shape[2] != 3:
            raise ValueError(f"an image is (H, W, 3) uint8, not {self.pixels.shape} {self.pixels.dtype}")
        if self.values is None:
            object.__setattr__(self, "values", self.pixels)
        if self.place is None:
            object.__setattr__(self, "place", Place(self.size))
        if self.values.shape[:2] != self.size:
            raise ValueError(f"values {self.values.shape} of an image of {self.size}")

    @property
    def size(self) -> tuple[int, int]:
        """(height, width)."""
        return self.pixels.shape[0], self.pixels.shape[1]

    @property
    def is_preview(self) -> bool:
        """Whether this only shows where the regions of a whole slide lie."""
        return self.place.downsample > 1

    @property
    def is_stained(self) -> bool:
        """Whether it is tissue under a lamp: colours of 8 bit, not all grey, that are not dark on the whole."""
        if self.values.dtype != np.uint8 or self.values.shape[2] != 3:
            return False
        step = max(1, max(self.size) // 256)
        sample = self.values[::step, ::step].astype(np.int16)
        return bool(np.median(sample.mean(axis=2)) > LAMP and np.ptp(sample, axis=2).mean() > COLOURED)

    @property
    def title(self) -> str:
        """Its name and, where it is a part of a file, which."""
        view = self.view
        parts = [f"{word} {n}" for word, n in (("channel", view.channel), ("plane", view.plane)) if n > 0]
        parts += [f"from {view.region[0]}, {view.region[1]}"] if view.region else []
        return f"{self.name} ({', '.join(parts)})" if parts else self.name

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.pixels.nbytes + (0 if self.values is self.pixels else self.values.nbytes)

    def sized(self, microns: float) -> Image:
        """The same image with pixels of `microns` µm, as a user says."""
        said = f"a pixel is {microns:g} µm, as the user says"
        notes = tuple(note for note in self.notes if not note.endswith("as the user says"))
        return replace(self, microns=microns, notes=(*notes, said), view=replace(self.view, microns=microns))

    def below(self, box: tuple[float, float, float, float]) -> tuple[int, int, int, int]:
        """The region of the file (left, top, width, height) that lies below corners (x0, y0, x1, y1) on the image."""
        (height, width), corner, factor = self.place.size, self.place.corner, self.place.downsample
        x0, x1 = sorted(int(np.clip(round(corner[0] + x * factor), 0, width)) for x in box[0::2])
        y0, y1 = sorted(int(np.clip(round(corner[1] + y * factor), 0, height)) for y in box[1::2])
        return x0, y0, max(1, x1 - x0), max(1, y1 - y0)


def read_image(path: str | Path, name: str | None = None, view: View = View(), decoder: Decoder | None = None) -> Image:
    """What `view` asks for of a file, ready to be segmented. Raises ImageError in one plain sentence.

    `name`: what to call it, without directory; the file's own name where None. `decoder`: where many files are read.
    """
    image = open_file(path, name, view, decoder)
    if image.is_preview:
        height, width = image.place.size
        raise ImageError(
            f"{spoken(image.name)} is a whole slide of {width} x {height} pixels: say which part of it, "
            "as a region LEFT TOP WIDTH HEIGHT in pixels"
        )
    return image


def open_file(path: str | Path, name: str | None = None, view: View = View(), decoder: Decoder | None = None) -> Image:
    """The same, but of a slide that is too large to be opened at once: its preview."""
    path = Path(path)
    name = name or path.name
    decoded = (decoder.decode if decoder else decode)(path, name, view)
    pixels, channel, notes = to_rgb(decoded, view, spoken(name))
    image = Image(
        name=name,
        pixels=pixels,
        microns=decoded.microns,
        notes=(*decoded.notes, *notes, *_region_note(decoded, view)),
        values=_values(decoded, pixels),
        channels=decoded.channels or _bands(decoded),
        channel=channel,
        planes=decoded.planes,
        plane=decoded.plane,
        view=view,
        place=Place(decoded.size, decoded.corner, decoded.downsample, decoded.depth_and_time),
        source=path,
    )
    return image.sized(view.microns) if view.microns else image


def reopened(image: Image, view: View) -> Image:
    """Another part of the same file. Raises ImageError where it is gone."""
    if image.source is None or not image.source.is_file():
        raise ImageError(f"The file of {image.name} is no longer here; open it again")
    return open_file(image.source, image.name, view)


def _values(decoded: Decoded, pixels: np.ndarray) -> np.ndarray:
    """The file's intensities without opacity: the pixels themselves, where they are the same."""
    values = decoded.values[..., :-1] if decoded.alpha else decoded.values
    same = values.dtype == np.uint8 and values.shape[2] in (1, 3) and np.array_equal(
        np.broadcast_to(values, pixels.shape), pixels
    )  # fmt: skip
    return (pixels if values.shape[2] == 3 else pixels[..., :1]) if same else values


def _bands(decoded: Decoded) -> tuple[str, ...]:
    bands = decoded.values.shape[2] - decoded.alpha
    if decoded.kind == "channels":
        return ("",) * bands
    return ("red", "green", "blue") if bands == 3 else ("grey",)


def _region_note(decoded: Decoded, view: View) -> tuple[str, ...]:
    if not view.region:
        return ()
    height, width = decoded.size
    return (f"a region from ({view.region[0]}, {view.region[1]}) on, of {width} x {height} pixels",)
