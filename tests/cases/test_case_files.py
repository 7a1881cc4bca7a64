"""A case as a file: what is exported comes back; of what anybody may send, nothing harms."""

import io
import json
import random
import struct
import tracemalloc
import zipfile
import zlib
from dataclasses import replace
from secrets import token_hex

import numpy as np
import pytest
from case_works import digest, facts, numbered, rows, work

from sac.cases import Cases, Owner
from sac.config import LIMITS
from sac.errors import CaseError

ADA, EVE, MAL = Owner("login:ada"), Owner("login:eve"), Owner("login:mal")


@pytest.fixture(scope="module")
def cases(tmp_path_factory) -> Cases:
    """One for all that is refused, as nothing of it stays."""
    return Cases(tmp_path_factory.mktemp("files") / "cases")


@pytest.fixture(scope="module")
def case(cases):
    return cases.create(ADA, "Biopsy 7", work(), "ada")


@pytest.fixture(scope="module")
def good(cases, case) -> bytes:
    cases.comment(case.id, ADA, 1.5, 2.25, "look: 核", "ada")
    cases.settle(case.id, ADA, cases.comment(case.id, ADA, 3, 4, "and here", "bob").id, True)
    return cases.export(case.id, ADA)


@pytest.fixture
def sent(tmp_path):
    """Writes bytes to a file with an odd name."""

    def send(content: bytes):
        path = tmp_path / "sent by somebody.saccase"
        path.write_bytes(content)
        return path

    return send


def members(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(parts: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", how) as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    return stream.getvalue()


def npy(array: np.ndarray, **how) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, **how)
    return stream.getvalue()


def headed(shape: str, descr: str = "'|u1'", fortran: str = "False", rest: bytes = b"", version: int = 1) -> bytes:
    """An array with a header that says anything."""
    head = f"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<H" if version == 1 else "<I", len(head))
    return b"\x93NUMPY" + bytes([version, 0]) + size + head + rest


def refused(cases, path) -> str:
    """What is said of a file, of which nothing stays."""
    before = rows(cases.path)
    with pytest.raises(CaseError) as said:
        cases.import_file(EVE, path)
    words = str(said.value)
    assert rows(cases.path) == before and "\n" not in words and len(words) < 400 and str(path.parent) not in words
    return words


def test_what_was_exported_comes_back(cases, case, ada, good, sent):
    twin = cases.import_file(EVE, sent(good))
    assert twin.id != case.id and twin.name == "Biopsy 7" and twin.author == "" and cases.mine(EVE)[0] == twin
    back = cases.open(twin.id, EVE)[1]
    assert facts(back) == facts(work()) and digest(back) == digest(work())
    told = [(c.x, c.y, c.text, c.author, c.at, c.done) for c in cases.comments(twin.id, EVE)]
    assert told == [(c.x, c.y, c.text, c.author, c.at, c.done) for c in cases.comments(case.id, ada)]
    assert cases.links(twin.id, EVE) == [] and members(cases.export(twin.id, EVE)).keys() == members(good).keys()


def test_a_file_holds_what_numpy_and_json_can_read(good):
    parts = members(good)
    assert sorted(parts) == ["case.json", "labels-0.npy", "labels-1.npy", "pixels.npy", "truth.npy", "values.npy"]
    told = json.loads(parts["case.json"])
    assert told["name"] == "Biopsy 7" and [c["text"] for c in told["comments"]] == ["look: 核", "and here"]
    assert np.array_equal(np.load(io.BytesIO(parts["values.npy"])), work().image.values)


def test_a_file_tells_nobodys_name_but_of_who_commented(cases, ada, sent):
    case = cases.create(ada, "a", numbered(1), "the-author")
    cases.link(case.id, ada, "edit", 3, "the-link")
    told = b"".join(members(cases.export(case.id, ada)).values())
    assert not any(word in told for word in (b"login:ada", b"the-author", b"the-link", case.id.encode()))


