"""What a user may bring in files: each layout as a folder and as a zip, and what is hostile, damaged or missing."""

import io
import json
import os
import zipfile

import numpy as np
import PIL.Image
import pytest
import tifffile
from files import content_of, picture
from pycocotools import mask as coco_mask
from skimage.draw import polygon2mask

from sac.config import LIMITS, SegmentOptions
from sac.errors import DataError
from sac.export import Result, coco_json, geojson, write_all
from sac.images import Image
from sac.inference.instances import Instances
from sac.prompts import Prompts
from training.datasets.coco import Listed, is_list
from training.datasets.files import samples
from training.datasets.gather import gather
from training.datasets.geojson import outlines
from training.datasets.outlines import Drawing, ring
from training.datasets.sample import Sample

SIZE = (24, 32)


def truth():
    """Three nuclei, 1 to 3; the second and third touch; the first has a hole, the third a piece of its own."""
    labels = np.zeros(SIZE, np.int32)
    labels[2:8, 3:9], labels[12:20, 4:12], labels[12:20, 12:18] = 1, 2, 3
    labels[4:6, 5:7], labels[21:23, 28:30] = 0, 3
    return labels


def image_file(pixels, ending="png", **settings):
    """The bytes of a picture."""
    stream = io.BytesIO()
    if ending == "tif":
        tifffile.imwrite(stream, pixels, **settings)
    else:
        PIL.Image.fromarray(pixels).save(stream, {"jpg": "jpeg"}.get(ending, ending), **settings)
    return stream.getvalue()


IMAGE, LABELS, MASK = (
    image_file(picture()),
    image_file(truth().astype(np.uint8)),
    image_file((truth() > 0) * np.uint8(255)),
)


@pytest.fixture(params=["folder", "zip"])
def bring(request, tmp_path):
    """Brings files by name, as a folder or as a zip. Returns (samples by name, sentences)."""

    def brought(members, **settings):
        path = laid(tmp_path, members) if request.param == "folder" else packed(tmp_path, members)
        return read([path], tmp_path, **settings)

    return brought


def laid(tmp_path, members, name="data"):
    for inside, content in members.items():
        (tmp_path / name / inside).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / inside).write_bytes(content)
    return tmp_path / name


def packed(tmp_path, members, name="data.zip"):
    with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, content in members.items():
            archive.writestr(inside, content)
    return tmp_path / name


def read(paths, tmp_path, **settings):
    room = tmp_path / "room"
    room.mkdir(exist_ok=True)
    found = list(samples(paths, room, **settings))
    assert not list(room.iterdir())
    good = {sample.name: sample for sample in found if isinstance(sample, Sample)}
    bad = [str(error) for error in found if isinstance(error, DataError)]
    assert len(good) + len(bad) == len(found)
    assert not any(str(tmp_path) in said or "\n" in said for said in bad)
    return good, bad


def outlines_of(labels):
    """The corners of boxes around nuclei, as (left, top, right, bottom)."""
    for number in np.unique(labels[labels > 0]):
        y, x = np.nonzero(labels == number)
        yield x.min(), y.min(), x.max() + 1, y.max() + 1


def boxes():
    """Labels that are boxes."""
    labels = np.zeros(SIZE, np.int32)
    labels[2:8, 3:9], labels[12:20, 4:12], labels[12:20, 12:18] = 1, 2, 3
    return labels


def xml(labels, head=""):
    """As ImageScope writes it."""
    regions = ""
    for number, (x0, y0, x1, y1) in enumerate(outlines_of(labels), 1):
        corners = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ((x0, y0), (x1, y0), (x1, y1), (x0, y1)))
        regions += f'<Region Id="{number}" NegativeROA="0"><Attributes/><Vertices>{corners}</Vertices></Region>'
    return (
        f'<?xml version="1.0"?>{head}<Annotations MicronsPerPixel="0.252"><Annotation Id="1" Visible="1"><Attributes>'
        f'<Attribute Name="Description"/></Attributes><Regions><RegionAttributeHeaders/>{regions}</Regions><Plots/>'
        "</Annotation></Annotations>"
    ).encode()


