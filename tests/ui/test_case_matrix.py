"""What each endpoint of the page gives away of a case, and what it changes: for whoever has no link, one to look, one to
edit, one that expired or was revoked after the case was opened by it, a link to another case, and for its owner.

The page is the real one, and its functions are run as Gradio runs them for a browser, buttons or no buttons."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

import gradio as gr
import numpy as np
import pytest
from gradio.state_holder import SessionState
from gradio.utils import get_upload_folder
from PIL import Image as PillowImage
from starlette.requests import Request

from sac.cases import Owner, schema
from sac.cases.packing import packed
from sac.config import SegmentOptions
from sac.inference import edits
from sac.inference.history import History
from sac.ui import work
from sac.ui.canvas import encoded
from sac.ui.cases.held import cases
from sac.ui.cases.work import work_of
from sac.ui.desk import DESKS
from sac.ui.examples import generated_field
from sac.ui.page import build_page
from sac.ui.picture import Picture
from sac.ui.serving.guests import MARK
from training.tab import build_train_tab

NAME, NOTES, COMMENT, TITLE = "Secret-name-of-the-case", "Secret-notes", "Secret-comment", "Secret-file-name.png"
SECRETS = (NAME, NOTES, COMMENT, TITLE)
RIGHTS = ("none", "view", "edit", "expired", "revoked", "other", "own")
LEVELS = {"view": 1, "edit": 2, "own": 3}


class Trial(NamedTuple):
    """One way to call a function. least: the level from which it `does` something with the case: tells of it, or
    changes it or the work on it; None where it never does. values: of its inputs in their order, without states."""

    least: str | None = None
    does: str = ""
    values: tuple = ()
    order: dict | None = None


NOTHING = [Trial()]
DO = {"answer": 1}
SETTINGS = ("nuclei", "instances", "centroid", "both", 8, 4, 0.5, 0.1)
SAVING = ("New name", "New notes", "", "")
TRIALS: dict[str, list[Trial]] = {
    **dict.fromkeys(
        (
            "kept_key", "Opening.files", "Opening.example.<locals>.open_example", "Opening.pick", "about", "thresholds",
            "seated", "fetch", "Handlers.stop", "_endpoint.<locals>.segment_file", "Shelving.bring",
            "Bringing.files", "Bringing.look", "Bringing.hub", "Teaching.estimate", "Teaching.start",
            "Teaching.arrive", "Teaching.offer", "Teaching.watch", "Teaching.show", "Teaching.pause",
            "Teaching.resume", "Teaching.cancel", "Teaching.delete", "Teaching.compare", "Teaching.use",
            "Teaching.rename", "Teaching.push", "forget",
        ),
        NOTHING,
    ),
    "Teaching.started_from": [Trial(values=("nuclei",))],
    "Opening.part": [Trial("edit", "changes", ("", -1, 1, 0.7, ""))],
    "Opening.region": [Trial(order=DO | {"x0": 1, "y0": 1, "x1": 9, "y1": 9})],
    "Opening.show": [Trial("view", "tells", order={"resend": True})],
    "Handlers.press": [Trial("edit", "changes", ("", *SETTINGS))],
    "Handlers.press_all": [Trial("edit", "", SETTINGS)],
    "Handlers.switch": [
        Trial("view", "tells", ("", *SETTINGS)),
        Trial("edit", "changes", ("", "nuclei", "semantic", *SETTINGS[2:])),
    ],
    "Handlers.prompt": [Trial("edit", "changes", ("", *SETTINGS))],
    "Handlers.take_truth": [Trial("edit", "changes", ("", "A FILE"))],
    "Handlers.remove_truth": [Trial("edit", "changes")],
    "Handlers.edit": [
        Trial("edit", "changes", order=DO | {"do": "delete", "nuclei": [1]}),
        Trial("edit", "changes", order=DO | {"do": "clear"}),
    ],
    "Handlers.judge": [Trial("view", "", order=DO)],
    "Handlers.compare": [Trial("view", "", ("", "generator"))],
    "Handlers.export": [Trial("view", "tells", order={"what": "zip"}), Trial("view", "tells", order={"what": "all"})],
    "Keeping.save": [Trial("edit", "changes", SAVING)],
    "Keeping.keep_both": [Trial("edit", "changes", SAVING)],
    "Keeping.reload": [Trial("view", "tells")],
    "Keeping.version": [Trial("edit", "tells", (1,))],
    "Keeping.turned": [Trial("edit", "tells")],
    "Keeping.comment": [
        Trial("edit", "changes", ("",), DO | {"do": "pin", "x": 3, "y": 4, "text": "Hello"}),
        Trial("edit", "changes", ("",), DO | {"do": "settle", "comment": 1, "done": True}),
        Trial("edit", "changes", ("",), DO | {"do": "remove", "comment": 1}),
    ],
    "Keeping.arrive": [Trial("view", "tells")],
    "make": [Trial("own", "changes", ("edit", 7, ""))],
    "revoke": [Trial("own", "changes", ("A LINK",))],
    "Shelving.mine": [Trial("own", "tells", ("",))],
    "Shelving.deed": [
        Trial("own", "tells", ("",), {"do": "open"}),
        Trial("own", "tells", ("",), {"do": "download"}),
        Trial("own", "changes", ("",), {"do": "rename", "name": "Mine now"}),
        Trial("own", "changes", ("",), {"do": "duplicate"}),
        Trial("own", "changes", ("",), {"do": "delete"}),
    ],
    "Bringing.corrections": [Trial("edit", "tells")],
}  # fmt: skip
"""Every function of the page, by its name. Whoever adds one has to say here what it does with a case."""
MEMBERS = {
    "fetch", "Shelving.mine", "Shelving.bring", "Shelving.deed", "Bringing.files", "Bringing.corrections",
    "Bringing.look", "Bringing.hub", "Teaching.start", "Teaching.push",
}  # fmt: skip
"""What guests of a page with logins may not even call."""


def name_of(function) -> str:
    return function.fn.__qualname__


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """The page that `app.py` opens, with a data folder of its own."""
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("matrix")
    patch.setenv("SAC_DATA_DIR", str(folder))
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "visitors"))
    yield build_page({"Teach": build_train_tab})
    patch.undo()


@dataclass
class Setting:
    """A case of Ada's with everything that a case may have, and one of Bob's. `reset` puts them back for each trial."""

    picture: Picture

    def __post_init__(self):
        self.case = cases().create(ADA, NAME, work_of(self.picture, NOTES)).id
        cases().comment(self.case, ADA, 5, 6, COMMENT, "Ada")
        self.link = cases().link(self.case, ADA, "view", 7)[0].id
        plain = replace(self.picture.image, name="another.png", pixels=self.picture.image.pixels[::-1].copy())
        other = Picture.of(plain)
        self.other = cases().create(BOB, "Another", work_of(other, "")).id
        self.tokens = {"none": "", "other": cases().link(self.other, BOB, "edit", 7)[1]}
        for right in ("view", "edit", "expired", "revoked", "own"):
            level = "view" if right == "view" else "edit"
            self.tokens[right] = cases().link(self.case, ADA, level, 7)[1]
        self.truth = _uploaded((self.picture.truth > 0).astype(np.uint8) * 255)
        self.secrets = (*SECRETS, self.picture.thumbnail, _encoded(self.picture.image.pixels))
        cases().backup(cases().path.with_name("kept.db"))

    def reset(self) -> None:
        for file in cases().path.parent.glob("cases.db*"):
            file.unlink()
        shutil.copy(cases().path.with_name("kept.db"), cases().path)

    def withdraw(self, right: str) -> None:
        """What happens to a link after its case was opened by it."""
        digest = hashlib.sha256(self.tokens[right].encode()).hexdigest()
        done = {"revoked": "revoked = 1", "expired": "expires = 1"}.get(right)
        if done:
            with schema.writing(cases().path) as database:
                assert database.execute(f"UPDATE links SET {done} WHERE hash = ?", (digest,)).rowcount == 1

    def tells(self, told: str) -> bool:
        """Whether an answer holds anything of the case, as text or in a file within it."""
        files = (base64.b64decode(part) for part in re.findall(r"data:application/[\w-]+;base64,([\w+/=]+)", told))
        texts = [told, *(content.decode("latin-1") for content in files)]
        return any(secret in text for secret in self.secrets for text in texts)


ADA, BOB = Owner("login:ada"), Owner("login:bob")


def _uploaded(pixels: np.ndarray) -> dict:
    """A picture as a browser has uploaded it."""
    path = Path(get_upload_folder()) / "truth" / "truth.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    PillowImage.fromarray(pixels).save(path)
    return {"path": str(path), "meta": {"_type": "gradio.FileData"}}


def _encoded(pixels: np.ndarray) -> str:
    """A piece of the picture as the canvas gets it."""
    return base64.b64encode(encoded(pixels)[0]).decode()[:2000]


@pytest.fixture(scope="module")
def setting(page):
    image = replace(generated_field(side=96, count=8), name=TITLE)
    picture = Picture.of(image)
    session = work.segmented(picture, "nuclei", SegmentOptions())
    assert len(session.nuclei) > 1
    history = History(session).then(edits.deleted(session, [max(session.nuclei)]))
    picture.histories = {("nuclei", "instances"): history}
    picture.shown, picture.truth = ("nuclei", "instances"), session.labels
    return Setting(picture)


class Tab:
    """A browser's tab of somebody, who came by the token of a link."""

    count = 0

    def __init__(self, page: gr.Blocks, right: str, token: str):
        Tab.count += 1
        self.page, self.hash, self.state = page, f"tab-{Tab.count}", SessionState(page)
        query = urlencode({"case": token} if token else {})
        scope = {"type": "http", "headers": [(b"host", b"cells.example.org")], "client": ("203.0.113.5", 5000)}
        request = Request(scope | {"query_string": query.encode(), "method": "POST", "path": "/"})
        self.request = gr.Request(request, username="ada" if right == "own" else None, session_hash=self.hash)

    def run(self, number: int, values: tuple = (), order: dict | None = None) -> str:
        """Runs a function of the page as for a click. Returns all that it answered, as one text."""
        function, given = self.page.fns[number], iter(values)
        inputs = [None if isinstance(c, gr.State) else next(given, c.value) for c in function.inputs]
        event = gr.EventData(None, {"picture": self.picture} | order) if order is not None else None
        with ThreadPoolExecutor(1) as thread:  # the browser tests leave a loop running in this one
            return thread.submit(asyncio.run, self._run(function, inputs, event)).result()

    @property
    def picture(self) -> str:
        """What the canvas calls the picture shown."""
        desk = DESKS.get(self.hash)
        return desk.picture.id if desk and desk.pictures else ""

    def call(self, name: str, values: tuple = (), order: dict | None = None) -> str:
        """Runs the function of that name."""
        numbers = (n for n, function in self.page.fns.items() if function.fn is not None and name_of(function) == name)
        return self.run(next(numbers), values, order)

    async def _run(self, function, inputs, event) -> str:
        answers, iterator = [], None
        while True:
            try:
                said = await self.page.process_api(
                    function, inputs, self.state, self.request, iterator, self.hash, event_data=event
                )
            except gr.Error as error:
                return json.dumps([*answers, str(error)])
            answers.append(json.dumps(said["data"], default=str))
            iterator = said.get("iterator")
            if not said.get("is_generating") or iterator is None:
                return "\n".join(answers)

    def work(self) -> list:
        """What the tab's desk has of the case, to see whether it was changed."""
        desk = DESKS.get(self.hash)
        pictures = [p for p in desk.pictures if p.image.title in (TITLE, NAME)] if desk else []
        return [_digest(p) for p in pictures]


