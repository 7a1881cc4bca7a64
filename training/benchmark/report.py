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
from training.benchmark.examples import FREE
from training.benchmark.figures import NAMES
from training.benchmark.study import Found, Study
from training.benchmark.tables import markdown, summary

MARKS = "<!-- benchmark {part} {data}: begin -->\n", "<!-- benchmark {part} {data}: end -->"
"""Between them stands what the command writes of a part and a data set into RESULTS.md."""


@dataclass(frozen=True)
class Report:
    """Of a study on one data set, and what was found."""

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
        (self.study.out / f"report-{self.study.name}.md").write_text(page)
        sys.stdout.write(page)
        if results:
            for part, text in sections.items():
                before, after = section(results, part, self.study.name)
                results.write_text(before + text.replace("](", "](results/") + after)
            self._copy(results.parent / "results")

    def _copy(self, place: Path) -> None:
        """Figures and tables of the parts at hand."""
        place.mkdir(exist_ok=True)
        for part in self.study.parts:
            for file in self.study.out.glob(f"{self._called(part)}*.*"):
                shutil.copy(file, place)

    def _called(self, part: str) -> str:
        """The stem of a part's files."""
        return f"{part}-{self.study.name}"

    def _path(self, part: str, ending: str) -> Path:
        return self.study.out / f"{self._called(part)}{ending}"

    def _head(self) -> str:
        budget, seeds = self.study.budget, " ".join(map(str, self.study.seeds))
        return (
            f"`{shlex.join(['python', '-m', 'training', *map(_shown, sys.argv[1:])])}`\n\n"
            f"Base `{budget.base}`, {budget.steps} steps of {budget.batch} crops for every model, seeds {seeds}; where "
            "there are several, mean ± deviation between them.\n"
        )

    def _rivals(self) -> list[str]:
        table = self._kept(self.found.rivals, "rivals")
        figures.rivals(table, self._path("rivals", ".png"))
        example = []
        if self.study.name in FREE:
            shutil.copy(self.found.example, self._path("rivals", "-example.png"))
            example.append(self._shows("rivals", "One test picture as all see it", "-example"))
        stars = "\\* told points from the truth, as an expert would set them.\n"
        parts = [text for _, lines in table.groupby("data", sort=False) for text in (_title(lines), markdown(lines))]
        return [self._shows("rivals", "Dice and mSA of all"), *parts, stars, *example]

    def _ablations(self) -> list[str]:
        table = self._kept(self.found.ablations, "ablations")
        figures.ablations(table, self._path("ablations", ".png"))
        tables = [f"{name}:\n\n{markdown(lines)}" for name, lines in table.groupby("table", sort=False)]
        return [self._shows("ablations", "Dice and mSA of each"), _title(table), *tables]

    def _curves(self) -> list[str]:
        self.found.curves.to_csv(self._path("curves", ".csv"), index=False)
        figures.curves(self.found.curves, self._path("curves", ".png"))
        return [self._shows("curves", "Dice over epochs")]

    def _costs(self) -> list[str]:
        costs = self.found.costs
        costs.to_csv(self._path("efficiency", ".csv"), index=False)
        head = (
            "| | trained weights | seconds per epoch | peak memory, GiB | seconds per image | commit |\n"
            "|---|---|---|---|---|---|\n"
        )
        lines = [
            f"| {NAMES[c.student]} | {c.learnt:,} | {c.step * c.epoch / self.study.budget.batch:.0f} "
            f"| {c.memory / 2**30:.2f} | {c.image:.2f} | `{c.commit}` |\n"
            for c in costs.itertuples()
        ]
        return [head + "".join(lines)]

    def _shows(self, part: str, what: str, which: str = "") -> str:
        return f"![{what}]({self._called(part)}{which}.png)\n"

    def _kept(self, rows: pd.DataFrame, part: str) -> pd.DataFrame:
        """The summary of rows; both are written beside the page."""
        rows.to_csv(self._path(part, "-images.csv"), index=False)
        table = summary(rows)
        table.to_csv(self._path(part, ".csv"), index=False)
        return table


def _title(table: pd.DataFrame) -> str:
    commits = " ".join(sorted({c for line in table["commit"] for c in line.split()}))
    said = f"{table['data'].iloc[0]}: {table['images'].max()} images"
    return f"**{said}" + (f", commit `{commits}`" if commits else "") + "**\n"


def _shown(word: str) -> str:
    """A word of the command as others would type it: no path of this machine, data folders under DATA."""
    path = Path(word)
    if not path.is_absolute():
        return word
    return f"DATA/{path.name}" if path.exists() and not path.suffix else path.name


def section(results: Path, part: str, data: str) -> tuple[str, str]:
    """What stands before and after a section in a Markdown file. Raises OptionError where it has none."""
    begin, end = (mark.format(part=part, data=data) for mark in MARKS)
    text = results.read_text() if results.exists() else ""
    before, found, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise OptionError(f"{results.name} has no lines {begin.strip()} and {end} to write between")
    return before + begin, end + after
