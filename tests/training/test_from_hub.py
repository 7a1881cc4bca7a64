"""Data sets on the Hub: their parquet files become samples, with no token, no script, no README and no local folder."""

from __future__ import annotations

import io
import socket
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from files import picture
from loopback_hub import SERVERS_TOKEN, serving, spoken_to
from PIL import Image

from sac.config import Limits
from sac.errors import DataError
from training.datasets import from_hub
from training.datasets.from_hub import samples, split_of, splits
from training.datasets.sample import Sample


def packed(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def labels(nuclei: int) -> np.ndarray:
    made = np.zeros((24, 32), np.uint8)
    for n in range(nuclei):
        made[2:8, 2 + 6 * n : 6 + 6 * n] = n + 1
    return made


def table(*nuclei: int, **columns) -> bytes:
    """A parquet file with an image of so many nuclei in each row."""
    rows = [{"image": packed(picture()), "mask": packed(labels(n)), **columns} for n in nuclei]
    stream = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), stream)
    return stream.getvalue()


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        yield server


@pytest.fixture(autouse=True)
def a_folder_of_ones_own(tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def found(name: str, split: str, tmp_path: Path, columns=("", "")) -> list[Sample | DataError]:
    room = tmp_path / "room"
    room.mkdir(exist_ok=True)
    made = list(samples(name, split, columns, room))
    assert list(room.iterdir()) == []
    return made


def refusal(name: str, tmp_path: Path, split: str = "") -> str:
    """What is said, by both ways, in one sentence."""
    (error,) = found(name, split, tmp_path)
    assert isinstance(error, DataError)
    with pytest.raises(DataError) as refused:
        splits(name)
    assert str(refused.value) == str(error) and "\n" not in str(error)
    return str(error)


def nuclei(made: list[Sample | DataError]) -> list[int]:
    assert all(isinstance(sample, Sample) for sample in made), made
    return [int(sample.labels.max()) for sample in made]


@pytest.mark.parametrize(
    "path, split",
    [
        ("train-00000-of-00001.parquet", "train"),
        ("data/test-00003-of-00010-0a1b2c3d4e5f.parquet", "test"),
        ("data/train.parquet", "train"),
        ("config/train-00000-of-00002.parquet", "config/train"),
        ("config/split/0000.parquet", "config/split"),
        ("default/train/0000.parquet", "train"),
        ("default/partial-train/0007.parquet", "partial-train"),
        ("data/validation/part-0.parquet", "validation"),
        ("0000.parquet", "all"),
        ("fold1.parquet", "fold1"),
    ],
)
def test_a_files_name_says_its_split(path, split):
    assert split_of(path) == split


def test_splits_and_configurations_can_be_chosen(server, tmp_path):
    server.repositories["datasets/owner/cells"] = {
        "README.md": b"# cells",
        "loader.py": b"raise SystemExit",
        "he/train-00000-of-00002.parquet": table(1, 2),
        "he/train-00001-of-00002.parquet": table(3),
        "he/test-00000-of-00001.parquet": table(4),
        "dapi/train-00000-of-00001.parquet": table(2, extra=packed(picture())),
    }
    told = splits("owner/cells")
    assert list(told) == ["dapi/train", "he/test", "he/train"] and len(told["he/train"].files) == 2
    assert (told["he/test"].images, told["he/test"].masks) == (("image", "mask"), ("mask", "image"))
    assert told["dapi/train"].images == ("image", "mask", "extra")
    made = found("owner/cells", "he/train", tmp_path)
    assert nuclei(made) == [1, 2, 3]
    assert [sample.name for sample in made] == [f"owner/cells row {n}" for n in (1, 2, 3)]
    assert {sample.source for sample in made} == {"owner/cells"}
    assert nuclei(found("owner/cells", "dapi/train", tmp_path, ("extra", "mask"))) == [2]
    (error,) = found("owner/cells", "validation", tmp_path)
    assert str(error) == "owner/cells has no split 'validation'; it has dapi/train, he/test, he/train"


def test_only_parquet_files_are_fetched_and_no_token_is_shown(server, tmp_path):
    server.repositories["datasets/owner/cells"] = {"cells.py": b"raise", "a.pkl": b"\x80", "train.parquet": table(1)}
    splits("owner/cells")
    assert nuclei(found("owner/cells", "", tmp_path)) == [1]
    fetched = {path.split("?")[0].rpartition("/")[2] for path, _ in server.requests if "/resolve/" in path}
    assert fetched == {"train.parquet"}
    for path, headers in server.requests:
        assert "authorization" not in {name.lower() for name in headers}, path
    assert SERVERS_TOKEN not in server.headers_sent()


def test_of_many_configurations_the_first_are_looked_into(server, monkeypatch):
    server.repositories["datasets/owner/cells"] = {f"c{n}/train.parquet": table(1) for n in range(5)}
    monkeypatch.setattr(from_hub, "ASKED", 2)
    told = splits("owner/cells")
    assert [bool(split.images) for split in told.values()] == [True, True, False, False, False]
    assert sum("/resolve/" in path for path, _ in server.requests) == 2


def test_what_the_hub_made_of_other_files_is_read(server, tmp_path):
    server.repositories["datasets/owner/cells"] = {"images/a.png": packed(picture())}
    server.repositories["datasets/owner/cells@refs/convert/parquet"] = {"default/train/0000.parquet": table(3)}
    assert list(splits("owner/cells")) == ["train"]
    assert nuclei(found("owner/cells", "train", tmp_path)) == [3]


def test_a_revision_may_be_named(server, tmp_path):
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    server.repositories["datasets/owner/cells@v2"] = {"train.parquet": table(2)}
    assert nuclei(found("owner/cells@v2", "train", tmp_path)) == [2]
    assert "no such revision" in refusal("owner/cells@v3", tmp_path)


def test_a_readme_that_points_elsewhere_is_not_obeyed(server, tmp_path):
    secret = tmp_path / "secret.parquet"
    secret.write_bytes(table(4))
    readme = (
        f"---\nconfigs:\n- config_name: default\n  data_files: [{secret}, '{server.address}/elsewhere', ../../*]\n---\n"
    )
    server.repositories["datasets/owner/cells"] = {
        "README.md": readme.encode(),
        "train.parquet": table(1),
        "../outside.parquet": table(2),
        "/absolute.parquet": table(2),
    }
    assert list(splits("owner/cells")) == ["train"]
    assert nuclei(found("owner/cells", "train", tmp_path)) == [1]
    assert not any("elsewhere" in path or "README" in path or "outside" in path for path, _ in server.requests)


def test_a_local_folder_of_that_name_is_no_data_set(server, tmp_path):
    folder = Path("owner/cells")
    folder.mkdir(parents=True)
    (folder / "train.parquet").write_bytes(table(4))
    assert refusal("owner/cells", tmp_path).startswith("the Hub has no public repository for owner/cells: ")
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    assert nuclei(found("owner/cells", "train", tmp_path)) == [1]


@pytest.mark.parametrize(
    "name",
    [
        "cells",
        "",
        "../cells",
        "/etc/passwd",
        "owner/cells/more",
        "owner/..",
        "owner/cells@",
        "owner/cells@../x",
        "a\nb/c",
    ],
)
def test_a_name_of_no_data_set_is_never_asked_for(server, tmp_path, name):
    refusal(name, tmp_path)
    assert server.requests == []


@pytest.mark.parametrize(
    "repository, facts, words",
    [
        ((404, "RepoNotFound"), {}, "the Hub has no public repository for owner/cells"),
        ((401, "RepoNotFound"), {}, "the Hub has no public repository for owner/cells"),
        ({"train.parquet": b""}, {"private": True}, "the Hub has no public repository for owner/cells"),
        ({"train.parquet": b"PAR1"}, {"gated": "manual"}, "owner/cells is not open to everybody"),
        ((403, "GatedRepo"), {}, "owner/cells is gated"),
        ((500, ""), {}, "owner/cells could not be fetched from the Hub"),
        ((403, ""), {}, "owner/cells could not be fetched from the Hub"),
        ({"train.csv": b"a,b"}, {}, "owner/cells has no parquet files on the Hub"),
    ],
)
def test_what_the_hub_does_not_give_is_a_sentence(server, tmp_path, repository, facts, words):
    server.repositories["datasets/owner/cells"] = repository
    server.facts["datasets/owner/cells"] = facts
    begun = time.monotonic()
    assert words in refusal("owner/cells", tmp_path)
    assert time.monotonic() - begun < 15


def test_a_damaged_file_is_a_sentence_and_the_others_are_read(server, tmp_path):
    server.repositories["datasets/owner/cells"] = {
        "train-00000-of-00002.parquet": b"<!doctype html><title>Sign in</title>",
        "train-00001-of-00002.parquet": table(2),
    }
    assert splits("owner/cells")["train"].images == ()
    error, sample = found("owner/cells", "train", tmp_path)
    assert str(error) == "owner/cells is damaged, or not a parquet file" and sample.labels.max() == 2


def test_more_than_is_accepted_is_not_fetched(server, tmp_path, monkeypatch):
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    monkeypatch.setattr(from_hub, "LIMITS", Limits(zip_bytes=100))
    (error,) = found("owner/cells", "train", tmp_path)
    assert "its files have 0.0 GB; up to 0 are accepted" in str(error)
    assert not any("/resolve/" in path for path, _ in server.requests)


def test_a_connection_that_ends_early_is_taken_up_again(server, tmp_path):
    content = table(*[2] * 4)
    server.repositories["datasets/owner/cells"] = {"train.parquet": content}
    server.most = len(content) // 3
    assert nuclei(found("owner/cells", "train", tmp_path)) == [2] * 4
    ranges = [headers["range"] for path, headers in server.requests if "/resolve/" in path]
    assert len(ranges) == 4 and ranges[0] == f"bytes=0-{len(content) - 1}"


def test_more_than_the_hub_said_is_not_taken(server, tmp_path, monkeypatch):
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    files = from_hub._files
    monkeypatch.setattr(from_hub, "_files", lambda info: [(path, size - 9) for path, size in files(info)])
    server.ranges = False
    assert "could not be fetched" in refusal("owner/cells", tmp_path)


def test_a_long_footer_is_asked_for_again(server, tmp_path, monkeypatch):
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    monkeypatch.setattr(from_hub, "FOOTER", 16)
    assert splits("owner/cells")["train"].images == ("image", "mask")


def test_without_the_hub_it_is_said_soon(tmp_path, monkeypatch):
    with closing(socket.create_server(("127.0.0.1", 0))) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    begun = time.monotonic()
    with spoken_to(address, tmp_path, monkeypatch):
        said = refusal("owner/cells", tmp_path)
    assert said == "owner/cells could not be fetched from the Hub: it cannot be reached; is this computer online?"
    assert time.monotonic() - begun < 15


@pytest.mark.parametrize("silent", ["api/datasets", "resolve"])
def test_a_hub_that_never_answers_is_given_up(server, tmp_path, monkeypatch, silent):
    server.repositories["datasets/owner/cells"] = {"train.parquet": table(1)}
    server.silent.append(silent)
    monkeypatch.setattr(from_hub, "PATIENCE", 1)
    begun = time.monotonic()
    said = "owner/cells could not be fetched from the Hub: it is silent; try again later"
    assert refusal("owner/cells", tmp_path) == said
    assert time.monotonic() - begun < 15
