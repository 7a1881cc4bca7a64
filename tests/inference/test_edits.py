"""Edits: what each does to the map, worked out on a made-up one; clicks and boxes, with the real checkpoint."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from sac import hub
from sac.config import SegmentOptions
from sac.errors import EditError
from sac.inference import edits, reprompt
from sac.inference.predictor import decode_semantic, embed
from sac.inference.reprompt import Embedded
from sac.inference.segment import answer, auto_prompts
from sac.inference.semantic import with_mask
from sac.inference.session import Point, Row, Session
from sac.inference.tiles import beside
from sac.prompts import NEGATIVE, POSITIVE
from sac.ui.examples import generated_field

INSTANCES, SEMANTIC = SegmentOptions(), SegmentOptions(mode="semantic")


def check_facts(session: Session) -> None:
    """What is known of nuclei is what the map shows; every row's points are known."""
    windows = ndimage.find_objects(session.labels)
    lying = {number: window for number, window in enumerate(windows, start=1) if window is not None}
    assert {n: nucleus.slices for n, nucleus in session.nuclei.items()} == lying
    areas = np.bincount(session.labels.ravel(), minlength=session.last + 1)
    assert all(nucleus.area == areas[n] for n, nucleus in session.nuclei.items())
    assert session.labels.dtype == np.int32 and session.labels.min() >= 0
    assert max([0, *session.nuclei, *session.rows]) <= session.last
    assert {p for row in session.rows.values() for p, _ in row.points} <= set(session.points)


def iou(one: np.ndarray, other: np.ndarray) -> float:
    return (one & other).sum() / (one | other).sum()


# Merging.


def test_merged_nuclei_are_one_under_the_number_of_the_largest(field):
    after, kept = edits.merged(field, [2, 1])
    assert kept == 1 and (after.labels[10:20, 10:40] == 1).all()
    assert np.array_equal(after.labels == 0, field.labels == 0)
    assert after.nuclei[1] == replace(field.nuclei[1], window=(10, 10, 40, 20), area=300, origin="edited")
    assert after.nuclei[3] is field.nuclei[3] and sorted(after.nuclei) == [1, 3]
    check_facts(after)


def test_merged_rows_keep_every_positive_point_and_ask_none_as_negative(field):
    after, _ = edits.merged(field, [1, 2])
    assert after.rows == {1: Row(((2, POSITIVE), (1, POSITIVE))), 3: field.rows[3], 4: field.rows[4]}


def test_a_negative_point_of_either_row_stays_when_it_is_nobodys_positive(field):
    row = Row((*field.rows[2].points, (3, NEGATIVE)))
    after, _ = edits.merged(replace(field, rows={**field.rows, 2: row}), [1, 2])
    assert after.rows[1].points == ((2, POSITIVE), (1, POSITIVE), (3, NEGATIVE))


@pytest.mark.parametrize("gap, joins", [(1, True), (8, True), (9, False)])
def test_merging_bridges_a_gap_of_eight_pixels(field, gap, joins):
    labels = np.zeros_like(field.labels)
    labels[10:20, 10:20], labels[10:20, 20 + gap : 30 + gap] = 1, 2
    one, two = (replace(field.nuclei[n], window=(x, 10, x + 10, 20), area=100) for n, x in ((1, 10), (2, 20 + gap)))
    apart = replace(field, labels=labels, nuclei={1: one, 2: two})
    if not joins:
        with pytest.raises(EditError, match="do not touch"):
            edits.merged(apart, [1, 2])
        return
    after, _ = edits.merged(apart, [1, 2])
    assert (after.labels[labels > 0] == 1).all() and ndimage.label(after.labels)[1] == 1
    assert (after.labels[15, 20 : 20 + gap] == 1).all() and after.nuclei[1].area > 200
    check_facts(after)


def test_a_bridge_takes_no_pixel_of_a_third_nucleus(field):
    labels = field.labels.copy()
    labels[10:20, 28:30] = 0
    labels[13:17, 28:30] = 3  # in the gap between 1 and 2
    labels[40:50, 60:70] = 0
    nuclei = {
        1: replace(field.nuclei[1], window=(10, 10, 28, 20), area=180),
        2: field.nuclei[2],
        3: replace(field.nuclei[3], window=(28, 13, 30, 17), area=8),
    }
    after, _ = edits.merged(replace(field, labels=labels, nuclei=nuclei), [1, 2])
    assert np.array_equal(after.labels == 3, labels == 3) and after.nuclei[1].area == 300 - 8 - 4  # two corners
    check_facts(after)


