"""What is damaged, or claims too much, is refused in one sentence, before much is done."""

import io
import time

import hostile
import numpy as np
import PIL.Image
import pytest
from files import content_of, grey, picture, poked, saved, written

from sac.config import LIMITS, View
from sac.errors import ImageError
from sac.images import read_image

pytestmark = pytest.mark.usefixtures("here")


def refusal(path, view=View()):
    """The sentence with which a file is refused; it names the file and nothing of the machine."""
    with pytest.raises(ImageError) as caught:
        read_image(path, view=view)
    said = str(caught.value)
    assert said.startswith(path.name) and "\n" not in said
    assert str(path.parent) not in said and "Error" not in said and "Traceback" not in said
    return said


def encoded(kind, **settings):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    PIL.Image.fromarray(noise).save(stream, kind, **settings)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.9])
def test_a_truncated_file(tmp_path, kind, share):
    whole = encoded(kind)
    assert "is not an image that can be read" in refusal(
        content_of(tmp_path / f"cut.{kind.lower()}", whole[: int(len(whole) * share)])
    )


@pytest.mark.parametrize("layout", [{}, {"compression": "jpeg", "tile": (16, 16)}, {"compression": "zlib"}])
def test_a_tiff_whose_last_part_is_cut_off(tmp_path, layout):
    path = written(tmp_path / "cut.tif", picture(), photometric="rgb", **layout)
    assert "is not an image that can be read" in refusal(content_of(path, path.read_bytes()[:-20]))


@pytest.mark.parametrize("kind, settings", [("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})])
def test_a_damaged_file(tmp_path, kind, settings):
    whole = bytearray(encoded(kind, **settings))
    middle = len(whole) // 2
    whole[middle : middle + 200] = b"\xa5" * 200
    assert "is not an image that can be read" in refusal(content_of(tmp_path / f"hurt.{kind.lower()}", bytes(whole)))


@pytest.mark.parametrize(
    "content",
    [
        b"II",
        b"II*\0",
        b"MM\0*\0\0\0\x08",
        b"II+\0",
        b"\x89PNG\r\n\x1a\n",
        b"\0" * 500,
        b"BM",
        b"RIFF\0\0\0\0WEBP",
        b"\xff\xd8\xff",
    ],
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_beginning_without_an_end(tmp_path, content, ending):
    assert "PNG, JPEG, WebP, BMP, TIFF and whole-slide" in refusal(content_of(tmp_path / f"letter.{ending}", content))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width, height", [(20_000, 20_000), (12_000, 10_000), (50_000, 2_100), (2**31 - 1, 1)])
def test_a_png_that_claims_too_much_is_refused_from_its_header(tmp_path, width, height):
    path = hostile.claiming_png(tmp_path / "vast.png", width, height)
    before = time.process_time()
    said = refusal(path)
    assert time.process_time() - before < 0.5
    assert f"{width * height / 1e6:.0f} megapixels" in said and f"{LIMITS.pixels // 10**6}" in said


@pytest.mark.parametrize("tag", [256, 257, 277, 278])
@pytest.mark.parametrize("value", [0, 2**31, 2**32 - 1])
def test_a_tiff_of_impossible_sizes(tmp_path, tag, value):
    """Width, height, samples, rows of a strip. Of samples there is one at least; too many rows mean one strip."""
    path = poked(written(tmp_path / "odd.tif", grey(), compression="zlib"), tag, value=value, kind=4)
    if (tag == 278 and value) or (tag == 277 and not value):
        assert np.array_equal(read_image(path).pixels[..., 0], grey())
    else:
        refusal(path)


@pytest.mark.parametrize("tag", [256, 273, 270, 305])
def test_a_tag_that_claims_to_be_endless(tmp_path, tag):
    path = poked(
        written(tmp_path / "odd.tif", grey(), software="a", description="text that is longer than four"),
        tag,
        count=2**31,
    )
    if tag in (270, 305):  # text that nobody needs
        assert read_image(path).size == (24, 32)
    else:
        refusal(path)


@pytest.mark.parametrize("code", [2, 99, 34712, 34713, 50000, 50001, 50002, 65000, 65535])
def test_pixels_that_are_not_packed_as_the_tag_says(tmp_path, code):
    refusal(poked(written(tmp_path / "odd.tif", picture(), photometric="rgb", compression="zlib"), 259, value=code))


@pytest.mark.parametrize("bits", [0, 128, 65535])
def test_numbers_of_impossible_width(tmp_path, bits):
    refusal(poked(written(tmp_path / "odd.tif", grey(), compression="zlib"), 258, value=bits))


def test_a_region_of_what_is_too_large_as_a_whole_is_refused_too(tmp_path):
    """A PNG cannot be read in parts."""
    assert "400 megapixels" in refusal(
        hostile.claiming_png(tmp_path / "vast.png", 20_000, 20_000), View(region=(0, 0, 9, 9))
    )


def test_many_small_chunks_take_no_time(tmp_path):
    before = time.process_time()
    assert not read_image(hostile.many_chunks(tmp_path / "chunks.png", 20_000)).pixels.any()
    assert time.process_time() - before < 2


@pytest.mark.parametrize("length", [2**31, 2**32 - 1])
def test_an_exif_chunk_that_claims_to_be_endless_is_left_alone(tmp_path, length):
    content = saved(tmp_path / "a.png", picture()).read_bytes()
    path = content_of(tmp_path / "a.png", content[:-12] + length.to_bytes(4, "big") + b"eXIf" + bytes(40))
    assert np.array_equal(read_image(path).pixels, picture())
