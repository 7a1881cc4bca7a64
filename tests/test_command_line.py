"""`python -m sac segment`: five files per image; a bad file among good ones is named and passed over."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from sac.__main__ import main
from sac.ui.examples import generated_field

ENDINGS = ("labels.tif", "overlay.png", "prompts.json", "nuclei.csv", "geojson")


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A generated field of 256 x 200 pixels as a PNG file."""
    path = tmp_path_factory.mktemp("images") / "field of view.png"
    Image.fromarray(generated_field(side=256, count=40).pixels[:200]).save(path)
    return path


def test_five_files_that_agree(field, tmp_path):
    assert main(["segment", str(field), "--out", str(tmp_path)]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(f"field of view.{ending}" for ending in ENDINGS)
    labels = tifffile.imread(tmp_path / "field of view.labels.tif")
    assert labels.shape == (200, 256) and labels.dtype == np.uint16
    count = int(labels.max())
    assert 20 <= count <= 45  # 40 ellipses, some hidden or beside the cut
    table = pd.read_csv(tmp_path / "field of view.nuclei.csv")
    assert table["area_px"].tolist() == np.bincount(labels.ravel())[1:].tolist()
    assert len(json.loads((tmp_path / "field of view.geojson").read_text())["features"]) == count
    prompts = json.loads((tmp_path / "field of view.prompts.json").read_text())["prompts"]
    assert sorted(row["nucleus"] for row in prompts if row["nucleus"]) == list(range(1, count + 1))
    assert np.array(Image.open(tmp_path / "field of view.overlay.png")).shape == (200, 256, 3)


def test_a_bad_file_among_good_ones(field, tmp_path, capsys):
    bad = tmp_path / "broken.png"
    bad.write_bytes(field.read_bytes()[:100])
    out = tmp_path / "out"
    assert main(["segment", str(bad), str(field), "--out", str(out), "--mode", "semantic"]) == 1
    said = [line for line in capsys.readouterr().err.splitlines() if "broken" in line]
    assert said == ["broken.png is not an image that can be read; PNG, JPEG, WebP, BMP, TIFF and whole-slide files are"]
    assert len(list(out.iterdir())) == 5


def test_two_files_of_one_name_do_not_overwrite_each_other(field, tmp_path, capsys):
    other = tmp_path / field.name.replace("png", "bmp").upper()  # the same name to macOS and to Windows
    Image.open(field).save(other)
    assert main(["segment", str(field), str(other), "--out", str(tmp_path / "out")]) == 1
    assert "rename one of them" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "value", "word"), [("--model", "nonesuch", "no checkpoint 'nonesuch'"), ("--device", "cuda:9", "cuda:9")]
)
def test_what_cannot_be_had_is_said(field, tmp_path, capsys, flag, value, word):
    assert main(["segment", str(field), "--out", str(tmp_path / "out"), flag, value]) == 1
    assert word in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
