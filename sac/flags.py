"""Command-line flags made from the fields of an options dataclass: one flag a field, its docstring the help."""

from __future__ import annotations

import argparse
import ast
import inspect
import textwrap
from dataclasses import MISSING, fields
from itertools import pairwise
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Options = TypeVar("Options")


def add_flags(parser: argparse.ArgumentParser, options: type, only_told: bool = False) -> None:
    """Adds --field-name VALUE for each field that has a default of a simple type.

    only_told: what a user does not say is absent from the parsed flags, instead of being the default.
    """
    helps, types = field_docstrings(options), get_type_hints(options)
    for field in fields(options):
        if field.default is MISSING:
            continue
        flag, kind = "--" + field.name.replace("_", "-"), types[field.name]
        settings: dict[str, Any] = {"default": field.default, "help": helps.get(field.name, "")}
        if field.default != ():
            settings["help"] += f" ({field.default})"
        if only_told:
            settings["default"] = argparse.SUPPRESS
        if kind is bool:
            settings["action"] = argparse.BooleanOptionalAction
        elif get_origin(kind) is Literal:
            settings["choices"] = get_args(kind)
        elif get_origin(kind) is tuple:
            settings |= {"nargs": "+", "type": get_args(kind)[0]}
        elif kind in (int, float, str):
            settings["type"] = kind
        else:
            continue
        settings["help"] = settings["help"].replace("%", "%%")
        parser.add_argument(flag, **settings)


def read_flags(options: type[Options], parsed: argparse.Namespace) -> Options:
    """The options that `parsed` holds, built (and so checked) by their own class."""
    names = {field.name for field in fields(options)}
    return options(**{name: value for name, value in vars(parsed).items() if name in names})


def field_docstrings(options: type) -> dict[str, str]:
    """The string under each field of a dataclass, by field name."""
    body = ast.parse(textwrap.dedent(inspect.getsource(options))).body[0].body
    return {
        before.target.id: " ".join(after.value.value.split())
        for before, after in pairwise(body)
        if isinstance(before, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }
