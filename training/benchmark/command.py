"""The command's arguments, and which of its two works they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path

from sac import hub
from sac.errors import OptionError
from sac.flags import add_flags, read_flags
from training.baselines.methods import METHODS
from training.benchmark import checkpoints
from training.benchmark.plan import ABLATIONS, RIVALS, Budget
from training.benchmark.report import Report, section
from training.benchmark.study import PARTS, Study


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", nargs="+", required=True, type=Path, help="folders with images/ and labels/; with "
                        "--parts, folders of dsb2018, monuseg or glas, as published or as data folders")  # fmt: skip
    parser.add_argument("--out", type=Path, required=True, help="folder for tables and plots")
    given = parser.add_argument_group("checkpoints")
    given.add_argument("--methods", nargs="+", default=list(METHODS), help=f"of {', '.join(METHODS)}")
    given.add_argument("--models", nargs="+", default=[hub.DEFAULT], help="checkpoints; one for all data, or one each")
    given.add_argument("--names", type=Path, help="file with the stems to use, one a line (default: all)")
    given.add_argument("--glands", action="store_true", help="the scores of the GlaS challenge, too")
    study = parser.add_argument_group("the paper's comparison")
    study.add_argument("--parts", nargs="+", choices=("all", *PARTS), default=(), help="train rivals, and compare")
    study.add_argument("--rivals", nargs="+", default=[""], help="rivals, by the beginnings of their lines (all)")
    study.add_argument("--tables", nargs="+", default=[""], help="ablations, by the beginnings of their titles (all)")
    study.add_argument("--seeds", nargs="+", type=int, default=[0], help="each trains every model anew")
    study.add_argument("--jobs", type=int, default=1, help="models that are trained at once")
    study.add_argument(
        "--results", type=Path, help="a Markdown file whose sections on these parts and sets are replaced"
    )
    add_flags(study, Budget)


def run(parsed: argparse.Namespace) -> None:
    """Raises OptionError or DataError in one sentence."""
    if not parsed.parts:
        return checkpoints.run(parsed)
    parts = PARTS if "all" in parsed.parts else tuple(p for p in PARTS if p in parsed.parts)
    seeds, budget = tuple(parsed.seeds), read_flags(Budget, parsed)
    tables = tuple(title for title in ABLATIONS if title.lower().startswith(tuple(map(str.lower, parsed.tables))))
    if not tables:
        raise OptionError(f"no ablation begins with {' or '.join(parsed.tables)}; there are: {'; '.join(ABLATIONS)}")
    rivals = tuple(line for line in RIVALS if line.begins_with(*parsed.rivals))
    if not rivals:
        raise OptionError(f"no rival begins with {' or '.join(parsed.rivals)}")
    studies = [Study(folder, parts, seeds, parsed.out, parsed.jobs, budget, tables, rivals) for folder in parsed.data]
    names = [study.name for study in studies]
    if len(set(names)) != len(names):
        raise OptionError(f"{', '.join(names)}: each set can be compared on once")
    for study in studies:
        _judge(study, parsed.results)
    for study in studies:
        Report(study, study.run()).write(parsed.results)


def _judge(study: Study, results: Path | None) -> None:
    """Before anything is done. Raises OptionError or DataError."""
    if study.jobs < 1 or len(set(study.seeds)) != len(study.seeds):
        raise OptionError(f"jobs {study.jobs} and seeds {study.seeds}: one job or more, and seeds that differ")
    for seed in study.seeds:
        study.budget.options(seed)
    if not study.budget.hold_out and study.parts != ("rivals",):
        raise OptionError("hold out 0: ablations, curves and seconds are measured on images that are held out")
    for part in study.parts if results else ():
        section(results, part, study.name)
