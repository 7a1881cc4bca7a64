"""`python -m sac push`: a checkpoint goes to the Hub, with the token of whoever types the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from sac.publish import push
from sac.remote.uploading import TOKEN_FILE, own_token


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("push", help="upload a checkpoint to the Hub")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the checkpoint: its five files")
    command.add_argument("name", metavar="OWNER/NAME", help="the repository, which is made where there is none")
    command.add_argument("--public", action="store_true", help="let everybody see it (a new repository is private)")
    command.add_argument("--token-file", type=Path, metavar="F", help=TOKEN_FILE)


def run(parsed: argparse.Namespace) -> int:
    """Prints the address. Raises CheckpointError, or HubError where there is no token."""
    print(push(parsed.folder, parsed.name, own_token(parsed.token_file), private=not parsed.public))
    return 0
