"""Names and colours of channels, and the size of a pixel, as TIFFs say them, each in their own way."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from files import grey, lsm, ome, other_file, picture, poked, thrice, written

from sac.config import LIMITS, View
from sac.decoding import child
from sac.errors import ImageError
from sac.images import read_image

pytestmark = pytest.mark.usefixtures("here")
THREE = np.stack([grey(), grey() // 2, grey() // 3]).astype(np.uint16)


def decoded(path):
    return child.read(path, path.name, View())


def test_an_ome_tiff_names_and_colours_its_channels(tmp_path):
    """Colours are signed 32 bit, red first: -16776961 is FF 00 00 FF."""
    channel = {"Name": ["DAPI", "GFP", ""], "Color": [65535, 16711935, -16776961]}
    path = written(tmp_path / "a.ome.tif", THREE, metadata={"axes": "CYX", "Channel": channel})
    assert decoded(path).channels == ("DAPI", "GFP", "")
    assert decoded(path).colours == ((0, 0, 255), (0, 255, 0), (255, 0, 0))


@pytest.mark.parametrize("colours", [[-1, -1, -1], [255, 255, 255], [65535, 255, 16711935]])
def test_colours_that_tell_nothing_apart_are_left_out(tmp_path, colours):
    """All white, as OME's default is; all black; one of them black."""
    path = written(tmp_path / "a.ome.tif", THREE, metadata={"axes": "CYX", "Channel": {"Color": colours}})
    assert decoded(path).colours == () and decoded(path).channels == ("", "", "")


def test_each_image_of_an_ome_tiff_has_its_own_words(tmp_path):
    with tifffile.TiffWriter(tmp_path / "two.ome.tif", ome=True) as tiff:
        tiff.write(THREE, metadata={"axes": "CYX", "PhysicalSizeX": 0.5, "Channel": {"Name": ["a", "b", "c"]}})
        tiff.write(THREE[:2], metadata={"axes": "CYX", "PhysicalSizeX": 0.25, "Channel": {"Name": ["d", "e"]}})
    first, second = (read_image(tmp_path / "two.ome.tif", view=View(plane=n)) for n in (1, 2))
    assert (first.channels, first.microns) == (("a", "b", "c"), 0.5)
    assert (second.channels, second.microns) == (("d", "e"), 0.25)


def test_imagej_colours_channels_by_tables(tmp_path):
    ramp = np.arange(256, dtype=np.uint8)
    tables = [
        np.stack([ramp * red, ramp * green, ramp * blue]) for red, green, blue in ((0, 0, 1), (1, 0, 0), (1, 1, 0))
    ]
    path = written(tmp_path / "a.tif", THREE, imagej=True, metadata={"axes": "CYX", "LUTs": tables})
    assert decoded(path).colours == ((0, 0, 255), (255, 0, 0), (255, 255, 0))


def test_an_lsm_says_all_of_it(tmp_path):
    stack = np.stack([THREE, THREE, THREE + 1]).astype(np.uint8)
    path = lsm(tmp_path / "a.lsm", stack, microns=0.3)
    read = decoded(path)
    assert read.channels == ("green", "red", "far red") and read.colours[0] == (0, 255, 0)
    assert read.microns == pytest.approx(0.3) and read.planes == ("z 1 of 3", "z 2 of 3", "z 3 of 3")
    third = child.read(path, "a.lsm", View(plane=3))
    assert np.array_equal(np.moveaxis(third.values, -1, 0), stack[2])


@pytest.mark.parametrize(
    "said, microns",
    [
        ('PhysicalSizeX="0.25"', 0.25),
        ('PhysicalSizeX="0.25" PhysicalSizeXUnit="µm"', 0.25),
        ('PhysicalSizeX="250" PhysicalSizeXUnit="nm"', 0.25),
        ('PhysicalSizeX="0.00025" PhysicalSizeXUnit="mm"', 0.25),
        ('PhysicalSizeX="1" PhysicalSizeXUnit="pixel"', None),
        ('PhysicalSizeX="NaN"', None),
        ('PhysicalSizeX="INF"', None),
        ('PhysicalSizeX="-0.5"', None),
        ('PhysicalSizeX="0,25"', None),
        ('PhysicalSizeX="0"', None),
        ("", None),
    ],
)
def test_the_size_of_a_pixel_in_ome(tmp_path, said, microns):
    assert read_image(ome(tmp_path / "a.ome.tif", more=said)).microns == (microns and pytest.approx(microns))


