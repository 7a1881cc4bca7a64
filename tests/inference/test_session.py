"""What was found becomes a session, and a session what exports take."""

from dataclasses import replace

import numpy as np
import pytest

from sac.config import SegmentOptions
from sac.inference.instances import Instances, from_mask
from sac.inference.session import Nucleus, Point, Row, Session
from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts

SEMANTIC = SegmentOptions(mode="semantic")


def nothing(rows=0):
    prompts = Prompts(np.zeros((rows, 1, 2), np.float32), np.full((rows, 1), POSITIVE, np.int8))
    none = np.zeros(0, np.float32)
    return Instances(np.zeros((60, 80), np.int32), none.astype(int), none, none, prompts, none.astype(int), ())


def test_a_session_knows_where_its_nuclei_lie(field):
    assert field.nuclei == {
        1: Nucleus((10, 10, 30, 20), 200, 0.875, 1.0),
        2: Nucleus((30, 10, 40, 20), 100, 0.75, 0.5),
        3: Nucleus((60, 40, 70, 50), 100, 0.5, 0.25),
    }
    assert all((field.labels[nucleus.slices] == number).all() for number, nucleus in field.nuclei.items())


def test_each_place_is_one_point_whose_label_belongs_to_the_row(field):
    places = {1: (34, 15), 2: (20, 15), 3: (65, 45), 4: (5, 55)}
    assert {number: (point.x, point.y) for number, point in field.points.items()} == places
    assert all(point.kind == POSITIVE and point.on and not point.by_hand for point in field.points.values())
    assert field.rows[1] == Row(((2, POSITIVE), (1, NEGATIVE)))
    assert field.rows[2] == Row(((1, POSITIVE), (2, NEGATIVE)))


def test_a_row_asked_in_vain_has_a_number_above_all_nuclei(field):
    assert sorted(field.rows) == [1, 2, 3, 4] and field.rows[4] == Row(((4, POSITIVE),))
    assert 4 not in field.nuclei and field.last == 4


def test_a_place_that_is_only_ever_negative_is_a_negative_point(found):
    labels = found.prompts.labels.copy()
    labels[3, 0] = NEGATIVE
    begun = Session.begin(replace(found, prompts=replace(found.prompts, labels=labels)), SegmentOptions())
    assert [begun.points[n].kind for n in (1, 2, 3, 4)] == [POSITIVE, POSITIVE, POSITIVE, NEGATIVE]


def test_semantic_rows_are_tiles_and_no_nucleus_has_one(found):
    begun = Session.begin(from_mask(found.labels > 0, found.prompts), SEMANTIC)
    assert sorted(begun.rows) == [1, 2, 3, 4] and sorted(begun.nuclei) == [1, 2] and begun.last == 2
    assert begun.rows[1] == Row(((1, POSITIVE), (2, NEGATIVE)))  # row 0 of the prompts
    assert begun.instances().prompt.tolist() == [-1, -1]


def test_beginning_with_what_a_session_gives_is_the_same_session(field):
    edited = replace(
        field,
        points={**field.points, 5: Point(62.5, 41, NEGATIVE, by_hand=True)},
        rows={**field.rows, 3: Row(((3, POSITIVE), (5, NEGATIVE)), (58.0, 38.0, 71.0, 51.5))},
    )
    for session in (field, edited):
        again = Session.begin(session.instances(), session.options)
        assert np.array_equal(again.labels, session.labels) and again.nuclei == session.nuclei
        assert (again.last, again.notes) == (4, ("a note",))
        assert {n: asked(again, n) for n in again.rows} == {n: asked(session, n) for n in session.rows}


def asked(session, number):
    """A row with its points in full: their numbers may differ."""
    row = session.rows[number]
    return [(session.points[p], label) for p, label in row.points], row.box


def test_numbers_with_gaps_come_through(field):
    labels = field.labels.copy()
    labels[labels == 2] = 0
    nuclei = {n: nucleus for n, nucleus in field.nuclei.items() if n != 2}
    rows = {n: row for n, row in field.rows.items() if n != 2}
    instances = replace(field, labels=labels, nuclei=nuclei, rows=rows).instances()
    assert instances.numbers.tolist() == [1, 3] and instances.certainty.tolist() == [0.875, 0.5]
    assert instances.stability.tolist() == [1, 0.25]
    assert instances.prompts.points[instances.prompt, 0].tolist() == [[20, 15], [65, 45]]
    assert sorted(Session.begin(instances, field.options).nuclei) == [1, 3]


def test_a_nucleus_without_a_row_answers_none(field):
    rows = {n: row for n, row in field.rows.items() if n != 2}
    assert replace(field, rows=rows).instances().prompt.tolist() == [0, -1, 1]


def test_points_that_are_off_are_left_out(field):
    off = replace(field, points={**field.points, 1: replace(field.points[1], on=False)})
    prompts = off.prompts([2, 1, 3])
    assert prompts.labels.tolist() == [[NEGATIVE], [POSITIVE], [POSITIVE]]
    assert prompts.points.tolist() == [[[20, 15]], [[20, 15]], [[65, 45]]]
    assert [off.is_asked(n) for n in (1, 2, 3, 4)] == [True, False, True, True]
    assert (off.instances().prompts.points != 34).all()


def test_shorter_rows_are_filled_with_unused_points(field):
    assert field.prompts([1, 3]).labels.tolist() == [[POSITIVE, NEGATIVE], [POSITIVE, UNUSED]]


def test_hands_and_boxes_are_told_only_where_there_are_any(field):
    assert field.prompts([1, 2]).by_hand is None and field.prompts([1, 2]).boxes is None
    by_hand = replace(field.points[2], by_hand=True)  # positive in row 1, where it was set; a negative of row 2
    boxed = replace(field.rows[1], box=(8.0, 8.0, 32.0, 21.0))
    prompts = replace(field, points={**field.points, 2: by_hand}, rows={**field.rows, 1: boxed}).prompts([1, 2])
    assert prompts.by_hand.tolist() == [[True, False], [False, False]]
    assert prompts.boxes[0].tolist() == [8, 8, 32, 21] and np.isnan(prompts.boxes[1]).all()


def test_a_new_point_gets_the_next_number(field):
    after, number = field.with_point(Point(1, 2, NEGATIVE))
    assert number == 5 and after.points[5] == Point(1, 2, NEGATIVE) and 5 not in field.points


def test_a_session_of_nothing():
    begun = Session.begin(nothing(), SegmentOptions())
    assert (begun.nuclei, begun.points, begun.rows, begun.last) == ({}, {}, {}, 0)
    assert len(begun.instances()) == 0 and len(begun.prompts([])) == 0
    assert Session.begin(nothing(rows=2), SegmentOptions()).last == 2


@pytest.mark.parametrize("mode", ["instances", "semantic"])
def test_beginning_leaves_what_was_found_alone(found, mode):
    before = found.labels.copy()
    Session.begin(found, SegmentOptions(mode=mode)).instances()
    assert np.array_equal(found.labels, before) and found.numbers.tolist() == [1, 2, 3]
