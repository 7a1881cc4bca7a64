"""Which formats there are, what their files are called, and zips of them."""

import io
import subprocess
import sys
import weakref
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from export_cases import case, labels_by_hand, nothing, result

from sac.errors import OptionError
from sac.export import CONTRACT, FILES, geojson, safe_stem, summary_csv, write_all, zipped, zipped_all

ROOT = Path(__file__).resolve().parents[2]
NAMES = {"labels.tif", "overlay.png", "prompts.json", "nuclei.csv", "geojson"}
MORE = {"preview.png", "outlines.png", "rois.zip", "coco.json", "summary.csv", "areas.png"}


def test_the_formats():
    assert tuple(FILES)[:5] == CONTRACT and set(CONTRACT) == NAMES and set(FILES) == NAMES | MORE


def test_files_are_named_after_the_image(tmp_path):
    paths = write_all(result(name="slide 3.v2.png"), tmp_path / "new" / "folder")
    assert [path.name for path in paths] == [f"slide 3.v2.{ending}" for ending in CONTRACT]
    assert set((tmp_path / "new" / "folder").iterdir()) == set(paths)
    assert np.array_equal(tifffile.imread(tmp_path / "new" / "folder" / "slide 3.v2.labels.tif"), labels_by_hand())


def test_only_the_formats_that_were_asked_for_are_written(tmp_path):
    write_all(result(), tmp_path, ("rois.zip", "summary.csv"))
    assert {path.name for path in tmp_path.iterdir()} == {"cells.rois.zip", "cells.summary.csv"}
    assert (tmp_path / "cells.summary.csv").read_bytes() == summary_csv(result())


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(OptionError, match="unknown format 'svg'.*labels.tif.*areas.png"):
        write_all(result(), tmp_path / "out", ("labels.tif", "svg"))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["by hand", "nothing", "an odd name", "a huge name"])
def test_the_zip_holds_all_formats(name):
    made = case(name)
    stem = safe_stem(made.image.name)
    with zipfile.ZipFile(io.BytesIO(zipped(made))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{stem}.{ending}" for ending in FILES]
        assert archive.read(f"{stem}.geojson") == geojson(made)
        assert np.array_equal(tifffile.imread(io.BytesIO(archive.read(f"{stem}.labels.tif"))), made.found.labels)


def test_many_pictures_have_a_folder_each_and_one_table():
    results = [result(name="a.png"), nothing(name="b.tif"), case("five channels")]
    with zipfile.ZipFile(io.BytesIO(zipped_all(iter(results)))) as archive:
        folders = {"a": "a", "b": "b", "cells": "cells"}
        members = {f"{folder}/{stem}.{ending}" for folder, stem in folders.items() for ending in FILES}
        assert archive.testzip() is None and set(archive.namelist()) == members | {"summary.csv"}
        read = pd.read_csv(io.BytesIO(archive.read("summary.csv")))
    assert read["image"].tolist() == ["a.png", "b.tif", "cells.png"] and read["nuclei"].tolist() == [4, 0, 4]


def test_no_picture_takes_anothers_folder_on_any_system():
    """Neither where case does not count, nor where one Hangul syllable and its two letters are the same name."""
    names = [
        "x.png",
        "x.tif",
        "X.png",
        "x-2.png",
        "\uac00.png",
        "\u1100\u1161.png",
        "summary.csv.png",
        "Summary.CSV.png",
    ]
    with zipfile.ZipFile(io.BytesIO(zipped_all(nothing(name=name) for name in names))) as archive:
        folders = {name.split("/")[0] for name in archive.namelist() if "/" in name}
        assert len(archive.namelist()) == len(set(archive.namelist())) == len(names) * len(FILES) + 1
    assert folders == {
        "x", "x-2", "X-3", "x-2-2", "\uac00", "\u1100\u1161-2", "summary.csv-2", "Summary.CSV-3",
    }  # fmt: skip


def test_a_zip_of_no_pictures_is_one():
    with zipfile.ZipFile(io.BytesIO(zipped_all([]))) as archive:
        assert archive.namelist() == ["summary.csv"]


def test_pictures_are_let_go_once_they_are_in_the_zip():
    held = []

    def made():
        for number in range(4):
            assert sum(one() is not None for one in held) <= 1  # the one just zipped
            one = replace(result(), model=str(number))
            held.append(weakref.ref(one))
            yield one
            del one

    with zipfile.ZipFile(io.BytesIO(zipped_all(made()))) as archive:
        assert pd.read_csv(io.BytesIO(archive.read("summary.csv")))["model"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "name, stem",
    [
        ("cells.png", "cells"), ("cells", "cells"), ("a.b.tif", "a.b"), ("x.ome.tif", "x.ome"), (".hidden", "hidden"),
        (".hidden.png", "hidden"), ("Gewebe ä 核.png", "Gewebe ä 核"), ("a/b\\c:d*e?f.png", "a_b_c_d_e_f"),
        ("a\nb\0c.png", "a_b_c"), (" spaced .png", "spaced"), ("", "image"), ("...", "image"), (" ", "image"),
    ],
)  # fmt: skip
def test_a_stem_is_what_is_left_without_ending_and_odd_characters(name, stem):
    assert safe_stem(name) == stem


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", "/root/x.png", "..\\..\\x.png", "C:\\x.png", "\udcff.png"])
def test_a_stem_never_leaves_its_folder(tmp_path, name):
    paths = write_all(result(name=name), tmp_path, FILES)
    assert len(paths) == len(FILES) and set(tmp_path.iterdir()) == set(paths)


@pytest.mark.parametrize("name", ["n" * 400 + ".png", "核" * 100 + ".png", "n" * 119 + " m.png"])
def test_a_long_name_is_cut_to_what_every_system_takes(tmp_path, name):
    stem = safe_stem(name)
    assert name.startswith(stem) and stem == stem.strip(". ")
    assert len(write_all(result(name=name), tmp_path)) == 5


def test_matplotlib_waits_until_a_chart_is_wanted():
    code = "import sys, sac.export; print('matplotlib' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
