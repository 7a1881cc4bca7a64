"""`python -m sac segment`: images, folders and zips in, files that other programs open out."""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tqdm import tqdm

from sac import hub
from sac.bundle import Sent, alike, each_file
from sac.commands.progress import shown
from sac.config import MODES, SegmentOptions, View
from sac.errors import ImageError, SacError
from sac.export import CONTRACT, FILES, Result, safe_stem, write_all
from sac.flags import add_flags, read_flags
from sac.images import read_image
from sac.inference.segment import segment
from sac.model.sac import SAC


def add(commands: argparse._SubParsersAction) -> None:
    command = commands.add_parser("segment", help="segment images, or folders or zips of them")
    command.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="a file, or a folder or zip of files")
    command.add_argument("--out", type=Path, required=True, metavar="DIR")
    command.add_argument(
        "--model", default=hub.DEFAULT, help=f"checkpoint: {', '.join(hub.EMBEDDED)}, a folder, or owner/name[@revision]"
    )
    command.add_argument("--mode", choices=MODES, default="instances")
    command.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    command.add_argument("--formats", nargs="+", choices=("all", *FILES), default=list(CONTRACT), help="files to write")
    add_flags(command, View)


def run(parsed: argparse.Namespace) -> int:
    """Exit status 1 where a file was passed over. Raises SacError where none can be done."""
    with shown() as progress:
        sac = hub.load(parsed.model, parsed.device, progress)
    job = Job(
        sac,
        parsed.model,
        sac.config.options(mode=parsed.mode),
        read_flags(View, parsed),
        parsed.out,
        tuple(FILES) if "all" in parsed.formats else tuple(parsed.formats),
    )
    status = 0
    with TemporaryDirectory() as room:
        for sent in tqdm(each_file(parsed.images, Path(room)), unit="image", disable=None):
            try:
                job.do(sent)
            except SacError as error:
                tqdm.write(str(error), file=sys.stderr)
                status = 1
    return status


@dataclass
class Job:
    """What is done to each file of a run. taken: stems of results, as `alike`, so that no file overwrites another's."""

    sac: SAC
    model: str
    options: SegmentOptions
    view: View
    out: Path
    formats: tuple[str, ...]
    taken: set[str] = field(default_factory=set)

    def do(self, sent: Sent | ImageError) -> None:
        """Segments one file. Raises SacError where it cannot be, or where its results would overwrite another's."""
        if isinstance(sent, ImageError):
            raise sent
        stem = safe_stem(sent.name)
        if alike(stem) in self.taken:
            raise ImageError(f"{sent.name}: another image of this run is also called {stem}; rename one of them")
        image = read_image(sent.path, sent.name, self.view)
        found = segment(image, self.sac, self.options)
        write_all(Result(image, found, self.model, self.options), self.out, self.formats)
        self.taken.add(alike(stem))
