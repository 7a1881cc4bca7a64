"""PNG, JPEG, WebP and BMP: what Pillow drops is kept, what is turned or converted is told, and no more is decoded."""

import warnings
import zlib

import numpy as np
import PIL.Image
import PIL.ImageOps
import PIL.TiffImagePlugin
import pytest
from files import content_of, grey, picture, png_chunks, png_header, png_of, saved, thrice
from imagecodecs import png_encode

from sac.config import View
from sac.errors import ImageError
from sac.images import open_file, read_image

pytestmark = pytest.mark.usefixtures("here")
BLOCKS = np.repeat(np.repeat(picture(3, 4), 16, axis=0), 16, axis=1)
"""(48, 64, 3) of 16 x 16 equal pixels: JPEG keeps it."""


def oriented(number):
    exif = PIL.Image.Exif()
    exif[0x0112] = number
    return exif


def notes(path, view=View()):
    return " ".join(read_image(path, view=view).notes)


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize(
    "ending, settings", [("jpg", {"quality": 100, "subsampling": 0}), ("webp", {"lossless": True}), ("png", {})]
)
def test_each_orientation_is_turned_once_as_pillow_would(tmp_path, ending, settings, number):
    path = saved(tmp_path / f"turned.{ending}", BLOCKS, exif=oriented(number), **settings)
    expected = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB")).astype(int)
    image = read_image(path)
    assert image.size == expected.shape[:2] and np.abs(image.pixels - expected).max() <= 3
    assert any("orientation" in note for note in image.notes) == (number != 1)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_region_of_a_turned_picture_is_of_the_upright_one(tmp_path, number):
    path = saved(tmp_path / "turned.png", BLOCKS, exif=oriented(number))
    whole = read_image(path)
    part = read_image(path, view=View(region=(5, 10, 30, 20)))
    assert np.array_equal(part.pixels, whole.pixels[10:30, 5:35]) and part.place.size == whole.size


@pytest.mark.parametrize("behind", [False, True])
def test_a_png_of_16_bit_is_turned_too_wherever_its_exif_stands(tmp_path, behind):
    deep = np.array([[1, 2, 3], [4, 5, 6]], np.uint16)
    head, *pixels, end = png_chunks(png_encode(deep))
    turn = b"eXIf", oriented(6).tobytes().removeprefix(b"Exif\0\0")
    path = content_of(
        tmp_path / "deep.png", png_of(*([head, *pixels, turn, end] if behind else [head, turn, *pixels, end]))
    )
    image = read_image(path)
    assert image.values[..., 0].tolist() == [[4, 1], [5, 2], [6, 3]] and image.values.dtype == np.uint16


@pytest.mark.parametrize("number", [0, 9, 65535])
def test_an_orientation_that_is_none_turns_nothing(tmp_path, number):
    path = saved(tmp_path / "odd.png", picture(), exif=oriented(number))
    assert np.array_equal(read_image(path).pixels, picture()) and read_image(path).notes == ()


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_all_16_bits_of_a_png_are_kept(tmp_path, bands, interlaced):
    rng = np.random.default_rng(bands)
    values = rng.integers(0, 65536, (24, 32, bands)).astype(np.uint16)
    if bands in (2, 4):
        values[..., -1] = 65535
    content = png_encode(values)
    if interlaced:  # in seven passes, as PNG has it (Adam7)
        head, *_, end = png_chunks(content)
        starts = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        passes = [values[y::down, x::across] for y, x, down, across in starts]
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for part in passes for row in part)
        content = png_of((b"IHDR", head[1][:12] + b"\1"), (b"IDAT", zlib.compress(rows)), end)
    image = read_image(content_of(tmp_path / "deep.png", content))
    colours = values[..., : bands - (bands in (2, 4))]
    assert np.array_equal(image.values, colours) and any("uint16" in note for note in image.notes)


@pytest.mark.parametrize("mode, key, bands", [("L", 7, 2), ("RGB", (1, 2, 3), 4)])
def test_a_transparent_colour_is_laid_on_white(tmp_path, mode, key, bands):
    made = PIL.Image.new(mode, (3, 2), key)
    made.putpixel((0, 0), 9 if mode == "L" else (9, 9, 9))
    image = read_image(saved(tmp_path / "key.png", made, transparency=key))
    assert image.pixels[0, :2].tolist() == [[9, 9, 9], [255, 255, 255]]
    assert image.values.shape[2] == bands - 1 and any("white" in note for note in image.notes)