def result(labels, name="a.png"):
    numbers = np.unique(labels[labels > 0]).astype(np.int64)
    ones = np.ones(len(numbers), np.float32)
    nothing = Prompts(np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.int8))
    found = Instances(
        labels, numbers, ones, ones, nothing, np.full(len(numbers), -1), ("automatic",) * len(numbers), ()
    )
    return Result(Image(name, picture(*labels.shape)), found, "nuclei", SegmentOptions())


def coco(*images, size=SIZE, polygons=False):
    """A list of images, each with the true nuclei."""
    annotations = []
    for number in range(len(images)):
        for nucleus in (1, 2, 3):
            if polygons:
                x0, y0, x1, y1 = map(int, list(outlines_of(boxes()))[nucleus - 1])
                segmentation = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            else:
                segmentation = coco_mask.encode(np.asfortranarray((truth() == nucleus).astype(np.uint8)))
                segmentation["counts"] = segmentation["counts"].decode()
            annotations.append({"image_id": number, "id": len(annotations), "iscrowd": 0, "segmentation": segmentation})
    annotations.append({"image_id": 0, "id": 99, "iscrowd": 1, "segmentation": {"size": list(size), "counts": [5]}})
    told = [{"id": n, "file_name": name, "height": size[0], "width": size[1]} for n, name in enumerate(images)]
    return json.dumps({"images": told, "annotations": annotations, "categories": []}).encode()


