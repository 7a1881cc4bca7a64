"""Tabs do not meet: a closed one is emptied, and what is done on one desk never shows on another."""

from __future__ import annotations

import gc
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import gradio as gr
import numpy as np
import pytest

from sac.config import LIMITS
from sac.errors import DeskError, EditError
from sac.images import Image
from sac.inference.instances import from_mask
from sac.inference.session import Session
from sac.prompts import Prompts
from sac.ui import desk as desks
from sac.ui import opening, work
from sac.ui.desk import DESKS, Desk, at
from sac.ui.handlers import Handlers
from sac.ui.models import thresholds
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


@pytest.fixture
def grace(monkeypatch):
    """Waits until tabs that seem to be closed have had their time."""
    monkeypatch.setattr(opening, "GRACE", 0.2)
    return lambda: time.sleep(0.5)


# Closing


def test_a_closed_tabs_desk_is_emptied_and_only_that(two, grace):
    closed, open_ = two
    forget(tab("one"))
    grace()
    assert (closed.pictures, closed.index) == ([], 0)
    assert len(open_.pictures) == 1 and open_.picture.session is not None
    assert "one" not in DESKS and DESKS["other"] is open_


def test_a_tab_without_a_desk_is_forgotten_in_silence(two, grace):
    forget(tab("never seen"))
    forget(tab("one"))
    forget(tab("one"))
    grace()
    assert two[0].pictures == [] and len(two[1].pictures) == 1


@pytest.mark.parametrize("speaks", ["edits", "is turned", "brings files"])
def test_a_tab_whose_connection_broke_may_come_back(two, grace, canvas, speaks):
    left, stays = two
    for name in ("one", "other"):
        forget(tab(name))
    if speaks == "edits":
        at(stays)
    elif speaks == "is turned":
        opening.Opening(canvas).show(stays, gr.EventData(None, {}))
    else:
        at_desk(stays, tab("other"))
    forget(tab("one"))  # what was said of it before counts no more
    grace()
    assert left.pictures == [] and "one" not in DESKS
    assert stays.picture.session is not None and DESKS["other"] is stays


def test_a_tab_that_was_left_makes_room_for_others(two, monkeypatch):
    left, stays = two
    monkeypatch.setattr(desks, "LIMITS", replace(LIMITS, desks=sum(desk.nbytes for desk in DESKS.values())))
    with pytest.raises(DeskError, match="This server holds as many images as it can"):
        stays.add([stays.picture.image])
    forget(tab("one"))
    stays.add([stays.picture.image])
    assert left.pictures == [] and len(stays.pictures) == 2


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


# One desk, several threads


def test_segmenting_all_holds_the_desk_in_no_thread_that_it_leaves(seated, canvas):
    """Gradio takes each step of a handler in any thread, and ends it in yet another, where Cancel was pressed."""
    desk = seated()
    desk.add([desk.picture.image] * 2)
    steps = Handlers(canvas).press_all(desk, "nuclei", "instances", "centroid", "both", 8, 4, 0.5, 0.1)
    with ThreadPoolExecutor(1) as one, ThreadPoolExecutor(1) as other:
        for thread in (one, one, other, one):
            thread.submit(next, steps).result()
        other.submit(steps.close).result()
        for thread in (one, other):
            assert thread.submit(desk.lock.acquire, timeout=1).result()
            thread.submit(desk.lock.release).result()


def test_what_is_stopped_is_not_kept_and_ends_the_row(canvas, monkeypatch):
    desk, asked = Desk(), []
    desk.add([Image(f"{name}.png", np.zeros((30, 30, 3), np.uint8)) for name in "abc"])

    def segmented(picture, model, options, progress):
        asked.append(picture.image.name)
        Handlers(canvas).stop(desk)
        nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))
        return Session.begin(from_mask(np.ones(picture.image.size, bool), nothing), options)

    monkeypatch.setattr(work, "segmented", segmented)
    with pytest.raises(gr.Error) as stopped:
        list(Handlers(canvas).press_all(desk, "nuclei", "instances", "centroid", "both", 8, 2, 0.35, 0.15))
    assert asked == ["a.png"] and not any(p.histories or p.busy or p.trouble for p in desk.pictures)
    assert not stopped.value.visible  # nobody waits for it
    assert Handlers(canvas).stop(desk)[1] == "Nothing is under way."


def test_an_edit_meant_for_a_picture_that_was_closed_is_done_to_none(two, canvas):
    desk = two[0]
    desk.add([desk.picture.image])
    first, second = desk.pictures
    second.begin(*((first.shown, first.session)))
    desk.index = 0
    opening.Opening(canvas).show(desk, gr.EventData(None, {"remove": first.id}))
    order = {"do": "delete", "nuclei": [min(second.session.nuclei)], "picture": first.id, "answer": 1}
    assert Handlers(canvas).edit(desk, gr.EventData(None, order))["said"] == "Show the image again first."
    assert second.history.past == ()
    assert Handlers(canvas).edit(desk, gr.EventData(None, order | {"picture": second.id}))["kind"] == "patch"


# Several stains


@pytest.mark.parametrize("picked, models", [(False, ["nuclei-he", "nuclei"]), (True, ["nuclei-he", "nuclei-he"])])
def test_each_picture_is_segmented_with_what_fits_it_unless_the_visitor_chose(canvas, monkeypatch, picked, models):
    asked, stain = [], np.full((30, 30, 3), (200, 120, 190), np.uint8)
    nothing = Prompts(np.zeros((0, 1, 2), np.float32), np.zeros((0, 1), np.int8))

    def segmented(picture, model, options, progress):
        asked.append((model, options))
        return Session.begin(from_mask(np.ones(picture.image.size, bool), nothing), options)

    monkeypatch.setattr(work, "segmented", segmented)
    desk = Desk()
    desk.add([Image("a.png", stain), Image("b.png", np.zeros_like(stain))])
    desk.picked = picked
    list(Handlers(canvas).press_all(desk, "nuclei-he", "instances", "centroid", "both", 8, 2, 0.35, 0.15))
    assert [model for model, _ in asked] == models and [options.negatives for _, options in asked] == [2, 2]
    own = thresholds("nuclei")
    read = [(options.certainty, options.prominence) for _, options in asked]
    assert own != (0.35, 0.15) and read == [(0.35, 0.15), (0.35, 0.15) if picked else own]
