"""Files are decoded in a process of their own: bound in time and memory, told nothing, and believed little."""

import io
import json
import os
import subprocess
import sys
import warnings
from dataclasses import replace

import hostile
import numpy as np
import pytest
from files import content_of, grey, picture, saved, written
from kinds import READ

from sac import decoding
from sac.config import LIMITS, View
from sac.decoding.decoded import NAME, Decoded, spoken
from sac.errors import ImageError
from sac.images import open_file, read_image
from sac.labels import read_labels


def refusal(path, name=None, view=View()):
    with pytest.raises(ImageError) as caught:
        decoding.decode(path, name or path.name, view)
    return str(caught.value)


def test_a_region_in_an_odd_byte_order_comes_through(tmp_path):
    values = np.arange(24 * 700, dtype=np.uint16).reshape(700, 24)  # more rows than are answered at once
    decoded = decoding.decode(
        written(tmp_path / "a.tif", values, byteorder=">"), "a.tif", View(region=(3, 100, 7, 590))
    )
    assert np.array_equal(decoded.values[..., 0], values[100:690, 3:10]) and decoded.values.dtype == np.uint16
    assert decoded.size == (700, 24) and decoded.corner == (3, 100) and isinstance(decoded.notes, tuple)


def test_too_long_by_the_clock(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "LIMITS", replace(LIMITS, decoding_seconds=0.02))
    said = refusal(saved(tmp_path / "a.png", picture()))
    assert said == "a.png takes too long to decode; save it anew, as PNG or TIFF, or send a part of it"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory of one's own is bound on Linux only")
def test_too_much_memory(tmp_path):
    """8,000 x 8,192 pixels of three times 64 bit, in one strip: 1.6 GB, in a file of 2 MB."""
    path = hostile.zeros_tiff(tmp_path / "a.tif", 8_000, 8_192, 3, np.float64, 8_000)
    said = refusal(path)
    assert said.startswith("a.tif") and "1573 MB of intensities; up to 800 fit" in said
    said = refusal(path, view=View(region=(0, 0, 10, 10)))  # which the strip must be unpacked for
    assert said == "a.tif does not fit into memory; send a part of it, or one channel"


HUNDRED = {
    "100 megapixels: PNG, RGB": (lambda path: content_of(path, hostile.empty_png(10_000, 10_000)), 3, np.uint8),
    "100 megapixels: PNG, RGB, 16 bit": (
        lambda path: content_of(path, hostile.empty_png(10_000, 10_000, 16)), 3, np.uint16,
    ),
    "100 megapixels: TIFF, RGB and opacity": (
        lambda path: hostile.zeros_tiff(path, 10_000, 10_000, 4, np.uint8, 500), 4, np.uint8,
    ),
    "100 megapixels: TIFF, grey, 64 bit": (
        lambda path: hostile.zeros_tiff(path, 10_000, 10_000, 1, np.float64, 500), 1, np.float64,
    ),
}  # fmt: skip
"""As many pixels, and intensities, as a picture may have: maker, bands and type."""


@pytest.mark.parametrize("kind", HUNDRED)
def test_a_hundred_megapixels_fit(tmp_path, measured, kind):
    make, bands, dtype = HUNDRED[kind]
    answer, row = measured(kind, make(tmp_path / f"a.{kind[16:19].lower()}"))
    assert isinstance(answer, Decoded), answer
    assert answer.values.shape == (10_000, 10_000, bands) and answer.values.dtype == dtype
    row[1] = "read right"


def test_the_process_gets_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    seen = {}

    def spied(*arguments, **settings):
        seen.update(settings["env"])
        return real(*arguments, **settings)

    real = subprocess.Popen
    monkeypatch.setattr(decoding.subprocess, "Popen", spied)
    decoding.decode(saved(tmp_path / "a.png", picture()), "a.png", View())
    assert "PATH" in seen and not any("secret" in value for value in seen.values())


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"Segmentation fault\n",
        b"[]\n",
        b"{}\n",
        b'{"shape": [2, 2, 1], "dtype": "|O"}\n' + bytes(32),
        b'{"shape": [2, 2], "dtype": "|u1"}\n' + bytes(4),
        b'{"shape": [2, 2, 1], "dtype": "|u1"}\n' + bytes(3),
        b'{"shape": [-2, -2, 1], "dtype": "|u1"}\n' + bytes(4),
        b'{"shape": [0, 2, 1], "dtype": "|u1"}\n',
        b'{"shape": [100000, 100000, 1], "dtype": "|u1"}\n',
        b'{"shape": [2, 2, 1], "dtype": "|u1", "path": "/etc/passwd"}\n' + bytes(4),
        b'{"shape": [2, 2, 1], "dtype": "' + b"9" * 2**25 + b'"}\n',
    ],
)
def test_an_answer_that_is_none_is_not_believed(answer):
    with pytest.raises((ValueError, TypeError, KeyError)):
        decoding._answer(io.BytesIO(answer))


def test_an_answer_that_is_one():
    values = np.arange(6, dtype=np.uint16).reshape(1, 3, 2)
    facts = json.dumps(Decoded(values, notes=("a note",), size=(1, 3)).facts()).encode()
    decoded = decoding._answer(io.BytesIO(facts + b"\n" + values.tobytes()))
    assert np.array_equal(decoded.values, values) and decoded.notes == ("a note",) and decoded.size == (1, 3)


# What is no file, and what files are called