@pytest.mark.parametrize(
    "numbers, sentence",
    [
        ([1, 3], "These nuclei do not touch: only neighbours can be merged."),
        ([], "Select two or more nuclei first."),
        ([1], "Select two or more nuclei first."),
        ([1, 1], "Select two or more nuclei first."),
        ([1, 99], "Select two or more nuclei first."),
        ([1, 4], "Select two or more nuclei to merge."),  # 4 was asked in vain
    ],
)
def test_what_cannot_be_merged_is_said(field, numbers, sentence):
    with pytest.raises(EditError, match=f"^{sentence}$"):
        edits.merged(field, numbers)


# Splitting.


def test_the_largest_piece_keeps_the_number(field):
    after = edits.split(field, [(22, 5), (22, 25)])  # 12 columns | the cut | 7 columns
    assert (after.labels[10:20, 10:22] == 1).all() and (after.labels[10:20, 23:30] == 5).all()
    assert np.isin(after.labels[10:20, 22], [1, 5]).all() and (after.labels == 2).sum() == 100
    assert after.nuclei[1].area + after.nuclei[5].area == 200 and after.last == 5
    facts = [(after.nuclei[n].certainty, after.nuclei[n].origin) for n in (1, 5)]
    assert facts == [(0.875, "edited")] * 2
    assert after.rows == field.rows
    check_facts(after)


def test_a_stroke_cuts_every_nucleus_that_it_crosses(field):
    after = edits.split(field, [(5, 15), (45, 15)])  # 5 rows above, 4 below
    assert (after.labels[10:15, 10:30] == 1).all() and (after.labels[16:20, 10:30] == 5).all()
    assert (after.labels[10:15, 30:40] == 2).all() and (after.labels[16:20, 30:40] == 6).all()
    assert np.array_equal(after.labels > 0, field.labels > 0) and after.last == 6
    check_facts(after)


def test_a_stroke_may_bend_and_leave_the_picture(field):
    after = edits.split(field, [(15, -40), (15, 25), (24, 25), (24, -40)])  # columns 10-14, 16-23, 25-29
    assert after.labels[15, [12, 20, 27]].tolist() == [5, 1, 6]  # as wide: the left one comes first
    assert sorted(after.nuclei) == [1, 2, 3, 5, 6]
    check_facts(after)


def test_merging_the_pieces_undoes_a_split(field):
    pieces = edits.split(field, [(22, 5), (22, 25)])
    after, kept = edits.merged(pieces, [5, 1])
    assert kept == 1 and np.array_equal(after.labels, field.labels) and after.rows == field.rows
    assert after.nuclei == {**field.nuclei, 1: replace(field.nuclei[1], origin="edited")}


@pytest.mark.parametrize(
    "stroke",
    [
        [(22, 5), (22, 15)],  # half way in
        [(10, 10), (39, 10)],  # along the edge
        [(12, 10), (10, 12)],  # 3 pixels of a corner: no nucleus
        [(50, 5), (50, 25)],  # beside
        [(-9, -9), (-9, 100)],  # off the picture
    ],
)
def test_a_stroke_that_cuts_nothing_is_said(field, stroke):
    with pytest.raises(EditError, match="^The stroke cuts no nucleus in two: draw it right across one.$"):
        edits.split(field, stroke)


@pytest.mark.parametrize("place", [(1e8, 5), (5, -61), (float("nan"), 5)])
def test_a_stroke_from_far_away_is_refused(field, place):
    with pytest.raises(EditError, match="too far"):
        edits.split(field, [place, (5, 5)])


@pytest.mark.parametrize("stroke", [[], [(15, 15)]])
def test_a_stroke_has_two_ends(field, stroke):
    with pytest.raises(EditError, match="a beginning and an end"):
        edits.split(field, stroke)


# Deleting, accepting, clearing.


def test_deleted_nuclei_leave_with_their_rows(field):
    after = edits.deleted(field, [2, 2, 99])
    assert np.array_equal(after.labels, np.where(field.labels == 2, 0, field.labels))
    assert sorted(after.nuclei) == [1, 3] and sorted(after.rows) == [1, 3, 4]
    assert after.rows[1] == field.rows[1] and after.points == field.points  # still its neighbour's negative point
    check_facts(after)


def test_a_row_asked_in_vain_can_be_deleted(field):
    after = edits.deleted(field, [4])
    assert sorted(after.rows) == [1, 2, 3] and np.array_equal(after.labels, field.labels)


