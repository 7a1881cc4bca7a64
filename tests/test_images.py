"""Files of every accepted kind become RGB of 8 bit; everything else is refused in one sentence."""

import io
import struct
import time
import zlib

import numpy as np
import PIL.Image
import pytest
import tifffile
from files import grey, picture, saved, written

from sac.config import LIMITS
from sac.errors import ImageError
from sac.images import Image, read_image


def thrice(values):
    return np.repeat(np.asarray(values)[..., None], 3, axis=-1)


@pytest.mark.parametrize("ending, settings", [("png", {}), ("bmp", {}), ("webp", {"lossless": True}), ("tif", {})])
def test_lossless_files_come_back_equal(tmp_path, ending, settings):
    image = read_image(saved(tmp_path / f"cells.{ending}", picture(), **settings))
    assert np.array_equal(image.pixels, picture())
    assert image.name == f"cells.{ending}" and image.notes == () and image.size == (24, 32)


def test_jpeg_comes_back_almost_equal(tmp_path):
    smooth = np.repeat(np.repeat(picture(3, 4), 16, axis=0), 16, axis=1)
    image = read_image(saved(tmp_path / "cells.jpg", smooth, quality=100, subsampling=0))
    assert np.abs(image.pixels.astype(int) - smooth).max() <= 2 and image.notes == ()


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "deflate", "packbits", "zstd"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5}, {"bigtiff": True}, {"byteorder": ">"}])
def test_tiff_of_every_layout_comes_back_equal(tmp_path, compression, layout):
    path = written(tmp_path / "cells.tif", picture(), photometric="rgb", compression=compression, **layout)
    assert np.array_equal(read_image(path).pixels, picture())


def test_tiff_in_planes(tmp_path):
    planes = np.moveaxis(picture(), -1, 0)
    path = written(tmp_path / "cells.tif", planes, photometric="rgb", planarconfig="separate")
    assert np.array_equal(read_image(path).pixels, picture())


@pytest.mark.parametrize("height, width", [(1, 20), (20, 1), (1, 1), (1, 3), (3, 1)])
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_the_narrowest_pictures_keep_their_shape(tmp_path, ending, height, width):
    assert np.array_equal(
        read_image(saved(tmp_path / f"rgb.{ending}", picture(height, width))).pixels, picture(height, width)
    )
    assert np.array_equal(
        read_image(saved(tmp_path / f"grey.{ending}", grey(height, width))).pixels, thrice(grey(height, width))
    )


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_grey_is_repeated(tmp_path, ending):
    image = read_image(saved(tmp_path / f"grey.{ending}", grey()))
    assert np.array_equal(image.pixels, thrice(grey())) and image.notes == ()


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("colours", ["LA", "RGBA"])
def test_transparent_parts_are_laid_on_white(tmp_path, ending, colours):
    values = np.zeros((2, 3, len(colours)), np.uint8)
    values[..., :-1], values[..., -1] = 100, [[255, 0, 51], [255, 0, 51]]
    image = read_image(saved(tmp_path / f"glass.{ending}", PIL.Image.fromarray(values, colours)))
    assert image.pixels[0].tolist() == [[100] * 3, [255] * 3, [224] * 3]  # 51 is a fifth: 100 / 5 + 255 * 4 / 5
    assert any("white" in note for note in image.notes)


def test_opaque_alpha_changes_nothing(tmp_path):
    values = np.dstack([picture(), np.full((24, 32), 255, np.uint8)])
    image = read_image(saved(tmp_path / "opaque.png", values))
    assert np.array_equal(image.pixels, picture()) and image.notes == ()


@pytest.mark.parametrize("mode, colour", [("L", 7), ("RGB", (1, 2, 3))])
def test_a_transparent_colour_is_laid_on_white_too(tmp_path, mode, colour):
    made = PIL.Image.new(mode, (3, 2), colour)
    made.putpixel((0, 0), 9 if mode == "L" else (9, 9, 9))
    image = read_image(saved(tmp_path / "key.png", made, transparency=colour))
    assert image.pixels[0, :2].tolist() == [[9, 9, 9], [255, 255, 255]]


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_a_palette_is_looked_up(tmp_path, ending):
    indexed = PIL.Image.new("P", (2, 2))
    indexed.putpalette([10, 20, 30, 200, 100, 50] + [0] * 762)
    indexed.putdata([0, 1, 1, 0])
    image = read_image(saved(tmp_path / f"palette.{ending}", indexed))
    assert image.pixels.tolist() == [[[10, 20, 30], [200, 100, 50]], [[200, 100, 50], [10, 20, 30]]]
    assert any("RGB" in note for note in image.notes)


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_cmyk_never_passes_for_rgb_with_alpha(tmp_path, ending):
    red = PIL.Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    image = read_image(saved(tmp_path / f"print.{ending}", red))
    assert np.abs(image.pixels.astype(int) - (255, 0, 0)).max() <= 3
    assert any("CMYK" in note for note in image.notes)


@pytest.mark.parametrize(
    "ending, settings",
    [("png", {}), ("bmp", {}), ("tif", {}), ("tif", {"compression": "group4"}), ("tif", {"compression": "tiff_lzw"})],
)
def test_one_bit_is_black_and_white(tmp_path, ending, settings):
    bits = grey() > 80
    image = read_image(saved(tmp_path / f"bits.{ending}", PIL.Image.fromarray(bits), **settings))
    assert np.array_equal(image.pixels, thrice(bits * np.uint8(255)))


@pytest.mark.parametrize("bits, white", [(1, 1), (2, 3), (4, 15)])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_reach_from_black_to_white(tmp_path, bits, white, photometric):
    values = np.array([[0, white], [white, 0]] * 4).repeat(4, axis=1).astype(bool if bits == 1 else np.uint8)
    settings = {} if bits == 1 else {"bitspersample": bits}
    image = read_image(written(tmp_path / "few.tif", values, photometric=photometric, **settings))
    expected = 255 * (values > 0) if photometric == "minisblack" else 255 * (values == 0)
    assert np.array_equal(image.pixels, thrice(expected))


def test_where_white_is_zero_the_picture_is_inverted(tmp_path):
    path = written(tmp_path / "negative.tif", np.array([[0, 100], [50, 200]], np.uint8), photometric="miniswhite")
    image = read_image(path)
    assert image.pixels[..., 0].tolist() == [[255, 155], [205, 55]]
    assert any("inverted" in note for note in image.notes)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_are_mapped_with_a_note(tmp_path, ending):
    values = np.linspace(1000, 5000, 24 * 32).reshape(24, 32).astype(np.uint16)
    path = tmp_path / f"deep.{ending}"
    image = read_image(saved(path, values) if ending == "png" else written(path, values))
    assert image.pixels.min() == 0 and image.pixels.max() == 255
    assert (np.diff(image.pixels[..., 0].ravel().astype(int)) >= 0).all()
    assert image.pixels[12, 0].tolist() == pytest.approx([128] * 3, abs=2)
    assert any("uint16" in note for note in image.notes)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "float32", "float64", "int8"])
def test_a_flat_deep_picture_is_flat(tmp_path, kind):
    image = read_image(written(tmp_path / "flat.tif", np.full((8, 8), 3, kind)))
    assert np.unique(image.pixels).size == 1 and image.notes


def test_sixteen_bit_alpha_is_laid_on_white(tmp_path):
    values = np.full((4, 4, 4), 1000, np.uint16)
    values[:2, :, :3] = 0
    values[..., 3] = 65535
    values[:, 0, 3] = 0
    path = written(tmp_path / "deep.tif", values, photometric="rgb", extrasamples=["unassalpha"])
    assert read_image(path).pixels[..., 0].tolist() == [[255, 0, 0, 0]] * 2 + [[255, 255, 255, 255]] * 2


def test_floats_that_are_no_numbers_are_black(tmp_path):
    values = np.linspace(0, 1, 100, dtype=np.float32).reshape(10, 10)
    values[2, 3], values[4, 5], values[6, 7] = np.nan, -np.inf, np.inf
    image = read_image(written(tmp_path / "holes.tif", values))
    assert (image.pixels[2, 3, 0], image.pixels[4, 5, 0], image.pixels[6, 7, 0]) == (0, 0, 255)
    assert int(image.pixels[5, 0, 0]) == pytest.approx(129, abs=2)  # 50 / 99 of 255
    nothing = read_image(written(tmp_path / "nothing.tif", np.full((4, 4), np.nan, np.float32)))
    assert not nothing.pixels.any()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
def test_exif_turns_a_picture_upright(tmp_path, ending):
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the picture must be turned by 90 degrees, clockwise
    flat = np.zeros((32, 48, 3), np.uint8)
    flat[:16, :16] = 255  # upper left; upright it is at the upper right
    image = read_image(saved(tmp_path / f"turned.{ending}", flat, exif=exif))
    assert np.abs(image.pixels.astype(int) - np.rot90(flat, -1)).max() <= 3
    assert any("EXIF" in note or "orientation" in note for note in image.notes)


@pytest.mark.parametrize(
    "settings, microns",
    [
        ({"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}, 0.25),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5),
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "um"}}, 0.4),
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "\\u00B5m"}}, 0.4),
        ({"resolution": (2.5, 2.5), "imagej": True}, None),  # of no unit
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),  # a screen's, not a microscope's
        ({}, None),
    ],
)
def test_the_size_of_a_pixel(tmp_path, settings, microns):
    image = read_image(written(tmp_path / "sized.tif", grey(), **settings))
    assert image.microns == (microns and pytest.approx(microns))


def test_further_pages_and_frames_are_told(tmp_path):
    stack = np.stack([grey(), 255 - grey()])
    image = read_image(written(tmp_path / "stack.tif", stack, photometric="minisblack"))
    assert np.array_equal(image.pixels, thrice(grey())) and any("page 1 of 2" in note for note in image.notes)
    frames = [PIL.Image.fromarray(picture()), PIL.Image.fromarray(255 - picture())]
    image = read_image(saved(tmp_path / "moving.png", frames[0], save_all=True, append_images=frames[1:]))
    assert np.array_equal(image.pixels, picture()) and any("frame 1 of 2" in note for note in image.notes)


