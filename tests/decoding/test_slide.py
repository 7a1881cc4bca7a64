"""Whole slides: a preview of a large one, regions of each, and never more than was asked for."""

from dataclasses import replace
from types import SimpleNamespace

import hostile
import numpy as np
import openslide
import pytest
import slides
from files import retagged, written
from tifffile import TiffFile

from sac.config import LIMITS, View
from sac.decoding import slide
from sac.decoding.decoded import preview_level
from sac.errors import ImageError
from sac.images import Place, open_file, read_image

pytestmark = pytest.mark.usefixtures("here")
TISSUE = slides.tissue()
"""640 rows of 832 pixels: of whole tiles, since JPEG rings where one reaches beyond the picture."""
MAKERS = {
    "svs": slides.svs,
    "ndpi": slides.ndpi,
    "philips": slides.philips,
    "scn": lambda path, pixels: slides.leica(path, pixels, corner=(1000, 601)),
    "pyramid": lambda path, pixels: slides.pyramid(path, pixels, photometric="rgb", compression="zlib"),
}


@pytest.fixture(scope="module", params=MAKERS)
def path(request, tmp_path_factory):
    """A slide of each kind that OpenSlide takes for one."""
    made = MAKERS[request.param](tmp_path_factory.mktemp("slides") / f"slide.{request.param}", TISSUE)
    assert slide.is_slide(made)
    return made


REGIONS = [(100, 50, 300, 200), (0, 0, 1, 1), (831, 639, 1, 1), (800, 0, 32, 640), (0, 630, 832, 10), (63, 63, 2, 2)]


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_is_read_where_it_lies(path, region):
    left, top, width, height = region
    image = read_image(path, view=View(region=region))
    expected = TISSUE[top : top + height, left : left + width].astype(int)
    assert image.pixels.shape == expected.shape and np.abs(image.pixels - expected).max() <= 8
    assert image.place.size == (640, 832) and image.place.corner == (left, top) and image.place.downsample == 1


def test_a_region_is_put_together_of_blocks(path, monkeypatch):
    monkeypatch.setattr(slide, "BLOCK", 100)
    image = read_image(path, view=View(region=(30, 70, 501, 333)))
    assert np.abs(image.pixels - TISSUE[70:403, 30:531].astype(int)).max() <= 8


@pytest.mark.parametrize("region", [(0, 0, 833, 1), (0, 0, 1, 641), (832, 0, 1, 1), (5000, 5000, 10, 10)])
def test_a_region_beyond_the_slide_is_refused(path, region):
    with pytest.raises(ImageError, match="is 832 x 640 pixels: region .* reaches beyond"):
        read_image(path, view=View(region=region))


def test_a_small_slide_is_opened_whole(path):
    image = read_image(path)
    assert image.size == (640, 832) and not image.is_preview and np.abs(image.pixels - TISSUE.astype(int)).max() <= 8


def test_a_slide_has_one_plane(path):
    with pytest.raises(ImageError, match="has no plane 2; it has 1"):
        read_image(path, view=View(plane=2))


@pytest.fixture
def small_limits(monkeypatch):
    """Whole slides of up to 100,000 pixels, regions of up to 200,000, previews of 150 pixels."""
    for module in ("decoded", "slide", "tiff"):
        monkeypatch.setattr(f"sac.decoding.{module}.LIMITS", replace(LIMITS, whole=100_000, pixels=200_000))
        monkeypatch.setattr(f"sac.decoding.{module}.PREVIEW", 150)


@pytest.mark.usefixtures("small_limits")
def test_a_large_slide_gives_a_preview(path):
    """Of levels of 832, 416 and 208 pixels (an NDPI has some more), the last that is no shorter than 150."""
    image = open_file(path)
    assert image.is_preview and image.place.size == (640, 832) and image.place.corner == (0, 0)
    assert image.size == (115, 150) and image.place.downsample == pytest.approx(832 / 150)
    rows, columns = np.arange(115) * 640 // 115, np.arange(150) * 832 // 150
    assert np.abs(image.pixels - TISSUE[rows][:, columns].astype(int)).mean() < 4
    with pytest.raises(ImageError, match="is a whole slide of 832 x 640 pixels: say which part of it, as a region"):
        read_image(path)
    with pytest.raises(ImageError, match="that region has"):
        read_image(path, view=View(region=(0, 0, 832, 640)))
    assert read_image(path, view=View(region=(10, 20, 30, 40))).size == (40, 30)


@pytest.mark.usefixtures("small_limits")
def test_a_large_slide_without_a_small_copy_wants_a_region(tmp_path):
    path = slides.svs(tmp_path / "one.svs", TISSUE, factors=())
    with pytest.raises(ImageError, match="one.svs is of 832 x 640 pixels and holds no small copy of itself"):
        open_file(path)
    assert read_image(path, view=View(region=(10, 20, 30, 40))).size == (40, 30)


@pytest.mark.parametrize(
    "sizes, level",
    [
        ([(90_000, 100_000), (22_500, 25_000), (5_600, 6_250), (1_400, 1_562)], 3),  # 35 megapixels are too many
        ([(90_000, 100_000), (4_000, 4_000), (2_000, 2_000), (1_000, 1_000)], 2),
        ([(90_000, 100_000), (1_000, 1_000), (500, 500), (1, 1)], 1),  # vips goes on to a single pixel
        ([(3_000, 3_000)], 0),
    ],
)
def test_a_preview_is_made_of_the_smallest_level_that_is_large_enough(sizes, level):
    assert preview_level("a.svs", sizes) == level


