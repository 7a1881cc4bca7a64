"""The paper's data sets: each official layout, made small from known label maps, comes back to the pixel."""

import io
import zipfile
from itertools import groupby

import numpy as np
import PIL.Image
import pytest
import tifffile
from files import picture

from sac.config import LIMITS
from sac.errors import DataError
from training.datasets.gather import gather
from training.datasets.layouts import arranged
from training.datasets.official import SETS, LotFiles, lots, recognised, samples
from training.datasets.sample import Sample

SIZE = (24, 32)


def truth(number=0):
    """Three boxes, 1 to 3, of which two touch; each number has its own."""
    labels = np.zeros(SIZE, np.int32)
    labels[2:8, 3 : 9 + number], labels[12:20, 4:12], labels[12:20, 12:18] = 1, 2, 3
    return labels


def coded(pixels, ending="png"):
    """The bytes of a picture."""
    stream = io.BytesIO()
    if ending == "tif":
        tifffile.imwrite(stream, pixels)
    else:
        PIL.Image.fromarray(pixels).save(stream, ending)
    return stream.getvalue()


def runs_of(mask):
    """Runs START LENGTH of a mask, pixel by pixel: from 1 on, down the columns."""
    inside = [n for n, value in enumerate(mask.T.ravel(), 1) if value]
    runs = [[n for _, n in group] for _, group in groupby(enumerate(inside), lambda pair: pair[1] - pair[0])]
    return " ".join(f"{run[0]} {len(run)}" for run in runs)


def table(images, sized=False):
    """A CSV of images by name; sized: with Height, Width and Usage, and a row that is to be ignored."""
    lines = ["ImageId,EncodedPixels" + ",Height,Width,Usage" * sized]
    for name, labels in images.items():
        told = f",{SIZE[0]},{SIZE[1]},Private" * sized
        lines += [f"{name},{runs_of(labels == n)}{told}" for n in range(1, labels.max() + 1)]
        lines += [f"{name},1 400,{SIZE[0]},{SIZE[1]},Ignored"] * sized
    return "\n".join(lines).encode() + b"\n"


