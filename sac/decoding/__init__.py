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
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from sac.config import LIMITS, View
from sac.decoding.decoded import ACCEPTED, Decoded, spoken
from sac.errors import ImageError

ROOT = Path(__file__).parents[2]
KEPT = (
    "PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT", "TEMP", "LANG", "LC_ALL",
    "LC_CTYPE",
)  # fmt: skip
"""Variables of the environment that the process gets: no token is among them."""


def decode(path: Path, name: str, view: View) -> Decoded:
    """Reads what `view` asks of a file, judged by its header first. Raises ImageError in one plain sentence."""
    name = spoken(name)
    if not os.path.isfile(path):  # unlike Path.is_file, False for a name that the system refuses, too
        raise ImageError(f"{name} is not a file" if os.path.exists(path) else f"{name}: no such file")
    asked = {"path": str(path.resolve()), "name": name, "view": asdict(view)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    begun = time.monotonic()
    with subprocess.Popen([sys.executable, "-m", "sac.decoding.child"], cwd=ROOT, env=_environment(), **pipes) as child:
        late = threading.Timer(LIMITS.decoding_seconds, child.kill)
        late.start()
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.close()
            return _answer(child.stdout)
        except (OSError, ValueError, TypeError, KeyError) as error:  # no answer, or half of one
            child.kill()
            raise ImageError(_end(name, child.wait(), time.monotonic() - begun)) from error
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


def _end(name: str, status: int, seconds: float) -> str:
    """Why the child ended with that exit status, and no answer, in words."""
    if seconds >= LIMITS.decoding_seconds or status == -getattr(signal, "SIGXCPU", 0):
        return f"{name} takes too long to decode; save it anew, as PNG or TIFF, or send a part of it"
    return f"{name} is not an image that can be read; {ACCEPTED} files are"


def _environment() -> dict[str, Any]:
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
