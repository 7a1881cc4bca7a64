"""A desk holds pictures in a row, one of them shown, and the work on each under each model and mode."""

from __future__ import annotations

import base64
import copy
import io
import time
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest

from sac.cases import Case, Owner
from sac.config import LIMITS, SegmentOptions
from sac.errors import CaseError, DeskError, ImageError, Stopped
from sac.images import Image
from sac.inference import edits
from sac.inference.instances import from_mask
from sac.inference.session import Session
from sac.prompts import Prompts
from sac.ui import desk
from sac.ui.canvas import strip
from sac.ui.cases.work import check_saved, hold, work_of
from sac.ui.desk import DESKS, Desk
from sac.ui.picture import THUMBNAIL, Picture
from sac.ui.told import counted, summary, told

NUCLEI, SEMANTIC = ("nuclei", "instances"), ("nuclei", "semantic")


def plain(name: str, shade: int = 0, height: int = 40, width: int = 60) -> Image:
    return Image(name, np.full((height, width, 3), shade, np.uint8))


def squares(*places: tuple[int, int]) -> Session:
    """A session with a nucleus of 8 x 8 pixels at each (x, y), and no prompts."""
    inside = np.zeros((40, 60), bool)
    for x, y in places:
        inside[y : y + 8, x : x + 8] = True
    nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
    return Session.begin(from_mask(inside, nothing), SegmentOptions())


def desk_of(*names: str) -> Desk:
    desk = Desk()
    desk.add([plain(name) for name in names])
    return desk


def names(desk: Desk) -> list[str]:
    return [picture.image.name for picture in desk.pictures]


# Pictures on a desk


def test_what_is_added_is_shown():
    desk = desk_of("a", "b")
    assert desk.picture.image.name == "a"
    desk.add([plain("c"), plain("d")])
    assert names(desk) == ["a", "b", "c", "d"] and desk.picture.image.name == "c"


@pytest.mark.parametrize(
    "shown, removed, then", [(0, 0, "b"), (0, 2, "a"), (1, 0, "b"), (1, 1, "c"), (1, 2, "b"), (2, 0, "c"), (2, 2, "b")]
)
def test_removing_keeps_the_same_picture_in_view_or_shows_its_neighbour(shown, removed, then):
    desk = desk_of("a", "b", "c")
    desk.index = shown
    desk.remove(removed)
    assert desk.picture.image.name == then
    assert names(desk) == [name for index, name in enumerate("abc") if index != removed]


@pytest.mark.parametrize("index", [-1, 2, 99])
def test_what_is_not_there_is_not_removed(index):
    desk = desk_of("a", "b")
    desk.remove(index)
    assert names(desk) == ["a", "b"] and desk.index == 0


def test_the_last_one_removed_leaves_an_empty_desk():
    desk = desk_of("a")
    desk.remove(0)
    assert desk.pictures == [] and desk.index == 0
    with pytest.raises(ImageError, match="no image yet"):
        _ = desk.picture
    desk.add([plain("b")])
    assert desk.picture.image.name == "b"


def test_a_desk_is_full_at_its_limit():
    desk = Desk()
    desk.add([plain(str(n), height=2, width=2) for n in range(LIMITS.pictures)])
    with pytest.raises(ImageError, match=str(LIMITS.pictures)):
        desk.add([plain("one more")])
    assert len(desk.pictures) == LIMITS.pictures and desk.index == 0
    desk.remove(0)
    desk.add([plain("one more")])
    assert desk.picture.image.name == "one more"


def test_clearing_lets_go_of_everything():
    desk = desk_of("a", "b")
    desk.index = 1
    desk.clear()
    assert (desk.pictures, desk.index) == ([], 0)


def test_a_desk_is_never_copied():
    desk = desk_of("a")
    assert copy.deepcopy(desk) is desk and copy.deepcopy({"state": desk})["state"] is desk
    assert desk != desk_of("a")


# One picture


def test_equal_pixels_have_equal_digests():
    one, other = Picture.of(plain("a", 7)), Picture.of(plain("b", 7))
    assert one.digest == other.digest != Picture.of(plain("a", 8)).digest


