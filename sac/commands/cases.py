"""`python -m sac cases`: all cases of this machine's data folder go to one file, and come back from it."""

from __future__ import annotations

import argparse
from pathlib import Path

from sac.cases import Cases


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("cases", help="back the cases up, also while the page runs, or restore them")
    command.add_argument("do", choices=("backup", "restore"))
    command.add_argument("file", type=Path, metavar="FILE", help="the backup; one that is there is not overwritten")


def run(parsed: argparse.Namespace) -> int:
    """Raises CaseError."""
    if parsed.do == "backup":
        Cases().backup(parsed.file)
        print(f"All cases are in {parsed.file}.")
    else:
        Cases.restored(parsed.file)
        print(f"The cases are those of {parsed.file}.")
    return 0
