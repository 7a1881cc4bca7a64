"""The benchmark: a table with a row per data folder and method, from figures that can be worked out again."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sac.gland_metrics import gland_scores
from sac.metrics import score
from training.__main__ import main
from training.baselines.classical import otsu_watershed
from training.benchmark.scores import scores


@pytest.fixture
def folder(tmp_path):
    """A data folder of two pictures of bright discs on dark, with their labels."""
    for part in ("images", "labels"):
        (tmp_path / "discs" / "val" / part).mkdir(parents=True)
    y, x = np.mgrid[:160, :160]
    for number, places in enumerate([((40, 40), (110, 50)), ((50, 100), (100, 40), (120, 120))]):
        labels = np.zeros((160, 160), np.uint16)
        for label, (cx, cy) in enumerate(places, start=1):
            labels[(x - cx) ** 2 + (y - cy) ** 2 < 12**2] = label
        pixels = np.repeat(np.where(labels > 0, 190, 15).astype(np.uint8)[..., None], 3, axis=2)
        Image.fromarray(pixels).save(tmp_path / "discs" / "val" / "images" / f"{number}.png")
        Image.fromarray(labels).save(tmp_path / "discs" / "val" / "labels" / f"{number}.png")
    return tmp_path / "discs" / "val"


def test_table_holds_the_means_of_what_the_metrics_say(folder, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["benchmark", "--data", str(folder), "--methods", "otsu", "generator", "sac", "--out", str(out)]
    assert main(arguments) == 0
    table = pd.read_csv(out / "table.csv").set_index("method")
    assert list(table.index) == ["otsu", "generator", "sac"] and set(table["data"]) == {"discs/val"}
    expected = []
    for number in (0, 1):
        pixels = np.array(Image.open(folder / "images" / f"{number}.png"))
        truth = np.array(Image.open(folder / "labels" / f"{number}.png"))
        expected.append(score(truth, otsu_watershed(pixels)).msa)
    assert table.loc["otsu", "msa"] == pytest.approx(np.mean(expected), abs=1e-3)
    assert table.loc["otsu", "dice"] > 0.9 and table.loc["sac", "dice"] > 0.8
    assert len(pd.read_csv(out / "images.csv")) == 6
    assert (out / "table.md").read_text() in capsys.readouterr().out
    assert Image.open(out / "table.png").width > 100


def test_glands_have_the_scores_of_their_challenge_too(folder, tmp_path):
    out = tmp_path / "out"
    assert main(["benchmark", "--data", str(folder), "--methods", "otsu", "--glands", "--out", str(out)]) == 0
    images = pd.read_csv(out / "images.csv")
    for number, row in zip((0, 1), images.itertuples()):
        pixels = np.array(Image.open(folder / "images" / f"{number}.png"))
        truth = np.array(Image.open(folder / "labels" / f"{number}.png"))
        assert row.object_dice == pytest.approx(gland_scores(truth, otsu_watershed(pixels)).object_dice)
    assert list(pd.read_csv(out / "table.csv").columns[-4:-1]) == ["object_dice", "object_f1", "object_hausdorff"]


def test_where_nothing_is_found_the_distance_is_the_diagonal():
    truth = np.zeros((30, 40), np.int32)
    truth[5:9, 5:9] = 1
    assert scores(truth, np.zeros_like(truth), glands=True)["object_hausdorff"] == 50
    assert "object_dice" not in scores(truth, truth, glands=False)


def test_names_have_blanks_or_are_not_there(folder, tmp_path):
    for part in ("images", "labels"):
        (folder / part / "1.png").rename(folder / part / "field 1.png")
    names = tmp_path / "names.txt"
    arguments = ["benchmark", "--data", str(folder), "--methods", "otsu", "--out", str(tmp_path / "out"), "--names"]
    names.write_text("field 1\n")
    assert main([*arguments, str(names)]) == 0
    assert pd.read_csv(tmp_path / "out" / "images.csv")["image"].tolist() == ["field 1"]
    for wrong in ("field\n1\n", "field 1\nnone\n", "\n"):
        names.write_text(wrong)
        assert main([*arguments, str(names)]) == 1


def test_nuclei_of_stained_tissue_are_its_haematoxylin():
    """Blue nuclei on pink, so many that they touch most of the border; grey would take the light gaps for nuclei."""
    y, x = np.mgrid[:120, :120]
    inside = ((y % 20 - 10) ** 2 + (x % 20 - 10) ** 2 < 81) & ~((y > 58) & (y < 62))
    pixels = np.where(inside[..., None], (110, 80, 160), (235, 170, 200)).astype(np.uint8)
    found = otsu_watershed(pixels)
    assert ((found > 0) == inside).mean() > 0.9 and found.max() == 36


def test_means_are_told_by_the_look_of_the_pictures_where_looks_differ(folder, tmp_path, capsys):
    arguments = ["benchmark", "--data", str(folder), "--methods", "otsu", "--out", str(tmp_path / "out")]
    assert main(arguments) == 0 and "By the look" not in capsys.readouterr().out
    path = folder / "images" / "1.png"
    Image.fromarray(255 - np.array(Image.open(path))).save(path)
    assert main(arguments) == 0 and "By the look" in capsys.readouterr().out
    images, looks = (pd.read_csv(tmp_path / "out" / f"{name}.csv") for name in ("images", "looks"))
    assert looks["look"].tolist() == images["look"].tolist() == ["grey, dark", "grey, bright"]
    assert looks["images"].tolist() == [1, 1] and looks["msa"].tolist() == images["msa"].round(4).tolist()


def test_names_choose_images(folder, tmp_path):
    (tmp_path / "names.txt").write_text("1\n")
    arguments = ["benchmark", "--data", str(folder), "--methods", "otsu", "--out", str(tmp_path / "out")]
    assert main([*arguments, "--names", str(tmp_path / "names.txt")]) == 0
    assert pd.read_csv(tmp_path / "out" / "images.csv")["image"].tolist() == [1]


@pytest.mark.parametrize(
    ("change", "word"), [(["--methods", "magic"], "unknown method 'magic'"), (["--models", "a", "b"], "2 models for 1")]
)
def test_what_does_not_fit_is_said(folder, tmp_path, capsys, change, word):
    assert main(["benchmark", "--data", str(folder), "--out", str(tmp_path / "out"), *change]) == 1
    assert word in capsys.readouterr().err
