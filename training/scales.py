"""`python -m training scales`: what it is worth that the size of a pixel is known, from coarse to fine pixels."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from tqdm import tqdm

from sac import hub
from sac.errors import OptionError
from sac.images import Image
from sac.inference.segment import segment
from sac.metrics import score
from sac.model.sac import SAC
from training.datasets.folder import find_pairs, load_all
from training.datasets.sample import Sample

FACTORS = (0.5, 1.0, 2.0, 4.0)
"""Sizes of a pixel, as multiples of that of the data."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and labels/")
    parser.add_argument("--model", default="nuclei-he", help="checkpoint")
    parser.add_argument("--microns", type=float, default=0.25, help="size of a pixel of the data in µm")
    parser.add_argument("--every", type=int, default=5, help="of the images, every so many is taken")
    parser.add_argument("--side", type=int, default=768, help="pixels of each image's upper left corner that are used")


def run(parsed: argparse.Namespace) -> None:
    """Prints a table: means over the images, the size of a pixel told and not told."""
    if min(parsed.every, parsed.side) < 1 or not parsed.microns > 0:
        raise OptionError("--every, --side and --microns are above 0")
    sac = hub.load(parsed.model)
    samples = [_corner(sample, parsed.side) for sample in load_all(find_pairs(parsed.data)[:: parsed.every])]
    lines = ["| µm per pixel | known | Dice | AJI | mSA |", "|---|---|---|---|---|"]
    for factor in tqdm(FACTORS, unit="size", disable=None):
        microns = parsed.microns * factor
        for told in (None, microns):
            dice, aji, msa = np.mean([_scores(sac, sample, factor, told) for sample in samples], axis=0)
            lines.append(f"| {microns:g} | {'yes' if told else 'no'} | {dice:.3f} | {aji:.3f} | {msa:.3f} |")
    sys.stdout.write("\n".join([f"{len(samples)} images", "", *lines, ""]))


def _corner(sample: Sample, side: int) -> Sample:
    return Sample(sample.name, sample.image[:side, :side], sample.labels[:side, :side])


def _scores(sac: SAC, sample: Sample, factor: float, microns: float | None) -> tuple[float, float, float]:
    """Dice, AJI and mSA of a sample whose pixels were made `factor` times as wide."""
    height, width = (round(length / factor) for length in sample.labels.shape)
    pixels = PillowImage.fromarray(sample.image).resize((width, height), PillowImage.Resampling.BICUBIC)
    truth = PillowImage.fromarray(sample.labels).resize((width, height), PillowImage.Resampling.NEAREST)
    found = segment(Image(sample.name, np.array(pixels), microns), sac)
    scores = score(np.array(truth), found.labels)
    return scores.dice, scores.aji, scores.msa