@pytest.mark.parametrize("numbers", [[], [0], [99]])
def test_deleting_needs_a_nucleus(field, numbers):
    with pytest.raises(EditError, match="^Select a nucleus first.$"):
        edits.deleted(field, numbers)


def test_accepting_changes_nothing_else(field):
    after = edits.accepted(field, 2)
    assert after.nuclei == {**field.nuclei, 2: replace(field.nuclei[2], accepted=True)}
    assert after.labels is field.labels and after.rows is field.rows
    with pytest.raises(EditError, match="^There is no nucleus 4 on the map.$"):
        edits.accepted(field, 4)
    with pytest.raises(EditError, match="^Select a nucleus first.$"):
        edits.accepted(field, 99)


def test_clearing_leaves_an_empty_picture_that_remembers_its_numbers(field):
    after = edits.cleared(field)
    assert not after.labels.any() and (after.nuclei, after.points, after.rows) == ({}, {}, {})
    assert after.last == field.last == 4
    tiles = edits.cleared(replace(field, options=SEMANTIC))
    assert tiles.rows == {1: Row(()), 2: Row(()), 3: Row(()), 4: Row(())} and not tiles.points


@pytest.mark.parametrize("options", [INSTANCES, SEMANTIC], ids=["instances", "semantic"])
@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_edits_facts_are_the_maps_and_no_number_comes_twice(field, seed, options):
    rng = np.random.default_rng(seed)
    session = replace(field, options=options)
    gone: set[int] = set()
    for _ in range(25):
        before, labels = session, session.labels.copy()
        numbers = rng.choice([*session.nuclei, 0], 2)
        stroke = np.column_stack([rng.integers(5, 45, 2), (0, 59)])  # downwards through 1 and 2
        try:
            if rng.random() < 0.5:
                session = edits.split(session, stroke)
            elif rng.random() < 0.7:
                session = edits.merged(session, numbers)[0]
            else:
                session = edits.deleted(session, numbers)
        except EditError:
            pass
        check_facts(session)
        assert np.array_equal(before.labels, labels)  # an edit makes another session
        assert not gone & set(session.nuclei) and session.last >= before.last
        assert all(number > before.last for number in set(session.nuclei) - set(before.nuclei))
        gone |= set(before.nuclei) - set(session.nuclei)
    assert session.last > 4 and gone  # something was split, something went


# Clicks, with the embedded checkpoint.


@pytest.fixture(scope="module")
def embedded() -> Embedded:
    sac = hub.load("nuclei")
    return Embedded(sac, embed(sac, generated_field(side=256, count=40).pixels, 1.0, INSTANCES))


def begun(embedded: Embedded, options: SegmentOptions) -> Session:
    prompts = auto_prompts(embedded.sac, embedded.embedding, options)
    return Session.begin(answer(embedded.sac, embedded.embedding, prompts, options), options)


@pytest.fixture(scope="module")
def session(embedded) -> Session:
    return begun(embedded, INSTANCES)


@pytest.fixture(scope="module")
def semantic(embedded) -> Session:
    return begun(embedded, SEMANTIC)


def own_point(session: Session, number: int) -> int:
    return next(p for p, label in session.rows[number].points if label == POSITIVE)


def place_of(session: Session, number: int) -> tuple[float, float]:
    point = session.points[own_point(session, number)]
    return point.x, point.y


