"""Checkpoints that are there, against data folders, as tables and plots."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.typing import DataFrameGroupBy
from tqdm import tqdm

from sac import hub
from sac.errors import OptionError
from training.baselines.methods import METHODS
from training.baselines.subject import Subject
from training.benchmark.scores import scores
from training.benchmark.tables import GLAND_SCORES, SCORES
from training.datasets.folder import find_pairs, load_all
from training.datasets.gather import Facts


def run(parsed: argparse.Namespace) -> None:
    """Writes images.csv (a row per image and method), table.csv, looks.csv, table.md and plots to --out.

    looks.csv has means over the images of each look, grey or coloured, dark or bright: table.md, too, where they differ.
    """
    unknown = [m for m in parsed.methods if m not in METHODS]
    if unknown:
        raise OptionError(f"unknown method {unknown[0]!r}; known are {', '.join(METHODS)}")
    models = parsed.models * len(parsed.data) if len(parsed.models) == 1 else parsed.models
    if len(models) != len(parsed.data):
        raise OptionError(f"{len(models)} models for {len(parsed.data)} data folders; give one, or one each")
    parsed.out.mkdir(parents=True, exist_ok=True)
    names = _names(parsed.names, parsed.data) if parsed.names else None
    rows = [row for folder, model in zip(parsed.data, models) for row in _measure(folder, model, parsed, names)]
    images = pd.DataFrame(rows)
    figures = [name for name in (*SCORES, *GLAND_SCORES, "seconds") if name in images]
    each = ["data", "model", "method"]
    table, looks = (_means(images.groupby(by, sort=False), figures) for by in (each, [*each, "look"]))
    for name, frame in (("images", images), ("table", table), ("looks", looks)):
        frame.to_csv(parsed.out / f"{name}.csv", index=False)
    _plot(table, parsed.out / "table.png")
    told = f"`{shlex.join(['python', '-m', 'training', *sys.argv[1:]])}`\n\n{_markdown(table)}"
    if images["look"].nunique() > 1:
        told += f"\nBy the look of the pictures:\n\n{_markdown(looks)}"
    (parsed.out / "table.md").write_text(told)
    sys.stdout.write(told)


def _means(groups: DataFrameGroupBy, figures: list[str]) -> pd.DataFrame:
    """A row per group: how many images are in it, and the means of their figures."""
    means = groups[figures].mean().round(4)
    means.insert(0, "images", groups.size())
    return means.reset_index()


def _names(path: Path, folders: list[Path]) -> set[str]:
    """The stems in a file, one a line. Raises OptionError for one that no folder has: means would be over fewer images."""
    names = set(filter(None, path.read_text().splitlines()))
    missing = sorted(names - {pair.name for folder in folders for pair in find_pairs(folder)})
    if missing or not names:
        raise OptionError(f"{path} names no image, or one that is not there: {', '.join(missing[:5]) or 'it is empty'}")
    return names


def _measure(folder: Path, model: str, parsed: argparse.Namespace, names: set[str] | None) -> list[dict]:
    sac = hub.load(model, hub.device())
    pairs = [p for p in find_pairs(folder) if names is None or p.name in names]
    name = f"{folder.resolve().parent.name}/{folder.name}"
    rows = []
    for sample in tqdm(load_all(pairs), desc=name, total=len(pairs), mininterval=2):
        subject, look = Subject(sac, sample.image), Facts.of(sample).look
        for method in parsed.methods:
            found, seconds = subject.timed(METHODS[method])
            told = {"data": name, "model": model, "method": method, "image": sample.name, "look": look}
            rows.append(told | scores(sample.labels, found, parsed.glands) | {"seconds": seconds})
    return rows


def _markdown(table: pd.DataFrame) -> str:
    head = "| " + " | ".join(table.columns) + " |\n|" + "---|" * len(table.columns) + "\n"
    lines = (
        "| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row) + " |\n" for row in table.values
    )
    return head + "".join(lines)


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
