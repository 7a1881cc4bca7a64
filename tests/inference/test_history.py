"""Undo and redo, to the bit, and the memory they keep."""

import sys
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from sac.config import LIMITS, SegmentOptions
from sac.errors import EditError
from sac.inference import edits, history
from sac.inference.history import ENTRY, History, Step, changed
from sac.inference.session import Nucleus, Point, Row, Session


def same(one: Session, other: Session) -> bool:
    """Equal to the bit, the map's type included."""
    facts = [(s.labels.dtype, s.options, s.nuclei, s.points, s.rows, s.last, s.notes) for s in (one, other)]
    return np.array_equal(one.labels, other.labels) and facts[0] == facts[1]


def edited(session: Session, rng: np.random.Generator) -> Session:
    """One edit at random; the same session where it does not fit."""
    numbers = [*session.nuclei, 0]
    stroke = np.column_stack([rng.integers(5, 45, 2), (0, 59)])  # downwards through 1 and 2
    choices = [
        lambda: edits.split(session, stroke),
        lambda: edits.split(session, stroke),
        lambda: edits.merged(session, rng.choice(numbers, 2))[0],
        lambda: edits.deleted(session, [rng.choice(numbers)]),
        lambda: edits.accepted(session, rng.choice(numbers)),
        lambda: edits.cleared(session) if rng.random() < 0.1 else session,
    ]
    try:
        return choices[rng.integers(len(choices))]()
    except EditError:
        return session


@pytest.mark.parametrize("seed", range(10))
def test_any_row_of_edits_is_undone_and_redone_to_the_bit(field, seed):
    rng = np.random.default_rng(seed)
    sessions, past = [replace(field, labels=field.labels.copy())], History(field)
    while len(sessions) < 16:
        after = edited(past.now, rng)
        if after is not past.now or not after.nuclei:
            past = past.then(after)
            sessions.append(replace(after, labels=after.labels.copy()))
    for session in sessions[-2::-1]:
        past = past.undone()
        assert same(past.now, session)
    assert past.undone().now is past.now and not past.past
    for session in sessions[1:]:
        past = past.redone()
        assert same(past.now, session)
    assert past.redone().now is past.now and not past.future


def test_a_new_edit_forgets_what_was_undone(field):
    one = History(field).then(edits.deleted(field, [1])).then(edits.deleted(field, [1, 2])).undone()
    assert len(one.past) == len(one.future) == 1
    other = one.then(edits.deleted(one.now, [3]))
    assert len(other.past) == 2 and not other.future and sorted(other.now.nuclei) == [2]
    assert len(one.future) == 1


def test_a_step_keeps_the_window_that_differs(field):
    step = Step.between(field, edits.deleted(field, [2]))
    assert step.window == (slice(10, 20), slice(30, 40))
    assert (step.before.labels == 2).all() and not step.after.labels.any()
    assert step.before.labels.nbytes == step.after.labels.nbytes == 100 * 4  # 10 x 10 pixels of 4 bytes


def test_a_step_that_changes_no_pixel_keeps_none(field):
    step = Step.between(field, edits.accepted(field, 2))
    assert step.before.labels.nbytes == step.after.labels.nbytes == 0
    undone = History(field).then(edits.accepted(field, 2)).undone()
    assert np.array_equal(undone.now.labels, field.labels) and not undone.now.nuclei[2].accepted
    assert undone.redone().now.nuclei[2].accepted


def test_a_step_costs_its_pixels_and_what_it_says_anew(field):
    assert Step.between(field, replace(field, notes=("another",))).nbytes == 0
    assert Step.between(field, replace(field, points=dict(field.points))).nbytes == sys.getsizeof(field.points)
    accepted = edits.accepted(field, 2)
    assert Step.between(field, accepted).nbytes == sys.getsizeof(accepted.nuclei) + ENTRY
    empty = edits.cleared(field)
    assert Step.between(field, empty).nbytes == 2 * 40 * 60 * 4 + 3 * sys.getsizeof({})
    assert Step.between(empty, accepted).nbytes > 2 * 40 * 60 * 4 + ENTRY * (3 + 4 + 4)


def many(count: int) -> Session:
    """A small map that is said to hold very many nuclei."""
    nuclei = {n: Nucleus((n, 300, n + 500, 900), 1000 + n, n / 2e4, n / 3e4) for n in range(1, count + 1)}
    points = {n: Point(n + 0.25, n + 0.75, 1) for n in nuclei}
    rows = {n: Row(((n, 1), *((n + k, 0) for k in range(1000, 1004)))) for n in nuclei}
    return Session(np.zeros((10, 10), np.int32), SegmentOptions(), nuclei, points, rows, count)


@pytest.mark.parametrize("edit", [lambda session, n: edits.accepted(session, n), lambda session, n: many(2000)])
def test_what_is_counted_is_about_what_is_held(edit):
    """Nuclei accepted one by one, of each time one differs; and segmentations, which have nothing in common."""
    past = History(many(2000))
    tracemalloc.start()
    for number in range(1, 21):
        past = past.then(edit(past.now, number))
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert 0.7 * held < sum(step.nbytes for step in past.past) < 1.4 * held


def test_many_steps_without_a_pixel_are_not_kept_for_ever(monkeypatch):
    monkeypatch.setattr(history, "LIMITS", replace(LIMITS, undo=2**20))
    past = History(many(2000))
    for number in range(1, 101):
        past = past.then(edits.accepted(past.now, number))
    assert 5 < len(past.past) < 20 and past.undone().now.nuclei[99].accepted


def test_a_step_over_the_whole_map(field):
    full = replace(field, labels=np.ones_like(field.labels))
    empty = replace(field, labels=np.zeros_like(field.labels))
    undone = History(full).then(empty).undone()
    assert undone.now.labels.all() and not undone.redone().now.labels.any()


def test_the_window_reaches_from_the_first_to_the_last_difference():
    before = np.zeros((5, 7), np.int32)
    after = before.copy()
    after[1, 6] = after[3, 2] = 4
    assert changed(before, after) == (slice(1, 4), slice(2, 7))
    assert changed(before, before.copy()) == changed(before, before) == (slice(0, 0), slice(0, 0))


def test_a_step_does_not_hold_the_whole_map(field):
    step = Step.between(field, edits.deleted(field, [2]))
    assert step.before.labels.base is None and step.after.labels.base is None


@pytest.mark.parametrize("room, kept", [(2400, 3), (1600, 2), (1599, 1), (800, 1), (10, 1)])
def test_beyond_its_memory_the_oldest_steps_go(field, monkeypatch, room, kept):
    """Nuclei 2 and 3 and a part of 1, each 10 x 10 pixels: 800 bytes a step, where facts count for nothing."""
    monkeypatch.setattr(history, "_added", lambda before, after: 0)
    monkeypatch.setattr(history, "LIMITS", replace(LIMITS, undo=room))
    labels = field.labels.copy()
    labels[:, 10:20][labels[:, 10:20] == 1] = 0
    sessions = [field, replace(field, labels=labels)]
    for number in (2, 3):
        sessions.append(edits.deleted(sessions[-1], [number]))
    past = History(field)
    for session in sessions[1:]:
        past = past.then(session)
    assert len(past.past) == kept
    for _ in range(5):
        past = past.undone()
    assert same(past.now, sessions[3 - kept]) and len(past.future) == kept
