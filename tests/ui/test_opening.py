"""How pictures come onto the desk: good files among bad ones, parts of a file, regions of a slide."""

from __future__ import annotations

import time
import zipfile

import gradio as gr
import numpy as np
import pytest
import tifffile
from files import picture, saved

from sac.config import LIMITS, Limits, SegmentOptions
from sac.errors import ImageError
from sac.inference.instances import from_mask
from sac.inference.session import Session
from sac.prompts import Prompts
from sac.ui import source
from sac.ui.desk import DESKS, Desk
from sac.ui.opening import Opening, forget

TAB = gr.Request(session_hash="opening")
CONTROLS = ("panel", "channel", "plane", "microns", "region")


class Asked:
    """What the canvas sends with an event."""

    def __init__(self, **order):
        self._data = order


@pytest.fixture
def opening(canvas):
    yield Opening(canvas)
    DESKS.pop("opening", None)


@pytest.fixture
def stack(tmp_path):
    """Three planes of two channels of 16 bit, the second the nuclear one, of .5 µm."""
    values = np.arange(3 * 2 * 20 * 30, dtype=np.uint16).reshape(3, 2, 20, 30) * 7
    settings = {"axes": "ZCYX", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "Channel": {"Name": ["GFP", "DAPI"]}}
    tifffile.imwrite(tmp_path / "stack.ome.tif", values, metadata=settings)
    return tmp_path / "stack.ome.tif", values


@pytest.fixture
def slide(tmp_path, monkeypatch):
    """A pyramid of 1024 x 768 pixels that counts as too large to be opened at once."""
    monkeypatch.setattr("sac.decoding.LIMITS", LIMITS)
    whole = picture(1024, 768)
    with tifffile.TiffWriter(tmp_path / "slide.tif", ome=True) as tiff:
        tiff.write(whole, tile=(64, 64), subifds=1, photometric="rgb")
        tiff.write(whole[::4, ::4], tile=(64, 64), subfiletype=1, photometric="rgb")
    return tmp_path / "slide.tif", whole


def opened(opening, *paths, desk=None):
    """The desk and what the page is told: value of the canvas, words, figures, controls."""
    desk, field, _, value, words, figures, *controls = opening.files(desk, [str(p) for p in paths], TAB)
    assert field is None and figures == ""
    return desk, value, words, dict(zip(CONTROLS, controls))


def segmented(desk):
    """A session on the picture shown, without a model."""
    nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
    session = Session.begin(from_mask(np.ones(desk.picture.image.size, bool), nothing), SegmentOptions())
    desk.picture.begin(("nuclei", "instances"), session)


