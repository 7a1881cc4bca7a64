"""What the canvas is sent: everything, or what an edit changed. The page's own arithmetic is done here once more."""

from __future__ import annotations

import base64
import gzip
import time
import zlib
from pathlib import Path

import numpy as np
import orjson
import PIL.Image
import pytest

from sac.config import SegmentOptions
from sac.errors import EditError
from sac.images import Image
from sac.ui import work
from sac.ui.canvas import LOSSLESS
from sac.ui.desk import Desk
from sac.ui.orders import obey


def sent(value):
    """A value as it arrives: JSON, with text for keys."""
    return orjson.loads(orjson.dumps(value))


def labels_of(file, height, width):
    return np.frombuffer(gzip.decompress(Path(file["path"]).read_bytes()), "<u4").reshape(height, width)


def opened(value):
    """A full value with its labels read: what the page keeps of it."""
    kept = sent(value)
    kept["labels"] = labels_of(kept["labels"], kept["height"], kept["width"]).copy()
    return kept


def patched(kept, patch):
    """What the page makes of a patch (value.js): the window painted in, each dict's differences taken over."""
    assert patch["kind"] == "patch" and patch["base"] == kept["rev"]
    x, y, width, height = patch["window"]
    part = np.frombuffer(zlib.decompress(base64.b64decode(patch["labels"])), "<u4")
    labels = kept["labels"].copy()
    labels[y : y + height, x : x + width] = part.reshape(height, width)
    facts = {
        name: {n: fact for n, fact in {**kept[name], **patch[name]}.items() if fact is not None}
        for name in ("nuclei", "points", "rows")
    }
    return {**kept, **facts, "labels": labels, **{name: patch[name] for name in ("undo", "redo", "strip", "rev")}}


def same(one, other):
    """Whether the page shows the same: all but the revision."""
    assert np.array_equal(one["labels"], other["labels"])
    ignored = ("labels", "rev")
    assert {k: v for k, v in one.items() if k not in ignored} == {k: v for k, v in other.items() if k not in ignored}


def ordered(desk, order):
    """An order carried out. Returns the session before it, and the nucleus to select."""
    picture = desk.picture
    before = picture.session
    history, selected = obey(order, picture.history, work.embedded(picture))
    picture.commit(history)
    return before, selected


ORDERS = [
    {"do": "click", "x": 12, "y": 200},
    {"do": "accept", "nucleus": 2},
    {"do": "switch", "point": 4, "on": False},
    {"do": "click", "x": 130.26, "y": 120.74, "positive": False, "nucleus": 5},
    {"do": "box", "box": [100.04, 90.5, 140, 130]},
    {"do": "undo"},
    {"do": "delete", "nuclei": [1, 7, 8]},
    {"do": "split", "stroke": [[0, 0], [255, 255]]},
    {"do": "split", "stroke": [[0, 128], [255, 128]]},
    {"do": "move", "point": 6, "x": 128.5, "y": 100},
    {"do": "undo"},
    {"do": "undo"},
    {"do": "redo"},
    {"do": "switch", "point": 4, "on": True},
    {"do": "undo"},
    {"do": "clear"},
    {"do": "undo"},
    {"do": "undo"},
    {"do": "redo"},
    {"do": "redo"},
    {"do": "redo"},
]
SEMANTIC_ORDERS = [
    {"do": "click", "x": 12, "y": 200},
    {"do": "click", "x": 128, "y": 128, "positive": False},
    {"do": "undo"},
    {"do": "delete", "nuclei": [3]},
    {"do": "clear"},
    {"do": "undo"},
]


@pytest.mark.parametrize("mode, orders", [("instances", ORDERS), ("semantic", SEMANTIC_ORDERS)])
def test_a_patch_makes_of_the_former_value_exactly_the_new_one(canvas, seated, mode, orders):
    desk = seated(mode)
    kept = opened(canvas.full(desk))
    for answer, order in enumerate(orders, start=1):
        before, selected = ordered(desk, order)
        patch = sent(canvas.patch(desk, before, answer, selected))
        assert (patch["answer"], patch["select"]) == (answer, selected)
        kept = patched(kept, patch)
        whole = opened(canvas.full(desk))
        same(kept, whole)
        kept["rev"] = whole["rev"]


def test_random_edits_are_patched_without_a_full_value_between(canvas, seated):
    desk, rng = seated(), np.random.default_rng(1)
    kept, done = opened(canvas.full(desk)), 0
    for _ in range(60):
        known = list(desk.picture.session.nuclei)
        some = [known[i] for i in rng.integers(0, len(known), 2)]
        x0, y0, x1, y1 = rng.uniform(0, 255, 4).tolist()
        order = [
            {"do": "click", "x": x0, "y": y0}, {"do": "split", "stroke": [[x0, y0], [x1, y1]]},
            {"do": "delete", "nuclei": some[:1]}, {"do": "merge", "nuclei": some}, {"do": "undo"}, {"do": "redo"},
            {"do": "switch", "point": int(rng.integers(1, 30)), "on": bool(rng.integers(2))},
        ][rng.integers(7)]  # fmt: skip
        try:
            before, selected = ordered(desk, order)
        except EditError:
            continue
        kept, done = patched(kept, sent(canvas.patch(desk, before, 1, selected))), done + 1
    same(kept, opened(canvas.full(desk)))
    assert done > 20


def test_revisions_count_up_and_a_patch_names_the_one_it_starts_from(canvas, seated):
    desk = seated()
    assert canvas.full(desk)["rev"] == 1
    for rev in (1, 2):
        before, _ = ordered(desk, {"do": "accept", "nucleus": rev})
        patch = canvas.patch(desk, before, rev)
        assert (patch["base"], patch["rev"]) == (rev, rev + 1)
    assert canvas.full(desk)["rev"] == 4 and desk.rev == 4


