"""One process for many files: as right as one for each, and a file that ends it costs the next nothing."""

import os
import signal
import subprocess
import sys
from dataclasses import replace

import hostile
import numpy as np
import pytest
from files import content_of, grey, picture, saved, written

from sac import decoding
from sac.config import LIMITS, View
from sac.decoding import Decoder
from sac.errors import ImageError
from sac.images import read_image


def refusal(decoder, path):
    with pytest.raises(ImageError) as caught:
        decoder.decode(path, path.name, View())
    return str(caught.value)


def test_files_one_after_the_other(tmp_path):
    paths = [saved(tmp_path / "a.png", picture()), written(tmp_path / "b.tif", grey().astype(np.uint16))]
    with Decoder() as decoder:
        first, second = (decoder.decode(path, path.name, View()).values for path in paths)
        child = decoder._child
        assert np.array_equal(first, picture()) and np.array_equal(second[..., 0], grey())
        assert "no image" not in refusal(decoder, content_of(tmp_path / "c.png", b"Dear colleague"))
        assert refusal(decoder, tmp_path / "d.png") == "d.png: no such file"
        assert np.array_equal(read_image(paths[0], decoder=decoder).pixels, picture())
        assert decoder._child is child  # a refusal in words ends nothing
    assert child.poll() is not None and decoder._child is None


def test_a_process_that_has_ended_is_replaced(tmp_path):
    path = saved(tmp_path / "a.png", picture())
    with Decoder() as decoder:
        decoder.decode(path, "a.png", View())
        os.kill(decoder._child.pid, signal.SIGKILL)
        decoder._child.wait()
        assert np.array_equal(decoder.decode(path, "a.png", View()).values, picture())


def test_a_file_that_ends_the_process_is_refused_and_the_next_is_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", picture())
    monkeypatch.setattr(decoding, "_answer", lambda stream: (os.kill(decoder._child.pid, signal.SIGSEGV), ended())[1])
    with Decoder() as decoder:
        assert refusal(decoder, path).startswith("a.png is not an image that can be read")
        monkeypatch.undo()
        assert np.array_equal(decoder.decode(path, "a.png", View()).values, picture())


def ended():
    raise ValueError("the values end early")


def test_an_answer_that_nobody_waited_for_is_not_the_next_files(tmp_path, monkeypatch):
    first, second = saved(tmp_path / "a.png", picture()), saved(tmp_path / "b.png", picture()[::-1])

    def interrupted(stream):
        raise KeyboardInterrupt

    with Decoder() as decoder:
        monkeypatch.setattr(decoding, "_answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(first, "a.png", View())
        monkeypatch.undo()
        assert np.array_equal(decoder.decode(second, "b.png", View()).values, picture()[::-1])


def test_too_long_by_the_clock_costs_one_file(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", picture())
    with Decoder() as decoder:
        monkeypatch.setattr(decoding, "LIMITS", replace(LIMITS, decoding_seconds=0.02))
        assert "takes too long to decode" in refusal(decoder, path)
        monkeypatch.undo()
        assert np.array_equal(decoder.decode(path, "a.png", View()).values, picture())


def test_too_much_computing_costs_one_file(tmp_path):
    path = saved(tmp_path / "a.png", picture())
    with Decoder() as decoder:
        assert "takes too long to decode" in refusal(decoder, hostile.many_scans(tmp_path / "b.jpg"))
        assert np.array_equal(decoder.decode(path, "a.png", View()).values, picture())


COMPUTING = """
import time
from dataclasses import replace
from sac.decoding import child
child.LIMITS = replace(child.LIMITS, decoding_cpu=1)
def compute(seconds):
    begun = time.process_time()
    while time.process_time() - begun < seconds: pass
for _ in range(4):
    child._limit_computing(True)
    compute(0.6)
print("four files", flush=True)
child._limit_computing({more})
compute(9)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of Unix")
@pytest.mark.parametrize("more", [True, False])
def test_seconds_of_computing_are_bound_for_each_file(more):
    command = [sys.executable, "-c", COMPUTING.format(more=more)]
    ran = subprocess.run(command, cwd=decoding.ROOT, capture_output=True, text=True, check=False)
    assert ran.stdout == "four files\n" and ran.returncode == -signal.SIGXCPU


def test_a_hundred_megapixels_fit_after_other_files(tmp_path):
    """What earlier files took of the process's memory is given back."""
    large = hostile.zeros_tiff(tmp_path / "a.tif", 10_000, 10_000, 1, np.float64, 500)
    with Decoder() as decoder:
        for number in range(3):
            small = saved(tmp_path / f"{number}.png", picture(1000, 1000))
            assert decoder.decode(small, "b.png", View()).values.shape == (1000, 1000, 3)
            assert decoder.decode(large, "a.tif", View()).values.shape == (10_000, 10_000, 1)
