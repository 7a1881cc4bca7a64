"""Crops of a sample, as varied as a lab's images: scale, place, turn, stain and intensity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import hed2rgb, rgb2hed
from skimage.segmentation import relabel_sequential

from sac.config import SACConfig
from sac.inference.scale import USUAL
from sac.model.sam import PIXEL_MEAN
from training.datasets.sample import Sample

Array = np.ndarray
FREE_SCALE = 0.25
"""Share of crops taken at the image's own scale instead of near the diameter that tiles are scaled to."""
SCALES = (0.35, 3.0)
ALIKE = 0.2
"""Log-normal spread of the scale where all images are magnified alike."""
STAINS, WIDE_STAINS = 0.25, 0.7
"""How far a stain's strength is varied; widely, where there are few images to show how it may look."""
BROWN = 0.15
"""Share of restained crops whose counterstain is brown."""
COLOURED = 12.0
"""Mean difference between an image's channels from which it counts as coloured."""


def median_diameter(labels: Array) -> float:
    """Diameter, in pixels, of the disc with the median nucleus's area; 0 where there is no nucleus."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    return float(np.sqrt(np.median(areas) * 4 / np.pi)) if len(areas) else 0.0


@dataclass(frozen=True)
class Zoom:
    """What images are magnified towards: nuclei of `diameter` crop pixels.

    own, in image pixels, or microns, in µm: the diameter that counts for all images alike; 0: each image's own median.
    """

    diameter: float
    own: float = 0.0
    microns: float = 0.0

    @classmethod
    def at_work(cls, config: SACConfig) -> Zoom:
        """As a SAC magnifies pictures, those of one scale by the size of their pixels, or the usual where none is known."""
        return cls(config.diameter, microns=config.microns if config.one_scale else 0.0)

    @property
    def is_alike(self) -> bool:
        """Whether it looks at no image's own nuclei."""
        return bool(self.own or self.microns)

    def of(self, sample: Sample) -> float:
        """The magnification of a sample; 0 where it has no nucleus to be measured."""
        return self.scale(0.0 if self.is_alike else median_diameter(sample.labels), sample.microns)

    def scale(self, diameter: float, microns: float) -> float:
        """That of an image with nuclei of `diameter` pixels of `microns` µm each; 0 where neither is known, nor needed."""
        own = self.own or self.microns / (microns or USUAL) or diameter
        return self.diameter / own if own else 0.0


def is_coloured(image: Array) -> bool:
    return float(np.ptp(image[::4, ::4].astype(np.int16), axis=2).mean()) > COLOURED


def crop(
    rng: np.random.Generator, sample: Sample, zoom: Zoom, side: int, spread: float = STAINS
) -> tuple[Array, Array]:
    """A random crop: image (side, side, 3) uint8, labels (side, side) int32 numbered from 1.

    zoom: what three of four crops are magnified to, give or take a third; all of them, give or take a fifth, where all
    images are magnified alike. spread: how far stains are varied.
    """
    image, labels = place(rng, sample, _scale(rng, sample, zoom), side)
    turns, flip = int(rng.integers(4)), rng.random() < 0.5
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    numbered = relabel_sequential(labels)[0].astype(np.int32)
    return recolour(rng, np.ascontiguousarray(image), spread), numbered


def _scale(rng, sample: Sample, zoom: Zoom) -> float:
    scale = zoom.of(sample)
    if zoom.is_alike:
        return float(scale * np.exp(rng.normal(0, ALIKE)))
    if not scale or rng.random() < FREE_SCALE:
        return float(np.exp(rng.normal(0, 0.2)))
    return float(np.clip(scale * np.exp(rng.normal(0, 0.33)), *SCALES))


def place(rng: np.random.Generator, sample: Sample, scale: float, side: int) -> tuple[Array, Array]:
    """Cuts `side / scale` pixels and resamples them to `side`; what lies beside the image is SAM's mean colour."""
    height, width = sample.labels.shape
    cut = side / scale
    x, y = (rng.uniform(0, max(0, size - cut)) for size in (width, height))
    box = (x, y, min(width, x + cut), min(height, y + cut))
    size = tuple(min(side, max(1, round((box[k + 2] - box[k]) * scale))) for k in (0, 1))
    near = Image.fromarray(sample.image).resize(size, Image.Resampling.BILINEAR, box)
    numbers = Image.fromarray(sample.labels).resize(size, Image.Resampling.NEAREST, box)
    image = np.empty((side, side, 3), np.uint8)
    image[:] = np.round(PIXEL_MEAN)
    labels = np.zeros((side, side), np.int32)
    image[: size[1], : size[0]] = near
    labels[: size[1], : size[0]] = numbers
    return image, labels


def recolour(rng: np.random.Generator, image: Array, spread: float = STAINS) -> Array:
    """Changes stain (coloured images), brightness, contrast and gamma, sharpness and noise. uint8 -> uint8."""
    if is_coloured(image) and rng.random() < 0.7:
        image = _restain(rng, image, spread)
    values = image.astype(np.float32) / 255
    values = values ** np.exp(rng.normal(0, 0.25))
    values = (values - values.mean()) * np.exp(rng.normal(0, 0.2)) + values.mean() + rng.normal(0, 0.04)
    if rng.random() < 0.3:
        values *= np.exp(rng.normal(0, 0.08, 3))
    if rng.random() < 0.2:
        values = ndimage.gaussian_filter(values, (*[rng.uniform(0.3, 1.2)] * 2, 0))
    if rng.random() < 0.3:
        values += rng.normal(0, rng.uniform(0.005, 0.04), values.shape[:2])[..., None]
    return (values.clip(0, 1) * 255).astype(np.uint8)


def _restain(rng, image: Array, spread: float) -> Array:
    """Scales and shifts haematoxylin, eosin and DAB (Ruifrok and Johnston 2001), as another lab's stain would be.

    Now and then eosin and DAB change places: a brown counterstain, as in immunohistochemistry.
    """
    stains = rgb2hed(image).astype(np.float32)
    if rng.random() < BROWN:
        stains = stains[..., [0, 2, 1]]
    stains = stains * rng.uniform(1 - spread, 1 + spread, 3) + rng.normal(0, 0.06 * spread, 3)
    return (hed2rgb(stains).clip(0, 1) * 255).astype(np.uint8)
