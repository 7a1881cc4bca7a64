"""A data folder: what is paired, what is refused, and how often each image is drawn."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sac.errors import DataError
from training.datasets.folder import find_pairs, load, load_all


@pytest.fixture
def folder(tmp_path):
    """Two pairs with different suffixes and labels above 255."""
    (tmp_path / "images").mkdir()
    (tmp_path / "labels").mkdir()
    rng = np.random.default_rng(0)
    for name in ("b", "a"):
        Image.fromarray(rng.integers(0, 255, (6, 8, 3)).astype(np.uint8)).save(tmp_path / "images" / f"{name}.png")
        labels = np.zeros((6, 8), np.uint16)
        labels[2:4, 1:3] = 300
        Image.fromarray(labels).save(tmp_path / "labels" / f"{name}.tif")
    return tmp_path


def test_pairs_are_found_by_stem_in_order(folder):
    pairs = find_pairs(folder)
    assert [p.name for p in pairs] == ["a", "b"]
    assert [(p.image.name, p.labels.name) for p in pairs] == [("a.png", "a.tif"), ("b.png", "b.tif")]


def test_other_files_are_passed_over(folder):
    (folder / "images" / "notes.txt").write_text("no image")
    (folder / "labels" / "c.png").write_bytes(b"labels of an image that is not here")
    assert len(find_pairs(folder)) == 2


def test_a_pair_is_read_as_rgb_and_integers(folder):
    sample = load(find_pairs(folder)[0])
    assert sample.name == "a"
    assert sample.image.shape == (6, 8, 3) and sample.image.dtype == np.uint8
    assert sample.labels.dtype == np.int32
    assert np.unique(sample.labels).tolist() == [0, 1] and (sample.labels == 1).sum() == 4 and sample.doubts == ()


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_images_of_any_mode_become_rgb(folder, mode):
    path = folder / "images" / "a.png"
    with Image.open(path) as image:
        image.convert(mode).save(path)
    assert load(find_pairs(folder)[0]).image.shape == (6, 8, 3)


def test_the_size_of_a_pixel_is_the_file_s(folder):
    path = folder / "images" / "a.png"
    with Image.open(path) as image:
        image.save(path, dpi=(50_800, 50_800))
    assert [sample.microns for sample in load_all(find_pairs(folder))] == [pytest.approx(0.5, rel=1e-3), 0]


def test_missing_labels_are_named(folder):
    (folder / "labels" / "b.tif").unlink()
    with pytest.raises(DataError, match=r"b\.png \(1 in all\)"):
        find_pairs(folder)


@pytest.mark.parametrize("make", [lambda f: None, lambda f: (f / "images").mkdir()])
def test_a_folder_without_images_is_refused(tmp_path, make):
    make(tmp_path)
    with pytest.raises(DataError, match="holds no images"):
        find_pairs(tmp_path)


def test_different_sizes_are_refused_with_both(folder):
    Image.fromarray(np.zeros((8, 6), np.uint16)).save(folder / "labels" / "a.tif")
    with pytest.raises(DataError, match=r"a: the image is of \(6, 8\), its labels of \(8, 6\)"):
        load(find_pairs(folder)[0])


def test_a_photograph_is_no_label_file(folder):
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    Image.fromarray(noise).save(folder / "labels" / "a.tif")
    with pytest.raises(DataError, match="a.tif has 600 different values: a photograph"):
        load(find_pairs(folder)[0])


def test_sixteen_bit_images_are_mapped_and_not_clipped(folder):
    deep = np.linspace(0, 60_000, 48).reshape(6, 8).astype(np.uint16)
    Image.fromarray(deep).save(folder / "images" / "a.tif")
    (folder / "images" / "a.png").unlink()
    image = load(find_pairs(folder)[0]).image
    assert image[0, 0].tolist() == [0] * 3 and image[-1, -1].tolist() == [255] * 3 and 100 < image[3, 0, 0] < 155


def test_all_are_loaded_in_order(folder):
    assert [(s.name, s.source) for s in load_all(find_pairs(folder), "x")] == [("a", "x"), ("b", "x")]


@pytest.mark.parametrize("part", ["images/a.png", "labels/a.tif"])
def test_a_file_that_is_no_image_is_refused(folder, part):
    (folder / part).write_bytes(b"<html>")
    with pytest.raises(DataError, match=part.split("/")[1]):
        load(find_pairs(folder)[0])


def test_real_data_is_a_data_folder(data_folder):
    """Every set below the data folder: pairs, with nuclei in them."""
    found = [p.parent for p in data_folder.rglob("images") if (p.parent / "labels").is_dir()]
    assert found
    for folder in found:
        sample = load(find_pairs(folder)[0])
        assert sample.labels.max() > 0
