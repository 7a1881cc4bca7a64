"""Flags made from the fields of a dataclass, and the dataclass made from flags."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from sac.config import SACConfig, SegmentOptions
from sac.errors import OptionError
from sac.flags import add_flags, field_docstrings, read_flags


@dataclass(frozen=True)
class Bakery:
    """An options class with a field of every kind."""

    flour_grams: int = 500
    """How much flour; 5 % is lost
    in the sieve."""
    salt: float = 9.5
    shape: Literal["round", "long"] = "round"
    """Of the loaf."""
    steam: bool = True
    seeds: tuple[str, ...] = ("poppy",)
    minutes: tuple[int, ...] = (20, 25)
    notes: dict[str, Any] = field(default_factory=dict)


def parser_of(options):
    parser = argparse.ArgumentParser()
    add_flags(parser, options)
    return parser


def parsed(options, *arguments):
    return read_flags(options, parser_of(options).parse_args(arguments))


@pytest.mark.parametrize("options", [SegmentOptions, SACConfig, Bakery])
def test_no_flag_gives_the_defaults(options):
    assert parsed(options) == options()


def test_every_kind_of_flag_is_read():
    got = parsed(
        Bakery, "--flour-grams", "750", "--salt", "11", "--shape", "long", "--no-steam", "--seeds", "flax", "hemp",
        "--minutes", "30",
    )  # fmt: skip
    assert (got.flour_grams, got.salt, got.shape, got.steam) == (750, 11.0, "long", False)
    assert list(got.seeds) == ["flax", "hemp"] and list(got.minutes) == [30]


def test_a_project_class_is_read():
    got = parsed(SegmentOptions, "--mode", "semantic", "--pairs", "3", "--no-adapted", "--certainty", "0.5")
    assert got == SegmentOptions(mode="semantic", pairs=3, adapted=False, certainty=0.5)
    assert parsed(SACConfig, "--projections", "q", "k", "v").projections == ("q", "k", "v")


def test_the_class_checks_what_the_flags_say():
    with pytest.raises(OptionError, match="pairs 0"):
        parsed(SegmentOptions, "--pairs", "0")


@pytest.mark.parametrize("wrong", [["--shape", "flat"], ["--flour-grams", "much"], ["--notes", "{}"], ["--sugar", "1"]])
def test_what_is_no_flag_or_no_value_stops_the_program(wrong, capsys):
    with pytest.raises(SystemExit) as stopped:
        parsed(Bakery, *wrong)
    assert stopped.value.code == 2 and wrong[0] in capsys.readouterr().err


def test_docstrings_are_the_help():
    assert field_docstrings(Bakery) == {
        "flour_grams": "How much flour; 5 % is lost in the sieve.",
        "shape": "Of the loaf.",
    }
    text = " ".join(parser_of(Bakery).format_help().split())
    assert "5 % is lost in the sieve. (500)" in text and "--no-steam" in text and "{round,long}" in text


def test_other_flags_of_the_same_parser_are_left_alone():
    parser = parser_of(Bakery)
    parser.add_argument("--out")
    assert read_flags(Bakery, parser.parse_args(["--out", "somewhere", "--salt", "1"])).salt == 1


def test_only_what_is_told_is_parsed_where_that_is_asked_for():
    parser = argparse.ArgumentParser()
    add_flags(parser, Bakery, only_told=True)
    assert vars(parser.parse_args([])) == {}
    told = parser.parse_args(["--salt", "9.5", "--no-steam", "--seeds", "flax"])
    assert vars(told) == {"salt": 9.5, "steam": False, "seeds": ["flax"]}
    assert "(9.5)" in parser.format_help()
