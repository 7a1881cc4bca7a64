"""Everything that was found, as CSV, PNG and one page of Markdown with the command and the commit."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sac.errors import OptionError
from training.benchmark import figures
from training.benchmark.figures import NAMES
from training.benchmark.study import Found, Study
from training.benchmark.tables import markdown, summary

BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
"""Between them stands what the command writes into RESULTS.md."""
PAGE = "report.md"


@dataclass(frozen=True)
class Report:
    """Of a study and what was found."""

    study: Study
    found: Found

    def write(self, results: Path | None) -> None:
        """Writes to the study's folder, and into the section of `results`, which has one."""
        before, after = section(results) if results else ("", "")
        page = "\n".join([self._head(), *self._rivals(), *self._ablations(), *self._curves(), *self._costs()])
        out = self.study.out
        (out / PAGE).write_text(page)
        sys.stdout.write(page)
        if results:
            place = results.parent / "results"
            place.mkdir(exist_ok=True)
            for file in [*out.glob("*.png"), *out.glob("*.csv")]:
                shutil.copy(file, place)
            results.write_text(f"{before}{BEGIN}\n{page.replace('](', '](results/')}{END}{after}")

    def _head(self) -> str:
        budget, seeds = self.study.budget, " ".join(map(str, self.study.seeds))
        return (
            f"`{shlex.join(['python', '-m', 'training', *_shown(sys.argv[1:])])}`\n\n"
            f"Base `{budget.base}`, {budget.steps} steps of {budget.batch} crops for every model, seeds {seeds}; where "
            "there are several, mean ± deviation between them.\n"
        )

    def _rivals(self) -> list[str]:
        rows = self.found.rivals
        if rows.empty:
            return []
        table = self._kept(rows, "rivals")
        figures.rivals(table, self.study.out / "rivals.png")
        parts = ["## Rivals\n", "![Dice and mSA of all](rivals.png)\n"]
        for data in table["data"].unique():
            mine = table[table["data"] == data]
            parts += [f"### {_head(data, mine)}\n", markdown(mine, data)]
        return [*parts, "\\* told points from the truth, as an expert would set them.\n"]

    def _ablations(self) -> list[str]:
        rows = self.found.ablations
        if rows.empty:
            return []
        table = self._kept(rows, "ablations")
        figures.ablations(table, self.study.out / "ablations.png")
        parts = ["## Ablations\n", "![Dice and mSA of each](ablations.png)\n"]
        for data in table["data"].unique():
            mine = table[table["data"] == data]
            parts.append(f"### {_head(data, mine)}\n")
            for name in mine["table"].unique():
                parts += [f"**{name}**\n", markdown(mine[mine["table"] == name], data)]
        return parts

    def _curves(self) -> list[str]:
        points = self.found.curves
        if points.empty:
            return []
        points.to_csv(self.study.out / "curves.csv", index=False)
        figures.curves(points, self.study.out / "curves.png")
        return ["## Learning curves\n", "![Dice over epochs](curves.png)\n"]

    def _costs(self) -> list[str]:
        costs = self.found.costs
        if costs.empty:
            return []
        costs.to_csv(self.study.out / "efficiency.csv", index=False)
        head = "| | | trained weights | seconds per epoch | peak memory, GiB |\n|---|---|---|---|---|\n"
        lines = [
            f"| {c.data} | {NAMES[c.student]} | {c.learnt:,} | {c.step * c.epoch / self.study.budget.batch:.0f} "
            f"| {c.memory / 2**30:.2f} |\n"
            for c in costs.itertuples()
        ]
        return ["## Efficiency\n", head + "".join(lines)]

    def _kept(self, rows: pd.DataFrame, name: str) -> pd.DataFrame:
        """The summary of rows; both are written beside the page."""
        rows.to_csv(self.study.out / f"{name}-images.csv", index=False)
        table = summary(rows)
        table.to_csv(self.study.out / f"{name}.csv", index=False)
        return table


def _head(data: str, table: pd.DataFrame) -> str:
    commits = " ".join(sorted({c for line in table["commit"] for c in line.split()}))
    return f"{data}: {table['images'].max()} images" + (f", commit `{commits}`" if commits else "")


def _shown(arguments: list[str]) -> list[str]:
    """The command as others would type it: data folders by their last name, under DATA."""
    return [
        f"DATA/{Path(word).name}" if Path(word).is_dir() and Path(word).is_absolute() else word for word in arguments
    ]


def section(results: Path) -> tuple[str, str]:
    """What stands before and after the section in a Markdown file. Raises OptionError where it has none."""
    text = results.read_text() if results.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise OptionError(f"{results} has no lines {BEGIN} and {END} to write between")
    return before, after