def test_what_is_no_file(tmp_path):
    (tmp_path / "folder.png").mkdir()
    os.symlink(tmp_path / "nowhere.png", tmp_path / "lost.png")
    assert refusal(tmp_path / "nowhere.png") == "nowhere.png: no such file"
    assert refusal(tmp_path / "lost.png") == "lost.png: no such file"
    assert refusal(tmp_path / "folder.png") == "folder.png is not a file"
    assert refusal(tmp_path / ("x" * 400 + ".png")).endswith(": no such file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes and devices of Unix")
def test_pipes_and_devices_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    assert refusal(tmp_path / "pipe.png") == "pipe.png is not a file"
    assert refusal(tmp_path / "zero.png") == "zero.png is not a file"


def test_a_link_to_a_picture_is_one(tmp_path):
    saved(tmp_path / "a.png", picture())
    os.symlink(tmp_path / "a.png", tmp_path / "b.png")
    assert np.array_equal(decoding.decode(tmp_path / "b.png", "b.png", View()).values, picture())


@pytest.mark.parametrize(
    "name, said",
    [
        ("two\nlines\r.png", "two\ufffdlines\ufffd.png"),
        ("turned\u202egnp.exe", "turned\ufffdgnp.exe"),
        ("half\udcff.png", "half\ufffd.png"),
        ("zero\0.png", "zero\ufffd.png"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),  # the page escapes it
        ("Zellkärne 細胞.png", "Zellkärne 細胞.png"),
        ("a" * 400 + ".png", "a" * 50 + "…" + "a" * 46 + ".png"),
    ],
)
def test_names_as_sentences_say_them(tmp_path, name, said):
    assert spoken(name) == said and len(spoken(name)) <= NAME + 1
    path = content_of(tmp_path / "upload.png", b"no image")
    for read in (decoding.decode, lambda path, name, view: open_file(path, name, view)):
        with pytest.raises(ImageError) as caught:
            read(path, name, View())
        assert str(caught.value).startswith(f"{said} is not an image that can be read") and "\n" not in str(
            caught.value
        )


def test_names_as_all_sentences_say_them(tmp_path):
    path = saved(tmp_path / "upload.png", picture())
    for read in (lambda: open_file(path, "a\nb.png", View(channel=9)), lambda: read_labels(path, (9, 9), "a\nb.png")):
        with pytest.raises(ImageError, match="^a\ufffdb.png "):
            read()


def test_a_file_of_an_undecodable_name(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.png")
    try:
        path.write_bytes(saved(tmp_path / "a.png", picture()).read_bytes())
    except OSError:
        pytest.skip("names are Unicode here")
    assert np.array_equal(read_image(path).pixels, picture())


# A few hundred damaged files

SEEDS = 300


def damaged(rng, whole):
    """A file's bytes cut off, or with some bits, bytes or numbers changed."""
    content, way = bytearray(whole), rng.integers(5)
    if way == 0:
        return bytes(content[: rng.integers(len(content))])
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(min(len(content), rng.choice([40, 400, len(content)])) - 4))
        if way == 1:
            content[at] ^= 1 << int(rng.integers(8))
        elif way == 2:
            content[at] = int(rng.choice([0, 1, 127, 128, 255]))
        elif way == 3:
            content[at : at + 4] = int(rng.choice([0, 1, 2**16, 2**31, 2**32 - 1])).to_bytes(
                4, str(rng.choice(["little", "big"]))
            )
        else:
            del content[at : at + int(rng.integers(1, 20))]
    return bytes(content)


LOOP = """
import sys, warnings
from pathlib import Path
from sac.config import View
from sac.decoding import child
from sac.errors import ImageError
child._limit()
warnings.simplefilter("ignore")
for line in sys.stdin:
    path = Path(line.strip())
    try:
        print("read", child.read(path, path.name, View()).values.shape, flush=True)
    except ImageError as error:
        print("refused", error, flush=True)
"""


def test_damaged_files_are_read_or_refused_in_words(tmp_path):
    rng, paths = np.random.default_rng(0), []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wholes = [(name, make(tmp_path / f"{n}-{name}").read_bytes()) for n, (_, name, make, _) in enumerate(READ)]
    for number in range(SEEDS):
        name, whole = wholes[number % len(wholes)]
        paths.append(content_of(tmp_path / f"damaged-{number}-{name}", damaged(rng, whole)))
    said = []
    while (
        len(said) < SEEDS
    ):  # a library that ends the process, as OpenSlide's does for want of memory, ends none but it
        said += [*answers(paths[len(said) :]), "ended"]
    said = said[:SEEDS]
    for path, line in zip(paths, said):
        refused = line.startswith(f"refused {path.name}") and str(tmp_path) not in line
        assert line.startswith("read (") or refused or line == "ended"
    assert 30 < sum(line.startswith("read") for line in said) < SEEDS - 30 and said.count("ended") < 3


def answers(paths):
    """What a process says of files, up to the one that ends it."""
    settings = {"capture_output": True, "text": True, "timeout": 100, "cwd": decoding.ROOT}
    settings["input"] = "\n".join(map(str, paths))
    return subprocess.run([sys.executable, "-c", LOOP], **settings).stdout.splitlines()  # noqa: PLW1510


def test_sixteen_bit_is_spoken_of_in_words(tmp_path):
    image = read_image(written(tmp_path / "deep.tif", grey().astype(np.uint16) * 9, byteorder=">"))
    assert image.notes[0].startswith("uint16 intensities from")