@pytest.mark.filterwarnings("ignore:.*reading array from closed file")  # by tifffile, in the trap
def test_another_file_named_by_an_ome_tiff_is_never_followed(tmp_path):
    private = tmp_path / "private.tif"
    written(private, np.full((16, 16), 200, np.uint8), compression="zlib")
    path = tmp_path / "sent.ome.tif"
    written(path, np.full((16, 16), 50, np.uint8), compression="zlib", description=OME, metadata=None)
    assert tifffile.imread(path).min() == 200  # the trap works: a careless reader follows it
    assert (read_image(path).pixels == 50).all()


OME = (
    '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
    'UUID="urn:uuid:00000000-0000-0000-0000-000000000001"><Image ID="Image:0"><Pixels ID="Pixels:0" '
    'DimensionOrder="XYCZT" Type="uint8" SizeX="16" SizeY="16" SizeC="1" SizeZ="1" SizeT="1">'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/><TiffData IFD="0" PlaneCount="1">'
    '<UUID FileName="private.tif">urn:uuid:00000000-0000-0000-0000-000000000002</UUID></TiffData>'
    "</Pixels></Image></OME>"
)
"""A description by which the pixels lie in another file."""


# What is refused.


def refusal(path, name=None):
    """The sentence with which a file is refused; it names the file and nothing of the machine."""
    with pytest.raises(ImageError) as caught:
        read_image(path, name)
    said = str(caught.value)
    assert said.startswith(name or path.name) and "\n" not in said
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
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "read" in refusal(path)


@pytest.mark.parametrize("kind, settings", [("PNG", {}), ("TIFF", {"compression": "tiff_adobe_deflate"})])
def test_a_damaged_file(tmp_path, kind, settings):
    whole = bytearray(encoded(kind, **settings))
    middle = len(whole) // 2
    whole[middle : middle + 200] = b"\xa5" * 200
    path = tmp_path / f"hurt.{kind.lower()}"
    path.write_bytes(whole)
    assert "read" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"II", b"II*\0", b"MM\0*\0\0\0\x08", b"\x89PNG\r\n\x1a\n", b"Dear colleague, the picture is attached.",
     b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a\x01\0\x01\0\0\0\0;", b"%!PS-Adobe-3.0\n", b"\0" * 500],
)  # fmt: skip
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_what_is_no_image(tmp_path, content, ending):
    path = tmp_path / f"letter.{ending}"
    path.write_bytes(content)
    assert "PNG, JPEG, WebP, BMP, TIFF and whole-slide" in refusal(path)


def test_a_missing_file_and_a_folder(tmp_path):
    assert "no such file" in refusal(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    refusal(tmp_path / "folder.png")


def test_a_file_is_called_as_its_sender_called_it(tmp_path):
    assert read_image(saved(tmp_path / "upload-1.png", picture()), "mine.png").name == "mine.png"
    (tmp_path / "upload-2.png").write_bytes(b"no")
    assert "upload" not in refusal(tmp_path / "upload-2.png", "mine.png")


def png_of(width, height):
    """A PNG that claims a size and holds a few bytes."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = {b"IHDR": size, b"IDAT": zlib.compress(bytes(99)), b"IEND": b""}
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    )


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("width, height", [(20_000, 20_000), (12_000, 10_000), (50_000, 2_100)])
def test_a_png_that_claims_too_much_is_refused_from_its_header(tmp_path, width, height):
    path = tmp_path / "vast.png"
    path.write_bytes(png_of(width, height))
    before = time.process_time()
    said = refusal(path)
    assert time.process_time() - before < 0.5
    assert f"{width * height / 1e6:.0f} megapixels" in said and f"{LIMITS.pixels // 10**6}" in said


def test_a_tiff_that_claims_too_much_is_refused_from_its_header(tmp_path):
    path = written(tmp_path / "vast.tif", grey(16, 16))
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for tag in ("ImageWidth", "ImageLength"):
            tiff.pages.first.tags[tag].overwrite(20_000)
    assert "400 megapixels" in refusal(path)


def test_a_tiff_whose_tiles_claim_too_much_is_refused_from_its_header(tmp_path):
    path = written(tmp_path / "vast.tif", grey(16, 16), tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for tag in ("TileWidth", "TileLength"):
            tiff.pages.first.tags[tag].overwrite(60_000)
    assert "60000 x 60000" in refusal(path)


def test_numbers_that_are_no_intensities_are_refused(tmp_path):
    refusal(written(tmp_path / "wave.tif", np.zeros((8, 8), np.complex64)))


def test_a_volume_is_not_taken_for_a_picture(tmp_path):
    path = written(tmp_path / "volume.tif", np.zeros((32, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16))
    refusal(path)


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_an_image_checks_itself(pixels):
    with pytest.raises(ValueError, match="uint8"):
        Image("wrong", pixels)