@pytest.mark.parametrize("bits, levels", [(1, [0, 255]), (2, [0, 85, 170, 255]), (4, list(range(0, 256, 17)))])
def test_few_bits_reach_from_black_to_white_with_a_note(tmp_path, bits, levels):
    row = np.packbits(np.unpackbits(np.arange(2**bits, dtype=np.uint8)[:, None], axis=1)[:, 8 - bits :].ravel())
    content = png_of(png_header(2**bits, 1, bits, 0), (b"IDAT", zlib.compress(b"\0" + row.tobytes())), (b"IEND", b""))
    image = read_image(content_of(tmp_path / "few.png", content))
    assert image.pixels[0, :, 0].tolist() == levels and f"{bits}-bit" in " ".join(image.notes)


@pytest.mark.parametrize("depth, levels", [(15, 31), (16, 63)])
def test_a_bmp_of_5_bits_a_colour_is_told(tmp_path, depth, levels):
    """Of 15 bit, green has 5; of 16, by masks, 6."""
    green = levels << 5
    masks = (0, b"") if depth == 15 else (3, b"".join(m.to_bytes(4, "little") for m in (0xF800, 0x7E0, 0x1F)))
    header = (40).to_bytes(4, "little") + (2).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\1\0\x10\0"
    header += masks[0].to_bytes(4, "little") + bytes(20)
    start = 14 + len(header) + len(masks[1])
    head = b"BM" + (start + 4).to_bytes(4, "little") + bytes(4) + start.to_bytes(4, "little")
    path = content_of(tmp_path / "few.bmp", head + header + masks[1] + green.to_bytes(2, "little") + bytes(2))
    image = read_image(path)
    assert image.pixels.tolist() == [[[0, 255, 0], [0, 0, 0]]] and "5-" in " ".join(image.notes)


