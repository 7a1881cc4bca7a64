"""`python -m sac push`: a checkpoint goes to the Hub, with the token of whoever types the command."""

from __future__ import annotations

import argparse
from pathlib import Path

from sac.errors import CheckpointError
from sac.publish import own_token, push


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("push", help="upload a checkpoint to the Hub")
    command.add_argument("folder", type=Path, metavar="FOLDER", help="the checkpoint: its five files")
    command.add_argument("name", metavar="OWNER/NAME", help="the repository, which is made where there is none")
    command.add_argument("--public", action="store_true", help="let everybody see it (a new repository is private)")
    command.add_argument(
        "--token-file", type=Path, metavar="F", help="file that holds the token (else HF_TOKEN, or `hf auth login`)"
    )


def run(parsed: argparse.Namespace) -> int:
    """Prints the address. Raises CheckpointError."""
    token = _read(parsed.token_file) if parsed.token_file else own_token()
    print(push(parsed.folder, parsed.name, token, private=not parsed.public))
    return 0


def _read(path: Path) -> str:
    """A token is read from a file, and never from the command, which other users of a machine can see."""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise CheckpointError(f"{path} cannot be read; a file with nothing but the token in it is needed") from error
