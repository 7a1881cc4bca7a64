"""`python -m sac COMMAND`: each command is a module of `sac.commands`, imported when it is asked for."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from types import ModuleType

from sac.errors import SacError, of_system

COMMANDS = {name: f"sac.commands.{name}" for name in ("segment", "push", "deploy", "user", "cases")}
"""Name of a command -> its module, which has `add(commands)`, for its flags, and `run(parsed)`, its exit status."""


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    modules = _asked_for(arguments)
    parsed = _parser(modules).parse_args(arguments)
    try:
        return modules[parsed.command].run(parsed)
    except SacError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(of_system(error), file=sys.stderr)
    return 1


def _asked_for(arguments: list[str]) -> dict[str, ModuleType]:
    """The module of the command that is named first; all of them where none is, for the help."""
    names = [name for name in COMMANDS if arguments[:1] == [name]] or list(COMMANDS)
    return {name: import_module(COMMANDS[name]) for name in names}


def _parser(modules: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sac", description="Segment every nucleus, and what belongs to it.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="|".join(COMMANDS))
    for module in modules.values():
        module.add(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