def xml(labels):
    """As ImageScope writes it."""
    regions = ""
    for number in range(1, labels.max() + 1):
        y, x = np.nonzero(labels == number)
        x0, y0, x1, y1 = x.min(), y.min(), x.max() + 1, y.max() + 1
        corners = "".join(f'<Vertex X="{a}" Y="{b}" Z="0"/>' for a, b in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
        regions += f'<Region Id="{number}" NegativeROA="0"><Vertices>{corners}</Vertices></Region>'
    return f"<Annotations><Annotation><Regions>{regions}</Regions></Annotation></Annotations>".encode()


IMAGE = coded(picture())


def train_ids(name, labels, folder="stage1_train/"):
    """As Kaggle has it: a folder for each image, with a mask for each of its nuclei."""
    masks = {f"{folder}{name}/masks/m{n}.png": coded((labels == n) * np.uint8(255)) for n in range(1, labels.max() + 1)}
    return {f"{folder}{name}/images/{name}.png": IMAGE} | masks


def glas(name, labels):
    return {f"{name}.bmp": coded(picture(), "bmp"), f"{name}_anno.bmp": coded(labels.astype(np.uint8), "bmp")}


def monuseg(folder, names):
    """Images and outlines apart, in folders of the training zip."""
    images = {f"{folder}/Tissue Images/{name}.tif": coded(picture(), "tif") for name in names}
    return images | {f"{folder}/Annotations/{name}.xml": xml(truth(n)) for n, name in enumerate(names)}


TRAIN, TEST = "MoNuSeg 2018 Training Data", "MoNuSegTestData"
KAGGLE = {
    **train_ids("aa", truth()),
    **train_ids("bb", truth(1)),
    **{f"stage1_test/{name}/images/{name}.png": IMAGE for name in ("cc", "dd")},
    "stage1_solution.csv": table({"cc": truth(2), "dd": truth(3)}, sized=True),
}
MONUSEG = {
    **monuseg(TRAIN, ("TCGA-A", "TCGA-B")),
    f"{TEST}/TCGA-C.tif": coded(picture(), "tif"),
    f"{TEST}/TCGA-C.xml": xml(truth(2)),
}
WARWICK = "Warwick QU Dataset (Released 2016_07_08)/"
GLAS = {
    WARWICK + name: content
    for number, start in enumerate(("train_1", "train_2", "testA_1", "testB_1"))
    for name, content in glas(start, truth(number)).items()
} | {WARWICK + "Grade.csv": b"name,patient ID,grade (GlaS)\ntrain_1,1,benign\n"}
LAYOUTS = {
    "dsb2018": (KAGGLE, {"dsb2018/stage1_train": ["aa", "bb"]}, {"dsb2018/stage1_test": ["cc", "dd"]}),
    "monuseg": (MONUSEG, {"monuseg/train": ["tcga-a", "tcga-b"]}, {"monuseg/test": ["tcga-c"]}),
    "glas": (GLAS, {"glas/train": ["train_1", "train_2"]}, {"glas/testA": ["testa_1"], "glas/testB": ["testb_1"]}),
}
"""Files; the names of samples by their source, of the training and of the test part: in order, `truth` 0, 1 ..."""


def laid(folder, members):
    """Writes files by name. Returns the folder."""
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def zipped(folder, members, whole=None):
    """The same with a zip in the place of each folder; whole: what a zip of everything is called."""
    folder.mkdir(parents=True, exist_ok=True)
    tops = {name: whole or name.split("/")[0] for name in members}
    for top in sorted(set(tops.values())):
        inside = {name: content for name, content in members.items() if tops[name] == top}
        with zipfile.ZipFile(folder / f"{top}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in inside.items():
                # Kaggle's zips have no folder around everything
                archive.writestr(name.removeprefix("stage1_train/").removeprefix("stage1_test/"), content)
    return folder


def read(folder, part, room):
    room.mkdir(exist_ok=True)
    found = list(samples(folder, part, room))
    assert not list(room.iterdir())
    bad = [str(error) for error in found if isinstance(error, DataError)]
    return [sample for sample in found if isinstance(sample, Sample)], bad


@pytest.mark.parametrize("packing", [laid, zipped])
@pytest.mark.parametrize("name", LAYOUTS)
def test_official_layouts_come_back_to_the_pixel(tmp_path, name, packing):
    members, *parts = LAYOUTS[name]
    folder = packing(tmp_path / "downloads", members)
    assert recognised(folder) is SETS[name]
    number = 0
    for part, expected in zip(("train", "test"), parts):
        good, bad = read(folder, part, tmp_path / "room")
        assert bad == []
        assert [(s.source, s.name.lower()) for s in good] == [
            (key, n) for key, names in expected.items() for n in names
        ]
        for sample in good:
            assert np.array_equal(sample.labels, truth(number)) and np.array_equal(sample.image, picture())
            assert sample.doubts == ()
            number += 1


def test_a_zip_or_an_authors_folder_is_its_set(tmp_path):
    zipped(tmp_path, GLAS, "warwick_qu_dataset_released_2016_07_08")
    archive = tmp_path / "warwick_qu_dataset_released_2016_07_08.zip"
    laid(tmp_path, GLAS)
    (tmp_path / "loose").mkdir()
    laid(tmp_path / "loose", {name.removeprefix(WARWICK): content for name, content in GLAS.items()})
    for place in (archive, tmp_path / WARWICK, tmp_path / "loose"):
        good, bad = read(place, "test", tmp_path / "room")
        assert recognised(place).name == "glas" and bad == []
        assert [s.source for s in good] == ["glas/testA", "glas/testB"]


def test_training_nuclei_from_the_table_where_masks_are_not_there(tmp_path):
    members = {
        name: content for name, content in KAGGLE.items() if name.startswith("stage1_train") and "mask" not in name
    }
    members["stage1_train_labels.csv"] = table({"aa": truth(4), "bb": truth(5)})
    good, bad = read(laid(tmp_path / "a", members), "train", tmp_path / "room")
    assert bad == [] and all(np.array_equal(s.labels, truth(n)) for n, s in enumerate(good, 4)) and len(good) == 2
    good, bad = read(laid(tmp_path / "b", KAGGLE | members), "train", tmp_path / "room")  # masks go before it
    assert bad == [] and all(np.array_equal(s.labels, truth(n)) for n, s in enumerate(good)) and len(good) == 2


def test_tables_as_kaggle_packs_them(tmp_path):
    folder = zipped(tmp_path / "k", {name: c for name, c in KAGGLE.items() if "stage1_test" in name})
    with zipfile.ZipFile(folder / "stage1_solution.csv.zip", "w") as archive:
        archive.writestr("stage1_solution.csv", KAGGLE["stage1_solution.csv"])
    good, bad = read(folder, "test", tmp_path / "room")
    assert bad == [] and [s.name for s in good] == ["cc", "dd"] and np.array_equal(good[1].labels, truth(3))


def test_data_folders_by_their_name(tmp_path):
    members = {}
    for place in ("glas/train", "glas/testA", "glas/testB", "dsb2018/train", "dsb2018/val"):
        members |= {f"{place}/images/x.png": IMAGE, f"{place}/labels/x.png": coded((truth() > 0) * np.uint8(255))}
    laid(tmp_path, members)
    good, bad = read(tmp_path / "glas", "test", tmp_path / "room")
    assert bad == [] and [s.source for s in good] == ["glas/testA", "glas/testB"]
    assert good[0].labels.max() == 2 and good[0].doubts == ("binary",)  # two of the three touch: components
    assert [s.source for s in read(tmp_path / "dsb2018", "test", tmp_path / "room")[0]] == ["dsb2018/val"]


def test_it_becomes_a_training_set(tmp_path):
    kept = gather(samples(laid(tmp_path / "d", GLAS), "test", tmp_path), tmp_path / "set")
    assert [f.source for f in kept.survey.facts] == ["glas/testA", "glas/testB"] and kept.survey.refused == ()
    assert np.array_equal(kept[1].labels, truth(3))


# What does not fit


@pytest.mark.parametrize("name", ["cells", "glass", "glasgow"])
def test_other_folders_are_no_set(tmp_path, name):
    laid(tmp_path, {f"{name}/train/images/x.png": IMAGE, f"{name}/train/labels/x.png": IMAGE})
    with pytest.raises(DataError, match=f"{name} is none of the data sets that are known"):
        recognised(tmp_path / name)
    with pytest.raises(DataError, match="gone is not there"):
        recognised(tmp_path / "gone")


def test_neighbours_of_a_zip_do_not_name_it(tmp_path):
    zipped(tmp_path, KAGGLE | {"cells/a.png": IMAGE})
    with pytest.raises(DataError, match=r"cells\.zip is none"):
        recognised(tmp_path / "cells.zip")


def test_a_part_that_is_not_whole_is_named(tmp_path):
    laid(tmp_path, {f"glas/{place}/images/x.png": IMAGE for place in ("train", "testA")})
    with pytest.raises(
        DataError, match=r"glas does not hold the test part .* testB/ with images/ and labels/; or Warw"
    ):
        lots(tmp_path / "glas", "test")
    no_nuclei = {name: content for name, content in KAGGLE.items() if not name.endswith(".csv")}
    with pytest.raises(DataError, match=r"stage1_test as a folder or zip with stage1_solution\.csv"):
        next(samples(laid(tmp_path / "k", no_nuclei), "test", tmp_path))
    nothing = {name: content for name, content in GLAS.items() if "testB" not in name}
    good, bad = read(laid(tmp_path / "w", nothing), "test", tmp_path / "room")
    assert len(good) == 1 and bad == ["Warwick QU Dataset (Released 2016_07_08) holds no file of glas/testB"]


def test_a_damaged_zip_or_image_gives_a_sentence_and_the_others_come(tmp_path):
    members = KAGGLE | {"stage1_train/aa/images/aa.png": IMAGE[:60]}
    good, bad = read(zipped(tmp_path / "a", members), "train", tmp_path / "room")
    assert [s.name for s in good] == ["bb"] and len(bad) == 1 and "aa.png is not an image" in bad[0]
    (tmp_path / "a" / "stage1_train.zip").write_bytes(b"PK")
    assert read(tmp_path / "a", "train", tmp_path / "room") == ([], ["stage1_train.zip is not a zip that can be read"])


def test_an_official_zip_may_hold_more_files_than_a_visitors(tmp_path):
    many = train_ids("aa", truth(), "") | {f"bb/masks/{n}.txt": b"" for n in range(LIMITS.zip_members)}
    with zipfile.ZipFile(tmp_path / "stage1_train.zip", "w") as archive:
        for name, content in many.items():
            archive.writestr(name, content)
    good, bad = read(tmp_path, "train", tmp_path / "room")
    assert [s.name for s in good] == ["aa"] and len(bad) == 1 and "left out" in bad[0]


# The real ones


@pytest.mark.parametrize(
    "name, part, count",
    [("dsb2018", "train", 598), ("dsb2018", "test", 66), ("monuseg", "train", 30), ("monuseg", "test", 14),
     ("glas", "train", 85), ("glas", "test", 80)],
)  # fmt: skip
def test_the_real_sets_are_whole(data_folder, tmp_path, name, part, count):
    if not (data_folder / name).is_dir():
        pytest.skip(f"no {name} here: SAC_TEST_DATA names the folder of the three sets")
    found = 0
    for lot, paths in lots(data_folder / name, part):
        with LotFiles(lot, paths, tmp_path) as brought:
            layout = arranged(brought.names)
        assert layout.unlabelled == layout.imageless == layout.unclear == ()
        found += len(layout.pairs)
    assert found == count and recognised(data_folder / name).name == name


def test_glands_of_the_real_set_are_components(data_folder, tmp_path):
    if not (data_folder / "glas").is_dir():
        pytest.skip("no glas here: SAC_TEST_DATA names the folder of the three sets")
    first = next(samples(data_folder / "glas", "test", tmp_path))
    numbers, areas = np.unique(first.labels[first.labels > 0], return_counts=True)
    assert first.source == "glas/testA" and first.doubts == ("binary",)
    assert len(numbers) > 1 and areas.min() > 0 and numbers.tolist() == [*range(1, len(numbers) + 1)]
