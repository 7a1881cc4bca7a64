"""Files for the page: whole, and never written again while somebody fetches them."""

from pathlib import Path

from sac.ui.served import served


def test_a_file_has_its_content_and_its_name(tmp_path):
    path = Path(served(b"content", "a/field.png", str(tmp_path)))
    assert path.name == "field.png" and path.read_bytes() == b"content" and path.is_relative_to(tmp_path)
    assert Path(served(b"other", "field.png", str(tmp_path))).read_bytes() == b"other"
    assert path.read_bytes() == b"content"


def test_an_equal_file_is_not_written_again(tmp_path):
    path = Path(served(b"content", "field.png", str(tmp_path)))
    with path.open("ab") as added:
        added.write(b" that stays")
    assert served(b"content", "field.png", str(tmp_path)) == str(path)
    assert path.read_bytes() == b"content that stays"


def test_nothing_is_left_beside_it(tmp_path):
    path = Path(served(b"content", "field.png", str(tmp_path)))
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]
