"""Prompts, and the discriminating strategies that turn the generator's map into them (paper, "Auto-prompting")."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.measure import label
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from sac.config import PROMINENCE, SegmentOptions

POSITIVE, NEGATIVE, UNUSED = 1, 0, -1
GRAINS = 24
"""Pixels that are smoothed over, in a nuclear diameter: one of the nuclei that tiles are scaled to."""
REACH = 2.7
"""A neighbour's point is a negative within this many nuclear diameters: what a decoding window shows."""


@dataclass(frozen=True)
class Prompts:
    """What to segment, one row per nucleus (or per tile in semantic mode), in pixels of its image.

    points (N, P, 2) float32, (x, y); labels (N, P) int8: 1 inside, 0 outside, -1 unused. by_hand (N, P) bool: set by
    a user, not by the generator; none where None. boxes (N, 4) float32, (x0, y0, x1, y1), NaN where a row has none;
    None where no row has one.
    """

    points: np.ndarray
    labels: np.ndarray
    by_hand: np.ndarray | None = None
    boxes: np.ndarray | None = None

    def __post_init__(self):
        if self.points.shape != (*self.labels.shape, 2):
            raise ValueError(f"each point needs one label: points {self.points.shape}, labels {self.labels.shape}")
        if self.by_hand is not None and self.by_hand.shape != self.labels.shape:
            raise ValueError(f"by_hand {self.by_hand.shape} does not fit labels {self.labels.shape}")
        if self.boxes is not None and self.boxes.shape != (len(self.points), 4):
            raise ValueError(f"each row needs one box: {self.boxes.shape} for {len(self.points)} rows")

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, rows) -> Prompts:
        by_hand = None if self.by_hand is None else self.by_hand[rows]
        boxes = None if self.boxes is None else self.boxes[rows]
        return Prompts(self.points[rows], self.labels[rows], by_hand, boxes)

    @property
    def shown(self) -> list[tuple[float, float, int]]:
        """Each distinct point once, as (x, y, label): what a page draws."""
        flat = np.column_stack([self.points.reshape(-1, 2), self.labels.reshape(-1, 1)])
        distinct = np.unique(flat[flat[:, 2] != UNUSED], axis=0)
        return [(float(x), float(y), int(kind)) for x, y, kind in distinct]


def seeds(nuclei_map: np.ndarray, grain: float = 1.0, prominence: float = PROMINENCE) -> np.ndarray:
    """Summits of the distance map inside nuclei, numbered from 1: (H, W) int32.

    nuclei_map (2, H, W): probability of nucleus, distance to the border in 0 to 1. grain: pixels to smooth over.
    prominence: how much lower than both summits a valley must be to part them.
    """
    depth = ndimage.gaussian_filter(nuclei_map[1], grain)
    pieces = label(nuclei_map[0] > 0.5, connectivity=2)
    found, last = np.zeros(depth.shape, np.int32), 0
    for number, box in enumerate(ndimage.find_objects(pieces), start=1):  # a whole picture at once takes thrice as long
        summits = _extended_maxima(np.where(pieces[box] == number, depth[box], 0.0), prominence)
        found[box][summits > 0] = summits[summits > 0] + last
        last += summits.max()
    return found


def _extended_maxima(depth: np.ndarray, least: float) -> np.ndarray:
    """Summits that rise by at least so much over what surrounds them, numbered: regional maxima of the h-maxima transform
    (Soille, Morphological Image Analysis, 2003, section 6.3.4).

    Scikit-image's `h_maxima` parts two summits of equal height, however shallow the valley between them.
    """
    ground = np.pad(depth, 1)
    return label(local_maxima(reconstruction(ground - least, ground))[1:-1, 1:-1], connectivity=2)


def grain_of(diameter: float) -> float:
    """Pixels to smooth a map over, on which a typical nucleus has that diameter."""
    return diameter / GRAINS


def spread(markers: np.ndarray, nuclei_map: np.ndarray, within: np.ndarray | None = None) -> np.ndarray:
    """Markers (H, W) grown by watershed over all that the generator takes for nucleus. Returns (H, W) int32.

    within (H, W) bool: where they may grow, too; None: on themselves alone.
    """
    inside = (nuclei_map[0] > 0.5) | (markers > 0 if within is None else within)
    return watershed(-nuclei_map[1], markers, mask=inside).astype(np.int32)


