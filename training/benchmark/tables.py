"""Rows become tables: means over images, then mean and deviation over seeds."""

from __future__ import annotations

import pandas as pd

SCORES = ("dice", "iou", "aji", "pq", "f1", "ap50", "msa")
GLAND_SCORES = ("object_dice", "object_f1", "object_hausdorff")
TITLES = {
    "dice": "Dice", "iou": "IoU", "aji": "AJI", "pq": "PQ", "f1": "F1", "ap50": "AP@.5", "msa": "mSA",
    "object_dice": "object Dice", "object_f1": "object F1", "object_hausdorff": "object Hausdorff, px",
    "seconds": "seconds per image",
}  # fmt: skip
DIGITS = {"object_hausdorff": 1, "seconds": 2}
SHOWN = ("dice", "aji", "pq", "f1", "msa")
"""Of the scores, those that a table in words has; all stand in the CSV."""


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """A line per table and label, in their order: mean and deviation (n - 1) over seeds of the means over images."""
    figures = [name for name in (*SCORES, *GLAND_SCORES, "seconds") if name in rows]
    by_seed = rows.groupby(["data", "table", "label", "seed"], sort=False)[figures].mean()
    over = by_seed.groupby(level=[0, 1, 2], sort=False)
    means, spreads = over.mean(), over.std().add_suffix("_sd")
    facts = rows.groupby(["data", "table", "label"], sort=False).agg(
        seeds=("seed", "nunique"), images=("image", "nunique"), commit=("commit", lambda c: " ".join(sorted(set(c))))
    )
    return pd.concat([means, spreads, facts], axis=1).reset_index()


def markdown(table: pd.DataFrame) -> str:
    """A table in Markdown: the mean, and the deviation where there is one. Of glands, the challenge's scores."""
    names = ("dice", *GLAND_SCORES, "msa") if GLAND_SCORES[0] in table else SHOWN
    names = [n for n in names if n in table]
    lines = ["| | " + " | ".join(TITLES[n] for n in names) + " |", "|---|" + "---|" * len(names)]
    for _, line in table.iterrows():
        lines.append(f"| {line['label']} | " + " | ".join(_cell(line, name) for name in names) + " |")
    return "\n".join(lines) + "\n"


def _cell(line: pd.Series, name: str) -> str:
    digits = DIGITS.get(name, 3)
    mean, spread = line[name], line[f"{name}_sd"]
    if pd.isna(mean):
        return ""
    return f"{mean:.{digits}f}" + ("" if pd.isna(spread) else f" ± {spread:.{digits}f}")