LAYOUTS = {
    "images and labels": ({"images/a.png": IMAGE, "labels/a.png": LABELS}, truth()),
    "deep, with endings": ({"x/y/img/A.png": IMAGE, "x/y/masks/a_mask.tif": image_file(truth(), "tif")}, truth()),
    "side by side": ({"a.png": IMAGE, "a.labels.tif": image_file(truth().astype(np.uint16), "tif")}, truth()),
    "a mask for each nucleus": (
        {"1/images/x.png": IMAGE} | {f"1/masks/{n}.png": image_file((truth() == n) * np.uint8(255)) for n in (1, 2, 3)},
        truth(),
    ),
    "ImageScope": ({"Tissue Images/a.png": IMAGE, "Annotations/a.xml": xml(boxes())}, boxes()),
    "COCO, packed runs": ({"train/a.png": IMAGE, "annotations/all.json": coco("a.png")}, truth()),
    "COCO, polygons": ({"train/a.png": IMAGE, "all.json": coco("train/a.png", polygons=True)}, boxes()),
    "COCO of ours": ({"a.png": IMAGE, "a.coco.json": coco_json(result(truth()))}, truth()),
    "GeoJSON of ours": ({"a.png": IMAGE, "a.geojson": geojson(result(truth()))}, truth()),
    "GeoJSON of ours, as JSON": ({"images/a.png": IMAGE, "labels/a.json": geojson(result(truth()))}, truth()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(bring, layout):
    members, labels = LAYOUTS[layout]
    good, bad = bring(members)
    assert bad == [] and len(good) == 1
    (sample,) = good.values()
    assert np.array_equal(sample.image, picture()) and np.array_equal(sample.labels, labels)
    assert sample.labels.dtype == np.int32 and sample.doubts == () and sample.source in ("data", "data.zip")


@pytest.mark.parametrize("seed", range(3))
def test_our_own_exports_come_back_to_the_pixel(tmp_path, seed):
    """Noise: nuclei in pieces, with holes, that meet at corners and at the picture's edge."""
    labels = np.random.default_rng(seed).integers(0, 6, (40, 50)).astype(np.int32)
    made = result(labels)
    for ending in ("labels.tif", "geojson", "coco.json"):
        folder = tmp_path / ending
        write_all(made, folder, [ending])
        (folder / "a.png").write_bytes(image_file(picture(40, 50)))
        good, bad = read([folder], tmp_path)
        assert bad == [] and np.array_equal(good["a"].labels, labels)


def test_all_that_we_write_beside_an_image(tmp_path):
    from sac.export import FILES

    write_all(result(truth()), tmp_path / "data", FILES)
    (tmp_path / "data" / "a.png").write_bytes(IMAGE)
    good, bad = read([tmp_path / "data"], tmp_path)
    assert np.array_equal(good["a"].labels, truth()) and len(bad) == 1 and "left out" in bad[0]


def test_polygons_are_those_of_others_too():
    """Outlines between pixels' edges, against scikit-image's rule: centres, which it has at whole numbers."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        angles, radii = np.linspace(0, 2 * np.pi, 12, endpoint=False), rng.uniform(3, 10, 12)
        corners = np.stack([15.3 + radii * np.cos(angles), 12.1 + radii * np.sin(angles)], axis=1)
        drawing = Drawing(SIZE)
        drawing.add_outline([[ring(corners)]])
        assert np.array_equal(drawing.labels > 0, polygon2mask(SIZE, corners[:, ::-1] - 0.5))


def test_loose_files_and_several_bundles(tmp_path):
    loose = [content_of(tmp_path / "a.png", IMAGE), content_of(tmp_path / "a_mask.png", LABELS)]
    apart = [packed(tmp_path, {"b.png": IMAGE}, "images.zip"), packed(tmp_path, {"b.png": LABELS}, "labels.zip")]
    good, bad = read([*loose, *apart], tmp_path)
    assert bad == [] and [*good] == ["a", "b"] and all(np.array_equal(s.labels, truth()) for s in good.values())
    assert (good["a"].source, good["b"].source) == ("files", "images.zip")


def test_names_and_order(bring):
    members = {f"{place}/images/{n}.png": IMAGE for place in ("y", "x") for n in (2, 1)} | {"x/images/3.png": IMAGE}
    good, bad = bring(members | {name.replace("images", "labels"): LABELS for name in members})
    assert bad == [] and [*good] == ["x/images/1", "x/images/2", "3", "y/images/1", "y/images/2"]


# Doubts


def test_doubts(bring):
    jpeg = image_file((truth() > 0) * np.uint8(255), "jpg", quality=80)
    one = image_file((truth() == 2).astype(np.uint8))
    overlapping = {f"4/masks/{n}.png": image_file((truth() > n) * np.uint8(255)) for n in (0, 1)}
    members = {"images/1.png": IMAGE, "masks/1.png": MASK, "images/2.png": IMAGE, "masks/2.jpg": jpeg}
    members |= {"images/3.png": IMAGE, "masks/3.png": one, "4/images/4.png": IMAGE} | overlapping
    members |= {"images/5.png": IMAGE, "masks/5.png": image_file(truth().astype(np.uint8) * 0)}
    good, bad = bring(members)
    assert bad == []
    assert {name: sample.doubts for name, sample in good.items()} == {
        "1": ("binary",), "2": ("binary", "jpeg"), "3": (), "4": ("overlap",), "5": (),
    }  # fmt: skip
    assert np.array_equal(good["2"].labels, good["1"].labels) and good["1"].labels.max() == 3
    assert good["3"].labels.max() == 1 and not good["5"].labels.any()


def test_the_size_of_a_pixel_is_the_file_s(bring):
    fine = image_file(picture(), "png", dpi=(101_600, 101_600))
    good, _ = bring({"images/1.png": fine, "labels/1.png": LABELS, "images/2.png": IMAGE, "labels/2.png": LABELS})
    assert [good[name].microns for name in "12"] == [pytest.approx(0.25, rel=1e-3), 0]


def test_sixteen_bit_alpha_and_what_is_no_number(bring):
    deep = image_file(np.dstack([np.arange(768, dtype=np.uint16).reshape(SIZE) * 80] * 3), "tif", photometric="rgb")
    holes = np.linspace(0, 1, 768, dtype=np.float32).reshape(SIZE)
    holes[0, 0] = np.nan
    clear = np.dstack([picture(), np.full(SIZE, 255, np.uint8)])
    files = {"a.tif": deep, "b.tif": image_file(holes, "tif"), "c.png": image_file(clear)}
    good, bad = bring({f"images/{n}": f for n, f in files.items()} | {f"labels/{n[0]}.png": LABELS for n in files})
    assert bad == [] and [*good] == ["a", "b", "c"]
    assert good["a"].image[-1, -1].tolist() == [255] * 3 and 120 < good["a"].image[12, 0, 0] < 135
    assert good["b"].image[0, 0].tolist() == [0] * 3 and np.array_equal(good["c"].image, picture())


# What does not fit


def test_what_does_not_fit_is_named_and_the_others_come(bring):
    small = image_file(truth()[:9].astype(np.uint8))
    members = {"images/1.png": IMAGE, "labels/1.png": LABELS, "images/2.png": IMAGE, "labels/2.png": small}
    members |= {"images/3.png": IMAGE[:60], "labels/3.png": LABELS, "images/4.png": IMAGE, "labels/5.png": LABELS}
    members |= {"6/images/6.png": IMAGE, "6/masks/a.png": MASK, "6/masks/b.png": small, "notes.txt": b"by hand"}
    members |= {"images/7.png": IMAGE, "labels/7.jpg": image_file(picture(), "jpg"), "labels/7b.png": IMAGE}
    good, bad = bring(members)
    assert [*good] == ["1"]
    for words in (
        "images/2.png is of (24, 32), labels/2.png of (9, 32)",
        "images/3.png is not an image that can be read",
        "images/4.png has no labels: a file of the same name in labels/ or masks/",
        "labels/5.png has no image of the same name",
        "6/images/6.png is of (24, 32), 6/masks/b.png of (9, 32)",
        "labels/7.jpg is a JPEG",
        "1 file is neither image nor annotation by name, and left out: notes.txt",
    ):
        assert sum(words in said for said in bad) == 1, (words, bad)


def test_many_sentences_of_a_kind_become_one(bring):
    _, bad = bring({f"images/{n}.png": b"" for n in range(400)})
    assert len(bad) == 21 and bad[-1] == "and 380 others without labels"


def test_what_is_ambiguous_is_said(bring):
    good, bad = bring({"a.png": IMAGE, "a_mask.png": LABELS, "a.xml": xml(boxes())})
    assert not good and len(bad) == 1 and "more than one annotation" in bad[0]


def test_a_whole_slide_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setattr("training.datasets.files.open_file", lambda *a, **k: preview())
    good, bad = read([laid(tmp_path, {"images/a.tif": IMAGE, "labels/a.png": LABELS})], tmp_path)
    assert not good and "images/a.tif is a whole slide of 90000 x 80000 pixels" in bad[0]


def preview():
    from sac.images import Place

    return Image("a.tif", picture(), place=Place((80_000, 90_000), (0, 0), 64.0))


def test_nothing_at_all(tmp_path):
    (tmp_path / "empty").mkdir()
    assert read([tmp_path / "empty"], tmp_path) == ({}, []) == read([], tmp_path)
    with pytest.raises(DataError, match="no image with its nuclei"):
        gather(samples([], tmp_path), tmp_path / "set")


def test_it_becomes_a_training_set(tmp_path):
    path = packed(tmp_path, {"images/1.png": IMAGE, "masks/1.png": MASK, "images/2.png": IMAGE})
    kept = gather(samples([path], tmp_path), tmp_path / "set")
    assert len(kept) == 1 and kept[0].doubts == ("binary",) and "2.png has no labels" in kept.survey.refused[0]


# What is hostile


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;">]>',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE a SYSTEM "http://localhost/a.dtd">',
    ],
)
def test_xml_with_entities_or_files_of_others_is_refused(bring, head):
    good, bad = bring({"a.png": IMAGE, "a.xml": xml(boxes(), head)})
    assert not good and bad == ["a.xml has a document type; an ImageScope file of outlines has none"]


def test_a_region_that_is_to_be_left_out_is_no_nucleus(tmp_path):
    text = xml(boxes()).replace(b'Id="2" NegativeROA="0"', b'Id="2" NegativeROA="1"')
    good, _ = read([laid(tmp_path, {"a.png": IMAGE, "a.xml": text})], tmp_path)
    assert np.array_equal(good["a"].labels > 0, (boxes() > 0) & (boxes() != 2))


@pytest.mark.parametrize(
    "text, words",
    [
        (b"", "a.xml is no XML"),
        (b"<Annotations><Annotation>", "a.xml is no XML"),
        (b"<a>" * 100_000, "a.xml begins with a;"),
        (b"<Annotations>" * 100_000, "a.xml is no XML"),
        (b'<?xml version="1.0" encoding="rot13"?><Annotations/>', "a.xml is no XML"),
        (b"<Annotations>&x;</Annotations>", "a.xml is no XML"),
        (xml(boxes()).replace(b'X="3"', b'X="nan"'), "lies in no picture"),
        (xml(boxes()).replace(b'X="3"', b'X="far"'), "a Vertex has no numbers"),
    ],
)
def test_xml_that_is_none(tmp_path, text, words):
    good, bad = read([laid(tmp_path, {"a.png": IMAGE, "a.xml": text})], tmp_path)
    assert not good and len(bad) == 1 and words in bad[0] and bad[0].startswith("a.xml")


@pytest.mark.parametrize(
    "text",
    [
        b"", b"{", b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b"9" * 5000, b"\xff\xfe\x00",
        b'{"type": "FeatureCollection", "features": "many"}', b"NaN",
    ],
)  # fmt: skip
def test_json_that_is_none(bring, text):
    good, bad = bring(
        {"a.png": IMAGE, "a.geojson": text, "b.png": IMAGE, "b.json": text, "c.png": IMAGE, "c_mask.png": LABELS}
    )
    assert [*good] == ["c"] and any(said.startswith("a.geojson") for said in bad)
    assert any(said.startswith("b.json") for said in bad)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "1e308", "1e999", "-1e308", '"x"', "null", "[]", "9" * 400])
def test_geojson_with_corners_that_are_none(tmp_path, odd):
    text = geojson(result(truth())).replace(b"[3,2]", f"[{odd},2]".encode())
    good, bad = read([laid(tmp_path, {"a.png": IMAGE, "a.geojson": text})], tmp_path)
    assert not good and len(bad) == 1 and bad[0].startswith("a.geojson")


def test_too_many_corners_and_too_large_files(tmp_path, monkeypatch):
    monkeypatch.setattr("training.datasets.documents.LISTS", 10)
    path = laid(tmp_path, {"a.png": IMAGE, "a.geojson": geojson(result(truth()))})
    assert "million corners" in read([path], tmp_path)[1][0]
    monkeypatch.setattr("training.datasets.documents.LARGEST", 100)
    assert "MB; up to" in read([path], tmp_path)[1][0]


def places(document, path=()):
    """The way to each part of a document."""
    yield path
    inside = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, part in inside:
        yield from places(part, (*path, key))


@pytest.mark.parametrize("text", [geojson(result(truth())), coco("a.png"), coco("a.png", polygons=True)])
def test_anything_in_any_place_of_a_document_is_read_or_refused(text):
    """What no sentence is made for would come out as another error."""
    odd, refused = [None, 5, -1, 1e300, "x", [], {}, [[]], True, 10**30, [1, 2]], 0
    ways = [path for path in places(json.loads(text)) if path]
    for number, path in enumerate(ways[:: max(1, len(ways) // 300)]):
        document = json.loads(text)
        part = document
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = odd[number % len(odd)]
        try:
            drawn(document)
        except DataError:
            refused += 1
    assert refused > 10


def drawn(document):
    if is_list(document):
        listed = Listed(document, "all.json")
        if "a.png" in listed.names:
            listed.drawn("a.png", SIZE)
    else:
        for outline in outlines(document, "a.json"):
            Drawing(SIZE).add_outline(outline)


def test_coco_that_claims_a_thousand_million_pixels(bring):
    for size in ([40_000, 25_000], [10**9, 1], [32, 24], [24], "ab", [24, "x"]):
        listed = json.loads(coco("a.png"))
        listed["annotations"][0]["segmentation"] = {"size": size, "counts": [0, 10**9]}
        good, bad = bring({"a.png": IMAGE, "all.json": json.dumps(listed).encode()})
        assert not good and len(bad) == 1 and bad[0].startswith("a.png: ")
        assert "a run-length mask claims" in bad[0] or "not built" in bad[0]


def test_coco_of_another_size_and_coco_that_is_none(bring):
    good, bad = bring({"a.png": IMAGE, "all.json": coco("a.png", size=(32, 24))})
    assert not good and "a.png: of (32, 24) in all.json, and of (24, 32) as a file" in bad[0]
    for strange in (b'{"images": [1], "annotations": []}', b'{"images": [{"file_name": 5}], "annotations": [{}]}'):
        good, bad = bring({"a.png": IMAGE, "all.json": strange})
        assert bad[0] == "all.json is not built as a COCO list is" and "a.png has no labels" in bad[1]


def test_coco_that_lists_an_image_twice(bring):
    good, bad = bring({"a.png": IMAGE, "all.json": coco("a.png", "a.png")})
    assert not good and "lists it more than once" in bad[0]


def test_zips_that_are_unsafe(tmp_path, monkeypatch):
    slip = packed(
        tmp_path, {"../../images/a.png": IMAGE, "../../labels/a.png": LABELS, "/etc/b.png": IMAGE}, "slip.zip"
    )
    before = {*tmp_path.rglob("*")}
    good, bad = read([slip], tmp_path)
    assert [*good] == ["a"] and "/etc/b.png has no labels" in bad[0]
    assert {*tmp_path.rglob("*")} - before == {tmp_path / "room"}

    locked = packed(tmp_path, {"images/a.png": IMAGE, "labels/a.png": LABELS}, "locked.zip")
    raw = locked.read_bytes().replace(b"PK\1\2\x14\x03\x14\0\0\0", b"PK\1\2\x14\x03\x14\0\1\0")
    good, bad = read([content_of(locked, raw)], tmp_path)
    assert not good and bad == ["images/a.png is encrypted; send the zip without a password"]

    good, bad = read([content_of(tmp_path / "cut.zip", slip.read_bytes()[:-30])], tmp_path)
    assert not good and bad == ["cut.zip is not a zip that can be read"]

    many = packed(tmp_path, {f"images/{n}.png": b"" for n in range(6000)}, "many.zip")
    good, bad = read([many], tmp_path)
    assert not good and bad == [f"many.zip has 6000 files; up to {LIMITS.zip_members} are accepted"]


def test_links_out_of_a_folder(tmp_path):
    laid(tmp_path, {"a.png": IMAGE, "a_mask.png": LABELS}, "elsewhere")
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "labels").mkdir()
    os.symlink(tmp_path / "elsewhere" / "a.png", tmp_path / "data" / "images" / "a.png")
    os.symlink(tmp_path / "elsewhere" / "a_mask.png", tmp_path / "data" / "labels" / "a.png")
    good, bad = read([tmp_path / "data"], tmp_path)
    assert not good and bad == ["images/a.png is a link that leads out of data"]
    good, bad = read([tmp_path / "data"], tmp_path, links=True)
    assert bad == [] and np.array_equal(good["a"].labels, truth())


def test_names_that_sentences_cannot_say(tmp_path):
    good, bad = read([packed(tmp_path, {"two\nlines\u202e.png": IMAGE})], tmp_path)
    assert not good and len(bad) == 1 and bad[0].startswith("two\ufffdlines\ufffd.png has no labels")


def test_real_data(data_folder, tmp_path):
    """A real set below the data folder, as samples, and its labels as our GeoJSON."""
    folder = next(p.parent for p in sorted(data_folder.rglob("images")) if (p.parent / "labels").is_dir())
    few = sorted((folder / "images").iterdir())[:3]
    members = {f"images/{p.name}": p.read_bytes() for p in few}
    labels = {f"labels/{p.name}": p.read_bytes() for f in few for p in (folder / "labels").glob(f"{f.stem}.*")}
    good, bad = read([packed(tmp_path, members | labels)], tmp_path)
    assert bad == [] and [*good] == [p.stem for p in few] and all(s.labels.any() for s in good.values())
    outlines = {f"{name}.geojson": geojson(result(sample.labels, name)) for name, sample in good.items()}
    again, bad = read([packed(tmp_path, members | {f"labels/{n}": c for n, c in outlines.items()}, "b.zip")], tmp_path)
    assert bad == [] and all(np.array_equal(again[name].labels, good[name].labels) for name in good)


def test_classes_in_place_of_nuclei_are_doubted(bring):
    """Three of one class and three of another, of which each looks like one large nucleus."""
    classes = np.zeros(SIZE, np.uint8)
    for number in range(6):
        classes[3 : 7, 4 * number + 1 : 4 * number + 4] = 1 + number % 2
    good, bad = bring({"images/1.png": IMAGE, "labels/1.png": image_file(classes)})
    assert bad == [] and good["1"].doubts == ("parts",)
