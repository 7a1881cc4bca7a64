"""What a restart would lose: sent to a private data set by the Hub's real client, fetched from there, and equal."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loopback_hub import serving, spoken_to

from sac.cases import Cases, Owner, Work
from sac.config import LIMITS
from sac.errors import HubError
from sac.images import Image
from sac.space import keeping, snapshot
from sac.space.keeping import LIST, OFF, ON, OVERTAKEN, UNFETCHED, Keeping, begun
from training import places
from training.jobs import ASKED, RUN, STATUS

TOKEN = "hf_the_owners_own_token"
OTHERS = "hf_a_token_of_someone_else"
KEPT = "datasets/owner/kept"
ROOT = Path(__file__).parents[2]
ME = Owner("local")
FINISHED, RUNNING = "0" * 16, "1" * 16


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.writers |= {TOKEN: "owner", OTHERS: "other"}
        yield server


@pytest.fixture
def used(tmp_path) -> Path:
    """A data folder on which a page ran: a secret, two cases, a training that is over and one that is not."""
    folder = tmp_path / "used"
    cases = Cases(folder / "cases")
    for name, grey in (("field", 7), ("other", 8)):
        cases.create(ME, name, Work(Image(f"{name}.png", np.full((20, 30, 3), grey, np.uint8))))
    (folder / "secret").write_text("opens the browsers' keys")
    _train(folder, FINISHED, "done")
    _train(folder, RUNNING, "running")
    return folder


def _train(folder: Path, id: str, state: str) -> None:
    job = folder / "jobs" / id
    files = {
        ASKED: "{}", STATUS: json.dumps({"state": state}), "ballast": "0", "set/a.png": "picture",
        f"{RUN}/sac_config.json": id, f"{RUN}/adapter_model.safetensors": f"weights {id}", f"{RUN}/{places.LOG}": "{}",
        f"{RUN}/{places.LOOKS}/0.png": "look", f"{RUN}/{places.STATE}10/model": "state",
        f"{RUN}/{places.EMBEDDINGS}": "large", f"{RUN}/b.partial": "half",
    }  # fmt: skip
    for name, text in files.items():
        (job / name).parent.mkdir(parents=True, exist_ok=True)
        (job / name).write_text(text)


OF_FINISHED = {
    f"jobs/{FINISHED}/{name}"
    for name in (
        ASKED, STATUS, f"{RUN}/sac_config.json", f"{RUN}/adapter_model.safetensors", f"{RUN}/{places.LOG}",
        f"{RUN}/{places.LOOKS}/0.png",
    )
}  # fmt: skip
ALL = {"secret", "cases/cases.db", LIST} | OF_FINISHED


def _begun(folder: Path, token: str = TOKEN, name: str = "owner/kept") -> Keeping:
    made = Keeping(name, token, folder)
    made.begin()
    return made


def _pictures(folder: Path) -> dict[str, bytes]:
    """The pictures of all cases, by the cases' names."""
    cases = Cases(folder / "cases")
    return {c.name: cases.open(c.id, ME)[1].image.pixels.tobytes() for c in cases.mine(ME)}


def _refusal(work) -> str:
    with pytest.raises(HubError) as refused:
        work()
    shown = "".join(traceback.format_exception(refused.value))
    assert TOKEN not in shown and OTHERS not in shown and "\n" not in str(refused.value)
    return str(refused.value)


# There and back


def test_what_is_kept_comes_back_to_an_empty_folder(server, used, tmp_path):
    assert _begun(used).snapshot()
    assert set(server.repositories[KEPT]) == ALL and server.facts[KEPT]["private"] and server.squashed == [KEPT]
    fresh = tmp_path / "fresh"
    assert _begun(fresh).state == ON
    assert _pictures(fresh) == _pictures(used) and set(_pictures(used)) == {"field", "other"}
    for path in ALL - {"cases/cases.db", LIST}:
        assert (fresh / path).read_bytes() == (used / path).read_bytes()
    there = {p.relative_to(fresh).as_posix() for p in fresh.rglob("*") if p.is_file()}
    assert there - {snapshot.WHO, "cases/cases.db-wal", "cases/cases.db-shm"} == ALL - {LIST}
    assert (fresh / "secret").stat().st_mode & 0o777 == 0o600


def test_only_what_changed_is_sent_again(server, used):
    kept = _begun(used)
    kept.snapshot()
    assert kept.snapshot() is None and len(server.commits) == 1
    Cases(used / "cases").create(ME, "third", Work(Image("c.png", np.zeros((9, 9, 3), np.uint8))))
    assert kept.snapshot() and server.commits[1] == (KEPT, ["header", "file", "file"])
    os.utime(used / "secret")
    assert kept.snapshot() is None and len(server.commits) == 2 and kept.at > 0 and not kept.is_late


