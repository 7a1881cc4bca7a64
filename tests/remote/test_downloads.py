"""What is fetched from the Hub: checked, kept as the Hub's own client keeps it, and never asked for twice."""

from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir, snapshot_download
from loopback_hub import COMMIT, SERVERS_TOKEN, commit_of, serving, spoken_to

from sac import hub
from sac.errors import CheckpointError
from sac.remote import promised

LARGE = bytes(range(256)) * 4096
"""A megabyte."""
FILES = {
    hub.CONFIG: b"{}",
    hub.ADAPTER_CONFIG: b"{}\n",
    hub.ADAPTER: b"adapter",
    hub.HEAD: LARGE,
    hub.CARD: "# µ\n".encode(),
}
PINNED = f"owner/name@{COMMIT}"


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def server(cache, monkeypatch):
    with serving() as server, spoken_to(server.address, cache, monkeypatch):
        server.repositories["owner/name"] = dict(FILES)
        yield server


def _kept(name: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in hub.folder_of(name).iterdir()}


def _refusal(name: str) -> str:
    with pytest.raises(CheckpointError) as refused:
        hub.fetch(name)
    return str(refused.value)


def test_a_name_becomes_a_commit_whose_files_are_here(server):
    assert not hub.at_hand(PINNED)
    assert hub.fetch("owner/name") == PINNED
    assert hub.at_hand(PINNED) and _kept(PINNED) == FILES
    assert SERVERS_TOKEN not in server.headers_sent()


@pytest.mark.parametrize("revision", ["v1", "new/stain", "refs/pr/1"])
def test_a_revision_is_taken(server, revision):
    server.repositories[f"owner/name@{revision}"] = {**FILES, hub.CARD: b"another"}
    pinned = hub.fetch(f"owner/name@{revision}")
    assert pinned == f"owner/name@{commit_of(revision)}" == hub.fetch(pinned)
    assert _kept(pinned)[hub.CARD] == b"another" and _kept(f"owner/name@{revision}")[hub.CARD] == b"another"


def test_what_is_here_is_not_asked_for(server):
    hub.fetch("owner/name")
    asked = len(server.requests)
    assert hub.fetch(PINNED) == PINNED and len(server.requests) == asked
    server.repositories["owner/name@v1"] = {**FILES, hub.CARD: b"another"}
    hub.fetch("owner/name@v1")
    assert [path.rsplit("/", 1)[1] for path, _ in server.requests[asked:] if "/resolve/" in path] == [hub.CARD]


def test_the_hubs_own_client_finds_it(server, cache):
    hub.fetch("owner/name")
    assert snapshot_download("owner/name", local_files_only=True) == str(hub.folder_of(PINNED))
    (found,) = scan_cache_dir(cache).repos
    (revision,) = found.revisions
    assert (found.repo_id, revision.commit_hash, revision.refs) == ("owner/name", COMMIT, {"main"})
    assert {file.file_name: file.size_on_disk for file in revision.files} == {n: len(c) for n, c in FILES.items()}


def test_what_the_hubs_own_client_fetched_is_found(server):
    """It keeps small files by their digest, too, and large ones by SHA-256."""
    snapshot_download("owner/name")
    assert hub.at_hand(PINNED)
    server.repositories.clear()
    assert hub.fetch(PINNED) == PINNED


@pytest.mark.parametrize("file", [hub.CARD, hub.HEAD])
@pytest.mark.parametrize(
    "lie", [b"<html>Sign in</html>", b"x", LARGE * 2, None], ids=["page", "short", "long", "changed"]
)
def test_a_lie_leaves_nothing_behind_and_the_next_try_is_clean(server, cache, file, lie):
    server.lies["owner/name", file] = bytes(len(FILES[file])) if lie is None else lie
    assert file in _refusal("owner/name")
    assert not hub.at_hand(PINNED)
    assert not any(blob.name.endswith(".incomplete") for blob in (cache / "models--owner--name" / "blobs").iterdir())
    server.lies.clear()
    assert hub.fetch("owner/name") == PINNED and _kept(PINNED) == FILES


@pytest.mark.parametrize("file", [hub.CARD, hub.HEAD])
def test_what_was_damaged_in_the_cache_is_fetched_again(server, file):
    """As by a client that keeps a sign-in page as weights."""
    hub.fetch("owner/name")
    (hub.folder_of(PINNED) / file).resolve().write_bytes(b"<html>")
    assert hub.fetch(PINNED) == PINNED and _kept(PINNED) == FILES


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_again(server, cache, ranges):
    part = cache / "models--owner--name" / "blobs"
    server.most = 300_000
    server.ranges = ranges
    if ranges:
        assert hub.fetch("owner/name") == PINNED and _kept(PINNED) == FILES
    else:  # the server begins anew each time, and never gets farther
        assert "could not be fetched" in _refusal("owner/name") or "another size" in _refusal("owner/name")
        server.most = None
        assert hub.fetch("owner/name") == PINNED and _kept(PINNED) == FILES
    assert not any(blob.name.endswith(".incomplete") for blob in part.iterdir())


def test_what_an_earlier_try_left_is_gone_on_with(server, cache):
    """As after a program that was killed while it fetched."""
    part = cache / "models--owner--name" / "blobs" / f"{hashlib.sha256(LARGE).hexdigest()}.incomplete"
    part.parent.mkdir(parents=True)
    part.write_bytes(LARGE[:1000])
    assert hub.fetch("owner/name") == PINNED and _kept(PINNED) == FILES
    asked = [headers.get("range") for path, headers in server.requests if path.endswith(hub.HEAD)]
    assert asked == ["bytes=1000-"]


