"""What a command names becomes a training set, or is refused in words."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest
from files import saved, written

from sac.errors import DataError
from training.bring import Named, brought, title, training_set
from training.datasets.gather import SURVEY, TrainingSet
from training.datasets.sample import Sample

pytestmark = pytest.mark.usefixtures("no_trace")


def labels(nuclei: int = 2) -> np.ndarray:
    """Squares of 10 pixels in a row."""
    made = np.zeros((48, 64), np.uint16)
    for n in range(nuclei):
        made[10:20, 4 + 14 * n : 14 + 14 * n] = n + 1
    return made


def folder(place, image: np.ndarray, truth: np.ndarray):
    for part in ("images", "labels"):
        (place / part).mkdir(parents=True)
    written(place / "images" / "a.tif", image)
    saved(place / "labels" / "a.png", truth)
    return place


def test_a_folder_is_brought_under_its_last_two_names(tmp_path):
    made = folder(tmp_path / "lab" / "train", labels().astype(np.uint8) * 90, labels())
    named = Named((str(made), "owner/name"))
    assert named.titles == ("lab/train", "owner/name")
    found = training_set(Named((str(made),)), tmp_path / "out" / "set", resume=False)
    assert [f.source for f in found.survey.facts] == ["lab/train"] and found.survey.nuclei == 2


def test_a_title_does_not_tell_where_a_folder_lies(tmp_path, monkeypatch):
    (tmp_path / "train").mkdir()
    monkeypatch.chdir(tmp_path)
    assert title("train") == title(str(tmp_path / "train")) == f"{tmp_path.name}/train"


@pytest.mark.parametrize("name", ["nowhere", "/no/where", "no/such/folder", ""])
def test_what_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(DataError, match="is not there: a folder, a file or owner/name on the Hub"):
        list(brought(Named((name,)), tmp_path))


def test_a_resumed_training_keeps_its_set(tmp_path):
    made = folder(tmp_path / "train", labels().astype(np.uint8) * 90, labels())
    place = tmp_path / "set"
    training_set(Named((str(made),)), place, resume=False)
    saved(made / "labels" / "a.png", labels(3))
    assert training_set(Named((str(made),)), place, resume=True).survey.nuclei == 2
    assert training_set(Named((str(made),)), place, resume=False).survey.nuclei == 3
    (place / SURVEY).unlink()
    assert training_set(Named((str(made),)), place, resume=True).survey.nuclei == 3


def values(kind: str) -> np.ndarray:
    made = labels().astype(np.float32) * 0.3
    made[0, 0] = {"plain": 0, "nan": np.nan, "infinite": np.inf, "negative": -4e3, "huge": 3e38}[kind]
    return made


@pytest.mark.parametrize("kind", ["plain", "nan", "infinite", "negative", "huge"])
def test_float_images_are_read_or_refused_in_words(tmp_path, kind):
    made = folder(tmp_path / "train", values(kind), labels())
    try:
        found = training_set(Named((str(made),)), tmp_path / "set", resume=False)
    except DataError as error:
        assert "a.tif" in str(error)
    else:
        assert found[0].image.dtype == np.uint8 and found[0].image.shape == (48, 64, 3)
        assert found[0].image[15, 9].mean() < found[0].image[15, 23].mean() or kind == "huge"


def test_masks_that_are_all_empty_are_refused(tmp_path):
    made = folder(tmp_path / "train", labels().astype(np.uint8), labels(0))
    with pytest.raises(DataError, match="none of the 1 images has a nucleus"):
        training_set(Named((str(made),)), tmp_path / "set", resume=False)


def test_what_is_doubtful_is_printed(tmp_path, capsys):
    made = folder(tmp_path / "train", labels().astype(np.uint8) * 90, labels())
    saved(made / "images" / "b.png", np.zeros((8, 8), np.uint8))
    training_set(Named((str(made),)), tmp_path / "set", resume=False)
    said = capsys.readouterr().err
    assert "There are only 2 nuclei in all" in said and "b.png" in said


def test_folders_and_tables_come_together(tmp_path):
    made = folder(tmp_path / "train", labels().astype(np.uint8) * 90, labels())
    row = {name: _packed(pixels) for name, pixels in (("image", labels().astype(np.uint8) * 70), ("label", labels()))}
    pd.DataFrame([row]).to_parquet(tmp_path / "cells.parquet")
    place = tmp_path / "place"
    place.mkdir()
    found = list(brought(Named((str(made), str(tmp_path / "cells.parquet"))), place))
    assert [type(sample) for sample in found] == [Sample, Sample]
    assert len({sample.source for sample in found}) == 2
    assert all(sample.labels.max() == 2 for sample in found)
    assert isinstance(training_set(Named((str(made),)), tmp_path / "set", False), TrainingSet)


def _packed(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    saved(stream, pixels, format="PNG")
    return stream.getvalue()


def test_the_first_images_by_name_are_taken(tmp_path):
    made = folder(tmp_path / "train", labels().astype(np.uint8) * 90, labels())
    for name in "cb":
        saved(made / "images" / f"{name}.png", labels().astype(np.uint8) * 90)
        saved(made / "labels" / f"{name}.png", labels())
    taken = {count: [s.name for s in brought(Named((str(made),), first=count), tmp_path)] for count in (0, 1, 2, 9)}
    assert taken == {0: [*"abc"], 1: ["a"], 2: [*"ab"], 9: [*"abc"]}
