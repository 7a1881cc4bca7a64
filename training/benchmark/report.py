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

PAGE = "report.md"
MARKS = "<!-- benchmark {part}: begin -->\n", "<!-- benchmark {part}: end -->"
"""Between them stands what the command writes of a part into RESULTS.md."""


@dataclass(frozen=True)
class Report:
    """Of a study and what was found."""

    study: Study
    found: Found

    def write(self, results: Path | None) -> None:
        """Writes a page to the study's folder, and each part into its section of `results`, which has one."""
        parts = {
            "rivals": self._rivals,
            "ablations": self._ablations,
            "curves": self._curves,
            "efficiency": self._costs,
        }
        sections = {part: "\n".join([self._head(), *parts[part]()]) for part in self.study.parts}
        page = "\n".join(f"## {part.capitalize()}\n\n{text}" for part, text in sections.items())
        (self.study.out / PAGE).write_text(page)
        sys.stdout.write(page)
        if results:
            for part, text in sections.items():
                before, after = section(results, part)
                results.write_text(before + text.replace("](", "](results/") + after)
            self._copy(results.parent / "results")

    def _copy(self, place: Path) -> None:
        """Figures and tables of the parts at hand."""
        place.mkdir(exist_ok=True)
        for part in self.study.parts:
            for file in self.study.out.glob(f"{part}*.*"):
                shutil.copy(file, place)

    def _head(self) -> str:
        budget, seeds = self.study.budget, " ".join(map(str, self.study.seeds))
        return (
            f"`{shlex.join(['python', '-m', 'training', *map(_shown, sys.argv[1:])])}`\n\n"
            f"Base `{budget.base}`, {budget.steps} steps of {budget.batch} crops for every model, seeds {seeds}; where "
            "there are several, mean ± deviation between them.\n"
        )

    def _rivals(self) -> list[str]:
        rows = self.found.rivals
        if rows.empty:
            return []
        table = self._kept(rows, "rivals")
        figures.rivals(table, self.study.out / "rivals.png")
        parts = ["![Dice and mSA of all](rivals.png)\n"]
        for data in table["data"].unique():
            mine = table[table["data"] == data]
            parts += [f"**{_title(data, mine)}**\n", markdown(mine, data)]
        return [*parts, "\\* told points from the truth, as an expert would set them.\n"]

    def _ablations(self) -> list[str]:
        rows = self.found.ablations
        if rows.empty:
            return []
        table = self._kept(rows, "ablations")
        figures.ablations(table, self.study.out / "ablations.png")
        parts = ["![Dice and mSA of each](ablations.png)\n"]
        for data in table["data"].unique():
            mine = table[table["data"] == data]
            parts.append(f"**{_title(data, mine)}**\n")
            for name in mine["table"].unique():
                parts += [f"{name}:\n", markdown(mine[mine["table"] == name], data)]
        return parts

    def _curves(self) -> list[str]:
        points = self.found.curves
        if points.empty:
            return []
        points.to_csv(self.study.out / "curves.csv", index=False)
        figures.curves(points, self.study.out / "curves.png")
        return ["![Dice over epochs](curves.png)\n"]

    def _costs(self) -> list[str]:
        costs = self.found.costs
        if costs.empty:
            return []
        costs.to_csv(self.study.out / "efficiency.csv", index=False)
        head = (
            "| | | trained weights | seconds per epoch | peak memory, GiB | seconds per image | commit |\n"
            "|---|---|---|---|---|---|---|\n"
        )
        lines = [
            f"| {c.data} | {NAMES[c.student]} | {c.learnt:,} | {c.step * c.epoch / self.study.budget.batch:.0f} "
            f"| {c.memory / 2**30:.2f} | {c.image:.2f} | `{c.commit}` |\n"
            for c in costs.itertuples()
        ]
        return [head + "".join(lines)]

    def _kept(self, rows: pd.DataFrame, name: str) -> pd.DataFrame:
        """The summary of rows; both are written beside the page."""
        rows.to_csv(self.study.out / f"{name}-images.csv", index=False)
        table = summary(rows)
        table.to_csv(self.study.out / f"{name}.csv", index=False)
        return table


def _title(data: str, table: pd.DataFrame) -> str:
    commits = " ".join(sorted({c for line in table["commit"] for c in line.split()}))
    return f"{data}: {table['images'].max()} images" + (f", commit `{commits}`" if commits else "")


def _shown(word: str) -> str:
    """A word of the command as others would type it: no path of this machine, data folders under DATA."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return f"DATA/{path.name}" if path.exists() and not path.suffix else path.name


def section(results: Path, part: str) -> tuple[str, str]:
    """What stands before and after a part's section in a Markdown file. Raises OptionError where it has none."""
    begin, end = (mark.format(part=part) for mark in MARKS)
    text = results.read_text() if results.exists() else ""
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise OptionError(f"{results.name} has no lines {begin.strip()} and {end} to write between")
    return before + begin, end + after
