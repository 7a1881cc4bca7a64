"""`python -m sac segment`: images in, five files per image out."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from sac import hub
from sac.config import MODES, SegmentOptions
from sac.errors import SacError
from sac.export import Result, safe_stem, write_all
from sac.images import read_image
from sac.inference.segment import segment
from sac.model.sac import SAC


def main(arguments: list[str] | None = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        sac = hub.load(parsed.model, parsed.device)
        options = SegmentOptions(mode=parsed.mode)
    except SacError as error:
        return _say(error)
    status = 0
    taken: set[str] = set()
    for path in tqdm(parsed.images, unit="image", disable=None):
        try:
            _segment_file(path, sac, parsed.model, options, parsed.out, taken)
        except SacError as error:
            status = _say(error)
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sac", description="Segment every nucleus.")
    commands = parser.add_subparsers(required=True, metavar="segment")
    command = commands.add_parser("segment", help="segment images and write five files for each")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument("--model", default=hub.DEFAULT, help="checkpoint: nuclei, nuclei-he, a folder, or owner/name")
    command.add_argument("--mode", choices=MODES, default="instances")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    return parser


def _segment_file(path: Path, sac: SAC, model: str, options: SegmentOptions, out: Path, taken: set[str]) -> None:
    """Segments one file. Two files of one stem in one run would overwrite each other: the second is refused."""
    stem = safe_stem(path.name)
    if stem in taken:
        raise SacError(f"{path.name}: another image of this run is also called {stem}; rename one of them")
    image = read_image(path)
    write_all(Result(image, segment(image, sac, options), model, options), out)
    taken.add(stem)


def _say(error: SacError) -> int:
    tqdm.write(str(error), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
