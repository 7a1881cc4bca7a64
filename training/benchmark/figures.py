"""The comparison's figures, as PNG."""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import pandas as pd
from matplotlib.figure import Figure

SIZE = (7.2, 4.4)
"""Inches."""
LETTERS = 18
"""Of a line of words below an axis."""
NAMES = {"sam-ft": "SAM-FT", "msa": "MSA", "unet": "U-Net alone", "sac": "SAC"}
"""What students are called in a legend."""


def rivals(table: pd.DataFrame, path: Path) -> None:
    """Dice and mSA of each line, with the deviation between seeds, a panel per part of the test."""
    parts = table["data"].unique()
    figure = Figure(figsize=(SIZE[0] + 3.6 * (len(parts) - 1), SIZE[1]), layout="constrained")
    axes = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axis, data in zip(axes, parts):
        lines = table[table["data"] == data].iloc[::-1]
        for shift, score, title in ((0.2, "dice", "Dice"), (-0.2, "msa", "mSA")):
            places = [i + shift for i in range(len(lines))]
            axis.barh(places, lines[score], 0.38, xerr=lines[f"{score}_sd"].fillna(0), label=title)
        axis.set_yticks(range(len(lines)), [str(label).replace("**", "") for label in lines["label"]])
        axis.set(title=data, xlim=(0, 1))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


def ablations(table: pd.DataFrame, path: Path) -> None:
    """Dice and mSA over what was changed, a panel per table."""
    names = list(table["table"].unique())
    columns = 3
    figure = Figure(figsize=(4.6 * columns, 3.2 * -(-len(names) // columns)), layout="constrained")
    figure.suptitle(table["data"].iloc[0])
    axes = figure.subplots(-(-len(names) // columns), columns, squeeze=False).ravel()
    for axis, name in zip(axes, names):
        lines = table[table["table"] == name]
        places = range(len(lines))
        for score, title in (("dice", "Dice"), ("msa", "mSA")):
            axis.errorbar(places, lines[score], lines[f"{score}_sd"].fillna(0), marker="o", capsize=3, label=title)
        axis.set_xticks(places, [fill(label, LETTERS) for label in lines["label"]], fontsize=8)
        axis.set_title(name, fontsize=10)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    axes[0].legend()
    figure.savefig(path, dpi=120)


def curves(points: pd.DataFrame, path: Path) -> None:
    """Dice over epochs: the mean over seeds, and where all of them lie (paper, figure 4)."""
    figure = Figure(figsize=SIZE, layout="constrained")
    axis = figure.subplots()
    for student in points["student"].unique():
        over = points[points["student"] == student].groupby("epoch")["dice"]
        (line,) = axis.plot(over.mean().index, over.mean(), label=NAMES.get(student, student))
        axis.fill_between(over.mean().index, over.min(), over.max(), alpha=0.2, color=line.get_color())
    axis.set(title=f"{points['data'].iloc[0]}, tiles held out", xlabel="epochs", ylabel="Dice", ylim=(0, 1))
    axis.legend(loc="lower right")
    figure.savefig(path, dpi=120)
