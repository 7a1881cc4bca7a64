"""`python -m sac user`: who may log in to the page, with a password that only its owner knows."""

from __future__ import annotations

import argparse
import sys
from getpass import getpass
from pathlib import Path

from sac.errors import OptionError
from sac.logins import Hashed, checked, read, write


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("user", help="add a name, or set its password, in a file for app.py --auth-file")
    command.add_argument("file", type=Path, metavar="FILE", help="the file, which is made where there is none")
    command.add_argument("name", metavar="NAME", help="letters without spaces and colons")
    command.add_argument("--remove", action="store_true", help="take the name out of the file")


def run(parsed: argparse.Namespace) -> int:
    """Raises OptionError."""
    name = checked(parsed.name)
    known = parsed.file.exists() and name in read(parsed.file)
    if parsed.remove and not known:
        raise OptionError(f"{parsed.file} has no {name}")
    write(parsed.file, name, None if parsed.remove else Hashed.of(_asked_twice()))
    print(f"{name} was {'removed' if parsed.remove else 'changed' if known else 'added'}.")
    return 0


def _asked_twice() -> str:
    """From the terminal, unseen; from standard input's first two lines where there is no terminal."""
    first, second = _asked("Password: "), _asked("The same again: ")
    if first != second:
        raise OptionError("The two passwords differ; nothing was changed")
    return first


def _asked(prompt: str) -> str:
    try:
        said = getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
        said.encode()  # what is no text is let through as such by some locales
        return said
    except UnicodeError as error:
        raise OptionError("The password is not text in UTF-8; nothing was changed") from error
    except EOFError as error:
        raise OptionError("No password was given; nothing was changed") from error
