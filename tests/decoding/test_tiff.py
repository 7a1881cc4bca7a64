"""TIFF: every layout, type and meaning of its values; orientation, regions and planes."""

from dataclasses import replace

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tifffile
from files import content_of, grey, picture, poked, retagged, saved, thrice, written

from sac.config import LIMITS, View
from sac.errors import ImageError
from sac.images import Place, open_file, read_image

pytestmark = pytest.mark.usefixtures("here")


def notes(image):
    return " ".join(image.notes)


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "deflate", "packbits", "zstd", "jpeg2000"])
@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5}, {"bigtiff": True}, {"byteorder": ">"}])
@pytest.mark.parametrize("region", [(), (3, 5, 20, 11), (31, 23, 1, 1)])
def test_every_layout_comes_back_equal_and_by_region(tmp_path, compression, layout, region):
    path = written(tmp_path / "cells.tif", picture(), photometric="rgb", compression=compression, **layout)
    left, top, width, height = region or (0, 0, 32, 24)
    image = read_image(path, view=View(region=region))
    assert np.array_equal(image.pixels, picture()[top : top + height, left : left + width])
    assert image.place.size == (24, 32) and image.place.corner == (left, top)


@pytest.mark.parametrize("kind", ["uint16", "int16", "int32", "float32"])
@pytest.mark.parametrize("layout", [{"tile": (16, 16)}, {"rowsperstrip": 7, "byteorder": ">"}])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
def test_deep_values_with_a_predictor(tmp_path, kind, layout, compression):
    values = np.random.default_rng(0).integers(0, 30_000, (24, 32)).astype(kind)
    predictor = None if compression is None else 3 if kind == "float32" else 2
    path = written(tmp_path / "deep.tif", values, compression=compression, predictor=predictor, **layout)
    assert np.array_equal(read_image(path).values[..., 0], values)


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"rowsperstrip": 5}])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_samples_in_planes(tmp_path, layout, compression):
    planes = np.moveaxis(picture(), -1, 0)
    settings = {"photometric": "rgb", "planarconfig": "separate", "compression": compression, **layout}
    path = written(tmp_path / "cells.tif", planes, **settings)
    assert np.array_equal(read_image(path).pixels, picture())
    assert np.array_equal(read_image(path, view=View(region=(9, 7, 17, 13))).pixels, picture()[7:20, 9:26])


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("layout", [{}, {"compression": "zlib", "tile": (16, 16)}])
def test_each_orientation_is_turned_once_and_so_is_a_region(tmp_path, number, deep, layout):
    stored = picture()[..., :1] if deep else picture()
    expected = upright_by_pillow(tmp_path, stored, number)
    values = stored[..., 0].astype(np.uint16) * 257 if deep else stored
    own = [(274, 3, 1, number, True)]
    path = written(
        tmp_path / "turned.tif", values, extratags=own, photometric="minisblack" if deep else "rgb", **layout
    )
    image = read_image(path)
    assert np.array_equal(image.values // (257 if deep else 1), expected)
    assert any("orientation" in note for note in image.notes) == (number != 1)
    part = read_image(path, view=View(region=(2, 3, 15, 20)))
    assert np.array_equal(part.values, image.values[3:23, 2:17]) and part.place.size == image.size


def upright_by_pillow(folder, stored, number):
    """(H, W, C) as Pillow turns a PNG of that orientation."""
    exif = PIL.Image.Exif()
    exif[0x0112] = number
    path = saved(folder / "turned.png", np.squeeze(stored), exif=exif)
    turned = np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(path)))
    return turned.reshape(*turned.shape[:2], -1)


def test_an_orientation_that_is_none_turns_nothing(tmp_path):
    path = written(tmp_path / "odd.tif", picture(), photometric="rgb", extratags=[(274, 3, 1, 77, True)])
    assert np.array_equal(read_image(path).pixels, picture()) and read_image(path).notes == ()


@pytest.mark.parametrize("bits, levels", [(1, [0, 255]), (2, [0, 85, 170, 255]), (4, list(range(0, 256, 17)))])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_few_bits_reach_from_black_to_white_with_a_note(tmp_path, bits, levels, photometric):
    values = np.arange(2**bits, dtype=np.uint8)[None].repeat(2, axis=0)
    settings = {} if bits == 1 else {"bitspersample": bits}
    path = written(
        tmp_path / "few.tif", values.astype(bool) if bits == 1 else values, photometric=photometric, **settings
    )
    image = read_image(path)
    assert image.pixels[1, :, 0].tolist() == (levels if photometric == "minisblack" else levels[::-1])
    assert f"{bits}-bit" in notes(image) and ("inverted" in notes(image)) == (photometric == "miniswhite")