@pytest.mark.parametrize("kind", [">u2", "<f4", "<f8", "<i4", "|u1", "<f2", "<u8"])
def test_intensities_of_every_kind_go_through_a_file(cases, ada, sent, kind):
    values = (np.arange(60 * 80 * 5) % 251).reshape(60, 80, 5).astype(kind)
    image = replace(work().image, values=values)
    case = cases.create(ada, "a", replace(work(), image=image))
    back = cases.open(cases.import_file(EVE, sent(cases.export(case.id, ada))).id, EVE)[1]
    assert np.array_equal(back.image.values, values) and back.image.values.dtype == values.dtype


def json_nonsense(told: dict, random: random.Random) -> object:
    """The JSON with one value, anywhere, replaced by another, or left out."""
    places = []

    def walk(value):
        for key in value if isinstance(value, dict) else range(len(value)):
            places.append((value, key))
            if isinstance(value[key], dict | list):
                walk(value[key])

    walk(told)
    holder, key = random.choice(places)
    odd = [
        None, True, -1, 0, 1, 2**31, 10**30, 1e300, -0.5, float("nan"), float("inf"), "", "x", "\ud800", "9" * 5000,
        [], {}, [[]], [None] * 3000, {"1": None}, {"-1": []}, {"x": 1}, "y" * 100_000,
    ]  # fmt: skip
    if random.random() < 0.15:
        del holder[key]
    else:
        holder[key] = random.choice(odd)
    return told


def other_array(part: bytes, random: random.Random) -> bytes:
    """An array of another type, shape or content."""
    array = np.load(io.BytesIO(part))
    return npy(
        random.choice(
            [
                lambda: array.astype(random.choice(["i8", "f4", "?", "c8", "u1", "i2", "S1", "U1", "f8", "M8[s]"])),
                lambda: array[: random.randrange(len(array) + 1)],
                lambda: array[..., : random.randrange(3)],
                lambda: array[None],
                lambda: array.ravel(),
                lambda: np.asfortranarray(array),
                lambda: np.where(np.random.default_rng(random.randrange(999)).random(array.shape) < 0.01, 7, array),
                lambda: array.astype("i4") - 1,
                lambda: (array.astype("i8") + 2**31 - 10).astype("i4"),
                lambda: np.zeros((0, 0, 3), array.dtype),
                lambda: np.zeros((), array.dtype),
            ]
        )()
    )


def corrupted(good: bytes, parts: dict[str, bytes], seed: int) -> bytes:
    """The file damaged in one of many ways."""
    rng = random.Random(seed)
    if rng.random() < 0.25:
        flipped = bytearray(good)
        for _ in range(rng.choice([1, 1, 5, 50])):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if rng.random() < 0.1:
        return good[: rng.randrange(len(good))]
    if rng.random() < 0.1:  # the directory, of which every byte counts
        flipped, begin = bytearray(good), good.index(b"PK\x01\x02")
        flipped[rng.randrange(begin, len(flipped))] = rng.randrange(256)
        return bytes(flipped)
    parts, name = dict(parts), rng.choice(list(parts))
    if rng.random() < 0.5:
        parts["case.json"] = json.dumps(json_nonsense(json.loads(parts["case.json"]), rng)).encode()
    elif rng.random() < 0.5:
        arrays = [name for name in parts if name.endswith(".npy")]
        name = rng.choice(arrays)
        parts[name] = other_array(parts[name], rng)
    elif rng.random() < 0.5:
        one, other = rng.sample(list(parts), 2)
        parts[one], parts[other] = parts[other], parts[one]
    elif rng.random() < 0.5:
        flipped = bytearray(parts[name])
        flipped[rng.randrange(min(200, len(flipped)))] = rng.randrange(256)
        parts[name] = bytes(flipped)
    else:
        del parts[name]
    return zipped(parts, rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))


