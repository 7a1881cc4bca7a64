"""Tabs do not meet: a closed one is emptied, and what is done on one desk never shows on another."""

from __future__ import annotations

import gc
import time

import gradio as gr
import numpy as np
import pytest

from sac.cases import Owner
from sac.errors import EditError
from sac.ui import opening, work
from sac.ui.cases.held import Held
from sac.ui.desk import DESKS, Desk, at
from sac.ui.opening import forget
from sac.ui.opening import seated as at_desk
from sac.ui.orders import obey


def tab(name: str) -> gr.Request:
    return gr.Request(session_hash=name)


@pytest.fixture
def two(seated):
    """Two tabs, each with a desk that holds the same segmented picture."""
    desks = [at_desk(desk, tab(name)) for desk, name in ((seated(), "one"), (seated(), "other"))]
    yield desks
    for name in ("one", "other"):
        DESKS.pop(name, None)


# Closing


def test_a_closed_tabs_desk_is_emptied_and_only_that(two):
    closed, open_ = two
    forget(tab("one"))
    assert (closed.pictures, closed.index) == ([], 0)
    assert len(open_.pictures) == 1 and open_.picture.session is not None
    assert "one" not in DESKS and DESKS["other"] is open_


def test_a_tab_without_a_desk_is_forgotten_in_silence(two):
    forget(tab("never seen"))
    forget(tab("one"))
    forget(tab("one"))
    assert len(two[1].pictures) == 1


def test_a_tab_with_a_case_may_come_back(two, monkeypatch):
    """Its user was asked whether to leave, and stayed."""
    left, stays = two
    monkeypatch.setattr(opening, "GRACE", 0.3)
    for desk in two:
        desk.picture.held = Held("id", Owner("ada"), "a case", 1, "own")
        monkeypatch.setattr(type(desk), "close_over", lambda self: False)
        monkeypatch.setattr(Held, "allow", lambda self, level: None)
    forget(tab("one"))
    forget(tab("other"))
    assert left.picture and at(stays) is stays
    time.sleep(0.6)
    assert left.pictures == [] and "one" not in DESKS
    assert stays.picture.session is not None and DESKS["other"] is stays


def test_a_tab_keeps_its_desk():
    first = at_desk(None, tab("one"))
    assert isinstance(first, Desk) and first.pictures == []
    assert at_desk(first, tab("one")) is first and DESKS["one"] is first
    assert at_desk(None, tab("other")) is not first


def test_a_desk_that_nobody_holds_is_gone():
    desk = at_desk(None, tab("one"))
    assert "one" in DESKS
    del desk
    gc.collect()
    assert "one" not in DESKS


# Two desks


def random_orders(seed: int, count: int) -> list[dict]:
    """Edits of every kind on a picture of 256 x 256 pixels; some will be refused."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        x, y = rng.uniform(0, 256, 2).round(1).tolist()
        dx, dy = rng.uniform(-30, 30, 2).round(1).tolist()
        number, other = rng.integers(1, 45, 2).tolist()
        kinds = [
            {"do": "click", "x": x, "y": y}, {"do": "click", "x": x, "y": y, "positive": False},
            {"do": "box", "box": [x, y, x + dx, y + dy]}, {"do": "switch", "point": number, "on": bool(other % 2)},
            {"do": "move", "point": number, "x": x, "y": y}, {"do": "split", "stroke": [[x, y], [x + dx, y + dy]]},
            {"do": "delete", "nuclei": [number, other]}, {"do": "merge", "nuclei": [number, other]},
            {"do": "accept", "nucleus": number}, {"do": "undo"}, {"do": "undo"}, {"do": "redo"},
        ]  # fmt: skip
        made.append(kinds[rng.integers(len(kinds))])
    return made


def carried_out(desk: Desk, order: dict) -> bool:
    """Whether an order was obeyed, and not refused."""
    try:
        history, _ = obey(order, desk.picture.history, work.embedded(desk.picture))
    except EditError:
        return False
    desk.picture.commit(history)
    return True


def work_on(desk: Desk):
    """All that a desk's picture holds, to be compared."""
    history = desk.picture.history
    session = history.now
    facts = (session.nuclei, session.points, session.rows, session.last, len(history.past), len(history.future))
    return session.labels.tolist(), facts


def test_two_desks_never_mix(two, seated, sessions):
    orders = [random_orders(seed, 100) for seed in (1, 2)]
    obeyed = 0
    for pair in zip(*orders):
        obeyed += sum(carried_out(desk, order) for desk, order in zip(two, pair))
    assert obeyed > 100
    for desk, own in zip(two, orders):
        alone = seated()
        for order in own:
            carried_out(alone, order)
        assert work_on(desk) == work_on(alone)
    assert work_on(two[0])[0] != work_on(two[1])[0]
    begun = sessions["nuclei", "instances"]
    for desk in two:
        while desk.picture.history.past:
            desk.picture.commit(desk.picture.history.undone())
        assert np.array_equal(desk.picture.session.labels, begun.labels)
        assert (desk.picture.session.points, desk.picture.session.rows) == (begun.points, begun.rows)