def test_deleted_is_deleted_there_and_from_its_history(server, used):
    kept, cases = _begun(used), Cases(used / "cases")
    kept.snapshot()
    assert {*server.large[KEPT].values()} == {f"jobs/{FINISHED}/{RUN}/adapter_model.safetensors"}
    gone = next(c for c in cases.mine(ME) if c.name == "field")
    cases.delete(gone.id, ME)
    shutil.rmtree(used / "jobs" / FINISHED)
    kept.snapshot()
    assert set(server.repositories[KEPT]) == ALL - OF_FINISHED and server.large[KEPT] == {}
    assert b"field" not in server.repositories[KEPT]["cases/cases.db"]
    assert server.squashed == [KEPT, KEPT]


def test_a_history_that_could_not_be_removed_is_tried_again(server, used, caplog):
    kept = _begun(used)
    server.pages.append("lfs-files")
    assert kept.snapshot() and not kept.is_late and "still in the history of owner/kept" in caplog.text
    server.pages.clear()
    assert kept.snapshot() is None and server.squashed == [KEPT, KEPT]
    assert kept.snapshot() is None and server.squashed == [KEPT, KEPT]


def test_a_copy_that_was_restored_goes_on_and_the_former_page_overwrites_nothing(server, used, tmp_path):
    former = _begun(used)
    former.snapshot()
    after = _begun(tmp_path / "fresh")
    Cases(tmp_path / "fresh" / "cases").create(ME, "new", Work(Image("n.png", np.zeros((9, 9, 3), np.uint8))))
    assert after.snapshot()
    there = dict(server.repositories[KEPT])
    Cases(used / "cases").create(ME, "too late", Work(Image("l.png", np.zeros((9, 9, 3), np.uint8))))
    _refusal(former.snapshot)
    assert former.state == OVERTAKEN and former.snapshot() is None and server.repositories[KEPT] == there
    assert after.state == ON


def test_an_answer_that_was_lost_on_its_way_is_no_other_page(server, used):
    kept = _begun(used)
    kept.snapshot()
    server.moved(KEPT)  # as its own commit would have
    (used / "secret").write_text("changed")
    _refusal(kept.snapshot)
    assert kept.state == ON and kept.is_late
    assert kept.snapshot() and server.repositories[KEPT]["secret"] == b"changed" and not kept.is_late


def test_a_folder_knows_its_own_after_a_crash(server, used):
    _begun(used).snapshot()
    again = _begun(used)
    assert again.state == ON and again.snapshot() is None and len(server.commits) == 1


def test_every_request_has_the_owners_token_and_nothing_kept_does(server, used, tmp_path):
    _begun(used).snapshot()
    _begun(tmp_path / "fresh")
    told = {headers.get("authorization") for path, headers in server.requests if not path.startswith("/lfs/")}
    assert told == {f"Bearer {TOKEN}"}
    assert TOKEN.encode() not in b"".join(server.repositories[KEPT].values())


# What is not there, or not to be had


def test_without_the_name_of_a_data_set_nothing_happens(server, tmp_path, monkeypatch):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path / "data"))
    with begun("") as kept:
        assert kept.state == OFF and kept.snapshot() is None
    assert server.requests == [] and not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "fail, state",
    [
        (lambda server: server.pages.append("datasets/owner/kept"), UNFETCHED),
        (lambda server: server.lies.update({(KEPT, "secret"): b"x" * 24}), UNFETCHED),
        (lambda server: server.lies.update({(KEPT, LIST): b"{}"}), UNFETCHED),
        (lambda server: server.lies.update({(KEPT, "cases/cases.db"): b"x" * 10**7}), UNFETCHED),
        (lambda server: server.repositories.update({KEPT: (503, "")}), UNFETCHED),
        (lambda server: None, ON),
    ],
    ids=["web page", "damaged", "no list", "too long", "trouble", "sound"],
)
def test_what_could_not_be_fetched_is_not_overwritten(server, used, tmp_path, fail, state):
    _begun(used).snapshot()
    fail(server)
    there, fresh = server.repositories[KEPT], tmp_path / "fresh"
    before = dict(there) if isinstance(there, dict) else there
    kept = _begun(fresh)
    assert kept.state == state
    if state == UNFETCHED:
        assert not (fresh / "secret").exists() and not (fresh / "jobs").exists()
        (fresh / "secret").write_text("of a new page")
        with kept:
            assert kept.snapshot() is None
        assert server.repositories[KEPT] == before and len(server.commits) == 1


