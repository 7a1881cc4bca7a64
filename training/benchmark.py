"""`python -m training benchmark`: methods against data folders, as tables and plots."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from sac import hub
from sac.config import SegmentOptions
from sac.errors import OptionError
from sac.inference.compare import generator_alone
from sac.inference.predictor import Embedding, embed
from sac.inference.scale import estimate_scale
from sac.inference.segment import answer, auto_prompts
from sac.metrics import score
from sac.model.sac import SAC
from training.baselines import otsu_watershed
from training.datasets.folder import find_pairs, load_all

FIGURES = ("dice", "iou", "aji", "pq", "f1", "ap50", "msa", "seconds")


class Subject:
    """A picture and a model. Methods share its embeddings, but each is charged their time."""

    def __init__(self, sac: SAC, pixels: np.ndarray):
        self.sac, self.pixels = sac, pixels
        self._embeddings: dict[bool, tuple[Embedding, float]] = {}
        self._reused = 0.0

    def embedding(self, adapted: bool = True) -> Embedding:
        if adapted in self._embeddings:
            self._reused += self._embeddings[adapted][1]
        else:
            begun = time.perf_counter()
            options = SegmentOptions(adapted=adapted)
            found = embed(self.sac, self.pixels, estimate_scale(self.sac, self.pixels), options)
            self._embeddings[adapted] = found, time.perf_counter() - begun
        return self._embeddings[adapted][0]

    def timed(self, method: Method) -> tuple[np.ndarray, float]:
        """A method's label map (H, W) and its seconds, as if it had been alone."""
        self._reused, begun = 0.0, time.perf_counter()
        found = method(self)
        return found, time.perf_counter() - begun + self._reused


Method = Callable[[Subject], np.ndarray]


def _sam(options: SegmentOptions) -> Method:
    def method(subject: Subject) -> np.ndarray:
        embedding = subject.embedding(options.adapted)
        return answer(subject.sac, embedding, auto_prompts(subject.sac, embedding, options), options).labels

    return method


INSTANCES, SEMANTIC = SegmentOptions(), SegmentOptions(mode="semantic")
METHODS: dict[str, Method] = {
    "otsu": lambda subject: otsu_watershed(subject.pixels),
    "generator": lambda subject: generator_alone(subject.embedding(), subject.sac.config.diameter),
    "vanilla": _sam(replace(INSTANCES, adapted=False, certainty=0.0)),
    "vanilla-semantic": _sam(replace(SEMANTIC, adapted=False)),
    "sac-semantic": _sam(SEMANTIC),
    "sac": _sam(INSTANCES),
}
"""The vanilla ones are the same base without adapter, with its own decoder, on the points that SAC gets."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", nargs="+", required=True, type=Path, help="folders with images/ and labels/")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), help=f"of {', '.join(METHODS)}")
    parser.add_argument("--models", nargs="+", default=[hub.DEFAULT], help="checkpoints; one for all data, or one each")
    parser.add_argument("--names", type=Path, help="file with the stems to use, one a line (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and plots")


def run(parsed: argparse.Namespace) -> None:
    """Writes images.csv (a row per image and method), table.csv, table.md and plots to --out."""
    unknown = [m for m in parsed.methods if m not in METHODS]
    if unknown:
        raise OptionError(f"unknown method {unknown[0]!r}; known are {', '.join(METHODS)}")
    models = parsed.models * len(parsed.data) if len(parsed.models) == 1 else parsed.models
    if len(models) != len(parsed.data):
        raise OptionError(f"{len(models)} models for {len(parsed.data)} data folders; give one, or one each")
    parsed.out.mkdir(parents=True, exist_ok=True)
    names = set(parsed.names.read_text().split()) if parsed.names else None
    rows = [row for folder, model in zip(parsed.data, models) for row in _measure(folder, model, parsed.methods, names)]
    images = pd.DataFrame(rows)
    table = images.groupby(["data", "model", "method"], sort=False)[list(FIGURES)].mean().round(4).reset_index()
    images.to_csv(parsed.out / "images.csv", index=False)
    table.to_csv(parsed.out / "table.csv", index=False)
    (parsed.out / "table.md").write_text(_markdown(table))
    _plot(table, parsed.out / "table.png")
    sys.stdout.write(_markdown(table))


def _measure(folder: Path, model: str, methods: list[str], names: set[str] | None) -> list[dict]:
    sac = hub.load(model)
    pairs = [p for p in find_pairs(folder) if names is None or p.name in names]
    name = f"{folder.resolve().parent.name}/{folder.name}"
    rows = []
    for sample in tqdm(load_all(pairs), desc=name, total=len(pairs), mininterval=2):
        subject = Subject(sac, sample.image)
        for method in methods:
            found, seconds = subject.timed(METHODS[method])
            told = {"data": name, "model": model, "method": method, "image": sample.name}
            rows.append({**told, **score(sample.labels, found).to_json(), "seconds": seconds})
    return rows


def _markdown(table: pd.DataFrame) -> str:
    """The table with the command that made it."""
    head = "| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns) + "\n"
    lines = (
        "| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row) + " |\n" for row in table.values
    )
    return f"`{shlex.join(['python', '-m', 'training', *sys.argv[1:]])}`\n\n{head}{''.join(lines)}"


def _plot(table: pd.DataFrame, path: Path) -> None:
    """Dice, AJI, PQ and mSA per method, a panel per data folder."""
    from matplotlib.figure import Figure

    folders = table["data"].unique()
    figure = Figure(figsize=(5 * len(folders), 3.6), layout="constrained")
    for axis, folder in zip(np.atleast_1d(figure.subplots(1, len(folders), sharey=True)), folders):
        mine = table[table["data"] == folder].set_index("method")[["dice", "aji", "pq", "msa"]]
        mine.plot.bar(ax=axis, rot=30, ylim=(0, 1), title=folder, legend=folder == folders[0])
        axis.set_xlabel("")
    figure.savefig(path, dpi=120)