@pytest.mark.parametrize(
    "kind, stored, shown",
    [
        ("uint8", [0, 100, 255], [255, 155, 0]),
        ("uint16", [0, 100, 65535], [65535, 65435, 0]),
        ("int16", [-32768, -1, 32767], [32767, 0, -32768]),
        ("float32", [0.0, 2.0, 8.0], [8.0, 6.0, 0.0]),
    ],
)
def test_where_white_is_zero_the_range_is_turned_round(tmp_path, kind, stored, shown):
    image = read_image(written(tmp_path / "negative.tif", np.array([stored], kind), photometric="miniswhite"))
    assert image.values[0, :, 0].tolist() == shown and "inverted" in notes(image)


def test_twelve_bits_are_turned_round_in_their_own_range(tmp_path):
    values = np.array([[0, 1, 4095]], np.uint16)
    path = written(tmp_path / "twelve.tif", values, bitspersample=12, photometric="miniswhite")
    assert read_image(path).values[0, :, 0].tolist() == [4095, 4094, 0]


@pytest.mark.parametrize("scale", [1, 257])
def test_a_palette_of_8_or_16_bit_is_looked_up(tmp_path, scale):
    """Entries are of 16 bit; some programs write them as 0 to 255."""
    palette = np.zeros((3, 256), np.uint16)
    palette[:, 1], palette[:, 2] = np.array([10, 20, 30]) * scale, np.array([200, 100, 50]) * scale
    path = written(tmp_path / "palette.tif", np.array([[1, 2]], np.uint8), photometric="palette", colormap=palette)
    image = read_image(path)
    assert image.pixels.tolist() == [[[10, 20, 30], [200, 100, 50]]] and "palette" in notes(image)


def test_opacity_that_is_multiplied_in_is_divided_out(tmp_path):
    """Half-transparent red of 200, stored as 100 under 50 %, on white: 200 / 2 + 255 / 2 = 228."""
    stored = np.array([[[100, 0, 0, 128], [0, 0, 0, 0], [200, 0, 0, 255]]], np.uint8)
    path = written(tmp_path / "glass.tif", stored, photometric="rgb", extrasamples=["assocalpha"])
    image = read_image(path)
    assert image.values[0, :, 0].tolist() == [199, 0, 200]  # 100 x 255 / 128
    assert image.pixels[0].tolist() == [[227, 127, 127], [255, 255, 255], [200, 0, 0]]
    assert "transparent parts were laid on white" in image.notes


@pytest.mark.parametrize("kind, full", [("uint8", 255), ("uint16", 65535), ("float32", 1.0)])
def test_opacity_of_every_type(tmp_path, kind, full):
    values = np.zeros((2, 3, 2), kind)
    values[..., 0], values[..., 1] = np.array([[0, full, full]]), np.array([[full, full, 0]])
    path = written(
        tmp_path / "glass.tif", values, photometric="minisblack", planarconfig="contig", extrasamples=["unassalpha"]
    )
    assert read_image(path).pixels[0, :, 0].tolist() == [0, 255, 255] and read_image(path).values.shape == (2, 3, 1)


@pytest.mark.parametrize("extra", [["unspecified"], None])
def test_a_fourth_band_of_no_meaning_is_left_out(tmp_path, extra):
    values = np.dstack([picture(), grey()])
    path = written(tmp_path / "four.tif", values, photometric="rgb", extrasamples=["unspecified"])
    if extra is None:
        path = poked(path, 338, kind=99)
    image = read_image(path)
    assert np.array_equal(image.pixels, picture()) and "fourth band" in notes(image)


