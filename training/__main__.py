"""`python -m training pretrain | fit | benchmark | scales | speed`."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import fields
from pathlib import Path

from sac.config import SACConfig
from sac.errors import SacError, of_system
from sac.flags import add_flags, read_flags
from training import scales, speed
from training.benchmark import command
from training.bring import Named, training_set
from training.fit import fit
from training.options import FitOptions, Task
from training.places import SET
from training.pretrain import PretrainOptions, pretrain_to


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except SacError as error:
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        print(of_system(error), file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description="Train and measure SAC.")
    commands = parser.add_subparsers(required=True, metavar="pretrain|fit|benchmark|scales|speed")

    pretrain = commands.add_parser("pretrain", help="make the tiny base from generated scenes")
    pretrain.add_argument("--out", type=Path, required=True, help="folder for the base and the training's state")
    pretrain.add_argument("--resume", action="store_true", help="go on from the newest state in --out")
    add_flags(pretrain, PretrainOptions)
    pretrain.set_defaults(run=_pretrain)

    fit = commands.add_parser("fit", help="train SAC on images with instance labels")
    fit.add_argument("--data", nargs="+", required=True, help="folders, zips, tables, or owner/name on the Hub")
    fit.add_argument("--split", default="", help="split of a data set on the Hub")
    fit.add_argument("--columns", nargs=2, default=("", ""), metavar=("IMAGE", "MASK"), help="its columns")
    fit.add_argument("--first", type=int, default=0, help="images of each that are taken, by name (0: all)")
    fit.add_argument("--out", type=Path, required=True, help="folder for the checkpoint and the training's state")
    fit.add_argument("--resume", action="store_true", help="go on from the newest state in --out")
    add_flags(fit, FitOptions)
    add_flags(fit, SACConfig, only_told=True)
    fit.set_defaults(run=_fit)

    figures = commands.add_parser("benchmark", help="measure checkpoints, or train and compare rivals")
    command.add_arguments(figures)
    figures.set_defaults(run=command.run)

    sizes = commands.add_parser("scales", help="measure a checkpoint on coarser and finer pixels")
    scales.add_arguments(sizes)
    sizes.set_defaults(run=scales.run)

    times = commands.add_parser("speed", help="measure seconds and memory of one field of view")
    speed.add_arguments(times)
    times.set_defaults(run=speed.run)
    return parser


def _pretrain(parsed: argparse.Namespace) -> None:
    pretrain_to(parsed.out, read_flags(PretrainOptions, parsed), parsed.resume)


def _fit(parsed: argparse.Namespace) -> None:
    """Gathers the data, unless it is resumed and has them, and trains."""
    command = shlex.join(["python", "-m", "training", *sys.argv[1:]])
    changes = {f.name: getattr(parsed, f.name) for f in fields(SACConfig) if hasattr(parsed, f.name)}
    named = Named(tuple(parsed.data), parsed.split, tuple(parsed.columns), parsed.first)
    task = Task(read_flags(FitOptions, parsed), changes, parsed.out.name, named.titles, command)
    fitted = fit(parsed.out, training_set(named, parsed.out / SET, parsed.resume), task, parsed.resume)
    if fitted.outcome:
        print(fitted.outcome.sentence)


if __name__ == "__main__":
    sys.exit(main())
