"""`python -m sac cases`: all cases of a data folder go to one file, and come back from it."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from sac.cases import Cases
from sac.config import data_folder
from sac.errors import CaseError


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("cases", help="back the cases up, also while the page runs, or restore them")
    command.add_argument("do", choices=("backup", "restore"), help="restore: what is there now is set aside first")
    command.add_argument("file", type=Path, metavar="FILE", help="the backup; one that is there is not overwritten")
    command.add_argument("--data-dir", type=Path, metavar="DIR", help="the page's data folder, where it was told one")


def run(parsed: argparse.Namespace) -> int:
    """Raises CaseError."""
    folder = (parsed.data_dir or data_folder()) / "cases"
    if parsed.do == "backup":
        if not (folder / Cases.DATABASE).is_file():
            raise CaseError(f"{folder} holds no cases; --data-dir names the data folder that the page was started with")
        kept = Cases(folder)
        kept.backup(parsed.file)
        print(f"{kept.count()} cases of {folder} are in {parsed.file}.")
    else:
        aside = folder / time.strftime("before-restore-%Y%m%d-%H%M%S.db", time.gmtime())
        kept = Cases.restored(parsed.file, folder, aside)
        before = f" What was there before is in {aside}." if aside.exists() else ""
        print(f"{kept.count()} cases are in {folder} now.{before}")
    return 0