def test_three_hundred_damaged_files(cases, good, sent):
    """Each is refused in a sentence, or holds a case after all, that opens, is worked on, and goes out again."""
    parts, taken = members(good), 0
    before = rows(cases.path)
    for seed in range(300):
        path = sent(corrupted(good, parts, seed))
        try:
            case = cases.import_file(MAL, path)
        except CaseError as error:
            assert "\n" not in str(error) and len(str(error)) < 400, seed
            continue
        taken += 1
        back = cases.open(case.id, MAL)[1]
        for session in back.sessions.values():
            assert len(session.instances().numbers) == len(session.nuclei)
        assert digest(cases.open(cases.import_file(MAL, sent(cases.export(case.id, MAL))).id, MAL)[1]) == digest(back)
        for each in cases.mine(MAL):
            cases.delete(each.id, MAL)
    after = rows(cases.path)
    assert {k: v for k, v in after.items() if k[0] != "s"} == {k: v for k, v in before.items() if k[0] != "s"}
    assert 10 < taken < 150  # some flips hit what does not matter: a date, a reserved bit, a name


WRONG_ARRAYS = {
    "pickled objects": npy(np.array([[{"a": 1}, None]], object), allow_pickle=True),
    "a pickle": b"\x80\x04\x95\x0c\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94.",
    "a structure": npy(np.zeros((60, 80, 3), [("a", "u1")])),
    "a huge shape": headed("(1000000, 1000000, 3)"),
    "a shape beyond all numbers": headed("(99999999999999999999999, 9, 3)"),
    "a negative shape": headed("(-60, -80, 3)", rest=bytes(14_400)),
    "no pixels": headed("(0, 80, 3)"),
    "an expression": headed("(__import__('os').getpid(), 80, 3)"),
    "a deep expression": headed("(" * 90 + "60" + ")" * 90),
    "a long expression": headed("-" * 60_000 + "1"),
    "an open bracket": headed("((60, 80, 3)"),
    "a letter too many": headed("(60L, 80L, 3L)", rest=bytes(14_400)),
    "more than it claims": headed("(60, 80, 3)", rest=bytes(14_401)),
    "less than it claims": headed("(60, 80, 3)", rest=bytes(14_399)),
    "columns first": headed("(60, 80, 3)", fortran="True", rest=bytes(14_400)),
    "a later format": headed("(60, 80, 3)", rest=bytes(14_400), version=3),
    "nothing": b"",
    "half a header": headed("(60, 80, 3)")[:20],
}


@pytest.mark.parametrize("what", WRONG_ARRAYS)
@pytest.mark.parametrize("member", ["pixels.npy", "labels-0.npy"])
def test_arrays_that_are_none_of_a_case(cases, good, sent, what, member):
    words = refused(cases, sent(zipped({**members(good), member: WRONG_ARRAYS[what]})))
    assert words == (
        "sent by somebody.saccase is not a case, or it is damaged; a file that was downloaded from Cases is accepted."
    )