def test_a_silent_hub_is_not_waited_for(server, used, tmp_path, monkeypatch):
    monkeypatch.setattr("sac.remote.patience.SILENCE", 1)
    _begun(used).snapshot()
    server.silent.append("resolve")
    begun = time.monotonic()
    assert _begun(tmp_path / "fresh").state == UNFETCHED and time.monotonic() - begun < 5


def test_without_the_hub_the_page_starts(used, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with spoken_to(address, tmp_path, monkeypatch):
        assert _begun(used).state == UNFETCHED


# What is refused


def test_a_name_without_a_token_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))
    monkeypatch.setattr(keeping, "get_token", lambda: None)
    assert "SAC_KEEP needs a token that may write to owner/kept" in _refusal(lambda: begun("owner/kept"))


def test_a_full_disk_brings_nothing_back_and_loses_nothing(server, used, tmp_path, monkeypatch):
    _begun(used).snapshot()
    monkeypatch.setattr(snapshot, "LIMITS", replace(LIMITS, disk_reserve=2**62))
    assert _begun(tmp_path / "fresh").state == UNFETCHED and not (tmp_path / "fresh" / "secret").exists()


def test_a_public_data_set_is_refused(server, used):
    server.repositories[KEPT], server.facts[KEPT] = {}, {"private": False}
    assert "is public: make it private" in _refusal(lambda: _begun(used))
    assert server.commits == []


def test_one_that_became_public_gets_no_more(server, used):
    kept = _begun(used)
    server.facts[KEPT]["private"] = False
    assert "is public: make it private" in _refusal(kept.snapshot)
    assert server.commits == [] and kept.is_late


@pytest.mark.parametrize(
    "name, token, words",
    [
        ("owner/kept", OTHERS, "may not write to owner/kept"),
        ("owner/kept", "hf_of_nobody", "does not know this token"),
        ("owner/kept", "", "a token of the Hub is needed"),
        ("kept", TOKEN, "is not a name"),
        ("owner/../kept", TOKEN, "is not a name"),
    ],
)
def test_without_the_right_it_is_said_before_the_page_opens(server, used, name, token, words):
    assert words in _refusal(lambda: _begun(used, token, name))


def test_the_work_of_another_page_is_not_mixed_with_what_is_here(server, used, tmp_path):
    _begun(used).snapshot()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret").write_text("of another page")
    assert "keeps the work of another page" in _refusal(lambda: _begun(tmp_path / "other"))


@pytest.mark.parametrize(
    "path, allowed",
    [
        ("secret", True), ("cases/cases.db", True), (f"jobs/{FINISHED}/run/looks/0.png", True),
        ("../secret", False), (f"jobs/{FINISHED}/run/../../../x", False), ("/etc/passwd", False), ("jobs/x/run/a", False),
        (f"jobs/{FINISHED}/run//a", False), (f"jobs/{FINISHED}/set/a.png", False), (f"jobs/{FINISHED}/run/a\nb", False),
    ],
)  # fmt: skip
def test_no_other_file_comes_into_the_folder(path, allowed):
    assert snapshot.is_path(path) is allowed


def test_the_names_are_those_of_trainings():
    assert (snapshot.ASKED, snapshot.STATUS, snapshot.RUN) == (ASKED, STATUS, RUN)
    assert snapshot.ONLY_TO_GO_ON == (places.STATE, places.EMBEDDINGS, places.PAUSE, places.CANCEL)


# The page itself


def test_the_page_keeps_at_once_and_when_it_is_ended(server, tmp_path):
    folder = tmp_path / "data"
    variables = {
        **os.environ, "HF_ENDPOINT": server.address, "HF_TOKEN": TOKEN, "SAC_KEEP": "owner/kept", "SPACE_ID": "owner/cells",
        "PYTHONUNBUFFERED": "1",
    }  # fmt: skip
    page = subprocess.Popen(
        [sys.executable, "app.py", "--data-dir", str(folder)],
        cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    watchdog = threading.Timer(60, page.kill)
    watchdog.start()
    said = next((line for line in page.stdout if "http://" in line), "it ended")
    while not server.commits and page.poll() is None:
        time.sleep(0.05)
    assert "http://" in said and "secret" in server.repositories[KEPT]
    _train(folder, FINISHED, "done")
    page.send_signal(signal.SIGTERM)
    rest = page.stdout.read()
    assert page.wait() == 0, rest
    watchdog.cancel()
    assert set(server.repositories[KEPT]) - {"cases/cases.db"} == ALL - {"cases/cases.db"}
    assert TOKEN not in rest and keeping.EVERY == 5
