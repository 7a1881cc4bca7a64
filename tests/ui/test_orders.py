"""Orders by name, and what becomes of those that no canvas of ours would send."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import ndimage

from sac.errors import EditError
from sac.inference.history import History
from sac.prompts import NEGATIVE, POSITIVE
from sac.ui import work
from sac.ui.orders import EDITS, LONGEST_STROKE, MOST_SELECTED, obey


@pytest.fixture
def picture(seated):
    return seated().picture


@pytest.fixture
def done(picture):
    """Carries orders out one after the other. Returns the last session and the nucleus to select."""

    def carry(*orders):
        for order in orders:
            history, selected = obey(order, picture.history, work.embedded(picture))
            picture.commit(history)
        return picture.session, selected

    return carry


def unneeded():
    raise AssertionError("nothing must be decoded for this order")


def middle(session, number):
    """(x, y) of a pixel of a nucleus, near the middle of its window."""
    x0, y0, x1, y1 = session.nuclei[number].window
    rows, columns = np.nonzero(session.labels == number)
    nearest = np.hypot(columns - (x0 + x1) / 2, rows - (y0 + y1) / 2).argmin()
    return int(columns[nearest]), int(rows[nearest])


def ground(session):
    """(x, y) of the pixel farthest from all nuclei and from the picture's border."""
    free = ndimage.distance_transform_edt(np.pad(session.labels == 0, 1))[1:-1, 1:-1]
    y, x = np.unravel_index(free.argmax(), free.shape)
    return int(x), int(y)


# Every order by name


def test_a_click_where_a_nucleus_was_deleted_finds_it_again(picture, done):
    before = picture.session
    x, y = middle(before, 5)
    after, selected = done({"do": "delete", "nuclei": [5]}, {"do": "click", "x": x, "y": y})
    assert selected == before.last + 1 == int(after.labels[y, x])
    assert after.points[len(before.points) + 1].kind == POSITIVE and after.nuclei[selected].origin == "clicked"
    both = np.count_nonzero((before.labels == 5) & (after.labels == selected))
    assert both > 0.7 * before.nuclei[5].area


def test_a_negative_click_belongs_to_the_nucleus_under_it(picture, done):
    x, y = middle(picture.session, 3)
    after, selected = done({"do": "click", "x": x + 0.5, "y": y + 0.5, "positive": False})
    assert selected == 3 and after.rows[3].points[-1][1] == NEGATIVE


def test_a_click_on_dark_ground_is_kept_as_asked_in_vain(picture, done):
    before = picture.session
    x, y = ground(before)
    after, selected = done({"do": "click", "x": x, "y": y})
    assert selected == before.last + 1 and selected in after.rows and selected not in after.nuclei
    assert np.array_equal(after.labels, before.labels)