def nuclei_of(nuclei_map: np.ndarray, diameter: float, prominence: float = PROMINENCE) -> np.ndarray:
    """A map's own nuclei, from its summits by watershed. (2, H, W) -> (H, W) int32.

    diameter: of a typical nucleus, in pixels of the map. prominence: as in `seeds`.
    """
    return spread(seeds(nuclei_map, grain_of(diameter), prominence), nuclei_map)


def instance_prompts(nuclei_map: np.ndarray, options: SegmentOptions, diameter: float) -> Prompts:
    """One positive point per nucleus; its nearest neighbours' points as negatives, at most `options.negatives`.

    diameter: of a typical nucleus, in pixels of the map.
    """
    summits = seeds(nuclei_map, grain_of(diameter), options.prominence)
    middles = _middles(summits, nuclei_map[0], options.strategy)
    count = len(middles)
    points = np.zeros((count, 1 + options.negatives, 2), np.float32)
    labels = np.full(points.shape[:2], UNUSED, np.int8)
    if not count:
        return Prompts(points, labels)
    points[:, 0], labels[:, 0] = middles, POSITIVE
    if options.negatives and options.kinds == "both" and count > 1:
        reach = REACH * diameter
        near = min(options.negatives, count - 1)
        distance, index = cKDTree(middles).query(middles, k=near + 1, distance_upper_bound=reach)
        found = np.isfinite(distance[:, 1:])
        points[:, 1 : near + 1][found] = middles[index[:, 1:][found]]
        labels[:, 1 : near + 1][found] = NEGATIVE
    return Prompts(points, labels)


def _middles(regions: np.ndarray, probability: np.ndarray, strategy: str) -> np.ndarray:
    """One point (x, y) per region: its centroid, or its most probable pixel. (N, 2) float32."""
    numbers = np.arange(1, regions.max() + 1)
    if strategy == "centroid":
        places = ndimage.center_of_mass(regions > 0, regions, numbers)
    else:
        places = ndimage.maximum_position(probability, regions, numbers)
    return np.array(places, np.float32).reshape(-1, 2)[:, ::-1]


def semantic_prompts(nuclei_map: np.ndarray, options: SegmentOptions) -> Prompts:
    """The paper's prompts for one picture or tile: k positive and k negative points, in one row.

    Unused where the map (2, H, W) has no place for a point.
    """
    probability, k = nuclei_map[0], options.pairs
    if options.strategy == "centroid":
        inside = _component_middles(probability, k)
    else:
        inside = _most_certain(probability, k)
    outside = _most_certain(1 - probability, k)
    points = np.zeros((1, 2 * k, 2), np.float32)
    labels = np.full((1, 2 * k), UNUSED, np.int8)
    if options.kinds != "negative":
        points[0, : len(inside)], labels[0, : len(inside)] = inside, POSITIVE
    if options.kinds != "positive":
        points[0, k : k + len(outside)], labels[0, k : k + len(outside)] = (outside, NEGATIVE)
    return Prompts(points, labels)


def _component_middles(probability: np.ndarray, k: int) -> np.ndarray:
    """Centroids (x, y) of the k largest components of the map."""
    components = label(probability > 0.5)
    largest = np.argsort(np.bincount(components.ravel())[1:])[::-1][:k] + 1
    places = ndimage.center_of_mass(components > 0, components, largest) if len(largest) else []
    return np.array(places, np.float32).reshape(-1, 2)[:, ::-1]


def _most_certain(probability: np.ndarray, k: int) -> np.ndarray:
    """Up to k pixels (x, y) above one half, the most probable first, no two in the same neighbourhood."""
    rest = ndimage.uniform_filter(probability, 5)
    apart = max(3, int(min(rest.shape) / (2 * np.sqrt(k) + 1)))
    found: list[tuple[int, int]] = []
    while len(found) < k:
        y, x = np.unravel_index(rest.argmax(), rest.shape)
        if rest[y, x] <= 0.5:
            break
        found.append((x, y))
        rest[max(0, y - apart) : y + apart + 1, max(0, x - apart) : x + apart + 1] = 0
    return np.array(found, np.float32).reshape(-1, 2)