def _digest(picture: Picture) -> list:
    """All that a case would keep of a picture, but not which variant of the work is shown."""
    told, arrays = packed(replace(work_of(picture, ""), shown=None))
    return [told, *(hashlib.sha256(array.tobytes()).hexdigest() for array in arrays.values())]


def kept(case: str) -> Any:
    """What the store has of the case, and what its owner has beside it."""
    mine = [(c.name, c.version) for c in cases().mine(ADA)]
    if not any(c.id == case for c in cases().mine(ADA)):
        return mine
    links = [(link.level, link.revoked) for link in cases().links(case, ADA)]
    return mine, cases().facts(case, ADA), cases().versions(case, ADA), cases().comments(case, ADA), links


def functions(page):
    """(number, trial) of all that a visitor may call. What has no function runs in the browser alone."""
    for number, function in page.fns.items():
        if function.fn is not None:
            for trial in TRIALS.get(name_of(function), []):
                yield number, trial


def test_every_function_is_in_the_matrix(page):
    names = {name_of(function) for function in page.fns.values() if function.fn is not None}
    assert names == set(TRIALS)


def test_guests_may_not_call_what_is_for_members(page):
    marked = {name_of(f) for f in page.fns.values() if f.fn is not None and getattr(f.fn, MARK, False)}
    assert marked == MEMBERS


