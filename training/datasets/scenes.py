"""Scenes of textured shapes on textured grounds, generated from a seed: what the `tiny` base learns on.

Class-agnostic: the shapes are blobs, ellipses and polygons in any colour on any other, apart, touching or
overlapping. No nucleus, no cell and no microscope image goes in.
"""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy import ndimage

Array = np.ndarray


def scene(rng: np.random.Generator, side: int = 256) -> tuple[Array, Array]:
    """One scene. Returns image (side, side, 3) uint8 and labels (side, side) int32, 0 = ground."""
    ground, ink = _two_colours(rng)
    image = ground + _texture(rng, side, 2, 14) * rng.uniform(1, 18) + _texture(rng, side, 24, 96) * rng.uniform(0, 18)
    labels = np.zeros((side, side), np.int32)
    for number, (centre, radius) in enumerate(_places(rng, side), start=1):
        _draw(rng, image, labels, number, centre, radius, ink)
    image = ndimage.gaussian_filter(image, (*[rng.uniform(0, 1.4)] * 2, 0))
    image += rng.normal(0, rng.uniform(0, 10), image.shape[:2])[..., None]
    return np.clip(image, 0, 255).astype(np.uint8), labels


def _two_colours(rng) -> tuple[Array, Array]:
    """Colours (3,) of ground and shapes, somewhat apart. Half are grey; most grounds are nearly dark or light."""
    while True:
        ground, ink = rng.uniform(0, 255, (2, 1 if rng.random() < 0.5 else 3)) * np.ones((2, 3))
        if rng.random() < 0.8:
            ground = ground / 4 if rng.random() < 0.5 else 255 - ground / 4
        if np.abs(ground - ink).max() > 60 and np.abs(ground.mean() - ink.mean()) > 25:
            return ground, ink


def smooth_noise(rng: np.random.Generator, side: int, grain: int) -> Array:
    """Noise (side, side) float32 of unit deviation that changes over about `grain` pixels."""
    small = rng.normal(size=(side // grain + 2,) * 2).astype(np.float32)
    noise = np.asarray(Image.fromarray(small).resize((side, side), Image.Resampling.BICUBIC))
    return noise / (noise.std() + 1e-6)


def _texture(rng, side: int, finest: int, coarsest: int) -> Array:
    return smooth_noise(rng, side, int(rng.integers(finest, coarsest)))[..., None]


def _places(rng, side: int) -> list[tuple[Array, float]]:
    """Centres and radii in pixels: one typical size a scene, in clusters as often as apart."""
    typical = np.exp(rng.uniform(np.log(6), np.log(26)))
    count = int(rng.uniform(0.1, 0.6) * side**2 / (np.pi * typical**2)) + 1
    clusters = rng.uniform(0, side, (max(1, count // int(rng.integers(2, 9))), 2))
    spread = typical * rng.uniform(1.2, 3.5)
    clustered = rng.random() < 0.6
    places = []
    for _ in range(min(count, 120)):
        centre = rng.uniform(0, side, 2)
        if clustered:
            centre = clusters[rng.integers(len(clusters))] + rng.normal(0, spread, 2)
        places.append((centre, float(typical * rng.lognormal(0, 0.25))))
    return places


def _draw(rng, image: Array, labels: Array, number: int, centre: Array, radius: float, ink: Array) -> None:
    """Paints one shape over what is there, unless it would hide more than a third of itself in others."""
    reach = int(radius * 1.9) + 2
    y0, x0 = (max(0, int(c) - reach) for c in centre)
    y1, x1 = (min(s, int(c) + reach + 1) for s, c in zip(labels.shape, centre))
    if y1 - y0 < 4 or x1 - x0 < 4:
        return
    y, x = np.mgrid[y0:y1, x0:x1] - centre[:, None, None]
    inside = _shape(rng, y, x, radius)
    there = labels[y0:y1, x0:x1]
    if inside.sum() < 12 or (there[inside] > 0).mean() > 0.33:
        return
    inside &= (there == 0) | (rng.random() < 0.5)
    colour = ink * rng.uniform(0.75, 1.25) + rng.normal(0, 8, 3)
    grain = int(rng.integers(1, 5))
    noise = ndimage.gaussian_filter(rng.normal(size=inside.shape), grain) * grain * 3
    paint = colour + (noise * rng.uniform(0, 14))[..., None]
    if rng.random() < 0.3:
        rim = inside & ~ndimage.binary_erosion(inside, iterations=1 + int(radius > 12))
        paint[rim] += rng.uniform(-45, 45)
    part = image[y0:y1, x0:x1]
    opacity = rng.uniform(0.6, 1.0)
    part[inside] = part[inside] * (1 - opacity) + paint[inside] * opacity
    there[inside] = number


def _shape(rng, y: Array, x: Array, radius: float) -> Array:
    """A mask: a stretched disc whose border waves (harmonics 2 to 5) or, now and then, a polygon."""
    turn, stretch = rng.uniform(0, np.pi), rng.uniform(1, 1.7) ** 0.5
    u = (np.cos(turn) * x + np.sin(turn) * y) / stretch
    v = (np.cos(turn) * y - np.sin(turn) * x) * stretch
    angle, distance = np.arctan2(v, u), np.hypot(u, v)
    if rng.random() < 0.15:
        sector = 2 * np.pi / int(rng.integers(3, 7))
        return distance * np.cos(angle % sector - sector / 2) < radius * 0.85
    border = np.ones_like(angle)
    for harmonic in range(2, 6):
        border += rng.normal(0, 0.12 / harmonic) * np.cos(harmonic * angle + rng.uniform(0, 2 * np.pi))
    return distance < radius * border