@pytest.mark.parametrize("height, width", [(1, 1), (1, 500), (500, 1), (700, 900)])
def test_a_thumbnail_is_small_and_keeps_the_proportions(height, width):
    url = Picture.of(plain("a", 120, height, width)).thumbnail
    head, content = url.split(",")
    small = PIL.Image.open(io.BytesIO(base64.b64decode(content)))
    assert head == "data:image/jpeg;base64" and small.format == "JPEG"
    assert small.width <= THUMBNAIL[0] and small.height <= THUMBNAIL[1]
    if (height, width) == (700, 900):
        assert small.width / small.height == pytest.approx(9 / 7, rel=0.03)


def test_a_new_picture_has_no_result():
    picture = Picture.of(plain("cells.png"))
    assert (picture.history, picture.session, picture.state) == (None, None, "new")
    with pytest.raises(ImageError, match=r"cells\.png is not segmented"):
        picture.result()
    picture.trouble = "It did not work."
    assert picture.state == "failed"


def test_the_first_segmentation_cannot_be_undone():
    picture, session = Picture.of(plain("a")), squares((5, 5))
    picture.trouble = "It did not work."
    picture.begin(NUCLEI, session)
    assert picture.session is session and picture.history.past == ()
    assert (picture.state, picture.trouble) == ("segmented", "")
    assert picture.result().model == "nuclei" and len(picture.result().found) == 1


def test_a_second_segmentation_is_one_step_that_can_be_undone():
    picture, first, second = Picture.of(plain("a")), squares((5, 5), (30, 20)), squares((40, 5))
    picture.begin(NUCLEI, first)
    picture.begin(NUCLEI, second)
    assert picture.state == "edited" and np.array_equal(picture.session.labels, second.labels)
    picture.commit(picture.history.undone())
    assert np.array_equal(picture.session.labels, first.labels) and picture.session.nuclei == first.nuclei
    assert picture.state == "segmented"
    picture.commit(picture.history.redone())
    assert picture.session.nuclei == second.nuclei


def test_no_number_is_given_twice_over_a_second_segmentation():
    picture = Picture.of(plain("a"))
    picture.begin(NUCLEI, squares((5, 5), (30, 20)))
    picture.commit(picture.history.then(edits.split(picture.session, [(9, 2), (9, 16)])))
    assert picture.session.last == 3
    picture.begin(NUCLEI, squares((40, 5)))
    cut = edits.split(picture.session, [(44, 2), (44, 16)])
    assert sorted(cut.nuclei) == [1, 4]


def test_work_is_kept_under_each_model_and_mode():
    picture, other = Picture.of(plain("a")), ("nuclei-he", "instances")
    for count, variant in enumerate((NUCLEI, SEMANTIC, other), start=1):
        picture.begin(variant, squares(*[(12 * n, 5) for n in range(count)]))
    picture.commit(picture.history.then(edits.deleted(picture.session, [1, 2])))
    kept = {}
    for variant in (NUCLEI, SEMANTIC, other):
        picture.shown = variant
        kept[variant] = (len(picture.session.nuclei), picture.state)
    assert kept == {NUCLEI: (1, "segmented"), SEMANTIC: (2, "segmented"), other: (1, "edited")}


def test_what_is_found_has_the_name_of_what_the_checkpoint_looks_for():
    desk = desk_of("a", "b", "c")
    first, second, third = desk.pictures
    first.begin(NUCLEI, squares((5, 5)))
    second.begin(("glands", "instances"), squares((5, 5), (30, 20)))
    assert [card["sought"] for card in strip(desk)] == ["nuclei", "glands", "nuclei"]
    assert told(first).startswith("**1 nuclei**") and told(second).startswith("**2 glands**")
    assert "1 nuclei, 2 glands in all" in summary(desk) and counted([second]) == "2 glands"


def test_a_variant_without_work_shows_none():
    picture = Picture.of(plain("a"))
    picture.begin(NUCLEI, squares((5, 5)))
    picture.shown = SEMANTIC
    assert (picture.session, picture.state) == (None, "new")