@pytest.mark.parametrize(
    "name",
    [
        "../outside.npy", "/etc/passwd", "..\\outside.npy", "pixels.npy/", "sub/pixels.npy", "labels-100.npy", "labels-2.npy", "x.npy",
        "labels-٣.npy", "pixels.npy\n", "PIXELS.NPY", "cases.db",
    ],
)  # fmt: skip
def test_members_with_other_names(cases, good, sent, tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    refused(cases, sent(zipped({**members(good), name: npy(np.zeros((60, 80), np.int32))})))
    assert set(tmp_path.rglob("*")) - set(before) <= {tmp_path / "sent by somebody.saccase"}


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(cases, good, sent, how):
    """LZMA lets a file say how much memory reading it takes."""
    refused(cases, sent(zipped(members(good), how)))


def test_a_member_twice_is_refused(cases, good, sent):
    stream = io.BytesIO(good)
    with zipfile.ZipFile(stream, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("case.json", members(good)["case.json"])
    refused(cases, sent(stream.getvalue()))


def test_a_locked_zip_is_refused(cases, good, sent):
    locked = bytearray(good)
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = good.index(mark)
        locked[at + flags] |= 1
    refused(cases, sent(bytes(locked)))


TEXTS = {
    "NaN": b'{"name": NaN, "work": {}, "comments": []}',
    "deep": b"[" * 200_000,
    "deep and closed": b'{"name": "a", "comments": [], "work": ' + b"[" * 900 + b"]" * 900 + b"}",
    "a number of five thousand digits": b'{"name": "a", "comments": [], "work": ' + b"9" * 5000 + b"}",
    "not UTF-8": b"\xff\xfe\xff",
    "null": b"null",
    "a list": b"[]",
    "a word": b'"case"',
    "empty": b"",
}


@pytest.mark.parametrize("what", TEXTS)
def test_json_that_is_none_of_a_case(cases, good, sent, what):
    refused(cases, sent(zipped({**members(good), "case.json": TEXTS[what]})))


def told_with(good: bytes, *path_and_value) -> bytes:
    """The file with another value at a path of its JSON."""
    *path, last, value = path_and_value
    parts = members(good)
    told = at = json.loads(parts["case.json"])
    for key in path:
        at = at[key]
    at[last] = value
    return zipped({**parts, "case.json": json.dumps(told).encode()})


FIRST = ("work", "sessions", 0)


@pytest.mark.parametrize(
    "path_and_value",
    [
        ("work", "format", 2),
        ("work", "image", "microns", 0),
        ("work", "image", "microns", -1),
        ("work", "image", "microns", float("nan")),
        ("work", "image", "channel", 3),
        *(
            ("work", "image", "place", {"size": [90, 90], "corner": [0, 0], "plane": []} | odd)
            for odd in (
                {"size": [59, 90]}, {"size": [90, 2**31]}, {"size": [90.0, 90]}, {"size": [90]}, {"size": "ab"},
                {"corner": [-1, 0]}, {"corner": [0, 31]}, {"corner": [0, True]}, {"corner": None},
                {"plane": [1]}, {"plane": [0, -1]}, {"plane": [0, "1"]}, {"plane": "ab"}, {"plane": {}},
            )
        ),  # fmt: skip
        ("work", "image", "place", None),
        ("work", "image", "place", []),
        ("work", "notes", "x" * 20_001),
        ("work", "shown", ["nuclei", "semantic"]),
        (*FIRST, "variant", ["nuclei", "semantic"]),  # its options say instances
        (*FIRST, "last", 2),
        (*FIRST, "last", 2**31),
        (*FIRST, "options", "scale", float("inf")),
        (*FIRST, "options", "overlap", "64"),
        (*FIRST, "options", "overlap", 255),  # tiles without number
        (*FIRST, "options", "scale", 20.0),
        (*FIRST, "options", "adapted", "no"),
        (*FIRST, "options", "mode", ["instances"]),
        (*FIRST, "options", "unknown", 1),
        (*FIRST, "nuclei", "1", [[0, 0, 81, 60], 200, 0.9, 1.0, "automatic", False]),
        (*FIRST, "nuclei", "1", [[10, 10, 10, 20], 200, 0.9, 1.0, "automatic", False]),
        (*FIRST, "nuclei", "1", [[10, 10, 30, 20], 0, 0.9, 1.0, "automatic", False]),
        (*FIRST, "nuclei", "1", [[10, 10, 30, 20], 200, "0.9", 1.0, "automatic", False]),
        (*FIRST, "nuclei", "4", [[10, 10, 30, 20], 200, 0.9, 1.0, "automatic", False]),  # not on the map
        (*FIRST, "points", "1", [1, 2, -1, False, True]),
        (*FIRST, "points", "1", [1, 2, True, False, True]),
        (*FIRST, "points", "9", [1, 2, 1, False, True]),  # none has 5
        (*FIRST, "rows", "1", [[[99, 1]], None]),  # no such point
        (*FIRST, "rows", "-1", [[[1, 1]], None]),
        (*FIRST, "rows", "1", [[[1, 1]], 0]),
        (*FIRST, "rows", "1", [[[1, 1]], [1, 2, 3]]),
        (*FIRST, "rows", "1", [[[1, 1]], [1, 2, 3, 1e12]]),
        ("comments", {}),
        ("comments", [{"x": 1}]),
        ("name", " \n "),
    ],
    ids=lambda told: ".".join(str(part)[:40] for part in told[-3:]),
)
def test_values_that_do_not_fit(cases, good, sent, path_and_value):
    refused(cases, sent(told_with(good, *path_and_value)))


def test_odd_values_that_do_no_harm_are_taken(cases, good, sent):
    odd = {"id": -1, "x": -5, "y": 1e9, "author": "y\n" * 90, "at": -1, "done": 1}
    long = [odd | {"text": token_hex(4500)} for _ in range(LIMITS.comments + 5)]
    case = cases.import_file(EVE, sent(told_with(good, "comments", long)))
    told = cases.comments(case.id, EVE)
    assert len(told) == LIMITS.comments and len(told[0].text) == LIMITS.comment and len(told[0].author) <= 60
    assert cases.import_file(EVE, sent(told_with(good, "name", {"a": ["\ud800" * 900]}))).name.startswith("{'a':")


def test_numbers_of_nuclei_have_an_end(cases, good, sent):
    """A list up to the highest number would fill the memory."""
    labels = np.zeros((60, 80), np.int32)
    labels[0, 0] = 2**31 - 2
    parts = members(told_with(good, *FIRST, "last", 2**31 - 2))
    refused(cases, sent(zipped({**parts, "labels-0.npy": npy(labels)})))


def many_sessions(good: bytes) -> bytes:
    """Below what JSON may take, but tightly packed, and each element would become more than a hundred bytes."""
    return zipped(members(good) | {"case.json": b'{"name":"x","comments":[],"work":{"sessions":[' + b"0," * 2**20 + b"0]}}"})


def bomb(good: bytes, name: str, array_head: bytes, size: int) -> bytes:
    """The file with a member of `size` zeros behind its head: a thousandth of it, packed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for other, part in members(good).items():
            if other != name:
                archive.writestr(other, part)
        with archive.open(name, "w") as member:
            member.write(array_head)
            for _ in range(size >> 20):
                member.write(bytes(2**20))
    return stream.getvalue()


def claiming(content: bytes, name: str, size: int) -> bytes:
    """A zip whose directory says that a member is of `size` bytes when unpacked."""
    at = content.rindex(name.encode()) - 46
    return content[: at + 24] + struct.pack("<L", size) + content[at + 28 :]


def many_members() -> bytes:
    """400,000 members in 19 MB; to list them would take 200 MB and seconds."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"x"
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 65535, 65535, 400_000 * len(entry), 0, 0)
    return entry * 400_000 + end


def in_64_bits(content: bytes) -> bytes:
    """The same for the end record that larger zips have: its numbers go before the other's."""
    few = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 47, 0, 0)
    size = len(content) - 22
    end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 400_000, 400_000, size, 0)
    return content[:-22] + end + struct.pack("<4sLQL", b"PK\x06\x07", 0, size, 1) + few


