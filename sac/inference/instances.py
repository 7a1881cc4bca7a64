"""Masks of single nuclei, and how they become one label map."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from sac.config import SegmentOptions
from sac.prompts import Prompts, spread

DUPLICATE = 0.3
"""Share of a mask already taken by more certain ones from which it is the same nucleus again."""
CORE = 4.0
"""Logit above which a pixel is its mask's for certain: what the generator says alone, `SAY` at most, does not reach it."""
TISSUE = 0.8
"""Mean probability of nucleus from which pixels of a mask that is dropped are its neighbours' rather than the ground's."""
SMALLEST = 12
"""Area, in pixels of the scaled picture, below which a mask is noise."""
ROUGHNESS = 1 / 16
"""Detail of a border that is noise, as a share of its own nucleus's diameter."""


@dataclass(frozen=True)
class Mask:
    """One decoded nucleus: `logits` (h, w) float32 on the picture's pixels, from (x, y) on; > 0 is inside.

    certainty: 0 to 1, predicted IoU times `nucleus`: a mask's score is that of what it shows times that of how well it
    shows it (Huang et al. 2019, Mask Scoring R-CNN, section 3.2). nucleus: mean probability of nucleus over the mask, by the
    generator; 1 where it is not asked, for vanilla SAM and for what a user points at. prompt: the row of the prompts it
    answers. stability: see `stability`.
    """

    x: int
    y: int
    logits: np.ndarray
    certainty: float
    prompt: int
    stability: float = 1.0
    nucleus: float = 1.0

    @property
    def window(self) -> tuple[slice, slice]:
        height, width = self.logits.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


@dataclass(frozen=True)
class Instances:
    """What was found on one picture.

    labels (H, W) int32: 0 = background, other numbers = nuclei. numbers (N,) int64, ascending: those in `labels`; 1 to
    N as found, with gaps after edits. For nucleus numbers[i]: certainty[i] float32, see `Mask`; stability[i] float32, see
    `stability`; prompt[i] int64, the row of `prompts` that it answers, -1 for none; origin[i], one of ORIGINS.
    accepted: numbers of those that somebody looked at and accepted.
    """

    labels: np.ndarray
    numbers: np.ndarray
    certainty: np.ndarray
    stability: np.ndarray
    prompts: Prompts
    prompt: np.ndarray
    origin: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    accepted: frozenset[int] = frozenset()

    def __post_init__(self):
        counts = {len(v) for v in (self.numbers, self.certainty, self.stability, self.prompt, self.origin)}
        if len(counts) != 1 or self.labels.max(initial=0) != (self.numbers[-1] if len(self.numbers) else 0):
            raise ValueError(
                f"numbers up to {self.labels.max(initial=0)} in the map, facts for {sorted(counts)} nuclei"
            )

    def __len__(self) -> int:
        return len(self.numbers)


ORIGINS = ("automatic", "clicked", "edited")
"""How a nucleus came about: found by itself, by a user's points or box, or drawn over by merging or splitting."""
OFFSET = 1.0
"""Distance in logits between the threshold and the two levels that `stability` compares (segment-anything's)."""


def stability(logits: np.ndarray) -> float:
    """Stability score of segment-anything's mask generator: IoU of a mask (h, w) cut a little higher and lower."""
    wide = np.count_nonzero(logits > -OFFSET)
    return float(np.count_nonzero(logits > OFFSET) / wide) if wide else 0.0


def merge(
    masks: list[Mask], prompts: Prompts, size: tuple[int, int], options: SegmentOptions, duplicate: float = DUPLICATE
) -> Instances:
    """One label map (height, width) from masks that may overlap: duplicates go, a pixel is its strongest mask's.

    duplicate: as DUPLICATE; 1 keeps every mask.
    """
    kept = _distinct([m for m in masks if m.certainty >= options.certainty], size, duplicate)
    labels, _ = _painted(kept, size)
    return _found(labels, kept, prompts, _none_sure(masks, options.certainty))


def merge_on(nuclei_map: np.ndarray, masks: list[Mask], prompts: Prompts, options: SegmentOptions) -> Instances:
    """The same with the generator's map (2, H, W) at hand: masks grow over all that it takes for nucleus, and smooth.

    Of every mask its core is sure (`CORE`); whose the pixels between are, a watershed of the map's distances says (marker-
    controlled, Meyer and Beucher 1990). A mask that is not certain enough takes part in that, and is the ground's after it,
    or is its neighbours' from the beginning where it lies on tissue of nuclei (`TISSUE`).
    """
    said = [m for m in masks if m.certainty >= options.certainty or m.nucleus < TISSUE]
    kept = _distinct(said, nuclei_map.shape[1:], DUPLICATE)
    labels, strength = _painted(kept, nuclei_map.shape[1:])
    cores = np.where(strength > CORE, labels, 0)
    without = ~np.isin(labels, np.unique(cores))
    grown = smoothed(spread(np.where(without, labels, cores), nuclei_map, within=labels > 0))
    sure = np.array([False, *(m.certainty >= options.certainty for m in kept)])
    return _found(np.where(sure[grown], grown, 0), kept, prompts, _none_sure(masks, options.certainty))