def test_all_tabs_together_hold_so_much_and_no_more(monkeypatch):
    one, other = desk_of("a"), Desk()
    DESKS["one"], DESKS["other"] = one, other
    monkeypatch.setattr(desk, "LIMITS", replace(LIMITS, desks=one.nbytes * 2))
    other.add([plain("b")])
    with pytest.raises(DeskError, match="^This server holds as many images as it can"):
        other.add([plain("c")])
    one.clear()
    other.add([plain("c")])
    assert names(other) == ["b", "c"]


ADA = Owner("login:ada")


def kept_as_case(picture: Picture, work=None) -> None:
    case = Case("0123456789abcdef", "a", 0.0, 0.0, 1, "ada", 1, 100, "own", b"")
    hold(picture, case, ADA, work or work_of(picture, ""))


def test_what_is_edited_while_a_case_is_saved_is_not_saved_yet():
    picture = Picture.of(plain("a"))
    picture.begin(NUCLEI, squares((5, 5)))
    work = work_of(picture, "")
    picture.commit(picture.history.then(squares((5, 5), (25, 5))))  # before the case is on the disk
    kept_as_case(picture, work)
    assert picture.is_unsaved
    kept_as_case(picture)
    assert not picture.is_unsaved


def test_all_that_a_case_keeps_counts_as_unsaved_while_it_does_not():
    picture = Picture.of(plain("a"))
    picture.begin(NUCLEI, squares((5, 5)))
    kept_as_case(picture)
    image, changes = picture.image, (
        lambda: picture.begin(SEMANTIC, squares((5, 5))),
        lambda: setattr(picture, "truth", np.ones((40, 60), np.int32)),
        lambda: setattr(picture, "image", image.sized(0.25)),
    )  # fmt: skip
    for change in changes:
        change()
        picture.shown = NUCLEI  # whatever is shown
        assert picture.is_unsaved
        kept_as_case(picture)
        assert not picture.is_unsaved
    picture.commit(picture.history.then(squares((9, 9))))
    assert picture.is_unsaved


def test_a_case_is_not_opened_over_work_that_is_not_saved():
    desk = desk_of("a", "b")
    desk.picture.begin(NUCLEI, squares((5, 5)))
    kept_as_case(desk.picture)
    check_saved(desk, "0123456789abcdef")
    desk.picture.commit(desk.picture.history.then(squares((9, 9))))
    check_saved(desk, "fedcba9876543210")
    check_saved(None, "0123456789abcdef")
    desk.index = 1
    with pytest.raises(CaseError, match="not saved yet: save it first, or close the image"):
        check_saved(desk, "0123456789abcdef")


def test_pictures_of_equal_pixels_and_other_shapes_are_told_apart():
    wide, high = (Picture.of(plain("a", 7, *size)) for size in ((20, 30), (30, 20)))
    assert wide.digest != high.digest and wide.digest == Picture.of(plain("b", 7, 20, 30)).digest


# Long work


def test_long_work_tells_its_progress_until_it_is_stopped():
    desk, heard = Desk(), []
    assert not desk.stop()  # nothing is under way
    with pytest.raises(Stopped), desk.task(lambda share, word: heard.append((share, word))) as tell:
        tell(0.5, "half")
        assert desk.stop()
        tell(0.6, "more")
    assert heard == [(0.5, "half")] and not desk.stop()
    with desk.task(lambda share, word: heard.append((share, word))) as tell:
        tell(1.0, "what begins afterwards goes on")
    assert len(heard) == 2


@pytest.mark.parametrize("gone, goes_on", [(0, True), (desk.ABANDONED - 5, True), (desk.ABANDONED + 1, False)])
def test_work_for_a_tab_that_is_gone_ends(gone, goes_on):
    one = Desk()
    one.left = time.monotonic() - gone
    with (nullcontext() if goes_on else pytest.raises(Stopped)), one.task(lambda share, word: None) as tell:
        tell(0.5, "half")