def pixel_in(session: Session, number: int) -> tuple[float, float]:
    """The middle one of a nucleus's pixels, as (x, y)."""
    pixels = np.argwhere(session.labels == number)
    y, x = pixels[len(pixels) // 2]
    return float(x), float(y)


def rows_with(session: Session, point: int) -> dict[int, int]:
    """The label that a point has in each row it belongs to."""
    return {n: dict(row.points)[point] for n, row in session.rows.items() if point in dict(row.points)}


def check_others_stayed(before: Session, after: Session, touched: set[int]) -> None:
    """No other nucleus won a pixel; those that lost none to a touched one are as they were."""
    for number in set(before.nuclei) - touched:
        was, now = before.labels == number, after.labels == number
        if not np.isin(after.labels[was], [*touched]).any():
            assert np.array_equal(was, now) and after.nuclei[number] == before.nuclei[number]
        assert not (now & ~was).any()
    assert not set(after.nuclei) - set(before.nuclei) - touched


def test_a_click_on_a_missed_nucleus_finds_it(embedded, session):
    found = []
    for number in session.nuclei:
        missed = edits.deleted(session, [number])
        place = place_of(session, number)
        after, new = reprompt.clicked(missed, embedded, place, POSITIVE)
        assert new == session.last + 1 == after.last and after.nuclei[new].origin == "clicked"
        assert after.labels[round(place[1]), round(place[0])] == new
        check_others_stayed(missed, after, {new})
        check_facts(after)
        found.append(iou(session.labels == number, after.labels == new))
    assert min(found) > 0.5 and np.median(found) > 0.9  # .55: two neighbours that were taken for one; a click finds one


def test_a_new_nucleus_has_its_neighbours_points_as_negatives(embedded, session):
    number = next(n for n, row in session.rows.items() if len(row.points) == 1 + INSTANCES.negatives)
    after, new = reprompt.clicked(edits.deleted(session, [number]), embedded, place_of(session, number), POSITIVE)
    (own, label), *others = after.rows[new].points
    assert label == POSITIVE and after.points[own].by_hand and own not in session.points
    assert set(others) == set(session.rows[number].points[1:])


def test_points_that_are_off_and_the_clicked_place_are_no_negatives(embedded, session):
    number = next(n for n, row in session.rows.items() if len(row.points) == 1 + INSTANCES.negatives)
    nearest = session.rows[number].points[1][0]
    off = edits.deleted(reprompt.switched(session, embedded, nearest, False), [number])
    after, new = reprompt.clicked(off, embedded, place_of(session, number), POSITIVE)
    assert (nearest, NEGATIVE) not in after.rows[new].points
    above, new = reprompt.clicked(session, embedded, place_of(session, number), POSITIVE)
    assert (own_point(session, number), NEGATIVE) not in above.rows[new].points


@pytest.mark.parametrize("kinds, negatives", [("positive", 4), ("both", 0)])
def test_a_new_nucleus_has_no_negatives_where_none_are_wanted(embedded, session, kinds, negatives):
    wanted = replace(session, options=replace(INSTANCES, kinds=kinds, negatives=negatives))
    after, new = reprompt.clicked(edits.deleted(wanted, [1]), embedded, place_of(session, 1), POSITIVE)
    assert after.rows[new].points == ((len(after.points), POSITIVE),)


def test_a_negative_click_in_a_nucleus_takes_that_pixel_from_it(embedded, session):
    for number in session.nuclei:
        x, y = pixel_in(session, number)
        after, told = reprompt.clicked(session, embedded, (x, y), NEGATIVE)
        assert told == number and after.labels[int(y), int(x)] != number
        assert after.rows[number].points == (*session.rows[number].points, (len(after.points), NEGATIVE))
        check_others_stayed(session, after, {number})
        check_facts(after)


def test_a_click_beside_a_nucleus_is_joined_to_it(embedded, session):
    """On the ground, or on another nucleus, which then loses the pixel."""
    hands_changed = 0
    for number in session.nuclei:
        beside = ndimage.distance_transform_edt(session.labels != number)
        y, x = np.argwhere((beside >= 2) & (beside < 4))[0]
        after, told = reprompt.clicked(session, embedded, (float(x), float(y)), POSITIVE, number)
        assert told == number and after.last == session.last and after.labels[y, x] == number
        assert after.rows[number].points == (*session.rows[number].points, (len(after.points), POSITIVE))
        assert after.nuclei[number].origin == "clicked"
        check_others_stayed(session, after, {number})
        check_facts(after)
        hands_changed += session.labels[y, x] > 0
    assert hands_changed


def test_a_piece_of_a_split_nucleus_is_clicked_with_a_point_of_its_own(embedded, session):
    x0, y0, x1, y1 = session.nuclei[1].window
    cut = edits.split(session, [((x0 + x1) // 2, y0 - 2), ((x0 + x1) // 2, y1 + 2)])
    piece = session.last + 1
    assert piece not in cut.rows
    after, told = reprompt.clicked(cut, embedded, pixel_in(cut, piece), POSITIVE, piece)
    (inner, inner_label), clicked = after.rows[piece].points
    x, y = after.points[inner].x, after.points[inner].y
    assert told == piece and inner_label == POSITIVE and cut.labels[int(y), int(x)] == piece
    assert clicked == (len(session.points) + 1, POSITIVE) and piece in after.nuclei
    check_facts(after)


def test_a_point_off_and_on_again(embedded, session):
    """Only the rows it belongs to are answered anew; the second time round nothing changes any more."""
    for number in (1, 2, 3, 4, 5):
        point = own_point(session, number)
        touched = rows_with(session, point)
        off = reprompt.switched(session, embedded, point, False)
        assert number not in off.nuclei and number in off.rows and not off.points[point].on
        assert not np.isin(session.points[point].x, off.prompts(sorted(touched)).points[..., 0])
        on = reprompt.switched(off, embedded, point, True)
        assert on.points == session.points and number in on.nuclei and on.last == session.last
        assert iou(on.labels == number, session.labels == number) > 0.7
        for before, after in ((session, off), (off, on)):
            check_others_stayed(before, after, set(touched))
            check_facts(after)
        again = reprompt.switched(reprompt.switched(on, embedded, point, False), embedded, point, True)
        assert np.array_equal(again.labels, on.labels) and again.nuclei == on.nuclei


def test_a_row_that_loses_a_negative_point_takes_no_pixel_of_others(embedded, session):
    """Where a neighbour lies there is another nucleus now: answered anew, the neighbour finds no room."""
    point = own_point(session, 1)
    neighbour = next(n for n, label in rows_with(session, point).items() if label == NEGATIVE)
    new = session.last + 1
    nuclei = {new if n == neighbour else n: nucleus for n, nucleus in session.nuclei.items()}
    labels = np.where(session.labels == neighbour, new, session.labels).astype(np.int32)
    taken = replace(session, labels=labels, nuclei=nuclei, last=new)
    off = reprompt.switched(taken, embedded, point, False)
    assert np.array_equal(off.labels == new, labels == new) and off.nuclei[new] == nuclei[new]
    assert (off.labels == neighbour).sum() < 0.5 * nuclei[new].area
    check_facts(off)


def neighbour_of(session: Session, number: int) -> int:
    """The point of another nucleus that is this one's negative point."""
    return next(p for p, label in session.rows[number].points if label == NEGATIVE)


def test_a_neighbours_point_leaves_alone_what_a_user_accepted_or_made(embedded, session):
    number = next(n for n in session.nuclei if any(label == NEGATIVE for _, label in session.rows[n].points))
    x0, y0, x1, y1 = session.nuclei[number].window
    split = edits.split(session, [((x0 + x1) // 2, y0 - 2), ((x0 + x1) // 2, y1 + 2)])
    clicked, _ = reprompt.clicked(session, embedded, pixel_in(session, number), NEGATIVE)
    point, place = neighbour_of(session, number), pixel_in(session, 1 if number != 1 else 2)
    for before in (edits.accepted(session, number), split, clicked):
        off = reprompt.switched(before, embedded, point, False)
        assert np.array_equal(off.labels == number, before.labels == number)
        assert off.nuclei[number] == before.nuclei[number]
        moved = reprompt.moved(before, embedded, point, place)
        for after in (off, reprompt.switched(off, embedded, point, True), moved):  # what it wins it may take from them
            assert after.nuclei[number].accepted == before.nuclei[number].accepted
            assert after.nuclei[number].origin == before.nuclei[number].origin
            check_facts(after)


def test_ones_own_negative_point_still_answers_an_accepted_nucleus(embedded, session):
    x, y = pixel_in(session, 1)
    cut = edits.accepted(reprompt.clicked(session, embedded, (x, y), NEGATIVE)[0], 1)
    after = reprompt.switched(cut, embedded, len(cut.points), False)
    assert after.labels[int(y), int(x)] == 1 and not after.nuclei[1].accepted


def test_a_negative_point_off_touches_its_row_alone(embedded, session):
    number = next(iter(session.nuclei))
    x, y = pixel_in(session, number)
    cut, _ = reprompt.clicked(session, embedded, (x, y), NEGATIVE)
    point = len(cut.points)
    after = reprompt.switched(cut, embedded, point, False)
    assert rows_with(cut, point) == {number: NEGATIVE} and after.labels[int(y), int(x)] == number
    check_others_stayed(cut, after, {number})


def test_a_moved_point_is_set_by_hand_and_answered_where_it_lies(embedded, session):
    missed = edits.deleted(session, [2])
    point, place = own_point(session, 1), place_of(session, 2)
    touched = set(rows_with(missed, point))
    after = reprompt.moved(missed, embedded, point, place)
    assert after.points[point] == replace(session.points[point], x=place[0], y=place[1], by_hand=True)
    assert iou(after.labels == 1, session.labels == 2) > 0.7 and after.nuclei[1].origin == "clicked"
    assert after.rows == missed.rows
    check_others_stayed(missed, after, touched)
    check_facts(after)


def test_clicking_leaves_the_session_as_it_was(embedded, session):
    labels, points = session.labels.copy(), dict(session.points)
    reprompt.clicked(session, embedded, pixel_in(session, 1), NEGATIVE)
    reprompt.moved(session, embedded, own_point(session, 1), pixel_in(session, 2))
    assert np.array_equal(session.labels, labels) and session.points == points


# Boxes.


def frame(session: Session, number: int) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = session.nuclei[number].window
    return x0, y0, x1 - 1.0, y1 - 1.0


def test_a_box_round_a_missed_nucleus_finds_it(embedded, session):
    found = []
    for number in session.nuclei:
        missed = edits.deleted(session, [number])
        x0, y0, x1, y1 = frame(session, number)
        after, new = reprompt.boxed(missed, embedded, (x1, y1, x0, y0))  # from any corner
        own = after.points[own_point(after, new)]
        assert new == session.last + 1 and after.rows[new].box == (x0, y0, x1, y1)
        assert (own.x, own.y, own.by_hand) == ((x0 + x1) / 2, (y0 + y1) / 2, True)
        check_others_stayed(missed, after, {new})
        check_facts(after)
        found.append(iou(session.labels == number, after.labels == new))
    assert min(found) > 0.6 and np.median(found) > 0.9


def test_a_box_for_a_nucleus_keeps_its_number(embedded, session):
    after, told = reprompt.boxed(session, embedded, frame(session, 1), 1)
    assert told == 1 and after.last == session.last and after.nuclei[1].origin == "clicked"
    check_others_stayed(session, after, {1})


def test_a_box_for_a_nucleus_does_not_ask_its_own_point_as_negative(embedded, session):
    for number in session.nuclei:
        after, _ = reprompt.boxed(session, embedded, frame(session, number), number)
        assert (own_point(session, number), NEGATIVE) not in after.rows[number].points


def test_a_box_brings_no_deleted_nucleus_back(embedded, session):
    with pytest.raises(EditError):
        reprompt.boxed(edits.deleted(session, [1]), embedded, frame(session, 1), 1)


def test_a_box_ends_with_the_picture(embedded, session):
    after, number = reprompt.boxed(session, embedded, (200, -30, 999, 40))
    assert after.rows[number].box == (200, 0, 255, 40)


def test_a_click_keeps_the_box(embedded, session):
    after, number = reprompt.boxed(edits.deleted(session, [1]), embedded, frame(session, 1))
    again, _ = reprompt.clicked(after, embedded, pixel_in(after, number), NEGATIVE)
    assert again.rows[number].box == frame(session, 1)


# Semantic mode: a mask made up, and the checkpoint's.


AWAY = Point(79, 59, NEGATIVE)
"""A point that lies on no nucleus of the made-up picture."""


def masked(field: Session, inside, window=(slice(0, 60), slice(0, 80)), before=None, asked=AWAY) -> Session:
    """before: the mask that the map came from, what is on it where none is given."""
    before = field.labels > 0 if before is None else before
    after = with_mask(replace(field, options=SEMANTIC), before[window], inside[window], window, asked)
    check_facts(after)
    return after


def test_the_same_mask_changes_nothing(field):
    after = masked(field, field.labels > 0)
    assert np.array_equal(after.labels, field.labels) and after.nuclei == field.nuclei and after.last == 4


def test_a_new_mask_keeps_numbers_where_nuclei_were(field):
    """1 and 2 still touch and keep their border; 3 is gone; a new piece and a larger 1."""
    inside = field.labels > 0
    inside[40:50, 60:70] = False
    inside[30:35, 5:10] = inside[20:25, 10:15] = True
    after = masked(field, inside)
    expected = np.where(field.labels == 3, 0, field.labels)
    expected[30:35, 5:10], expected[20:25, 10:15] = 5, 1
    assert np.array_equal(after.labels, expected) and sorted(after.nuclei) == [1, 2, 5] and after.last == 5
    assert after.nuclei[1].certainty == 0.875 and after.nuclei[5].certainty == 1


def test_a_mask_of_a_window_leaves_the_rest(field):
    """Columns from 20 on are empty: 1 keeps its left half, 2 and 3 are gone."""
    after = masked(field, np.zeros((60, 80), bool), (slice(0, 60), slice(20, 80)))
    assert np.array_equal(after.labels[:, :20], field.labels[:, :20]) and not after.labels[:, 20:].any()
    assert list(after.nuclei) == [1] and after.nuclei[1].area == 100


def test_a_mask_on_an_empty_map_is_its_pieces(field):
    after = masked(edits.cleared(field), field.labels > 0)
    assert sorted(after.nuclei) == [5, 6] and [after.nuclei[n].area for n in (5, 6)] == [300, 100]


def test_what_was_taken_off_stays_off_however_the_new_mask_has_it(field):
    """2 was deleted. The model draws it a pixel wider, and touching 1 as before; 3 grows, too."""
    inside = np.zeros_like(field.labels, bool)
    inside[10:20, 10:30] = inside[9:21, 30:41] = inside[40:50, 60:72] = True
    after = masked(edits.deleted(field, [2]), inside, before=field.labels > 0)
    assert not after.labels[9:21, 30:41].any() and (after.labels == 1).sum() == 200
    assert (after.labels[40:50, 60:72] == 3).all() and sorted(after.nuclei) == [1, 3] and after.last == field.last


def test_a_positive_point_brings_back_what_it_lies_on(field):
    inside = field.labels > 0
    gone = edits.deleted(field, [1, 3])
    after = masked(gone, inside, before=inside, asked=Point(65, 45, POSITIVE))
    assert (after.labels[40:50, 60:70] == 5).all() and sorted(after.nuclei) == [2, 5]
    beside = inside.copy()
    beside[40:50, 70:73] = True  # a click beside it, which the model takes for one with it
    after = masked(gone, beside, before=inside, asked=Point(71, 45, POSITIVE))
    assert (after.labels[40:50, 60:73] == 5).all() and sorted(after.nuclei) == [2, 5]
    for asked in (Point(35, 15, POSITIVE), Point(65, 45, NEGATIVE), Point(65, 45, POSITIVE, on=False)):
        after = masked(gone, inside, before=inside, asked=asked)
        assert np.array_equal(after.labels, gone.labels) and after.nuclei == gone.nuclei


def test_what_was_merged_stays_in_one_piece_but_for_a_negative_point(field):
    labels = field.labels.copy()
    labels[:, 28:30] = 0
    nuclei = {**field.nuclei, 1: replace(field.nuclei[1], window=(10, 10, 28, 20), area=180)}
    apart = replace(field, labels=labels, nuclei=nuclei)
    joined, kept = edits.merged(replace(apart, options=SEMANTIC), [1, 2])
    after = masked(joined, labels > 0, before=labels > 0)
    assert np.array_equal(after.labels, joined.labels) and after.nuclei == joined.nuclei
    after = masked(joined, labels > 0, before=labels > 0, asked=Point(28, 15, NEGATIVE))
    assert np.array_equal(after.labels > 0, labels > 0) and sorted(after.nuclei) == [kept, 3]


def test_nuclei_deleted_in_semantic_mode_do_not_come_back_with_the_next_click(embedded, semantic):
    gone = sorted(semantic.nuclei, key=lambda n: -semantic.nuclei[n].area)[:4]
    was, kept = np.isin(semantic.labels, gone), semantic.labels * ~np.isin(semantic.labels, gone)
    session = edits.deleted(semantic, gone)
    for number in [n for n in semantic.nuclei if n not in gone][:3]:
        session, _ = reprompt.clicked(session, embedded, pixel_in(semantic, number), NEGATIVE)
        assert not session.labels[was].any() and iou(session.labels > 0, kept > 0) > 0.9
        check_facts(session)
    switched = reprompt.switched(session, embedded, len(session.points), False)
    assert not switched.labels[was].any()
    x, y = pixel_in(semantic, gone[0])
    back, _ = reprompt.clicked(session, embedded, (x, y), POSITIVE)
    new = back.labels[int(y), int(x)]
    assert new == session.last + 1 and iou(back.labels == new, semantic.labels == gone[0]) > 0.7
    assert not back.labels[np.isin(semantic.labels, gone[1:])].any()
    again, _ = reprompt.clicked(edits.deleted(back, [new]), embedded, pixel_in(semantic, number), POSITIVE)
    assert not again.labels[was].any()  # its point is older than that it was deleted


def test_a_tile_and_those_beside_it_are_decoded_as_in_the_whole(embedded):
    pixels = generated_field(side=640, count=250).pixels[:200]
    wide = embed(embedded.sac, pixels, 1.25, SEMANTIC)
    prompts = auto_prompts(embedded.sac, wide, SEMANTIC)
    whole = decode_semantic(embedded.sac, wide, prompts, SEMANTIC)
    assert [tile.x for tile in wide.tiles] == [0, 181, 363, 544] and beside(wide.tiles, [0]) == [0, 1]
    assert beside(wide.tiles, [1]) == [0, 1, 2] and beside(wide.tiles, [0, 3]) == [0, 1, 2, 3]
    for tile, near in ((0, [0, 1]), (1, [0, 1, 2])):
        part = decode_semantic(embedded.sac, wide.only(near), prompts[near], SEMANTIC)
        window = slice(round(wide.tiles[tile].x / 1.25), round((wide.tiles[tile].x + 256) / 1.25))
        assert np.count_nonzero(part[:, window] != whole[:, window]) < 3  # pixels on the very border
        assert not part[:, 600:].any()


def test_a_point_of_no_tile_changes_nothing(embedded, semantic):
    """As of a case that somebody else wrote."""
    lost, number = semantic.with_point(Point(9, 9, POSITIVE))
    assert np.array_equal(reprompt.switched(lost, embedded, number, False).labels, semantic.labels)


def test_a_semantic_click_changes_the_pixel_under_it(embedded, semantic):
    assert len(semantic.nuclei) > 10
    number = max(semantic.nuclei, key=lambda n: semantic.nuclei[n].area)
    x, y = pixel_in(semantic, number)
    off, told = reprompt.clicked(semantic, embedded, (x, y), NEGATIVE)
    assert told == 0 and off.labels[int(y), int(x)] == 0
    assert off.rows[1].points == (*semantic.rows[1].points, (len(off.points), NEGATIVE))
    back = reprompt.switched(off, embedded, len(off.points), False)
    assert np.array_equal(back.labels > 0, semantic.labels > 0) and back.labels[int(y), int(x)] == number
    for session in (off, back):
        check_facts(session)


def test_a_semantic_click_on_the_ground_makes_a_nucleus_or_joins_one(embedded, semantic):
    depth = ndimage.distance_transform_edt(semantic.labels == 0)
    y, x = np.unravel_index(depth.argmax(), depth.shape)
    after, _ = reprompt.clicked(semantic, embedded, (float(x), float(y)), POSITIVE)
    new = after.labels[y, x]
    assert new == semantic.last + 1 == after.last and new in after.nuclei
    kept = set(semantic.nuclei) & set(after.nuclei)
    assert len(kept) == len(semantic.nuclei)
    check_facts(after)


def test_a_semantic_click_after_clearing_starts_anew(embedded, semantic):
    after, _ = reprompt.clicked(edits.cleared(semantic), embedded, pixel_in(semantic, 1), POSITIVE)
    assert min(after.nuclei) == semantic.last + 1 and after.rows[1].points == ((1, POSITIVE),)
    check_facts(after)


# What cannot be done is said.


@pytest.mark.parametrize("place", [(-1, 5), (5, -0.5), (256, 5), (5, 256), (float("nan"), 5)])
def test_places_off_the_picture(embedded, session, place):
    with pytest.raises(EditError, match="is not on the picture of 256 × 256 pixels"):
        reprompt.clicked(session, embedded, place, POSITIVE)
    with pytest.raises(EditError, match="is not on the picture of 256 × 256 pixels"):
        reprompt.moved(session, embedded, 1, place)


def test_unknown_points_and_nuclei(embedded, session):
    with pytest.raises(EditError, match="^There is no point 9999 on this picture.$"):
        reprompt.switched(session, embedded, 9999, False)
    with pytest.raises(EditError, match="^There is no point 0 on this picture.$"):
        reprompt.moved(session, embedded, 0, (5, 5))
    with pytest.raises(EditError, match="^Select a nucleus first.$"):
        reprompt.clicked(session, embedded, (5, 5), POSITIVE, 9999)


def test_a_negative_point_on_the_ground_has_no_nucleus(embedded, session):
    y, x = np.argwhere(session.labels == 0)[0]
    with pytest.raises(EditError, match="^A negative point belongs to a nucleus"):
        reprompt.clicked(session, embedded, (float(x), float(y)), NEGATIVE)


@pytest.mark.parametrize("box", [(10, 10, 11.9, 30), (10, 10, 30, 10), (300, 10, 400, 30), (-40, 10, 1, 30)])
def test_boxes_too_small_or_off_the_picture(embedded, session, box):
    with pytest.raises(EditError, match="^A box needs at least 3 pixels along each side, on the picture.$"):
        reprompt.boxed(session, embedded, box)


def test_boxes_are_for_single_nuclei(embedded, semantic):
    with pytest.raises(EditError, match="switch to instances"):
        reprompt.boxed(semantic, embedded, (10, 10, 40, 40))