def arrived(page, setting, right) -> Tab:
    """A tab into which the case was opened, by a link or as one's own, if ever it could be."""
    setting.reset()
    tab = Tab(page, right, setting.tokens[right])
    tab.call("Keeping.arrive")
    if right == "own":
        tab.call("Shelving.deed", ("",), {"do": "open", "case": setting.case})
    setting.withdraw(right)
    return tab


@pytest.mark.parametrize("right", RIGHTS)
def test_no_function_goes_further_than_its_caller_may(page, setting, right):
    level, wrong, tab = LEVELS.get(right, 0), [], None
    given = {"A FILE": setting.truth, "A LINK": setting.link}
    for number, trial in functions(page):
        name, least = name_of(page.fns[number]), LEVELS.get(trial.least, 9)
        if trial.least or tab is None:
            tab = arrived(page, setting, right)
        if name == "Bringing.corrections":
            tab.call("Handlers.edit", (), DO | {"do": "delete", "nuclei": [1]})
        before, worked = kept(setting.case), tab.work()
        values = tuple(given.get(v, v) if isinstance(v, str) else v for v in trial.values)
        told = tab.run(number, values, trial.order and trial.order | {"case": setting.case})
        tells = setting.tells(told)
        changes = kept(setting.case) != before or (tab.work() or worked) != worked  # a picture may leave the desk
        too_far = tells and (level < 1 or trial.least == "own" and level < 3), changes and level < max(2, least)
        if any(too_far):
            wrong.append((name, trial.order, *too_far, told[:300]))
        if level >= least and not {"tells": tells, "changes": changes, "": True}[trial.does]:
            wrong.append((name, trial.order, f"does nothing, though its caller may: {told[:300]}"))
    assert wrong == []
