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
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Self

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


def decode(path: Path, name: str, view: View, stored: bool = False) -> Decoded:
    """Reads what `view` asks of a file, judged by its header first. Raises ImageError in one plain sentence.

    stored: numbers as they are stored, where a picture would be made of the colours that they stand for.
    """
    with Decoder(lasting=False) as decoder:
        return decoder.decode(path, name, view, stored)


class Decoder:
    """A process that decodes one person's files, one after the other: a file that ends it costs the next a new one.

    lasting: whether more than one file is to come; of a single one, not even the process can raise the limits.
    """

    def __init__(self, lasting: bool = True):
        self.lasting = lasting
        self._child: subprocess.Popen | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def decode(self, path: Path, name: str, view: View, stored: bool = False) -> Decoded:
        """The same, by this process."""
        name = spoken(name)
        if not os.path.isfile(path):  # unlike Path.is_file, False for a name that the system refuses, too
            raise ImageError(f"{name} is not a file" if os.path.exists(path) else f"{name}: no such file")
        asked = {"path": str(path.resolve()), "name": name, "view": asdict(view), "stored": stored}
        asked["more"] = self.lasting
        begun, child = time.monotonic(), self._ready()
        late = threading.Timer(LIMITS.decoding_seconds, child.kill)
        late.start()
        try:
            child.stdin.write(json.dumps(asked).encode() + b"\n")
            child.stdin.flush()
            return _answer(child.stdout)
        except (OSError, ValueError, TypeError, KeyError) as error:  # no answer, or half of one
            raise ImageError(_why(name, self._end(), time.monotonic() - begun)) from error
        except BaseException as error:
            if not isinstance(error, ImageError):  # an answer that nobody waited for must not become the next file's
                self._end()
            raise
        finally:
            late.cancel()

    def _ready(self) -> subprocess.Popen:
        """The process, or a new one where there is none or it has ended."""
        if self._child and self._child.poll() is not None:
            self._end()
        if not self._child:
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            command = [sys.executable, "-m", "sac.decoding.child"]
            self._child = subprocess.Popen(command, cwd=ROOT, env=_environment(), **pipes)
        return self._child

    def _end(self) -> int:
        """Ends the process, where there is one. Returns its exit status."""
        child, self._child = self._child, None
        if not child:
            return 0
        child.kill()
        with suppress(OSError):  # what it was not told before it ended
            child.stdin.close()
        child.stdout.close()
        return child.wait()


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


def _why(name: str, status: int, seconds: float) -> str:
    """Why the child ended with that exit status, and no answer, in words."""
    if seconds >= LIMITS.decoding_seconds or status == -getattr(signal, "SIGXCPU", 0):
        return f"{name} takes too long to decode; save it anew, as PNG or TIFF, or send a part of it"
    return f"{name} is not an image that can be read; {ACCEPTED} files are"


def _environment() -> dict[str, Any]:
    return {name: os.environ[name] for name in KEPT if name in os.environ} | {"OPENBLAS_NUM_THREADS": "1"}