def test_good_files_are_laid_down_and_bad_ones_named(opening, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.write(saved(tmp_path / "x.png", picture()), "in/x.png")
        archive.writestr("in/y_*.png", b"no")
    desk, value, words, _ = opened(
        opening, saved(tmp_path / "a.png", picture()), tmp_path / "bad.png", tmp_path / "two.zip"
    )
    assert [p.image.name for p in desk.pictures] == ["a.png", "in/x.png"] and desk.index == 0
    assert (
        value["kind"] == "full" and value["name"] == "a.png" and [c["state"] for c in value["strip"]] == ["new", "new"]
    )
    assert "Not opened" in words and "bad.png is not an image" in words and r"in/y\_\*.png is not an image" in words


def test_nothing_good_leaves_the_picture_that_was_shown(opening, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no")
    desk, *_ = opened(opening, saved(tmp_path / "a.png", picture()), saved(tmp_path / "b.png", picture()))
    desk.index = 1
    desk, value, words, _ = opened(opening, tmp_path / "bad.png", desk=desk)
    assert len(desk.pictures) == 2 and desk.index == 1 and value["name"] == "b.png" and "bad.png" in words
    DESKS.clear()
    alone, value, words, _ = opened(opening, tmp_path / "bad.png")
    assert alone.pictures == [] and "image" not in value and "bad.png" in words


def test_a_full_desk_keeps_what_it_has_and_says_what_is_left(opening, tmp_path, monkeypatch):
    monkeypatch.setattr("sac.ui.desk.LIMITS", Limits(pictures=2))
    desk, _, words, _ = opened(opening, *(saved(tmp_path / f"{n}.png", picture()) for n in range(4)))
    assert [p.image.name for p in desk.pictures] == ["0.png", "1.png"]
    assert "2.png and what follows it" in words and "2 images" in words


def test_a_desk_holds_so_many_bytes_and_no_more(opening, tmp_path, monkeypatch):
    monkeypatch.setattr("sac.ui.desk.LIMITS", Limits(desk=5000))  # a picture has 24 x 32 x 3 = 2304
    desk, _, words, _ = opened(opening, *(saved(tmp_path / f"{n}.png", picture()) for n in range(3)))
    assert len(desk.pictures) == 2 and "GB" in words


def test_what_came_out_of_a_zip_goes_when_the_tab_closes(opening, tmp_path, monkeypatch):
    monkeypatch.setattr("sac.ui.opening.GRACE", 0.1)
    with zipfile.ZipFile(tmp_path / "one.zip", "w") as archive:
        archive.write(saved(tmp_path / "x.png", picture()), "x.png")
    desk, *_ = opened(opening, tmp_path / "one.zip")
    unpacked = desk.picture.image.source
    assert unpacked.is_file() and unpacked.parent == desk.room
    forget(TAB)
    time.sleep(0.4)
    assert not unpacked.parent.exists()


def test_a_checkpoint_that_fits_is_chosen_until_the_visitor_chooses(opening, tmp_path):
    tissue = saved(tmp_path / "tissue.png", np.full((30, 30, 3), (200, 120, 190), np.uint8))
    dark = saved(tmp_path / "dark.png", np.full((30, 30, 3), (20, 20, 60), np.uint8))
    desk, _, model, _, words, *_ = opening.files(None, [str(tissue)], TAB)
    assert model == "nuclei-he" and "stained" in words
    assert opening.files(desk, [str(dark)], TAB)[2] == "nuclei"
    assert opening.show(desk, Asked(picture=desk.pictures[0].id))[-2] == "nuclei-he"
    opening.pick(desk, TAB)
    assert opening.files(desk, [str(dark)], TAB)[2] == gr.skip()
    segmented(desk)  # by nuclei, in instance mode
    assert opening.show(desk, Asked(picture=desk.pictures[2].id))[-2:] == ("nuclei", "instances")


def test_the_controls_show_what_there_is_to_choose(opening, stack, tmp_path):
    _, _, words, controls = opened(opening, stack[0])
    assert controls["panel"]["open"] and controls["microns"]["value"] == 0.5 and not controls["region"]["visible"]
    assert controls["channel"]["choices"] == [source.ALL, ("1: GFP", 1), ("2: DAPI", 2)]
    assert controls["channel"]["value"] == 2 and controls["channel"]["visible"]
    assert (
        controls["plane"]["value"] == 2
        and controls["plane"]["maximum"] == 3
        and "z 2 of 3" in controls["plane"]["label"]
    )
    assert "DAPI" in words and "uint16" in words
    _, _, _, controls = opened(opening, saved(tmp_path / "plain.png", picture()[..., 0]))
    assert not controls["panel"]["open"] and not controls["channel"]["visible"] and not controls["plane"]["visible"]
    assert controls["microns"]["visible"] and controls["microns"]["value"] is None


def test_another_channel_and_plane_take_the_place_of_an_untouched_picture(opening, stack):
    path, values = stack
    desk, *_ = opened(opening, path)
    value, words, *_ = opening.part(desk, "", 1, 3, 0.5, "")
    image = desk.picture.image
    assert (
        len(desk.pictures) == 1
        and (image.channel, image.plane) == (1, 3)
        and np.array_equal(image.values[..., 0], values[2, 0])
    )
    assert value["name"] == "stack.ome.tif (channel 1, plane 3)" and "GFP" in words
    opening.part(desk, "", -1, 3, 0.5, "")
    assert desk.picture.image.channel == -1 and "colours" in " ".join(desk.picture.image.notes)


def test_work_on_a_picture_stays_when_another_part_of_its_file_is_shown(opening, stack):
    desk, *_ = opened(opening, stack[0])
    segmented(desk)
    opening.part(desk, "", 1, 2, 0.5, "")
    assert len(desk.pictures) == 2 and desk.index == 1
    assert desk.pictures[0].session is not None and desk.picture.session is None


def test_a_choice_that_is_sent_twice_is_carried_out_once(opening, stack):
    desk, *_ = opened(opening, stack[0])
    opening.part(desk, "", 1, 2, 0.5, "")
    chosen = desk.picture
    assert opening.part(desk, "", 1, 2, 0.5, "") == (gr.skip(),) * 8 and desk.picture is chosen


def test_a_picture_that_is_being_segmented_is_not_replaced(opening, stack):
    desk, *_ = opened(opening, stack[0])
    desk.picture.busy = True
    opening.part(desk, "", 1, 2, 0.5, "")
    assert len(desk.pictures) == 2 and desk.index == 1


def test_the_size_of_a_pixel_is_taken_and_the_work_stays(opening, stack):
    desk, *_ = opened(opening, stack[0])
    segmented(desk)
    value, *_ = opening.part(desk, "", 2, 2, 0.25, "")
    assert len(desk.pictures) == 1 and desk.picture.image.microns == 0.25 and value["microns"] == 0.25
    told = desk.picture.result().about()
    assert told["micrometres_per_pixel"] == 0.25 and any("0.25" in note for note in told["notes"])
    opening.part(desk, "", 2, 2, 0.4, "")
    assert [note for note in desk.picture.result().about()["notes"] if "as the user says" in note] == [
        "a pixel is 0.4 µm, as the user says"
    ]


@pytest.mark.parametrize(
    "channel, plane, microns, region, word",
    [(9, 2, 0.5, "", "channels"), (2, 9, 0.5, "", "plane"), (2, 2, 99, "", "µm"), (2, 2, 0.5, "1, 2, 3", "region"),
     (2, 2, 0.5, "5 5 400 4", "beyond"), (2, 2, 0.5, "0 0 0 4", "region")],
)  # fmt: skip
def test_what_is_not_there_is_refused_and_the_picture_stays(opening, stack, channel, plane, microns, region, word):
    desk, *_ = opened(opening, stack[0])
    before = desk.picture
    with pytest.raises(gr.Error, match=word):
        opening.part(desk, "", channel, plane, microns, region)
    assert desk.pictures == [before]


def test_a_typed_region_is_opened(opening, stack):
    path, values = stack
    desk, *_ = opened(opening, path)
    opening.part(desk, "", 2, 2, 0.5, "5, 4, 12, 10")
    assert np.array_equal(desk.picture.image.values[..., 1], values[1, 1, 4:14, 5:17])


def test_a_file_that_is_gone_is_said(opening, stack):
    desk, *_ = opened(opening, stack[0])
    stack[0].unlink()
    with pytest.raises(gr.Error, match="no longer here"):
        opening.part(desk, "", 1, 2, 0.5, "")


def preview_of(opening, slide, monkeypatch):
    """The desk with the preview of a slide: the limit is lowered in the image itself."""
    from dataclasses import replace

    from sac.images import Place

    desk, *_ = opened(opening, slide[0])
    small = np.ascontiguousarray(slide[1][::4, ::4])
    image = replace(desk.picture.image, pixels=small, values=small, place=Place((1024, 768), downsample=4.0))
    desk.picture.image = image
    return desk


def test_a_rectangle_on_a_preview_opens_what_lies_below_it(opening, slide, monkeypatch):
    desk = preview_of(opening, slide, monkeypatch)
    value, *_ = opening.region(desk, Asked(picture=desk.picture.id, box=[10, 20, 42, 36]))
    image = desk.picture.image
    assert value["kind"] == "full" and len(desk.pictures) == 2 and desk.index == 1
    assert image.view.region == (40, 80, 128, 64) and np.array_equal(image.pixels, slide[1][80:144, 40:168])
    assert value["strip"][0]["state"] == "whole slide" and value["slide"] is None


@pytest.mark.parametrize(
    "order", [{"picture": "shown"}, {"picture": "shown", "box": "x"}, {"box": [0, 0, 9, 9]}, "no object",
              {"picture": "shown", "box": [0, 0, float("nan"), 1]}, {"picture": "0", "box": [0, 0, 9, 9]}]
)  # fmt: skip
def test_an_order_for_a_region_is_not_trusted(opening, slide, monkeypatch, order):
    desk = preview_of(opening, slide, monkeypatch)
    asked = Asked()
    asked._data = order
    if "shown" in getattr(order, "values", tuple)():
        asked._data = order | {"picture": desk.picture.id}
    value, *rest = opening.region(desk, asked)
    assert value["kind"] == "said" and value["warns"] and len(desk.pictures) == 1 and len(rest) == 7


def test_a_preview_has_no_result(opening, slide, monkeypatch):
    desk = preview_of(opening, slide, monkeypatch)
    with pytest.raises(ImageError, match="rectangle"):
        desk.picture.result()
    assert opening.canvas.full(desk)["slide"] == {"width": 768, "height": 1024, "downsample": 4.0}


# Which picture is meant: the browser's view of the row may be older than the desk's


def test_a_second_click_on_the_cross_closes_nothing_more(opening, tmp_path):
    desk, *_ = opened(opening, *(saved(tmp_path / f"{name}.png", picture()) for name in "abcd"))
    first, second, third, fourth = desk.pictures
    for away in (first, first, second):
        opening.show(desk, Asked(remove=away.id))
    assert desk.pictures == [third, fourth]
    opening.show(desk, Asked(picture=first.id, remove=0))
    assert desk.pictures == [third, fourth] and desk.picture is third


def test_what_was_chosen_for_one_picture_is_not_done_to_another(opening, stack, tmp_path):
    """Another was turned to before it was its turn."""
    desk, *_ = opened(opening, stack[0], saved(tmp_path / "b.png", picture()))
    first, second = desk.pictures
    desk.index = 1
    opening.part(desk, first.id, 2, 2, 0.25, "")
    assert (first.image.microns, second.image.microns) == (0.25, None)
    opening.part(desk, first.id, 1, 2, 0.25, "")
    assert desk.pictures[1] is second and desk.pictures[0].image.channel == 1 and desk.index == 0
    opening.part(desk, first.id, 2, 2, 0.5, "")  # it has gone: the one in its place is another
    assert desk.pictures[0].image.channel == 1 and second.image.microns is None


def test_no_desk_is_no_error(opening):
    value, *rest = opening.show(None, Asked(picture="3"))
    assert value == {"rev": 0} and len(rest) == 9
    with pytest.raises(gr.Error, match="no image yet"):
        opening.part(None, "", -1, 1, None, "")
    assert opening.region(Desk(), Asked(picture="0", box=[0, 0, 1, 1]))[0]["kind"] == "said"


def test_two_openings_at_once_in_a_fresh_tab_share_a_desk(opening, tmp_path):
    """Neither finds a desk in the tab's state, as that is given back when an opening is over."""
    first, *_ = opened(opening, saved(tmp_path / "a.png", picture()))
    second, *_ = opened(opening, saved(tmp_path / "b.png", picture()))
    assert second is first and [held.image.name for held in first.pictures] == ["a.png", "b.png"]


def test_what_was_unpacked_for_nothing_is_not_kept(opening, tmp_path):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        archive.writestr("a.png", b"no picture")
        archive.writestr("b.png", b"no picture either")
    desk, *_ = opened(opening, tmp_path / "bad.zip")
    assert desk.pictures == [] and list(desk.room.iterdir()) == []


def test_a_drop_that_wastes_too_much_time_is_left(opening, tmp_path, monkeypatch):
    """Others wait while one visitor's files are decoded."""
    monkeypatch.setattr("sac.ui.opening.LIMITS", Limits(wasted_seconds=0))
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(b"no")
    good = saved(tmp_path / "c.png", picture())
    desk, _, words, _ = opened(opening, tmp_path / "a.png", tmp_path / "b.png", good)
    assert desk.pictures == [] and "a.png is not" in words and "b.png is not" not in words
    assert "What follows was left out: too much time" in words
