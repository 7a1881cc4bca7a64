"""The same picture in many types of pixel is the same picture, and has the same nuclei."""

import numpy as np
import PIL.Image
import pytest
from files import content_of, saved, written
from imagecodecs import png_encode

from sac import hub
from sac.images import read_image
from sac.inference.segment import segment
from sac.metrics import iou_matrix
from sac.ui.examples import generated_field, stained_tissue

pytestmark = pytest.mark.usefixtures("here")


def field():
    """(128, 128) uint8: some twenty bright nuclei; 0.1 % of it lies below 0 and above 255, so that all types show it alike."""
    light = generated_field(seed=5, side=128, count=14).pixels[..., 0].astype(float)
    low, high = np.percentile(light, (0.1, 99.9))
    return np.round((light - low) / (high - low) * 255).clip(0, 255).astype(np.uint8)


def tissue():
    """(160, 160, 3) uint8: stained colon."""
    return stained_tissue().pixels[180:340, 180:340]


def tiff(pixels, **settings):
    return lambda folder: written(folder / "a.tif", pixels, **settings)


def png(pixels):
    return lambda folder: saved(folder / "a.png", pixels)


def deep_png(pixels):
    return lambda folder: content_of(folder / "a.png", png_encode(np.ascontiguousarray(pixels)))


def full(like):
    """Full opacity in the type of `like`."""
    return np.full(like.shape[:2], np.iinfo(like.dtype).max, like.dtype)


GREY, WIDE = field(), field().astype(np.int64)
BY_TYPE = {
    "uint8 PNG": png(GREY),
    "uint8 TIFF": tiff(GREY),
    "uint16 PNG": deep_png(WIDE.astype(np.uint16) * 257),
    "uint16 TIFF": tiff(WIDE.astype(np.uint16) * 257),
    "uint16 of 12 bit on a pedestal": tiff((WIDE * 10 + 100).astype(np.uint16)),
    "12 bit packed": tiff((WIDE * 16).astype(np.uint16), bitspersample=12),
    "int8": tiff((WIDE - 128).astype(np.int8)),
    "int16": tiff((WIDE * 100 - 20_000).astype(np.int16), byteorder=">"),
    "uint32": tiff((WIDE * 16_000_000).astype(np.uint32)),
    "int32": tiff((WIDE * 1000 - 70_000).astype(np.int32)),
    "float16": tiff((GREY / 255).astype(np.float16)),
    "float32": tiff((GREY / 255).astype(np.float32), compression="zlib", predictor=3),
    "float64": tiff(GREY * 1e-9),
    "white is zero": tiff(255 - GREY, photometric="miniswhite"),
    "grey and opacity": png(np.dstack([GREY, full(GREY)])),
    "RGB": png(np.dstack([GREY] * 3)),
    "RGB and opacity, 16 bit": deep_png((np.dstack([GREY] * 3 + [full(GREY)])).astype(np.uint16) * 257),
    "palette": png(PIL.Image.fromarray(GREY).convert("P")),
    "planar, 16 bit": tiff(np.stack([WIDE.astype(np.uint16) * 257] * 3), photometric="rgb", planarconfig="separate"),
    "OME, DAPI among others": tiff(
        np.stack([WIDE[::-1], WIDE * 16, WIDE.T]).astype(np.uint16),
        ome=True, metadata={"axes": "CYX", "Channel": {"Name": ["GFP", "DAPI", "actin"]}},
    ),
    "ImageJ, the middle of three z": tiff(np.stack([WIDE[::-1], WIDE * 16, WIDE.T]).astype(np.uint16), imagej=True, metadata={"axes": "ZYX"}),
    "JPEG 2000": tiff(GREY, compression="jpeg2000", tile=(64, 64)),
}  # fmt: skip


@pytest.mark.parametrize("kind", BY_TYPE)
def test_every_type_shows_the_same_picture(tmp_path, kind):
    pixels = read_image(BY_TYPE[kind](tmp_path)).pixels
    assert np.abs(pixels.astype(int) - GREY[..., None]).max() <= 1


TISSUE = tissue()
OF_TISSUE = {
    "uint16 PNG": deep_png(TISSUE.astype(np.uint16) * 257),
    "uint16 TIFF of 12 bit": tiff(TISSUE.astype(np.uint16) * 16, photometric="rgb"),
    "float32": tiff((TISSUE / 255).astype(np.float32), photometric="rgb"),
    "RGB and opacity": png(np.dstack([TISSUE, full(TISSUE)])),
    "planar": tiff(np.moveaxis(TISSUE, -1, 0), photometric="rgb", planarconfig="separate"),
    "CMYK": lambda folder: saved(folder / "a.tif", PIL.Image.fromarray(TISSUE).convert("CMYK")),
}


@pytest.mark.parametrize("kind", OF_TISSUE)
def test_colours_are_the_same_but_for_the_stretch_of_deep_ones(tmp_path, kind):
    """0.1 to 99.9 % of this tissue's intensities reach from `low` to `high`: deep types are drawn to 0 and 255."""
    pixels = read_image(OF_TISSUE[kind](tmp_path)).pixels.astype(float)
    low, high = np.percentile(TISSUE, (0.1, 99.9)) if "16" in kind or "32" in kind else (0, 255)
    assert np.abs(pixels - ((TISSUE - low) / (high - low) * 255).clip(0, 255)).max() <= 1


@pytest.fixture(scope="module")
def nuclei():
    return hub.load("nuclei")


@pytest.fixture(scope="module")
def truth(nuclei, tmp_path_factory):
    """Labels of the field as PNG of 8 bit."""
    return segment(read_image(png(GREY)(tmp_path_factory.mktemp("truth"))), nuclei).labels


@pytest.mark.parametrize("kind", ["uint16 of 12 bit on a pedestal", "int16", "float32", "OME, DAPI among others"])
def test_every_type_has_the_same_nuclei(tmp_path, nuclei, truth, kind):
    found = segment(read_image(BY_TYPE[kind](tmp_path)), nuclei).labels
    agreement = iou_matrix(truth, found)
    assert agreement.shape[0] == agreement.shape[1] >= 8
    assert agreement.max(axis=1).min() > 0.9


def test_a_dim_picture_of_8_bit_has_the_nuclei_that_it_has_in_16(tmp_path, nuclei):
    """Pixels of 8 bit are not stretched, those of 16 are: the model stretches both."""
    dim = GREY // 4
    shallow, deep = (read_image(tiff(values)(tmp_path)) for values in (dim, dim.astype(np.uint16) * 257))
    assert shallow.pixels.max() == 63 and deep.pixels.max() == 255
    agreement = iou_matrix(segment(shallow, nuclei).labels, segment(deep, nuclei).labels)
    assert agreement.shape[0] == agreement.shape[1] >= 8 and agreement.max(axis=1).min() > 0.9
