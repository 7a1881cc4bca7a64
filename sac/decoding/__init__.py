"""Files are decoded in a process of their own, with limits on memory and time: a bad one harms nobody.

What that process answers is JSON and plain numbers, never a pickle: even a decoder that a file had taken over could
only lie about the picture.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sac.config import LIMITS, View
from sac.decoding.decoded import ACCEPTED, Decoded
from sac.errors import ImageError

ROOT = Path(__file__).parents[2]
KEPT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP")
"""Variables of the environment that the process gets: no token is among them."""


def decode(path: Path, name: str, view: View) -> Decoded:
    """Reads what `view` asks of a file, judged by its header first. Raises ImageError in one plain sentence."""
    if not path.is_file():
        raise ImageError(f"{name}: no such file")
    asked = {"path": str(path.resolve()), "name": name, "view": asdict(view)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen([sys.executable, "-m", "sac.decoding.child"], cwd=ROOT, env=_environment(), **pipes) as child:
        late = threading.Timer(LIMITS.decoding_seconds, child.kill)
        late.start()
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.close()
            return _answer(child.stdout)
        except (OSError, ValueError, TypeError, KeyError) as error:  # no answer, or half of one
            raise ImageError(_end(name, child, late)) from error
        finally:
            late.cancel()
            child.kill()


def _answer(stream: BinaryIO) -> Decoded:
    """The child's line of facts and the values behind it. Raises ImageError with the child's own sentence."""
    facts = json.loads(stream.readline(2**24))
    if "error" in facts:
        raise ImageError(str(facts["error"]))
    shape, dtype = tuple(facts.pop("shape")), np.dtype(facts.pop("dtype"))
    if dtype.kind not in "biuf" or np.prod(shape, dtype=np.float64) * dtype.itemsize > LIMITS.values:
        raise ValueError(f"{shape} {dtype}")
    values = np.empty(shape, dtype)
    room = memoryview(values.reshape(-1).view(np.uint8))
    while room.nbytes:
        got = stream.readinto(room)
        if not got:
            raise ValueError("the values end early")
        room = room[got:]
    return Decoded.of(values, facts)


def _end(name: str, child: subprocess.Popen, late: threading.Timer) -> str:
    """Why the child ended without an answer, in words."""
    overdue = not late.is_alive()
    child.kill()
    if overdue or child.wait() == -getattr(signal, "SIGXCPU", 0):
        return f"{name} takes too long to decode; save it anew, as PNG or TIFF, or send a part of it"
    return f"{name} is not an image that can be read; {ACCEPTED} files are"


def _environment() -> dict[str, Any]:
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