def test_further_samples_are_channels(tmp_path):
    values = np.dstack([picture(), grey(), grey() // 2])
    path = written(tmp_path / "five.tif", values, photometric="rgb", extrasamples=["unspecified"] * 2)
    image = read_image(path)
    assert np.array_equal(image.values, values) and len(image.channels) == 5 and "5 channels" in notes(image)
    assert np.array_equal(read_image(path, view=View(channel=5)).pixels, thrice(grey() // 2))
    with pytest.raises(ImageError, match="has 5 channels; there is no 6"):
        read_image(path, view=View(channel=6))


def test_one_sample_that_is_called_rgb_is_grey(tmp_path):
    path = retagged(written(tmp_path / "one.tif", grey()), PhotometricInterpretation=2)
    assert np.array_equal(read_image(path).pixels, thrice(grey()))


@pytest.mark.parametrize("photometric, word", [("cielab", "CIELAB"), ("ycbcr", "YCbCr")])
def test_colours_of_another_kind_are_refused(tmp_path, photometric, word):
    with pytest.raises(ImageError, match=f"odd.tif holds {word} colours; send RGB or grayscale"):
        read_image(written(tmp_path / "odd.tif", picture(), photometric=photometric))


def test_inks_of_16_bit_are_refused(tmp_path):
    values = np.zeros((8, 8, 4), np.uint16)
    with pytest.raises(ImageError, match="inks of uint16"):
        read_image(written(tmp_path / "ink.tif", values, photometric="separated"))


@pytest.mark.parametrize("layout", [{"rowsperstrip": 5}, {"tile": (16, 16)}])
def test_parts_that_are_not_in_the_file_are_black_and_told(tmp_path, layout):
    path = written(tmp_path / "sparse.tif", grey() | 1, compression="zlib", **layout)
    name = "TileByteCounts" if "tile" in layout else "StripByteCounts"
    with tifffile.TiffFile(path) as tiff:
        counts = tiff.pages.first.databytecounts
    image = read_image(retagged(path, **{name: (0, *counts[1:])}))
    rows, columns = (16, 16) if "tile" in layout else (5, 32)
    expected = grey() | 1
    expected[:rows, :columns] = 0
    assert np.array_equal(image.pixels, thrice(expected)) and "parts that are not in the file are black" in image.notes


# Planes


def test_pages_are_planes(tmp_path):
    stack = np.stack([grey() // n for n in (1, 2, 3)])
    path = written(tmp_path / "stack.tif", stack, photometric="minisblack", metadata=None)
    image = read_image(path)
    assert np.array_equal(image.pixels, thrice(grey())) and "page 1 of 3 was used" in image.notes
    assert np.array_equal(read_image(path, view=View(plane=3)).pixels, thrice(grey() // 3))
    assert read_image(path, view=View(plane=3)).planes == ("page 1 of 3", "page 2 of 3", "page 3 of 3")
    with pytest.raises(ImageError, match="stack.tif has no plane 4; it has 3"):
        read_image(path, view=View(plane=4))


def test_images_of_two_sizes_are_planes(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.tif") as tiff:
        tiff.write(picture(), photometric="rgb", metadata=None)
        tiff.write(grey(40, 30), photometric="minisblack", metadata=None)
        tiff.write(grey(8, 8), photometric="minisblack", metadata=None, subfiletype=1)  # a thumbnail is none
    image = read_image(tmp_path / "two.tif", view=View(plane=2))
    assert np.array_equal(image.pixels, thrice(grey(40, 30)))
    assert image.planes == ("image 1 of 2", "image 2 of 2") and "image 2 of 2 was used" in image.notes
    assert image.place.depth_and_time == ()  # along other axes than z and time


STACK = np.arange(3 * 5 * 2 * 6 * 8, dtype=np.uint16).reshape(3, 5, 2, 6, 8)
"""(T, Z, C, H, W), no two values alike."""


@pytest.mark.parametrize("kind", ["ome", "imagej", "plain"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_time_and_depth_are_planes_and_channels_are_not(tmp_path, kind, compression):
    path = tmp_path / ("stack.ome.tif" if kind == "ome" else "stack.tif")
    if kind == "imagej":
        written(path, STACK, imagej=True, compression=compression, metadata={"axes": "TZCYX"})
    else:
        written(path, STACK, photometric="minisblack", compression=compression, metadata={"axes": "TZCYX"})
    image = read_image(path)
    assert np.array_equal(image.values, np.moveaxis(STACK[0, 2], 0, -1))  # the middle of five z
    assert "plane 3 of 15 (time 1 of 3, z 3 of 5) was used" in image.notes and len(image.planes) == 15
    last = read_image(path, view=View(plane=15, region=(2, 1, 5, 4)))
    assert np.array_equal(last.values, np.moveaxis(STACK[2, 4, :, 1:5, 2:7], 0, -1))
    assert last.planes[14] == "time 3 of 3, z 5 of 5" and last.plane == 15
    assert (image.place.depth_and_time, last.place.depth_and_time) == ((2, 0), (4, 2))


def test_the_middle_of_an_even_stack_is_the_one_before(tmp_path):
    path = written(tmp_path / "z.ome.tif", STACK[0, :4, 0], photometric="minisblack", metadata={"axes": "ZYX"})
    assert (
        np.array_equal(read_image(path).values[..., 0], STACK[0, 1, 0])
        and "z 2 of 4 was used" in read_image(path).notes
    )


def test_a_stack_of_colours_has_planes(tmp_path):
    stack = np.stack([picture(), 255 - picture()])
    path = written(tmp_path / "colours.ome.tif", stack, photometric="rgb", metadata={"axes": "ZYXS"})
    assert np.array_equal(read_image(path, view=View(plane=2)).pixels, 255 - picture())


def test_an_imagej_stack_of_one_directory(tmp_path):
    """As ImageJ writes what is larger than 4 GB: one page, and all planes behind each other."""
    values, told = STACK[0, :, 0].astype(">u2"), "ImageJ=1.53t\nimages=5\nslices=5\n"
    path = written(tmp_path / "one.tif", values[0], byteorder=">", metadata=None, description=told)
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.dataoffsets[0]
    content = path.read_bytes()
    assert content[start : start + 96] == values[0].tobytes() and len(content) == start + 96
    content_of(path, content + values[1:].tobytes())
    image = read_image(path, view=View(plane=4, region=(1, 2, 6, 3)))
    assert np.array_equal(image.values[..., 0], values[3, 2:5, 1:7]) and image.planes[3] == "z 4 of 5"
    assert image.place == Place((6, 8), (1, 2), depth_and_time=(3, 0))


def test_more_channels_than_are_accepted(tmp_path):
    many = np.zeros((65, 4, 5), np.uint8)
    with pytest.raises(ImageError, match="many.tif has 65 channels; up to 64 are accepted"):
        read_image(written(tmp_path / "many.tif", many, photometric="minisblack", metadata={"axes": "CYX"}))


# Pyramids that OpenSlide does not read


def levels(path, pixels, factors, **settings):
    """An OME-TIFF with smaller copies in SubIFDs."""
    with tifffile.TiffWriter(path, bigtiff=True, ome=True) as tiff:
        tiff.write(pixels, subifds=len(factors), tile=(256, 256), compression="zlib", **settings)
        for factor in factors:
            tiff.write(pixels[..., ::factor, ::factor], subfiletype=1, tile=(256, 256), compression="zlib")
    return path


@pytest.fixture
def small_limits(monkeypatch):
    """Limits of 6,000 pixels at once, and previews of 40 pixels."""
    limits = replace(LIMITS, pixels=6000, whole=3000)
    for module in ("decoded", "tiff", "slide"):
        monkeypatch.setattr(f"sac.decoding.{module}.LIMITS", limits)
        if module != "slide":
            monkeypatch.setattr(f"sac.decoding.{module}.PREVIEW", 40)


@pytest.mark.usefixtures("small_limits")
def test_a_large_ome_pyramid_gives_a_preview_and_regions(tmp_path):
    deep = np.arange(2 * 96 * 128, dtype=np.uint16).reshape(2, 96, 128)
    path = levels(tmp_path / "slide.ome.tif", deep, (2, 4, 8), photometric="minisblack", metadata={"axes": "CYX"})
    image = open_file(path)
    assert image.is_preview and image.place.size == (96, 128) and image.place.downsample == 4
    # of levels of 64 x 48, 32 x 24 and 16 x 12 pixels, the first is no shorter than 40; every second of its pixels
    assert np.array_equal(image.values, np.moveaxis(deep[:, ::4, ::4], 0, -1))
    part = read_image(path, view=View(region=(100, 50, 20, 30)))
    assert np.array_equal(part.values, np.moveaxis(deep[:, 50:80, 100:120], 0, -1)) and not part.is_preview
    with pytest.raises(ImageError, match="slide.ome.tif is a whole slide of 128 x 96 pixels: say which part"):
        read_image(path)
    with pytest.raises(ImageError, match="slide.ome.tif: that region has"):
        read_image(path, view=View(region=(0, 0, 128, 96)))


def test_many_intensities_are_refused_before_they_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("sac.decoding.tiff.LIMITS", replace(LIMITS, values=5000))
    path = written(tmp_path / "many.tif", np.zeros((5, 24, 32), np.uint16), metadata={"axes": "CYX"})  # 7,680 bytes
    with pytest.raises(ImageError, match="MB of intensities"):
        read_image(path)
    assert read_image(path, view=View(region=(0, 0, 20, 20))).size == (20, 20)
