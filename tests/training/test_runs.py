"""Run lengths of the Data Science Bowl: worked out by hand, and what is hostile."""

import zipfile

import numpy as np
import pytest
from files import content_of, grey, saved

from sac.errors import DataError
from training.datasets import runs
from training.datasets.files import samples
from training.datasets.runs import RunTable, decoded
from training.datasets.sample import Sample


def drawn(text, size=(3, 4), image="a"):
    return RunTable(text.encode(), "t.csv").drawn(f"x/{image}.png", size).labels


def test_pixels_are_counted_from_one_on_down_the_columns():
    # 1 4 7 10
    # 2 5 8 11
    # 3 6 9 12
    labels = drawn("ImageId,EncodedPixels\na,1 1\na,3 2 8 1\na,11 2\nb,1 12\n")
    assert labels.tolist() == [[1, 2, 0, 0], [0, 0, 2, 3], [2, 0, 0, 3]]


def test_runs_become_starts_and_ends_in_order():
    assert [ends.tolist() for ends in decoded("3 2 8 1", 12)] == [[2, 7], [4, 8]]
    assert [ends.tolist() for ends in decoded("8 1 3 2", 12)] == [[2, 7], [4, 8]]
    assert [ends.tolist() for ends in decoded("1 6 7 6", 12)] == [[0, 6], [6, 12]]
    assert [ends.tolist() for ends in decoded("  ", 12)] == [[], []]


def test_ignored_rows_and_other_sizes():
    head = "ImageId,EncodedPixels,Height,Width,Usage\n"
    table = RunTable(
        f"{head}A,1 1,3,4,Private\nA,5 1,3,4,Ignored\nb,1 1,3,4,Ignored\nc,,3,4,Public\n".encode(), "t.csv"
    )
    assert table.names == ["a.png", "c.png"]  # nothing is known of b; c has no nucleus
    assert np.count_nonzero(table.drawn("a.png", (3, 4)).labels) == 1 and not table.drawn("c.png", (3, 4)).labels.any()
    with pytest.raises(DataError, match=r"a\.png: of \(4, 3\) as a file, and of \(3, 4\) \(height, width\) in t\.csv"):
        table.drawn("a.png", (4, 3))


@pytest.mark.parametrize(
    "encoded, words",
    [
        ("1", "pairs START LENGTH"),
        ("1 2 3", "pairs START LENGTH"),
        ("one 2", "pairs START LENGTH"),
        ("-1 2", "pairs START LENGTH"),
        ("1.5 2", "pairs START LENGTH"),
        ("1e3 2", "pairs START LENGTH"),
        ("1 ٢", "pairs START LENGTH"),
        ("1 " + "9" * 5000, "pairs START LENGTH"),
        ("9999999999 9999999999", "beyond the image's 12 pixels"),
        ("0 2", "beyond the image's 12 pixels"),
        ("12 2", "beyond the image's 12 pixels"),
        ("13 1", "beyond the image's 12 pixels"),
        ("3 0", "beyond the image's 12 pixels"),
        ("1 3 3 2", "overlap"),
        ("1 12 2 1 9 1", "overlap"),
    ],
)
def test_hostile_rows_are_refused_for_their_image_alone(encoded, words):
    text = f"ImageId,EncodedPixels\na,1 1\na,{encoded}\nb,2 1\n"
    with pytest.raises(DataError, match=r"^x/a\.png: a nucleus has .* in t\.csv$") as refused:
        drawn(text)
    assert words in str(refused.value) and len(str(refused.value)) < 120
    assert drawn(text, image="b").sum() == 1


@pytest.mark.parametrize("told", ["3,x", "999999999999999999999999,4", ",4", "3", "-3,-4"])
def test_sizes_that_are_none_are_refused(told):
    with pytest.raises(DataError, match=r"as a file, and of .* \(height, width\) in t\.csv"):
        drawn(f"ImageId,EncodedPixels,Height,Width\na,1 1,{told}\n")


@pytest.mark.parametrize(
    "content, words",
    [
        (b"ImageId,EncodedPixels\n,1 1\n", "t.csv has no ImageId in row 1"),
        (b"ImageId,EncodedPixels\n\xff\xfe,1 1\n", "t.csv is no CSV that can be read"),
        (b"ImageId,EncodedPixels\na," + b"1 1 " * 50_000 + b"\n", "t.csv is no CSV that can be read"),
    ],
)
def test_tables_that_are_none_are_refused(content, words):
    with pytest.raises(DataError) as refused:
        RunTable(content, "t.csv")
    assert str(refused.value) == words


def test_a_table_of_too_many_rows_is_refused(monkeypatch):
    monkeypatch.setattr(runs, "ROWS", 2)
    with pytest.raises(DataError, match="t.csv has more than 2 rows"):
        drawn("ImageId,EncodedPixels\na,1 1\na,2 1\na,3 1\n")


def test_nuclei_that_cover_the_image_too_often_are_refused():
    with pytest.raises(DataError, match="more than 50 times"):
        drawn("ImageId,EncodedPixels\n" + "a,1 12\n" * 51)


@pytest.mark.parametrize("head", ["name,grade", "", "ImageId,Other", "\xff"])
def test_other_tables_are_not_taken_for_it(tmp_path, head):
    assert runs.read(content_of(tmp_path / "t.csv", head.encode("latin-1")), "t.csv") is None


def test_a_spreadsheets_mark_and_quotes_are_read_over(tmp_path):
    content = '\ufeff"ImageId","EncodedPixels"\r\n"a","1 1"\r\n'.encode()
    assert runs.read(content_of(tmp_path / "t.csv", content), "t.csv").names == ["a.png"]


def test_a_table_among_other_files(tmp_path):
    """One image whose row is wrong, one without rows, and a CSV of something else."""
    for name in "abc":
        saved(tmp_path / f"{name}.png", grey(3, 4))
    content_of(tmp_path / "runs.csv", b"ImageId,EncodedPixels\na,1 3\nb,12 2\n")
    content_of(tmp_path / "grade.csv", b"name,grade\na,1\n")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(tmp_path.glob("*.*g")) + sorted(tmp_path.glob("*.csv")):
            archive.write(path, f"images/{path.name}")
    (tmp_path / "room").mkdir()
    found = list(samples([tmp_path / "all.zip"], tmp_path / "room"))
    (good,) = (sample for sample in found if isinstance(sample, Sample))
    bad = [str(error) for error in found if isinstance(error, DataError)]
    assert good.name == "a" and good.labels.tolist() == [[1, 0, 0, 0]] * 3
    assert len(bad) == 3 and bad[0].startswith("images/b.png: a nucleus has a run beyond the image's 12 pixels")
    assert "images/c.png has no labels" in bad[1] and bad[2].endswith("left out: images/grade.csv")
