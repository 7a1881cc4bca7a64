"""Which annotation belongs to which image, by their names."""

import pytest

from training.datasets.layouts import Pair, arranged


def pairs(*names, lists=None):
    """{image: annotations}, and that nothing was left unclear."""
    layout = arranged(names, lists)
    assert (layout.unlabelled, layout.imageless, layout.unclear) == ((), (), ())
    return {pair.image: " ".join(pair.annotations) for pair in layout.pairs}


@pytest.mark.parametrize(
    "image, annotation",
    [
        ("images/a.png", "labels/a.tif"),
        ("Images/A.PNG", "Masks/a.tif"),
        ("x/y/img/a.png", "x/y/gt/a.png"),
        ("images/plate 1/a.png", "labels/plate 1/a.png"),
        ("train/images/a.png", "train/labels/a_mask.png"),
        ("annotations/images/a.png", "annotations/labels/a.png"),
        ("images\\a.png", "labels\\a.png"),
        ("a.png", "a_mask.png"),
        ("a.png", "labels/a.png"),
        ("a.png", "a.labels.tif"),
        ("a.ome.tif", "a_masks.tif"),
        ("000_img.png", "000_masks.png"),
        ("x/a b.tif", "x/a b_anno.bmp"),
        ("Tissue Images/TCGA-1.tif", "Annotations/TCGA-1.xml"),
        ("a.svs", "a.xml"),
        ("x/a.png", "x/a.geojson"),
        ("a.png", "a.png.geojson"),
        ("images/a.png", "annotations/a.json"),
        ("images/o\u0308.png", "labels/ö.png"),
    ],
)
def test_an_image_and_its_annotation(image, annotation):
    for prefix in ("", "study/", "images of mice/gt/"):
        assert pairs(prefix + image, prefix + annotation) == {prefix + image: prefix + annotation}


def test_kinds():
    layout = arranged(["a.png", "a_mask.png", "b.png", "b.xml", "c.png", "all.json"], {"all.json": ["c.png"]})
    assert layout.pairs == (
        Pair("a.png", "labels", ("a_mask.png",)),
        Pair("b.png", "outlines", ("b.xml",)),
        Pair("c.png", "coco", ("all.json",)),
    )


def test_a_mask_for_each_nucleus():
    names = [f"stage1/{i}/images/{i}.png" for i in "ab"] + [f"stage1/{i}/masks/{n}.png" for i in "ab" for n in "321"]
    layout = arranged([*names, "stage1/c/images/c.png", "stage1/c/masks/9.png"])
    assert [pair.kind for pair in layout.pairs] == ["masks"] * 3 and not layout.imageless
    assert layout.pairs[0].annotations == tuple(f"stage1/a/masks/{n}.png" for n in "123")


def test_one_image_and_its_label_image_are_no_mask_for_each_nucleus():
    assert arranged(["x/images/a.png", "x/masks/a.png"]).pairs[0].kind == "labels"
    assert arranged(["x/images/a.png", "x/masks/a_mask.png", "x/masks/b.png"]).imageless == ("x/masks/b.png",)


def test_a_list_speaks_of_images_by_path_or_by_name():
    lists = {"all.json": ["train/a.png", "B.png", "not here.png"]}
    found = pairs("x/train/a.png", "x/deep/b.png", "all.json", lists=lists)
    assert found == {"x/train/a.png": "all.json", "x/deep/b.png": "all.json"}
    assert pairs("1/a.png", "2/a.png", "l.json", lists={"l.json": ["1/a.png", "2/a.png"]}).keys() == {
        "1/a.png",
        "2/a.png",
    }


def test_what_this_program_writes_beside_an_image():
    ours = ["labels.tif", "overlay.png", "prompts.json", "nuclei.csv", "geojson", "coco.json", "outlines.png"]
    names = ["a.png", *(f"a.{ending}" for ending in ours)]
    assert pairs(*names, lists={"a.coco.json": ["a.png"]}) == {"a.png": "a.labels.tif"}


def test_what_has_no_partner():
    layout = arranged(["images/a.png", "images/b.png", "labels/b.png", "labels/c.png", "d.xml", "notes.txt"])
    assert [pair.image for pair in layout.pairs] == ["images/b.png"]
    assert (layout.unlabelled, layout.imageless) == (("images/a.png",), ("d.xml", "labels/c.png"))


@pytest.mark.parametrize(
    "names, lists, said",
    [
        (["a.png", "a_mask.png", "a.xml"], {}, "a.png has more than one annotation, a.xml and a_mask.png"),
        (["images/a.png", "images/a.tif", "labels/a.png"], {}, "labels/a.png fits both images/a.png and images/a.tif"),
        (["1/a.png", "2/a.png", "l.json"], {"l.json": ["a.png"]}, "l.json speaks of a.png, and there are 2"),
        (["a.png", "k.json", "l.json"], {"k.json": ["a.png"], "l.json": ["a.png"]}, "k.json and l.json"),
    ],
)
def test_what_is_not_clear_is_said(names, lists, said):
    layout = arranged(names, lists)
    assert not layout.pairs and not layout.unlabelled and len(layout.unclear) == 1 and said in layout.unclear[0]


def test_the_order_is_that_of_the_names():
    names = [f"{side}/{n}.png" for n in "2143" for side in ("labels", "images")]
    assert [pair.image for pair in arranged(names).pairs] == [f"images/{n}.png" for n in "1234"]
