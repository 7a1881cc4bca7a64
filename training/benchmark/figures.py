"""The comparison's figures, as PNG."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

WIDE, HIGH = 6.0, 3.6
NAMES = {"sam-ft": "SAM-FT", "msa": "MSA", "unet": "U-Net alone", "sac": "SAC"}
"""What students are called in a legend."""


def rivals(table: pd.DataFrame, path: Path) -> None:
    """Dice and mSA of each line, with the deviation between seeds, a panel per data set."""
    sets = list(table["data"].unique())
    figure = Figure(figsize=(WIDE * len(sets), 4.6), layout="constrained")
    for number, (axis, data) in enumerate(zip(_axes(figure, len(sets)), sets)):
        mine = table[table["data"] == data].iloc[::-1]
        labels = [str(label).replace("**", "") for label in mine["label"]]
        for shift, score, title in ((0.2, "dice", "Dice"), (-0.2, "msa", "mSA")):
            places = [i + shift for i in range(len(mine))]
            axis.barh(places, mine[score], 0.38, xerr=mine[f"{score}_sd"].fillna(0), label=title)
        axis.set_yticks(range(len(mine)), labels if number == 0 else [""] * len(mine))
        axis.set(title=data, xlim=(0, 1))
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=120)


def ablations(table: pd.DataFrame, path: Path) -> None:
    """Dice and mSA over what was changed, a panel per table, on the first data set."""
    data = table["data"].iloc[0]
    mine = table[table["data"] == data]
    names = list(mine["table"].unique())
    columns = 3
    figure = Figure(figsize=(4.6 * columns, 3.2 * -(-len(names) // columns)), layout="constrained")
    figure.suptitle(data)
    axes = figure.subplots(-(-len(names) // columns), columns, squeeze=False).ravel()
    for axis, name in zip(axes, names):
        lines = mine[mine["table"] == name]
        places = range(len(lines))
        for score, title in (("dice", "Dice"), ("msa", "mSA")):
            axis.errorbar(places, lines[score], lines[f"{score}_sd"].fillna(0), marker="o", capsize=3, label=title)
        turned = max(len(label) for label in lines["label"]) > 8
        axis.set_xticks(places, lines["label"], rotation=20 if turned else 0, ha="right" if turned else "center")
        axis.set_title(name, fontsize=10)
    for axis in axes[len(names) :]:
        axis.set_visible(False)
    axes[0].legend()
    figure.savefig(path, dpi=120)


def curves(points: pd.DataFrame, path: Path) -> None:
    """Dice over epochs: the mean over seeds, and where all of them lie, a panel per data set (paper, figure 4)."""
    sets = list(points["data"].unique())
    figure = Figure(figsize=(WIDE * len(sets), HIGH), layout="constrained")
    for axis, data in zip(_axes(figure, len(sets)), sets):
        mine = points[points["data"] == data]
        for student in mine["student"].unique():
            over = mine[mine["student"] == student].groupby("epoch")["dice"]
            (line,) = axis.plot(over.mean().index, over.mean(), label=NAMES.get(student, student))
            axis.fill_between(over.mean().index, over.min(), over.max(), alpha=0.2, color=line.get_color())
        axis.set(title=f"{data}, tiles held out", xlabel="epochs", ylabel="Dice", ylim=(0, 1))
    figure.axes[0].legend(loc="lower right")
    figure.savefig(path, dpi=120)


def _axes(figure: Figure, count: int):
    return figure.subplots(1, count, squeeze=False)[0]