@pytest.mark.parametrize(
    "settings, microns",
    [
        ({"resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}, 0.25),
        ({"resolution": (50_800, 50_800), "resolutionunit": "INCH"}, 0.5),
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "um"}}, 0.4),
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "\\u00B5m"}}, 0.4),
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "micron"}}, 0.4),
        ({"resolution": (0.0025, 0.0025), "imagej": True, "metadata": {"unit": "nm"}}, 0.4),
        ({"resolution": (2500, 2500), "imagej": True, "metadata": {"unit": "mm"}}, 0.4),
        ({"resolution": (2.5, 2.5), "imagej": True}, None),  # of no unit
        ({"resolution": (2.5, 2.5), "imagej": True, "metadata": {"unit": "parsec"}}, None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, None),  # a screen's, not a microscope's
        ({"resolution": (0, 0), "resolutionunit": "CENTIMETER"}, None),
        ({"description": "Aperio |AppMag = 20|MPP = 0.5"}, 0.5),
        ({"description": "Aperio |MPP = 0.5.1"}, 0.5),
        ({"description": "Aperio |MPP = none"}, None),
        ({}, None),
    ],
)
def test_the_size_of_a_pixel_in_tags(tmp_path, settings, microns):
    image = read_image(written(tmp_path / "sized.tif", grey(), **{"metadata": None, **settings}))
    assert image.microns == (microns and pytest.approx(microns))


@pytest.mark.parametrize("kind", [1, 2, 3, 7, 11, 12, 99])
def test_a_resolution_of_a_strange_type_is_none(tmp_path, kind):
    path = poked(written(tmp_path / "odd.tif", grey(), resolution=(40_000, 40_000), resolutionunit=3), 282, kind=kind)
    assert read_image(path).microns is None


# Descriptions that cannot be trusted


@pytest.mark.filterwarnings("ignore:.*reading array from closed file")  # by tifffile, in the trap
def test_another_file_that_is_named_is_never_opened(tmp_path):
    written(tmp_path / "private.tif", np.full((16, 16), 200, np.uint8), compression="zlib")
    path = ome(tmp_path / "sent.ome.tif", data=other_file("private.tif"))
    assert tifffile.imread(path).min() == 200  # the trap works: a careless reader follows it
    image = read_image(path)
    assert (image.pixels == 50).all() and "names other files" in " ".join(image.notes)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../private.tif", "http://127.0.0.1:9/a.tif", "/dev/zero", "a.ome.tif"]
)
def test_nothing_is_opened_but_the_file_itself(tmp_path, monkeypatch, name):
    path, opened = ome(tmp_path / "a.ome.tif", data=other_file(name)), []

    def watched(file, *arguments, **settings):
        opened.append(Path(file))
        return open(file, *arguments, **settings)

    monkeypatch.setattr(tifffile.tifffile, "open", watched, raising=False)
    assert (read_image(path).pixels == 50).all() and set(opened) == {path}


def test_micro_manager_s_other_files_are_not_sought(tmp_path):
    """Its stacks go on in files of the same beginning: those of another user, in a shared folder."""
    path = written(tmp_path / "a_MMStack.ome.tif", grey(), photometric="minisblack")
    written(tmp_path / "a_MMStack_1.ome.tif", 255 - grey(), photometric="minisblack")
    assert np.array_equal(read_image(path).pixels, thrice(grey())) and read_image(path).planes == ("",)


@pytest.mark.parametrize(
    "damage", [{"more": "<"}, {"doctype": "<!DOCTYPE OME [<!ENTITY a 'b'>]>"}, {"more": 'a="1" a="2"'}]
)
def test_a_damaged_description_leaves_the_pages(tmp_path, damage):
    image = read_image(ome(tmp_path / "a.ome.tif", **damage))
    assert (image.pixels == 50).all() and "its OME description is damaged; only its pages are read" in image.notes


@pytest.mark.parametrize(
    "claims, count",
    [
        ({"z": LIMITS.pages + 1}, LIMITS.pages + 1),
        ({"z": 10**12}, 10**12),
        ({"data": '<TiffData IFD="0" PlaneCount="100000000"/>'}, 10**8),
        ({"data": '<TiffData IFD="100000000"/>'}, 10**8),
    ],
)
def test_more_planes_than_are_accepted(tmp_path, claims, count):
    with pytest.raises(ImageError, match=f"a.ome.tif claims {count} planes; up to {LIMITS.pages} are accepted"):
        read_image(ome(tmp_path / "a.ome.tif", **claims))


def test_planes_that_are_claimed_but_missing_are_black_and_told(tmp_path):
    image = read_image(ome(tmp_path / "a.ome.tif", z=5))
    assert not image.pixels.any() and "parts that are not in the file are black" in image.notes
    assert (read_image(tmp_path / "a.ome.tif", view=View(plane=1)).pixels == 50).all()


def test_a_description_of_shapes_that_are_not_there(tmp_path):
    told = '{"shape": [1000000000, 24, 32, 3]}'
    path = written(tmp_path / "a.tif", picture(), photometric="rgb", metadata=None, description=told)
    with pytest.raises(ImageError, match="a.tif claims 1000000000 planes"):
        read_image(path)
