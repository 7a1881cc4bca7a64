"""`python -m sac deploy owner/space`: the app as a Hugging Face Space of one's own."""

from __future__ import annotations

import argparse
from pathlib import Path

from sac.remote.uploading import TOKEN_FILE, own_token
from sac.space.deploy import deploy


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("deploy", help="bring the app to a Space on the Hugging Face Hub")
    command.add_argument("space", metavar="OWNER/SPACE", help="its name; it is made where there is none")
    command.add_argument("--private", action="store_true", help="only its owner may see it")
    command.add_argument("--token-file", type=Path, metavar="F", help=TOKEN_FILE)


def run(parsed: argparse.Namespace) -> int:
    """Prints the address. Raises HubError."""
    print(deploy(parsed.space, own_token(parsed.token_file), parsed.private))
    return 0
