"""The process that decodes files: `python -m sac.decoding.child`, a request a line on stdin, answers on stdout."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from sac.config import LIMITS, View
from sac.decoding.decoded import ACCEPTED, Decoded
from sac.errors import ImageError

try:
    import resource
except ImportError:  # Windows: the parent's clock is what is left
    resource = None

TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""First bytes of a TIFF and of a BigTIFF, in both byte orders. Whole slides that are accepted are TIFFs, too."""
ROWS = 256
"""Rows that are answered at once: those of a map of the file, or of turned values, are copied for it."""


def main() -> None:
    _limit()
    for line in sys.stdin:
        asked = json.loads(line)
        _limit_computing(asked["more"])
        _answer(asked)
        sys.stdout.flush()


def _answer(asked: dict[str, Any]) -> None:
    view = View(**{**asked["view"], "region": tuple(asked["view"]["region"])})
    try:
        decoded = read(Path(asked["path"]), asked["name"], view, asked["stored"])
    except ImageError as error:
        _write(json.dumps({"error": str(error)}).encode() + b"\n")
        return
    facts = decoded.facts()
    _write(json.dumps(facts).encode() + b"\n")
    for top in range(0, len(decoded.values), ROWS):
        rows = np.ascontiguousarray(decoded.values[top : top + ROWS], dtype=facts["dtype"])
        _write(rows.reshape(-1).view(np.uint8))


def read(path: Path, name: str, view: View, stored: bool = False) -> Decoded:
    """Decodes a file in this process. Raises ImageError in one plain sentence, whatever the decoders raise."""
    try:
        with path.open("rb") as stream:
            is_tiff = stream.read(4) in TIFF
        if is_tiff:
            from sac.decoding import slide, tiff  # half of the start's time, for the files that need it

            return slide.read(path, name, view) if slide.is_slide(path) else tiff.read(path, name, view, stored)
        from sac.decoding import plain

        return plain.read(path, name, view, stored)
    except ImageError:
        raise
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into memory; send a part of it, or one channel") from error
    except Exception as error:  # the decoders raise whatever they like on a damaged file
        raise ImageError(f"{name} is not an image that can be read; {ACCEPTED} files are") from error


def _limit() -> None:
    """Binds this process, where the system can: memory of its own, no file to write."""
    if not resource:
        return
    for what, most in (
        (resource.RLIMIT_DATA, LIMITS.decoding_memory),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))


def _limit_computing(more: bool) -> None:
    """Binds the seconds of computing of the file that is next; where more are to come, the bound can be raised anew."""
    if not resource:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime) + LIMITS.decoding_cpu
    most = resource.RLIM_INFINITY if more else seconds + 1  # at both, SIGKILL would hide the reason
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, most))


def _write(content: bytes | np.ndarray) -> None:
    sys.stdout.buffer.write(content)


if __name__ == "__main__":
    main()