def test_a_click_can_say_for_which_nucleus(picture, done):
    x0, y0, x1, y1 = picture.session.nuclei[2].window
    after, selected = done({"do": "click", "x": (x0 + x1) // 2, "y": (y0 + y1) // 2, "nucleus": 2})
    assert selected == 2 and after.rows[2].points[-1] == (len(after.points), POSITIVE)


def test_a_box_makes_a_nucleus_or_asks_for_one_again(picture, done):
    before = picture.session
    x, y = ground(before)
    after, selected = done({"do": "box", "box": [x + 8, y + 8, x - 8, y - 8]})
    assert selected == before.last + 1 and after.rows[selected].box == (x - 8, y - 8, x + 8, y + 8)
    x0, y0, x1, y1 = before.nuclei[2].window
    after, selected = done({"do": "box", "box": [x0, y0, x1, y1], "nucleus": 2})
    assert selected == 2 and after.rows[2].box == (x0, y0, x1, y1)


def test_a_point_is_switched_off_and_on_again(picture, done):
    before = picture.session
    own = before.rows[1].points[0][0]
    off, selected = done({"do": "switch", "point": own, "on": False, "nucleus": 1})
    assert selected == 1 and not off.points[own].on and 1 not in off.nuclei
    on, _ = done({"do": "switch", "point": own, "on": True})
    assert on.points == before.points and 1 in on.nuclei


def test_a_point_is_moved(picture, done):
    own = picture.session.rows[1].points[0][0]
    x, y = middle(picture.session, 1)
    after, selected = done({"do": "move", "point": own, "x": x, "y": y, "nucleus": 1})
    assert selected == 1 and (after.points[own].x, after.points[own].y, after.points[own].by_hand) == (x, y, True)


def test_a_stroke_splits_and_a_merge_undoes_it(picture):
    before = picture.session
    number = max(before.nuclei, key=lambda n: before.nuclei[n].area)
    _, top, _, bottom = before.nuclei[number].window
    x, _ = middle(before, number)
    cut, selected = obey({"do": "split", "stroke": [[x, top - 2], [x, bottom + 2]]}, picture.history, unneeded)
    assert selected == 0 and len(cut.now.nuclei) > len(before.nuclei)
    pieces = [n for n in cut.now.nuclei if n == number or n > before.last]
    whole, selected = obey({"do": "merge", "nuclei": pieces}, cut, unneeded)
    assert selected in pieces
    assert ((whole.now.labels == selected) >= (before.labels == number)).all()


def test_deleting_accepting_and_clearing(picture):
    before = picture.session
    after, selected = obey({"do": "delete", "nuclei": [1, 2]}, picture.history, unneeded)
    assert selected == 0 and before.nuclei.keys() - after.now.nuclei.keys() == {1, 2}
    after, selected = obey({"do": "accept", "nucleus": 3}, picture.history, unneeded)
    assert selected == 0 and [n for n, known in after.now.nuclei.items() if known.accepted] == [3]
    after, selected = obey({"do": "clear"}, picture.history, unneeded)
    assert selected == 0 and not after.now.labels.any() and after.now.points == {}


def test_undo_and_redo(picture):
    cleared, _ = obey({"do": "clear"}, picture.history, unneeded)
    undone, selected = obey({"do": "undo"}, cleared, unneeded)
    assert selected == 0 and np.array_equal(undone.now.labels, picture.session.labels)
    redone, selected = obey({"do": "redo"}, undone, unneeded)
    assert selected == 0 and not redone.now.labels.any()


def test_undo_and_redo_where_there_is_nothing_to_do(picture):
    for name in ("undo", "redo"):
        history, _ = obey({"do": name}, picture.history, unneeded)
        assert history.now is picture.session and (history.past, history.future) == ((), ())


def test_all_edits_were_tried_here():
    assert set(EDITS) == {"click", "box", "switch", "move", "split", "delete", "merge", "accept", "clear"}


# What no canvas of ours sends


GOOD = {
    "click": {"x": 100, "y": 100, "nucleus": 0},
    "box": {"box": [60, 60, 90, 90], "nucleus": 0},
    "switch": {"point": 1, "nucleus": 0},
    "move": {"point": 1, "x": 100, "y": 100, "nucleus": 0},
    "split": {"stroke": [[0, 0], [255, 255]]},
    "delete": {"nuclei": [1]},
    "merge": {"nuclei": [1, 2]},
    "accept": {"nucleus": 1},
}
NO_NUMBERS = [math.nan, math.inf, -math.inf, "1", "", True, False, None, [], [1], [[1]], {}, {"x": 1}, [{"x": [1]}]]
NO_WHOLE_NUMBERS = [*NO_NUMBERS, 1.0, 1.5, 1e300]


def refused(order, picture):
    """The sentence with which an order is refused; nothing was changed by it."""
    before, labels = picture.history, picture.session.labels.copy()
    with pytest.raises(EditError) as caught:
        obey(order, before, work.embedded(picture))
    assert np.array_equal(before.now.labels, labels) and "\n" not in str(caught.value)
    return str(caught.value)


PLACES = [(name, field) for name, order in GOOD.items() for field in ("x", "y") if field in order]
NUMBERS = [(name, field) for name, order in GOOD.items() for field in ("nucleus", "point") if field in order]
LISTS = [(name, field) for name, order in GOOD.items() for field in ("box", "stroke", "nuclei") if field in order]


@pytest.mark.parametrize("name, field", PLACES)
def test_no_place(picture, name, field):
    for odd in NO_NUMBERS:
        refused({"do": name, **GOOD[name], field: odd}, picture)


@pytest.mark.parametrize("name, field", NUMBERS)
def test_no_number_of_anything(picture, name, field):
    for odd in NO_WHOLE_NUMBERS:
        refused({"do": name, **GOOD[name], field: odd}, picture)


@pytest.mark.parametrize("name, field", LISTS)
def test_no_list(picture, name, field):
    for odd in [1, 2.5, math.nan, "1234", True, None, {}, {"0": [1, 2]}, [], [[]], [None] * 4, [{}] * 4, "[[1, 2]]"]:
        refused({"do": name, **GOOD[name], field: odd}, picture)


@pytest.mark.parametrize("name, field", [*PLACES, *LISTS, *(pair for pair in NUMBERS if pair[1] == "point")])
def test_a_missing_field(picture, name, field):
    refused({"do": name, **{k: v for k, v in GOOD[name].items() if k != field}}, picture)


@pytest.mark.parametrize("odd", NO_NUMBERS)
def test_no_corner_of_a_box_and_no_place_of_a_stroke(picture, odd):
    for corner in range(4):
        refused({"do": "box", "box": [60, 60, 90, 90][:corner] + [odd] + [60, 60, 90, 90][corner + 1 :]}, picture)
    refused({"do": "split", "stroke": [[0, 0], [odd, 90], [255, 255]]}, picture)
    refused({"do": "split", "stroke": [[0, 0], [90, odd], [255, 255]]}, picture)


@pytest.mark.parametrize("odd", NO_WHOLE_NUMBERS)
def test_no_nucleus_among_the_chosen(picture, odd):
    for name, chosen in itertools.product(("delete", "merge"), ([odd], [1, 2, odd], [odd] * 3)):
        refused({"do": name, "nuclei": chosen}, picture)


@pytest.mark.parametrize("box", [[], [1, 2, 3], [1, 2, 3, 4, 5], [10, 10, 11, 90], [-50, -50, -10, -10], [300] * 4])
def test_no_box(picture, box):
    refused({"do": "box", "box": box}, picture)


@pytest.mark.parametrize("x, y", [(-1, 5), (5, -0.1), (256, 5), (5, 256), (1e300, 5), (5, -1e300), (2**62, 5)])
def test_a_place_beside_the_picture(picture, x, y):
    assert "picture" in refused({"do": "click", "x": x, "y": y}, picture)
    assert "picture" in refused({"do": "move", "point": 1, "x": x, "y": y}, picture)


@pytest.mark.parametrize("number", [-1, 999, 2**31, 2**63, 10**30])
def test_what_is_not_on_the_picture(picture, number):
    for order in (
        {"do": "click", "x": 5, "y": 5, "nucleus": number}, {"do": "switch", "point": number, "on": False},
        {"do": "move", "point": number, "x": 5, "y": 5}, {"do": "delete", "nuclei": [number]},
        {"do": "merge", "nuclei": [number, number - 1]}, {"do": "accept", "nucleus": number},
    ):  # fmt: skip
        refused(order, picture)


@pytest.mark.parametrize("number", [-1, 999, 2**31, 2**63, 10**30])
def test_a_box_for_a_nucleus_that_is_not_on_the_picture(picture, number):
    refused({"do": "box", "box": [60, 60, 90, 90], "nucleus": number}, picture)


@pytest.mark.parametrize("name", [None, "", "Click", "clicks", "__class__", 1, 1.5, math.nan, True, (), 10**30])
def test_an_unknown_name(picture, name):
    assert "unknown edit" in refused({"do": name, "x": 5, "y": 5}, picture)
    assert "unknown edit" in refused({}, picture)


@pytest.mark.parametrize("name", [[], ["click"], {}, {"do": "click"}])
def test_a_name_that_is_no_text(picture, name):
    assert "unknown edit" in refused({"do": name, "x": 5, "y": 5}, picture)


@pytest.mark.parametrize("order", [None, [], ["click"], "click", 1, 1.5, True])
def test_an_order_without_fields(picture, order):
    refused(order, picture)


def test_lists_that_are_too_long(picture):
    refused({"do": "split", "stroke": [[0, 0], [255, 255]] * (LONGEST_STROKE // 2) + [[0, 0]]}, picture)
    refused({"do": "delete", "nuclei": [1] * (MOST_SELECTED + 1)}, picture)
    refused({"do": "merge", "nuclei": [1, 2] * MOST_SELECTED}, picture)


@pytest.mark.parametrize("huge", [10**400, -(10**400)], ids=["huge", "hugely negative"])
def test_whole_numbers_beyond_any_float(picture, huge):
    refused({"do": "click", "x": huge, "y": 5}, picture)
    refused({"do": "box", "box": [5, 5, huge, 90]}, picture)
    refused({"do": "split", "stroke": [[0, 0], [5, huge]]}, picture)


def test_places_of_a_stroke_that_are_no_pairs_are_left_out(picture):
    refused({"do": "split", "stroke": [[1], [1, 2, 3], "ab", 5, None, {"x": 1}, [0, 0]]}, picture)  # one is left


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("far", [1e15, -1e15, 1e300, -1e300])
def test_a_stroke_from_far_beside_the_picture(picture, far):
    """Drawn pixel by pixel, it would not fit into any memory."""
    refused({"do": "split", "stroke": [[far, 5], [-10, 5]]}, picture)


def test_a_history_is_left_as_it_was_by_what_is_refused(picture):
    refused({"do": "click", "x": math.nan, "y": 5}, picture)
    assert isinstance(picture.history, History) and picture.state == "segmented"