BOMBS = {
    "zeros behind pixels": lambda good: bomb(good, "pixels.npy", headed("(60, 80, 3)"), 2**26),
    "a session for each of a million zeros": lambda good: many_sessions(good),
    "zeros as JSON": lambda good: bomb(good, "case.json", b"", 2**26 + 2**20),
    "a claim of 4 GB": lambda good: claiming(good, "pixels.npy", 2**32 - 2),
    "a claim of 1 GB, with a header that says so": lambda good: claiming(
        zipped({**members(good), "pixels.npy": headed("(15000, 15000, 3)", rest=bytes(9))}), "pixels.npy", 675_000_074
    ),
    "very many members": lambda good: many_members(),
    "very many members, in 64 bits": lambda good: in_64_bits(many_members()),
}


@pytest.mark.parametrize("what", BOMBS)
def test_bombs_take_no_memory(cases, good, sent, what):
    path = sent(BOMBS[what](good))
    tracemalloc.start()
    try:
        refused(cases, path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


def test_a_file_that_is_too_large_is_not_read(cases, good, sent, limits):
    limits(case=len(good) - 1)
    assert refused(cases, sent(good)) == "sent by somebody.saccase is larger than 0 MB."


def test_all_arrays_together_have_a_limit(cases, good, sent, limits):
    limits(desk=len(b"".join(members(good).values())) - 1)
    refused(cases, sent(good))


def test_what_is_no_zip(cases, good, sent, tmp_path):
    for content in (b"", b"x", b"PK\x05\x06", b"PK\x05\x06" + bytes(18), bytes(1000), zlib.compress(good), good + b"x"):
        refused(cases, sent(content))
    for path in (tmp_path, tmp_path / "not there.saccase"):
        refused(cases, path)