@pytest.mark.parametrize("ending, settings", [("png", {}), ("webp", {"lossless": True})])
def test_frames_are_planes(tmp_path, ending, settings):
    frames = [PIL.Image.fromarray(picture() // n) for n in (1, 2, 3)]
    path = saved(tmp_path / f"film.{ending}", frames[0], save_all=True, append_images=frames[1:], **settings)
    first, third = read_image(path), read_image(path, view=View(plane=3))
    assert np.array_equal(first.pixels, picture()) and "frame 1 of 3 was used" in first.notes
    assert np.array_equal(third.pixels, picture() // 3) and "frame 3 of 3 was used" in third.notes
    assert third.planes == ("frame 1", "frame 2", "frame 3") and third.plane == 3
    part = read_image(path, view=View(plane=2, region=(3, 5, 20, 10)))
    assert np.array_equal(part.pixels, picture()[5:15, 3:23] // 2)
    with pytest.raises(ImageError, match="film.* has no frame 4; it has 3"):
        read_image(path, view=View(plane=4))


def test_a_telephone_s_two_pictures_are_frames(tmp_path):
    both = [PIL.Image.fromarray(BLOCKS), PIL.Image.fromarray(BLOCKS[:16, :32])]
    path = saved(tmp_path / "both.mpo", both[0], save_all=True, append_images=both[1:], quality=95)
    assert read_image(path).size == (48, 64) and "frame 1 of 2 was used" in notes(path)
    assert read_image(path, view=View(plane=2)).size == (16, 32)


def test_frames_of_16_bit_lose_bytes_and_say_so(tmp_path):
    head, *pixels, end = png_chunks(png_encode(picture().astype(np.uint16) * 257))
    control = b"acTL", bytes((0, 0, 0, 2, 0, 0, 0, 0))
    place = bytes.fromhex("00000020 00000018 00000000 00000000 0001 000a 0000")
    again = [(b"fdAT", b"\0\0\0\2" + body) for _, body in pixels]
    film = png_of(head, control, (b"fcTL", b"\0\0\0\0" + place), *pixels, (b"fcTL", b"\0\0\0\1" + place), *again, end)
    image = read_image(content_of(tmp_path / "film.png", film))
    assert np.array_equal(image.pixels, picture()) and "its 16-bit values were cut to 8 bit" in image.notes


@pytest.mark.parametrize("height, width", [(1, 20), (20, 1), (1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("ending", ["png", "bmp", "webp", "tif"])
def test_the_narrowest_pictures_keep_their_shape(tmp_path, ending, height, width):
    settings = {"lossless": True} if ending == "webp" else {}
    for values in (picture(height, width), grey(height, width)):
        image = read_image(saved(tmp_path / f"narrow.{ending}", values, **settings))
        assert np.array_equal(image.pixels, values if values.ndim == 3 else thrice(values))


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_a_palette_is_looked_up(tmp_path, ending):
    indexed = PIL.Image.new("P", (2, 2))
    indexed.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    indexed.putdata([0, 1, 1, 0])
    image = read_image(saved(tmp_path / f"palette.{ending}", indexed))
    assert image.pixels.tolist() == [[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]]
    assert image.notes == ("converted from palette to RGB",)


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_never_passes_for_rgb_with_opacity(tmp_path, ending):
    red = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read_image(saved(tmp_path / f"print.{ending}", red))
    assert np.abs(image.pixels.astype(int) - (255, 0, 0)).max() <= 3
    assert image.notes == ("converted from CMYK to RGB",)


ONE_BIT = [
    ("png", {}),
    ("bmp", {}),
    ("tif", {}),
    ("tif", {"compression": "group3"}),
    ("tif", {"compression": "tiff_lzw"}),
]


@pytest.mark.parametrize("ending, settings", ONE_BIT)
def test_one_bit_is_black_and_white(tmp_path, ending, settings):
    bits = grey() > 80
    image = read_image(saved(tmp_path / f"bits.{ending}", PIL.Image.fromarray(bits), **settings))
    assert np.array_equal(image.pixels, thrice(bits * np.uint8(255)))
    assert "1-bit intensities were spread over 0 to 255" in image.notes


REGIONS = [(0, 0, 1, 1), (31, 23, 1, 1), (3, 5, 20, 10), (0, 0, 32, 24)]


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("ending", ["png", "bmp", "webp"])
def test_a_region_is_cut_out(tmp_path, ending, region):
    left, top, width, height = region
    image = read_image(
        saved(tmp_path / f"whole.{ending}", picture(), **{"lossless": True} if ending == "webp" else {}),
        view=View(region=region),
    )
    assert np.array_equal(image.pixels, picture()[top : top + height, left : left + width])
    assert image.place.size == (24, 32) and image.place.corner == (left, top)
    assert f"a region from ({left}, {top}) on, of 32 x 24 pixels" in image.notes


@pytest.mark.parametrize("region", [(0, 0, 33, 24), (31, 0, 2, 1), (32, 0, 1, 1), (0, 24, 1, 1), (2**31 - 1, 0, 1, 1)])
def test_a_region_beyond_the_picture_is_refused(tmp_path, region):
    with pytest.raises(ImageError, match=r"whole.png is 32 x 24 pixels: region .* reaches beyond"):
        read_image(saved(tmp_path / "whole.png", picture()), view=View(region=region))


def test_bands_of_many_rows_are_put_together(tmp_path):
    tall = picture(700, 9)  # more than two times the rows that are copied at once
    assert np.array_equal(read_image(saved(tmp_path / "tall.bmp", tall)).pixels, tall)
    assert np.array_equal(
        read_image(saved(tmp_path / "tall.bmp", tall), view=View(region=(2, 250, 5, 300))).pixels, tall[250:550, 2:7]
    )


@pytest.mark.parametrize(
    "ending, dots, microns",
    [
        ("png", 50_800, 0.5),
        ("jpg", 50_800, 0.5),
        ("bmp", 50_800, 0.5),
        ("png", 72, None),
        ("png", 300, None),
        ("jpg", 1, None),
    ],
)
def test_a_resolution_that_can_be_a_microscope_s_is_taken(tmp_path, ending, dots, microns):
    image = read_image(saved(tmp_path / f"sized.{ending}", picture(), dpi=(dots, dots)))
    assert image.microns == (microns and pytest.approx(microns, rel=1e-3))


@pytest.mark.parametrize("ratio", [(0, 1), (1, 0), (0, 0)])
def test_a_resolution_that_is_no_number_is_none(tmp_path, ratio):
    exif = PIL.Image.Exif()
    exif[282] = exif[283] = PIL.TiffImagePlugin.IFDRational(*ratio)
    exif[296] = 2
    assert read_image(saved(tmp_path / "odd.jpg", picture(), exif=exif)).microns is None


def test_a_png_is_judged_by_its_checksums(tmp_path):
    content = bytearray(saved(tmp_path / "hurt.png", picture()).read_bytes())
    content[content.index(b"IDAT") + 20] ^= 1
    with pytest.raises(ImageError, match="hurt.png is not an image that can be read"):
        read_image(content_of(tmp_path / "hurt.png", bytes(content)))


def test_grey_opacity_and_channels_by_number(tmp_path):
    path = saved(tmp_path / "colours.png", picture())
    assert np.array_equal(read_image(path, view=View(channel=2)).pixels, thrice(picture()[..., 1]))
    assert "channel 2 of 3 is shown" in notes(path, View(channel=2))
    with pytest.raises(ImageError, match="colours.png has 3 channels; there is no 4"):
        read_image(path, view=View(channel=4))
    assert open_file(saved(tmp_path / "grey.png", grey()), view=View(channel=1)).notes == ()


def test_reading_warns_of_nothing(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ending in ("png", "jpg", "webp", "bmp", "tif"):
            read_image(saved(tmp_path / f"quiet.{ending}", picture()))
