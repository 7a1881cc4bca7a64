"""Folders and zips give their images one by one; what is unsafe, damaged or no image is named and passed over."""

import io
import os
import shutil
import struct
import zipfile
from types import SimpleNamespace

import pytest
from files import picture, saved

from sac.bundle import Sent, each_file, opened
from sac.config import LIMITS, Limits
from sac.errors import ImageError
from sac.images import read_image


@pytest.fixture
def room(tmp_path):
    made = tmp_path / "room"
    made.mkdir()
    return made


def png() -> bytes:
    stream = io.BytesIO()
    saved(stream, picture(), format="PNG")
    return stream.getvalue()


def zip_of(path, members, **settings):
    """A zip with members by name; returns its path."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **settings) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def sorted_out(paths, room):
    """(names and sizes of images that can be read, sentences), in the order in which they come."""
    good, bad = [], []
    for sent in each_file(paths, room):
        if isinstance(sent, Sent):
            good.append((sent.name, read_image(sent.path, sent.name).size))
        else:
            bad.append(str(sent))
    return good, bad


def test_files_come_as_they_are(tmp_path, room):
    path = saved(tmp_path / "a.png", picture())
    assert list(each_file([path, tmp_path / "b.txt"], room)) == [Sent(path, "a.png"), Sent(tmp_path / "b.txt", "b.txt")]


def test_a_folder_gives_its_images_by_their_paths_in_it(tmp_path, room):
    folder = tmp_path / "plate"
    for name in ("b/one.png", "a/one.png", "two.TIF", ".hidden.png", "__MACOSX/x.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        saved(folder / name, picture(), format="TIFF" if name.endswith("TIF") else "PNG")
    (folder / "notes.txt").write_text("by hand")
    good, bad = sorted_out([folder], room)
    assert good == [("a/one.png", (24, 32)), ("b/one.png", (24, 32)), ("two.TIF", (24, 32))]
    assert len(bad) == 1 and "1 file" in bad[0] and "notes.txt" in bad[0] and bad[0].startswith("plate")


def test_a_zip_gives_its_images_and_leaves_nothing_outside_the_room(tmp_path, room):
    members = {name: png() for name in ("../../evil.png", "/root/evil.png", "C:\\evil.png", "ok/good.png")}
    path = zip_of(
        tmp_path / "plate.zip", members | {"ok/": b"", ".DS_Store": b"x", "letter.pdf": b"%PDF", "a.exe": b"MZ"}
    )
    before = {p for p in tmp_path.rglob("*") if room not in p.parents}
    good, bad = sorted_out([path], room)
    assert [name for name, _ in good] == list(members) and {size for _, size in good} == {(24, 32)}
    assert {p for p in tmp_path.rglob("*") if room not in p.parents} == before
    assert all(p.parent == room for p in room.iterdir()) and len(list(room.iterdir())) == 4
    assert len(bad) == 1 and "2 files" in bad[0] and "letter.pdf" in bad[0]


def test_members_are_unpacked_when_their_turn_comes(tmp_path, room):
    path = zip_of(tmp_path / "plate.zip", {f"{n}.png": png() for n in range(5)})
    files = each_file([path], room)
    next(files)
    assert len(list(room.iterdir())) == 1


def test_a_damaged_member_is_named_and_the_others_come(tmp_path, room):
    path = zip_of(tmp_path / "plate.zip", {"a.png": png(), "b.png": bytes(range(256)) * 40, "c.png": png()})
    with zipfile.ZipFile(path) as archive:
        place = archive.getinfo("b.png").header_offset
    raw = bytearray(path.read_bytes())
    raw[place + 60 : place + 90] = b"\xff" * 30
    path.write_bytes(raw)
    good, bad = sorted_out([path], room)
    assert [name for name, _ in good] == ["a.png", "c.png"] and bad == ["b.png is damaged in the zip"]


def test_an_encrypted_member_is_refused(tmp_path, room):
    path = zip_of(tmp_path / "plate.zip", {"a.png": png()})
    raw = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        raw[raw.index(mark) + offset] |= 1
    path.write_bytes(raw)
    good, bad = sorted_out([path], room)
    assert good == [] and "encrypted" in bad[0]


def test_a_zip_bomb_is_refused_from_its_directory(tmp_path, room):
    path = zip_of(tmp_path / "bomb.zip", {"black.tif": bytes(2**26), "a.png": png()})
    good, bad = sorted_out([path], room)
    assert [name for name, _ in good] == ["a.png"] and len(bad) == 1 and "64 MB" in bad[0] and "100 times" in bad[0]
    assert len(list(room.iterdir())) == 1


@pytest.mark.parametrize("limits, word", [(Limits(zip_members=2), "3 files"), (Limits(zip_bytes=100), "unpacks to")])
def test_too_many_members_and_too_many_bytes_are_refused(tmp_path, room, monkeypatch, limits, word):
    monkeypatch.setattr("sac.bundle.LIMITS", limits)
    path = zip_of(tmp_path / "plate.zip", {f"{n}.png": png() for n in range(3)})
    good, bad = sorted_out([path], room)
    assert good == [] and len(bad) == 1 and word in bad[0] and not list(room.iterdir())


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"Dear colleague", b"PK\5\6" + bytes(18)])
def test_what_is_no_zip_or_holds_no_image(tmp_path, room, content):
    path = tmp_path / "plate.zip"
    path.write_bytes(content)
    good, bad = sorted_out([path, saved(tmp_path / "a.png", picture())], room)
    assert [name for name, _ in good] == ["a.png"] and len(bad) == 1 and bad[0].startswith("plate.zip")


def test_a_zip_in_a_zip_is_not_opened(tmp_path, room):
    inner = zip_of(tmp_path / "inner.zip", {"a.png": png()}).read_bytes()
    _, bad = sorted_out([zip_of(tmp_path / "outer.zip", {"inner.zip": inner})], room)
    assert bad == ["outer.zip holds no image"]


def test_an_empty_folder_and_a_missing_zip_are_told(tmp_path, room):
    (tmp_path / "empty").mkdir()
    errors = list(each_file([tmp_path / "empty", tmp_path / "no.zip"], room))
    assert [type(error) for error in errors] == [ImageError, ImageError]
    assert "holds no image" in str(errors[0]) and str(tmp_path) not in str(errors[1])


def test_the_limits_are_those_of_the_promises():
    assert (LIMITS.zip_members, LIMITS.zip_bytes, LIMITS.zip_ratio) == (5000, 4 * 2**30, 100)


# All names first, and the files when their turn comes


def plate(tmp_path, packed):
    """The same files as a folder and as a zip."""
    members = {"b/truth.geojson": b"{}", "a.png": png(), ".hidden": b"x", "__MACOSX/a.png": b"x", "b/Thumbs.db": b"x"}
    if packed:
        return zip_of(tmp_path / "plate.zip", members | {"c/": b""})
    for name, content in members.items():
        (tmp_path / "plate" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "plate" / name).write_bytes(content)
    return tmp_path / "plate"


@pytest.mark.parametrize("packed", [True, False])
def test_names_are_known_before_files_are_fetched(tmp_path, room, packed):
    with opened(plate(tmp_path, packed), room) as bundle:
        assert {*bundle.names} == {"a.png", "b/truth.geojson"} and not list(room.iterdir())
        path = bundle.fetch("b/truth.geojson")
        assert path.read_bytes() == b"{}" and path.suffix == ".geojson" and (path.parent == room) == packed
        bundle.drop(path)
        assert path.exists() != packed


def test_two_zips_of_one_name_do_not_overwrite_each_other(tmp_path, room):
    paths = []
    for folder in "ab":
        (tmp_path / folder).mkdir()
        paths.append(zip_of(tmp_path / folder / "plate.zip", {"a.png": png()}))
    files = [sent.path for sent in each_file(paths, room)]
    assert len({*files}) == 2 and all(path.is_file() for path in files)


def linked(tmp_path):
    """A folder with links to a file outside, to one inside, to a folder outside and to itself."""
    outside, folder = tmp_path / "outside", tmp_path / "plate"
    outside.mkdir()
    folder.mkdir()
    saved(outside / "secret.png", picture())
    saved(folder / "own.png", picture())
    for name, to in (("a.png", outside / "secret.png"), ("b.png", folder / "own.png"), ("c", outside), ("d", folder)):
        os.symlink(to, folder / name)
    return folder


def test_links_out_of_a_folder_that_was_sent_are_not_followed(tmp_path, room):
    with opened(linked(tmp_path), room) as bundle:
        assert bundle.names == ("a.png", "b.png", "own.png")
        with pytest.raises(ImageError, match="^a.png is a link that leads out of plate$"):
            bundle.fetch("a.png")
        assert bundle.fetch("b.png").is_file()


def test_links_in_ones_own_folder_are_followed_but_not_in_circles(tmp_path, room):
    with opened(linked(tmp_path), room, links=True) as bundle:
        assert bundle.names == ("a.png", "b.png", "c/secret.png", "own.png")
        assert all(bundle.fetch(name).is_file() for name in bundle.names)


def test_a_list_of_very_many_members_is_not_read(tmp_path, room, monkeypatch):
    """Each would become an object. The end of a long zip says how long its list is."""
    one = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, 3, 20, 0, 0, 0, 0, 33, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count, size = 200_000, 200_000 * len(one)
    long_end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, 0)
    long_end += struct.pack("<4sLQL", b"PK\6\7", 0, size, 1)
    path = tmp_path / "list.zip"
    path.write_bytes(one * count + long_end + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, *[65535] * 2, *[2**32 - 1] * 2, 0))
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert sorted_out([path], room) == ([], ["list.zip has too many files; up to 5000 are accepted"])


def test_a_long_zip_with_a_comment_is_read(tmp_path, room):
    path = zip_of(tmp_path / "plate.zip", {f"{n}.png": png() for n in range(3)})
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"from the microscope" * 1000
    assert [name for name, _ in sorted_out([path], room)[0]] == ["0.png", "1.png", "2.png"]


@pytest.mark.parametrize("free", [0, Limits.disk_reserve - 1])
def test_a_full_disk_is_no_damage(tmp_path, room, monkeypatch, free):
    path = zip_of(tmp_path / "plate.zip", {"a.png": png(), "b.png": png()})
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free))
    words = "a.png and what follows it in plate.zip: there is no room left on the disk"
    assert sorted_out([path], room) == ([], [words])
    with opened(path, room) as bundle, pytest.raises(OSError, match="No space left"):
        bundle.fetch("a.png")