@pytest.mark.parametrize("name, microns", [("svs", 0.25), ("ndpi", 0.25), ("scn", 0.25), ("pyramid", 0.5)])
def test_the_size_of_a_pixel(tmp_path, name, microns):
    if name == "pyramid":
        settings = {"photometric": "rgb", "resolution": (20_000, 20_000), "resolutionunit": "CENTIMETER"}
        made = slides.pyramid(tmp_path / "a.tif", TISSUE, **settings)
    else:
        made = MAKERS[name](tmp_path / f"a.{name}", TISSUE)
    assert read_image(made, view=View(region=(0, 0, 9, 9))).microns == pytest.approx(microns)


@pytest.mark.parametrize("said", ["|MPP = 0", "|MPP = none", "|MPP = -1", "|MPP = 1e99", "", "|MPP = nan"])
def test_a_size_of_a_pixel_that_is_none(tmp_path, said):
    path = slides.svs(tmp_path / "a.svs", TISSUE, description="Aperio Image Library v11\r\n800x600" + said)
    assert slide.is_slide(path) and read_image(path, view=View(region=(0, 0, 9, 9))).microns is None


def test_a_damaged_tile_harms_the_regions_that_meet_it_and_no_others(tmp_path):
    path = hostile.hurt_slide(tmp_path / "hurt.svs")
    with pytest.raises(ImageError, match="hurt.svs is damaged where it was to be read"):
        read_image(path, view=View(region=(0, 0, 100, 100)))
    assert read_image(path, view=View(region=(300, 300, 50, 50))).size == (50, 50)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
def test_a_deep_pyramid_keeps_its_intensities(tmp_path, kind, photometric):
    """OpenSlide would give 8 bit."""
    deep = (np.arange(300 * 400).reshape(300, 400) % 60_000).astype(kind)
    stored = deep if photometric == "minisblack" else np.dstack([deep, deep[::-1], deep // 2])
    path = slides.pyramid(tmp_path / "deep.tif", stored, photometric=photometric, compression="zlib")
    assert not slide.is_slide(path)
    image = read_image(path, view=View(region=(10, 20, 30, 40)))
    assert np.array_equal(image.values, stored.reshape(300, 400, -1)[20:60, 10:40]) and image.planes == ("",)


@pytest.mark.usefixtures("small_limits")
def test_a_large_deep_pyramid_gives_a_preview_too(tmp_path):
    deep = np.arange(600 * 800, dtype=np.uint32).reshape(600, 800)
    image = open_file(slides.pyramid(tmp_path / "deep.tif", deep, photometric="minisblack"))
    assert image.is_preview and image.place.downsample == 8  # every second pixel of the level of 200 x 150
    assert np.array_equal(image.values[..., 0], deep[::8, ::8])


def test_parts_that_were_not_scanned_are_white(tmp_path):
    """A scanner leaves out the tiles between two pieces of tissue: here the first, of 64 x 64 pixels."""
    path = slides.svs(tmp_path / "a.svs", TISSUE)
    with TiffFile(path) as tiff:
        starts, counts = tiff.pages.first.dataoffsets, tiff.pages.first.databytecounts
    image = read_image(retagged(path, TileOffsets=(0, *starts[1:]), TileByteCounts=(0, *counts[1:])))
    expected = TISSUE.copy()
    expected[:64, :64] = 255
    assert np.abs(image.pixels - expected.astype(int)).max() <= 8
    assert "parts that were not scanned are white" in image.notes
    assert "white" not in " ".join(read_image(path, view=View(region=(64, 0, 768, 640))).notes)


def test_the_glass_around_a_scan_is_no_part_of_the_slide(tmp_path):
    """A Leica slide is as large as its glass, here 1,833 x 1,242 pixels; as in QuPath, its scan begins at (0, 0)."""
    path = MAKERS["scn"](tmp_path / "a.scn", TISSUE)
    with openslide.OpenSlide(str(path)) as opened:
        assert opened.dimensions == (1833, 1242) and opened.properties["openslide.bounds-x"] == "1000"
    image = read_image(path)
    assert image.place == Place((640, 832)) and image.notes == ()


@pytest.mark.parametrize(
    "bounds",
    [(), (1, 2, 3), ("", 0, 5, 5), (0, 0, "1e1", 5), (0, 0, 0, 5), (-1, 0, 5, 5), (6, 0, 5, 5), (0, 16, 10, 5)],
)
def test_bounds_that_are_none(bounds):
    opened = SimpleNamespace(dimensions=(10, 20), properties=dict(zip(slide.BOUNDS, map(str, bounds))))
    assert slide._scanned(opened) == (0, 0, 10, 20)


def test_an_ordinary_tiff_is_no_slide(tmp_path):
    assert not slide.is_slide(written(tmp_path / "a.tif", TISSUE, photometric="rgb"))
    assert not slide.is_slide(written(tmp_path / "b.tif", TISSUE, photometric="rgb", tile=(64, 64)))