def _painted(masks: list[Mask], size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Masks, numbered from 1, each as one whole piece: labels (H, W) int32. And (H, W) float32, the strongest logits."""
    strength = np.zeros(size, np.float32)
    labels = np.zeros(size, np.int32)
    for number, mask in enumerate(masks, start=1):
        wins = mask.logits > strength[mask.window]
        strength[mask.window][wins] = mask.logits[wins]
        labels[mask.window][wins] = number
    return _whole_pieces(labels, len(masks)), strength


def _found(labels: np.ndarray, masks: list[Mask], prompts: Prompts, notes: tuple[str, ...]) -> Instances:
    """Those of the masks, numbered from 1, that are on a map (H, W), with their numbers dense."""
    numbers = np.unique(labels)
    numbers = numbers[numbers > 0]
    order = np.zeros(len(masks) + 1, np.int32)
    order[numbers] = np.arange(1, len(numbers) + 1)
    chosen = [masks[n - 1] for n in numbers]
    return Instances(
        labels=order[labels],
        numbers=np.arange(1, len(chosen) + 1),
        certainty=np.array([m.certainty for m in chosen], np.float32),
        stability=np.array([m.stability for m in chosen], np.float32),
        prompts=prompts,
        prompt=np.array([m.prompt for m in chosen], np.int64),
        origin=("automatic",) * len(chosen),
        notes=notes,
    )


def _none_sure(masks: list[Mask], least: float) -> tuple[str, ...]:
    """What is to be said where masks were decoded and every one was dropped for its certainty."""
    surest = max((mask.certainty for mask in masks), default=least)
    if surest >= least:
        return ()
    return (f"no mask is certain enough: the surest of {len(masks)} has {surest:.2f}, and {least:.2f} is the least",)


def _distinct(masks: list[Mask], size: tuple[int, int], duplicate: float) -> list[Mask]:
    """The most certain masks first; one that lies mostly on those before it is a duplicate."""
    taken = np.zeros(size, bool)
    kept = []
    for mask in sorted(masks, key=lambda m: -m.certainty):
        inside = mask.logits > 0
        if inside.any() and taken[mask.window][inside].mean() <= duplicate:
            taken[mask.window] |= inside
            kept.append(mask)
    return kept


def _whole_pieces(labels: np.ndarray, count: int) -> np.ndarray:
    """Each nucleus as its largest connected piece; then holes are filled, those of the inner nucleus last."""
    pieces, holes = np.zeros_like(labels), []
    for number, window in enumerate(ndimage.find_objects(labels, count), start=1):
        if window is None:
            continue
        mine = largest_piece(labels[window] == number)
        filled = ndimage.binary_fill_holes(mine)
        if filled.sum() >= SMALLEST / 2:
            pieces[window][mine] = number
            holes.append((filled.sum(), number, window, filled))
    whole = pieces.copy()
    for _, number, window, filled in sorted(holes, key=lambda h: -h[0]):
        whole[window][filled & (pieces[window] == 0)] = number
    return whole


def largest_piece(mine: np.ndarray) -> np.ndarray:
    """The largest connected piece of a mask (h, w) bool."""
    pieces, found = ndimage.label(mine)
    return mine if found == 1 else pieces == np.bincount(pieces.ravel())[1:].argmax() + 1


def smoothed(labels: np.ndarray) -> np.ndarray:
    """Nuclei (H, W) int32 with smooth borders, each in one piece: its mask, blurred by `ROUGHNESS`, cut at one half.

    At no pixel can two masks be above one half. What is so thin that nothing of it would be left stays as it is.
    """
    smooth = np.zeros_like(labels)
    areas = np.bincount(labels.ravel())
    for number, window in enumerate(ndimage.find_objects(labels), start=1):
        if window is not None:
            sigma = ROUGHNESS * np.sqrt(4 * areas[number] / np.pi)
            rim = int(np.ceil(2 * sigma))
            wide = tuple(slice(max(0, side.start - rim), side.stop + rim) for side in window)
            blurred = ndimage.gaussian_filter((labels[wide] == number).astype(np.float32), sigma, mode="nearest")
            if (blurred > 0.5).any():
                smooth[wide][largest_piece(blurred > 0.5)] = number
    while (lost := (areas > 0) & (np.bincount(smooth.ravel(), minlength=len(areas)) == 0))[1:].any():
        smooth = np.where(lost[labels] & (labels > 0), labels, smooth)
    return smooth


def from_mask(inside: np.ndarray, prompts: Prompts) -> Instances:
    """The semantic mode's mask (H, W) bool as instances: its connected components, all of certainty 1."""
    labels, count = ndimage.label(inside)
    return Instances(
        labels=labels.astype(np.int32),
        numbers=np.arange(1, count + 1),
        certainty=np.ones(count, np.float32),
        stability=np.ones(count, np.float32),
        prompts=prompts,
        prompt=np.full(count, -1),
        origin=("automatic",) * count,
    )
