"""The one door for pictures: a file becomes an Image, with a note for everything that was changed on the way."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from sac.config import View
from sac.decoding import decode
from sac.decoding.decoded import Decoded
from sac.errors import ImageError
from sac.intensities import to_rgb


@dataclass(frozen=True)
class Place:
    """Where an image lies in its file: size (height, width) of the whole, corner (x, y), file's pixels per pixel."""

    size: tuple[int, int]
    corner: tuple[int, int] = (0, 0)
    downsample: float = 1.0


@dataclass(frozen=True)
class Image:
    """A picture as the method sees it.

    pixels (H, W, 3) uint8 RGB. microns: size of a pixel in µm, where it is known. notes: one sentence for each change
    from what was in the file. values (H, W, C): the file's own intensities, without opacity; channels: a name each;
    planes: names of the file's planes; view: what of the file this is; place: where in it.
    """

    name: str
    pixels: np.ndarray
    microns: float | None = None
    notes: tuple[str, ...] = field(default=())
    values: np.ndarray | None = None
    channels: tuple[str, ...] = ()
    planes: tuple[str, ...] = ("",)
    view: View = field(default_factory=View)
    place: Place | None = None

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
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.pixels.nbytes + (0 if self.values is self.pixels else self.values.nbytes)

    def sized(self, microns: float) -> Image:
        """The same image with pixels of `microns` µm, as a user says."""
        said = f"a pixel is {microns:g} µm, as the user says"
        notes = tuple(note for note in self.notes if not note.endswith("as the user says"))
        return replace(self, microns=microns, notes=(*notes, said), view=replace(self.view, microns=microns))


def read_image(path: str | Path, name: str | None = None, view: View = View()) -> Image:
    """What `view` asks for of a file, ready to be segmented. Raises ImageError in one plain sentence.

    `name`: what to call it, without directory; the file's own name where None.
    """
    image = open_file(path, name, view)
    if image.is_preview:
        height, width = image.place.size
        raise ImageError(
            f"{image.name} is a whole slide of {width} x {height} pixels: say which part of it, "
            "as a region LEFT TOP WIDTH HEIGHT in pixels"
        )
    return image


def open_file(path: str | Path, name: str | None = None, view: View = View()) -> Image:
    """The same, but of a slide that is too large to be opened at once: its preview."""
    path = Path(path)
    name = name or path.name
    decoded = decode(path, name, view)
    pixels, notes = to_rgb(decoded, view, name)
    image = Image(
        name=name,
        pixels=pixels,
        microns=decoded.microns,
        notes=(*decoded.notes, *notes, *_region_note(decoded, view)),
        values=_values(decoded, pixels),
        channels=decoded.channels or _bands(decoded),
        planes=decoded.planes,
        view=view,
        place=Place(decoded.size, decoded.corner, decoded.downsample),
    )
    return image.sized(view.microns) if view.microns else image


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
