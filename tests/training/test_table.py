"""A table's rows become samples; nothing that a row or the table's own words name is opened or asked for."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from files import picture
from PIL import Image

from sac.errors import DataError
from training.datasets.sample import Sample
from training.datasets.table import _answers, columns_of, samples

ROOT = Path(__file__).resolve().parents[2]


def packed(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def label_map() -> np.ndarray:
    """Three nuclei, two of which touch."""
    labels = np.zeros((24, 32), np.uint8)
    labels[2:8, 2:8], labels[2:8, 8:14], labels[14:20, 20:28] = 1, 2, 3
    return labels


def masks() -> list[bytes]:
    return [packed(np.where(label_map() == n, 255, 0).astype(np.uint8)) for n in (1, 2, 3)]


IMAGE, LABELS = packed(picture()), packed(label_map())
CELL = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(path: Path, rows: list[dict], schema: pa.Schema | None = None, **options) -> Path:
    pq.write_table(pa.Table.from_pylist(rows, schema), path, **options)
    return path


def found(path: Path, tmp_path: Path, columns=("", "")) -> list[Sample | DataError]:
    room = tmp_path / "room"
    room.mkdir(exist_ok=True)
    made = list(samples(path, "cells", room, columns))
    assert list(room.iterdir()) == []
    assert not any("\n" in str(made) or str(tmp_path) in str(made) for made in made if isinstance(made, DataError))
    return made


def refusal(path: Path, tmp_path: Path, columns=("", "")) -> str:
    (error,) = found(path, tmp_path, columns)
    assert isinstance(error, DataError)
    return str(error)


def check(sample: Sample | DataError) -> None:
    assert isinstance(sample, Sample), sample
    assert np.array_equal(sample.image, picture()) and np.array_equal(sample.labels, label_map())


def test_a_table_that_datasets_wrote(tmp_path):
    features = datasets.Features(
        {"image": datasets.Image(), "mask": datasets.Image(), "note": datasets.Value("string")}
    )
    rows = {
        "image": [{"bytes": IMAGE, "path": "a.png"}] * 2,
        "mask": [{"bytes": LABELS, "path": None}] * 2,
        "note": ["", ""],
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "t.parquet")
    made = found(tmp_path / "t.parquet", tmp_path)
    assert [sample.name for sample in made] == ["cells row 1", "cells row 2"]
    assert {sample.source for sample in made} == {"cells"} and {sample.doubts for sample in made} == {()}
    for sample in made:
        check(sample)


def test_a_table_that_pandas_wrote(tmp_path):
    pd.DataFrame({"file_name": ["a\nb.png"], "Image": [IMAGE], "Label": [LABELS]}).to_parquet(tmp_path / "t.parquet")
    (sample,) = found(tmp_path / "t.parquet", tmp_path)
    check(sample)
    assert sample.name == "a\N{REPLACEMENT CHARACTER}b.png"


@pytest.mark.parametrize(
    "row",
    [
        {"image": {"bytes": IMAGE, "path": ""}, "masks": [{"bytes": m, "path": ""} for m in masks()]},
        {"image": IMAGE, "masks": masks()},
        {"image": IMAGE, "objects": {"mask": masks(), "area": [1, 2, 3]}},
        {"image": IMAGE, "objects": [{"mask": {"bytes": m, "path": ""}, "area": 1} for m in masks()]},
        {"image": IMAGE, "objects.mask": masks()},
    ],
    ids=["features", "bytes", "struct-of-lists", "list-of-structs", "dotted"],
)
def test_a_list_of_masks_is_a_nucleus_each(tmp_path, row):
    (sample,) = found(table(tmp_path / "t.parquet", [row]), tmp_path)
    check(sample)
    assert sample.doubts == ()


def test_masks_that_overlap_are_doubted(tmp_path):
    wide = np.zeros((24, 32), np.uint8)
    wide[2:8, 2:14] = 255
    (sample,) = found(table(tmp_path / "t.parquet", [{"image": IMAGE, "masks": [*masks(), packed(wide)]}]), tmp_path)
    assert sample.doubts == ("overlap",) and set(np.unique(sample.labels)) == {0, 3, 4}


def test_an_empty_list_is_a_picture_without_nuclei(tmp_path):
    schema = pa.schema([("image", pa.binary()), ("masks", pa.list_(pa.binary()))])
    (sample,) = found(table(tmp_path / "t.parquet", [{"image": IMAGE, "masks": []}], schema), tmp_path)
    assert not sample.labels.any() and sample.labels.shape == (24, 32)


class Listener(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.heard.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(IMAGE)

    do_HEAD = do_GET

    def log_message(self, *args):
        pass


@pytest.fixture
def listener():
    server = HTTPServer(("127.0.0.1", 0), Listener)
    server.heard = []
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def hostile_metadata(address: str) -> dict[bytes, bytes]:
    """What a table may claim of its columns, as `datasets` writes it."""
    features = {
        "image": {"_type": "Image", "decode": True},
        "mask": {"_type": "Image", "decode": True, "path": address},
        "name": {"_type": "os.system", "dtype": "touch owned"},
    }
    return {b"huggingface": json.dumps({"info": {"features": features, "download": address}}).encode()}


def test_a_path_or_an_address_is_not_followed(tmp_path, listener):
    secret = tmp_path / "secret.png"
    secret.write_bytes(IMAGE)
    address = f"http://127.0.0.1:{listener.server_port}/image.png"
    whole = {"bytes": LABELS, "path": address}
    rows = [
        {"image": {"bytes": None, "path": str(secret)}, "mask": whole},
        {"image": {"bytes": None, "path": f"file://{secret}"}, "mask": whole},
        {"image": {"bytes": None, "path": address}, "mask": whole},
        {"image": {"bytes": IMAGE, "path": str(secret)}, "mask": {"bytes": None, "path": address}},
        {"image": None, "mask": whole},
        {"image": {"bytes": address.encode(), "path": address}, "mask": whole},
        {"image": {"bytes": str(secret).encode(), "path": str(secret)}, "mask": whole},
        {"image": {"bytes": IMAGE, "path": address}, "mask": whole},
    ]
    schema = pa.schema([("image", CELL), ("mask", CELL)], metadata=hostile_metadata(address))
    made = found(table(tmp_path / "t.parquet", rows, schema), tmp_path)
    check(made.pop())
    assert len(made) == 7 and all(isinstance(m, DataError) for m in made)
    assert str(made[0]) == "cells row 1: its image has no bytes; a path or an address in their place is not followed"
    assert str(made[3]).startswith("cells row 4: its mask has no bytes")
    assert "not an image that can be read" in str(made[5])
    assert listener.heard == []


@pytest.mark.parametrize(
    "claim", [b"", b"{", b"[]", b'{"info": 3}', b'{"info": {"features": {"image": {"_type": "No"}}}}']
)
def test_a_schemas_own_words_are_not_heard(tmp_path, claim):
    schema = pa.schema([("image", CELL), ("mask", CELL)], metadata={b"huggingface": claim, b"pandas": claim})
    row = {"image": {"bytes": IMAGE, "path": None}, "mask": {"bytes": LABELS, "path": None}}
    check(*found(table(tmp_path / "t.parquet", [row], schema), tmp_path))


def test_a_bad_row_does_not_end_the_rest(tmp_path):
    rows = [{"image": b"<html>", "mask": LABELS}, {"image": IMAGE, "mask": IMAGE}, {"image": IMAGE, "mask": LABELS}]
    first, second, third = found(table(tmp_path / "t.parquet", rows), tmp_path)
    assert "cells row 1: its image is not an image" in str(first) and "cells row 2: its mask" in str(second)
    check(third)


def test_a_mask_of_another_size_is_refused(tmp_path):
    rows = [{"image": IMAGE, "mask": packed(label_map()[:-1])}]
    assert "they must agree" in refusal(table(tmp_path / "t.parquet", rows), tmp_path)


@pytest.mark.parametrize("left", [0, 3, 100, -8, -200])
def test_a_truncated_table_is_a_sentence(tmp_path, left):
    path = table(tmp_path / "t.parquet", [{"image": IMAGE, "mask": LABELS}])
    path.write_bytes(path.read_bytes()[:left])
    assert refusal(path, tmp_path) == "cells is damaged, or not a parquet file"


def test_damage_in_the_midst_ends_in_a_sentence(tmp_path):
    rows = [{"image": IMAGE, "mask": LABELS}] * 6
    path = table(tmp_path / "t.parquet", rows, row_group_size=2, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    middle = pq.read_metadata(path).row_group(1).column(0).data_page_offset
    content[middle : middle + 60] = bytes(60)
    path.write_bytes(bytes(content))
    made = found(path, tmp_path)
    assert len(made) == 3 and "damaged" in str(made[2])
    check(made[0])


@pytest.mark.parametrize(
    "row, columns, words",
    [
        ({"a": 1, "b": "x"}, ("", ""), "cells has no column with the bytes of pictures; its columns are a, b"),
        ({"x": IMAGE, "mask": LABELS}, ("", ""), "say which column of cells holds the images; pictures are in mask, x"),
        (
            {"image": IMAGE, "mask": LABELS, "label": LABELS},
            ("", ""),
            "holds the masks; pictures are in mask, label, image",
        ),
        ({"image": IMAGE, "mask": LABELS}, ("image", "other"), "cells has no masks in column other"),
        ({"image": IMAGE, "mask": LABELS}, ("image", "image"), "cells has no masks in column image"),
        ({"image": [IMAGE], "mask": LABELS}, ("image", "mask"), "cells has no images in column image"),
    ],
)
def test_columns_that_are_not_clear_are_listed(tmp_path, row, columns, words):
    assert words in refusal(table(tmp_path / "t.parquet", [row]), tmp_path, columns)


def test_columns_may_be_chosen(tmp_path):
    path = table(tmp_path / "t.parquet", [{"x": IMAGE, "y": LABELS, "mask": IMAGE, "many": masks(), "n": 3}])
    check(*found(path, tmp_path, ("x", "y")))
    check(*found(path, tmp_path, ("x", "many")))
    assert columns_of(path) == (["x", "y", "mask"], ["mask", "x", "y", "many"])


def test_more_rows_than_are_accepted_are_refused_unread(tmp_path):
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"image": [b""] * 5001, "mask": [b""] * 5001}), path)
    assert refusal(path, tmp_path) == "cells has 5001 rows; up to 5000 are accepted"


def test_a_page_that_claims_two_gigabytes_is_given_up(tmp_path):
    """The reader takes what a page claims before it looks at it: in a process that may not take much."""
    path = tmp_path / "t.parquet"
    rows = {"image": [bytes(140_000_000)], "mask": [LABELS]}
    pq.write_table(pa.table(rows), path, compression="zstd", use_dictionary=False)
    content = bytearray(path.read_bytes())
    header = pq.read_metadata(path).row_group(0).column(0).data_page_offset
    assert content[header : header + 3] == b"\x15\x00\x15"  # thrift: kind of page, then its unpacked size
    content[header + 3 : header + 8] = b"\xfe\xff\xff\xff\x0f"
    path.write_bytes(bytes(content))
    assert "needs more memory" in refusal(path, tmp_path)


def test_memory_is_bounded(tmp_path):
    code = "from training.datasets import cells; cells._limit(); bytes(cells.MEMORY)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.stderr.endswith("MemoryError\n")


@pytest.mark.parametrize(
    "answer", [b"", b"3\n", b"{", b'{"sizes": [-1]}\n', b'{"sizes": [9000000000]}\n', b'{"sizes": 1}\n']
)
def test_what_a_process_says_that_a_file_had_taken_over_is_judged(answer):
    with pytest.raises(DataError, match="cells is damaged"):
        list(_answers(io.BytesIO(answer), "cells"))


READER = """
import sys
from training.datasets import cells
cells.main()
print(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1], file=sys.stderr)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="measured as Linux does")
def test_two_thousand_rows_are_never_all_in_memory(tmp_path):
    """400 MB in one row group: the process that reads them takes little more than its libraries."""
    content = np.random.default_rng(0).bytes(200_000)
    rows = {"image": [content[n:] + content[:n] for n in range(2000)], "mask": [b"m"] * 2000}
    pq.write_table(
        pa.table(rows), tmp_path / "t.parquet", compression="none", use_dictionary=False, write_batch_size=10
    )
    asked = {"path": str(tmp_path / "t.parquet"), "name": "t", "columns": ["", ""]}
    command = [sys.executable, "-c", READER]
    with subprocess.Popen(command, cwd=ROOT, stdin=-1, stdout=-1, stderr=-1) as reader:
        reader.stdin.write(json.dumps(asked).encode() + b"\n")
        reader.stdin.close()
        answered = sum(len(part) for part in iter(lambda: reader.stdout.read(2**20), b""))
        most = int(reader.stderr.read().split()[-1]) / 1024
    assert answered > 400_000_000 and most < 250, f"{most:.0f} MB"


def test_rows_are_asked_for_one_by_one(tmp_path, monkeypatch):
    """Who takes the first row only has not waited for the others."""
    monkeypatch.setattr("training.datasets.table._Reading.sample", lambda self, row, where: len(row.image))
    pq.write_table(pa.table({"image": [bytes(100_000)] * 2000, "mask": [b"m"] * 2000}), tmp_path / "t.parquet")
    rows = samples(tmp_path / "t.parquet", "t", tmp_path)
    assert next(rows) == 100_000
    rows.close()