def test_progress_grows_to_the_end_in_words(server):
    server.most = 200_000  # in five pieces
    told = []
    hub.fetch("owner/name", lambda share, words: told.append((share, words)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares) and told[0] == (0.0, "Asking the Hub for owner/name")
    assert told[-1] == (1.0, "owner/name is here") and all("owner/name" in words for _, words in told)


def test_a_watcher_that_has_enough_ends_it(server):
    """An error of the one who watches, such as a visitor who cancels, comes out; nothing is held."""

    def enough(share: float, words: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hub.fetch("owner/name", enough)
    assert hub.fetch("owner/name") == PINNED


def test_what_is_too_large_is_refused_before_it_is_fetched(server):
    server.told["owner/name", hub.HEAD] = {"lfs": {"size": 2**40, "sha256": "0" * 64, "pointerSize": 1}}
    assert _refusal("owner/name") == f"owner/name: {hub.HEAD} has 1048576.0 MB; at most 200 are accepted"
    server.told["owner/name", hub.CARD] = {"size": 2**21}
    del server.told["owner/name", hub.HEAD]
    assert _refusal("owner/name") == f"owner/name: {hub.CARD} has 2.0 MB; at most 1 are accepted"
    assert not any("/resolve/" in path for path, _ in server.requests)


STRANGE = [
    {"size": None}, {"size": -1}, {"size": "7"}, {"blobId": None}, {"blobId": "../../../x"}, {"blobId": 7}, {"lfs": {"size": 1}},
    {"lfs": {"size": 7, "sha256": "/etc/passwd", "pointerSize": 1}}, {"lfs": [1]},
]  # fmt: skip


@pytest.mark.parametrize("told", STRANGE, ids=str)
def test_what_the_hub_says_strangely_is_no_description(server, tmp_path, told):
    server.told["owner/name", hub.CARD] = told
    assert "owner/name" in _refusal("owner/name")
    assert not any("/resolve/" in path for path, _ in server.requests)


@pytest.mark.parametrize(
    "fact", [{"sha": "../.."}, {"sha": None}, {"siblings": 7}, {"siblings": [{}]}, {"id": None}], ids=str
)
def test_a_repository_said_strangely_is_no_description(server, fact):
    server.facts["owner/name"] = fact
    _refusal("owner/name") if fact != {"id": None} else hub.fetch("owner/name")
    assert not any(".." in path for path, _ in server.requests)


NO_NAMES = ["name", "owner/name@", "owner/name@../x", "owner/name@a..b", "owner/name@/x", "owner/name@x/", "owner/name@-x",
            "owner/na me", "owner/name@a b", "owner/name@a\nb", "@owner/name", "owner/name@a@b", "a/b/c", "", "owner/name@" + "x" * 999]  # fmt: skip


@pytest.mark.parametrize("name", NO_NAMES, ids=lambda name: repr(name[:20]))
def test_what_is_no_name_is_not_asked_for(server, name):
    assert "owner/name" in _refusal(name)
    assert not hub.at_hand(name) and server.requests == []


def test_visitors_who_ask_for_the_same_at_once_share_one_download(server):
    with ThreadPoolExecutor(6) as threads:
        assert set(threads.map(hub.fetch, ["owner/name"] * 6)) == {PINNED}
    assert sum(path.endswith(f"/{hub.HEAD}") for path, _ in server.requests) == 1
    assert _kept(PINNED) == FILES


def test_silence_ends_a_download_and_length_does_not(server, monkeypatch):
    """A file that takes 2 s, five bytes in each: fast enough where one byte in half a second is, else as good as silent."""
    monkeypatch.setattr("sac.remote.patience.SILENCE", 0.5)
    monkeypatch.setattr("sac.remote.patience.CRAWL", 10)
    server.repositories["owner/name"][hub.CONFIG] = b"{        }"
    server.dripping.append(f"resolve/{COMMIT}/{hub.CONFIG}")
    begun = time.monotonic()
    assert "it is silent" in _refusal("owner/name")
    assert time.monotonic() - begun < 1.5
    monkeypatch.setattr("sac.remote.patience.CRAWL", 1)
    assert hub.fetch("owner/name") == PINNED and _kept(PINNED)[hub.CONFIG] == b"{        }"


def test_what_came_is_checked_for_as_long_as_it_takes(server, monkeypatch):
    """As gigabytes on a slow machine. A second visitor waits for the first one's check."""
    digest_of = promised.digest_of
    monkeypatch.setattr("sac.remote.patience.SILENCE", 0.3)
    monkeypatch.setattr(promised, "digest_of", lambda *file: time.sleep(0.4) or digest_of(*file))
    with ThreadPoolExecutor(2) as threads:
        assert set(threads.map(hub.fetch, ["owner/name"] * 2)) == {PINNED}
    assert _kept(PINNED) == FILES


def test_a_full_disk_is_said(server, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    assert _refusal("owner/name") == (
        "owner/name could not be fetched from the Hub: its files cannot be kept here (no space left on device)"
    )


def test_offline_by_choice_is_said(server, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE is set" in _refusal("owner/name")
