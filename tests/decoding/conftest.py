"""Files decoded in the test's own process, or in one of their own with a table of what that took."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from sac import decoding
from sac.config import View
from sac.decoding import child
from sac.decoding.decoded import Decoded
from sac.errors import ImageError

TABLE = pytest.StashKey[list]()
"""(kind of file, what came of it, seconds, MB) of each that was measured."""


@pytest.fixture
def here(monkeypatch):
    """Makes `read_image` and its like decode in this process, thirty times as fast: for what is not about processes."""

    def answered(path, name, view, stored=False):
        decoded = child.read(path, name, view, stored)
        facts = json.loads(json.dumps(decoded.facts()))
        values = np.ascontiguousarray(decoded.values, facts.pop("dtype"))
        assert list(values.shape) == facts.pop("shape")
        return Decoded.of(values, facts)

    monkeypatch.setattr("sac.images.decode", answered)
    monkeypatch.setattr("sac.labels.decode", answered)


class Watched(subprocess.Popen):
    """A process whose peak memory, in MB, and seconds of computing are followed while it runs: on Linux only."""

    peak, computing = 0.0, 0.0

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        Watched.peak = Watched.computing = 0.0
        threading.Thread(target=self.follow, daemon=True).start()

    def follow(self):
        home = Path(f"/proc/{self.pid}")
        try:
            while True:
                peak = re.search(r"VmHWM:\s*(\d+)", (home / "status").read_text())
                ticks = (home / "stat").read_text().rpartition(")")[2].split()[11:13]
                Watched.peak = int(peak[1]) * 1024 / 1e6
                Watched.computing = sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
                time.sleep(0.003)
        except (OSError, TypeError):  # it has ended
            return


@pytest.fixture
def measured(monkeypatch, request):
    """Decodes a file in a process of its own. Returns what is in it, or the sentence by which it is refused."""
    monkeypatch.setattr(decoding.subprocess, "Popen", Watched)

    def measure(kind, path, name=None, view=View()):
        row = [kind, "WRONG", 0.0, 0.0]
        request.config.stash.setdefault(TABLE, []).append(row)
        begun = time.monotonic()
        try:
            answer = decoding.decode(path, name or path.name, view)
        except ImageError as error:
            answer = str(error)
        row[2:] = time.monotonic() - begun, Watched.peak
        assert Watched.computing < 10 and Watched.peak < 1500
        return answer, row

    return measure


def pytest_terminal_summary(terminalreporter, config):
    rows = config.stash.get(TABLE, [])
    if not rows:
        return
    terminalreporter.section("files: read right or refused in words, each in a process of its own")
    wide = max(len(row[0]) for row in rows)
    for kind, came, seconds, peak in rows:
        terminalreporter.write_line(f"{kind:{wide}}  {came:16}  {seconds:5.2f} s  {peak:5.0f} MB")