def test_a_patch_holds_no_more_than_what_changed(canvas, seated):
    desk = seated()
    canvas.full(desk)
    before, _ = ordered(desk, {"do": "accept", "nucleus": 3})
    patch = canvas.patch(desk, before, 1)
    assert patch["window"] == [0, 0, 0, 0] and zlib.decompress(base64.b64decode(patch["labels"])) == b""
    assert list(patch["nuclei"]) == ["3"] and patch["nuclei"]["3"][-1] is True
    assert (patch["points"], patch["rows"]) == ({}, {}) and (patch["undo"], patch["redo"]) == (1, 0)
    x0, y0, x1, y1 = desk.picture.session.nuclei[3].window
    before, _ = ordered(desk, {"do": "delete", "nuclei": [3]})
    patch = canvas.patch(desk, before, 2)
    assert patch["window"] == [x0, y0, x1 - x0, y1 - y0]
    assert (patch["nuclei"], patch["rows"]) == ({"3": None}, {"3": None})


def test_a_second_segmentation_is_undone_by_a_patch(canvas, seated):
    desk = seated()
    picture = desk.picture
    first = opened(canvas.full(desk))
    picture.begin(("nuclei", "instances"), work.segmented(picture, "nuclei", SegmentOptions(negatives=0)))
    kept = opened(canvas.full(desk))
    assert kept["rows"] != first["rows"]
    before, _ = ordered(desk, {"do": "undo"})
    kept = patched(kept, sent(canvas.patch(desk, before, 1)))
    same({**kept, "redo": 0}, first)
    assert kept["redo"] == 1


# Everything


def test_everything_of_a_segmented_picture(canvas, seated):
    desk = seated()
    session, image = desk.picture.session, desk.picture.image
    kept = opened(canvas.full(desk))
    assert np.array_equal(kept["labels"], session.labels)
    assert (kept["kind"], kept["index"], kept["name"]) == ("full", 0, image.name)
    assert (kept["width"], kept["height"], kept["mode"]) == (256, 256, "instances")
    assert (kept["microns"], kept["truth"], kept["undo"], kept["redo"]) == (None, None, 0, 0)
    assert np.array_equal(np.array(PIL.Image.open(kept["image"]["path"])), image.pixels)
    for number, nucleus in session.nuclei.items():
        told = kept["nuclei"][str(number)]
        assert (tuple(told[:4]), told[4], told[7:]) == (nucleus.window, nucleus.area, ["automatic", False])
        assert told[5:7] == pytest.approx([nucleus.certainty, nucleus.stability], abs=6e-4)
    for number, row in session.rows.items():
        assert kept["rows"][str(number)] == [[list(p) for p in row.points], None]
    for number, point in session.points.items():
        assert kept["points"][str(number)][:2] == pytest.approx([point.x, point.y], abs=0.051)
    assert len(kept["nuclei"]) == len(session.nuclei) and len(kept["points"]) == len(session.points)


def test_everything_of_an_empty_desk(canvas):
    assert sent(canvas.full(Desk())) == {"rev": 1, "kind": "full", "strip": [], "index": 0}


def test_a_picture_that_is_not_segmented_has_no_work(canvas, image):
    desk = Desk()
    desk.add([image, Image("scaled.png", image.pixels[:20, :30].copy(), microns=0.25)])
    desk.index = 1
    value = sent(canvas.full(desk, said="Hello."))
    assert (value["name"], value["width"], value["height"], value["microns"]) == ("scaled.png", 30, 20, 0.25)
    assert value["said"] == "Hello." and not {"labels", "nuclei", "points", "rows", "undo"} & set(value)
    assert [(p["name"], p["state"], p["nuclei"]) for p in value["strip"]] == [
        (image.name, "new", None), ("scaled.png", "new", None),
    ]  # fmt: skip


def test_the_strip_follows_the_work(canvas, seated):
    desk = seated()
    count = len(desk.picture.session.nuclei)
    assert [(p["state"], p["nuclei"]) for p in canvas.full(desk)["strip"]] == [("segmented", count)]
    before, _ = ordered(desk, {"do": "delete", "nuclei": [1]})
    assert [(p["state"], p["nuclei"]) for p in canvas.patch(desk, before, 1)["strip"]] == [("edited", count - 1)]


def test_the_truth_travels_to_the_last_number(canvas, seated):
    desk = seated()
    desk.picture.truth = np.random.default_rng(0).integers(0, 2**31 - 1, (256, 256)).astype(np.int32)
    truth = sent(canvas.full(desk))["truth"]
    assert np.array_equal(labels_of(truth, 256, 256), desk.picture.truth)


def test_large_pictures_travel_as_jpeg(canvas):
    desk = Desk()
    desk.add([Image("large.png", np.full((LOSSLESS // 2000 + 1, 2000, 3), 90, np.uint8))])
    picture = PIL.Image.open(sent(canvas.full(desk))["image"]["path"])
    assert picture.format == "JPEG" and picture.size == (2000, 2001)


def test_equal_content_is_one_file_whenever_it_is_sent(canvas, seated, monkeypatch):
    one = sent(canvas.full(seated()))
    later = time.time() + 5
    monkeypatch.setattr(time, "time", lambda: later)
    other = sent(canvas.full(seated()))
    assert one["image"]["path"] == other["image"]["path"] and one["labels"]["path"] == other["labels"]["path"]
