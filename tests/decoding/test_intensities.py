"""Values of every type become RGB of 8 bit by rules that notes state: percentiles, colours of channels, white glass."""

import numpy as np
import pytest

from sac.config import View
from sac.decoding.decoded import Decoded
from sac.errors import ImageError
from sac.intensities import PERCENTILES, to_rgb


def rgb(values, view=View(), **facts):
    """(pixels, channel, notes as one text) of values (H, W) or (H, W, C)."""
    values = np.asarray(values)
    pixels, channel, notes = to_rgb(Decoded(values if values.ndim == 3 else values[..., None], **facts), view, "a.tif")
    assert pixels.dtype == np.uint8 and pixels.shape == (*values.shape[:2], 3) and pixels.flags.c_contiguous
    return pixels, channel, "; ".join(notes)


THOUSAND = np.arange(1001).reshape(7, 143)
"""0 to 1000, of which 0.1 % lies below 1 and 0.1 % above 999."""


@pytest.mark.parametrize(
    "kind", ["uint16", "int16", "uint32", "int32", "uint64", "int64", "float16", "float32", "float64"]
)
def test_percentiles_become_black_and_white(kind):
    pixels, channel, notes = rgb(THOUSAND.astype(kind))
    expected = 255 * (THOUSAND.clip(1, 999) - 1) / 998
    assert np.abs(pixels - expected[..., None]).max() <= 0.5 + 1e-9 and channel == -1
    assert notes == f"{kind} intensities from 1 to 999 ({PERCENTILES[0]} to {PERCENTILES[1]} %) were mapped to 0 to 255"


@pytest.mark.parametrize(
    "kind, offset, scale",
    [
        ("int8", -100, 200),
        ("int16", -32768, 65535),
        ("int32", -(2**31), 2**32 - 1),
        ("float64", -1e300, 2e300),
        ("float64", 0, 1e-300),
        ("uint64", 0, 2**63),
    ],
)
def test_a_range_of_any_place_and_width(kind, offset, scale):
    ramp = (offset + scale * np.linspace(0, 1, 5000).reshape(50, 100)).astype(kind)
    pixels, _, notes = rgb(ramp)
    assert pixels.min() == 0 and pixels.max() == 255 and kind in notes
    assert np.abs(pixels[..., 0].ravel() - np.linspace(0, 255, 5000)).max() < 3


@pytest.mark.filterwarnings("error")
def test_real_numbers_near_the_end_of_their_type():
    values = np.full((10, 10), 1.0)
    values[0, 0], values[9, 9] = -1.7e308, 1.7e308
    assert set(np.unique(rgb(values)[0])) <= {0, 127, 128, 255}


def test_8_bit_stays_as_it_is():
    values = np.arange(100, 124, dtype=np.uint8).reshape(2, 4, 3)
    assert np.array_equal(rgb(values)[0], values) and rgb(values)[2] == ""


def test_all_bands_are_mapped_by_one_rule_so_that_colours_keep_their_hue():
    values = np.zeros((40, 50, 3), np.uint16)
    values[..., 0] = np.arange(2000).reshape(40, 50)  # red up to 1999, green up to half of it, no blue
    values[..., 1] = values[..., 0] // 2
    pixels = rgb(values)[0].astype(int)
    assert pixels[..., 0].max() == 255 and 126 <= pixels[..., 1].max() <= 129 and pixels[..., 2].max() == 0


def test_a_speck_in_the_dark_keeps_its_shades():
    """Fewer pixels than the percentiles leave out."""
    values = np.zeros((200, 200), np.uint16)
    values[100, 100:104] = 100, 200, 300, 400
    pixels, _, notes = rgb(values)
    assert (
        pixels[100, 100:104, 0].tolist() == [64, 128, 191, 255] and "from 0 to 400 (the least to the greatest)" in notes
    )


@pytest.mark.parametrize("kind", ["uint16", "int16", "uint32", "float32", "float64", "int8"])
@pytest.mark.filterwarnings("error")
def test_a_flat_picture_is_flat(kind):
    assert not rgb(np.full((8, 8), 3, kind))[0].any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_what_is_no_number_is_black_or_white_and_told(kind):
    values = np.linspace(0, 1, 100).reshape(10, 10).astype(kind)
    values[2, 3], values[4, 5], values[6, 7] = np.nan, -np.inf, np.inf
    pixels, _, notes = rgb(values)
    assert (pixels[2, 3, 0], pixels[4, 5, 0], pixels[6, 7, 0]) == (0, 0, 255)
    assert int(pixels[5, 0, 0]) == pytest.approx(129, abs=2)  # 50 / 99 of 255
    assert "values that are not finite are black, +infinity is white" in notes
    assert "finite" not in rgb(np.ones((4, 4), kind))[2]
    assert not rgb(np.full((4, 4), np.nan, kind))[0].any()


# Channels

EIGHT = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0], [100, 0, 0]]], np.uint8)
"""One row: the first channel alone, the second, the third, the first two together, a faint first."""


def test_channels_lie_over_each_other_in_the_usual_colours():
    pixels, channel, notes = rgb(EIGHT, kind="channels", channels=("", "", ""))
    assert pixels[0].tolist() == [[0, 0, 255], [0, 255, 0], [255, 0, 0], [0, 255, 255], [0, 0, 100]] and channel == -1
    assert notes == "3 channels were laid over each other in colours"


def test_channels_have_the_colours_that_the_file_says():
    pixels = rgb(EIGHT, kind="channels", colours=((255, 0, 255), (255, 255, 0), (0, 51, 0)))[0]
    assert pixels[0].tolist() == [[255, 0, 255], [255, 255, 0], [0, 51, 0], [255, 255, 255], [100, 0, 100]]


def test_more_channels_than_colours():
    values = np.zeros((1, 9, 9), np.uint8)
    values[0, np.arange(9), np.arange(9)] = 255
    pixels = rgb(values, kind="channels")[0][0]
    assert np.array_equal(pixels[7:], pixels[:2]) and len(np.unique(pixels, axis=0)) == 7


def test_each_deep_channel_has_its_own_range():
    values = np.stack([THOUSAND, THOUSAND * 60, THOUSAND], axis=-1).astype(np.uint16)
    pixels, _, notes = rgb(values, kind="channels")
    assert np.array_equal(pixels[..., 0], pixels[..., 1]) and np.array_equal(pixels[..., 1], pixels[..., 2])
    assert "each from 0.1 to 99.9 % of its uint16 intensities" in notes


@pytest.mark.parametrize(
    "name", ["DAPI", "Hoechst 33342", "dapi (405)", "Nuclei", "DRAQ5", "SYTOX Green", "H2B-mCherry"]
)
def test_a_nuclear_stain_is_shown_alone(name):
    pixels, channel, notes = rgb(EIGHT, kind="channels", channels=("GFP", name, "actin"))
    assert channel == 2 and np.array_equal(pixels[..., 0], EIGHT[..., 1])
    assert notes == f"channel 2 of 3 is shown, the one that is called {name}"


def test_the_user_s_choice_goes_before_the_stain():
    names = ("GFP", "DAPI", "actin")
    pixels, channel, notes = rgb(EIGHT, View(channel=3), kind="channels", channels=names)
    assert channel == 3 and np.array_equal(pixels[..., 0], EIGHT[..., 2]) and notes == "channel 3 of 3 is shown: actin"
    assert rgb(EIGHT, View(channel=-1), kind="channels", channels=names)[1:] == (
        -1, "3 channels were laid over each other in colours",
    )  # fmt: skip
    with pytest.raises(ImageError, match="a.tif has 3 channels; there is no 4"):
        rgb(EIGHT, View(channel=4), kind="channels", channels=names)


def test_one_band_of_colours_can_be_shown():
    pixels, channel, notes = rgb(EIGHT, View(channel=1))
    assert np.array_equal(pixels[..., 2], EIGHT[..., 0]) and (channel, notes) == (1, "channel 1 of 3 is shown")


# Opacity


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("kind, full", [("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1), ("float32", 1.0)])
def test_glass_is_laid_on_white(kind, full, bands):
    """Black under full, no and a fifth of opacity: 255 x 4 / 5 = 204."""
    values = np.zeros((2, 3, bands + 1), kind)
    values[..., -1] = [full, 0, full // 5 if kind != "float32" else 0.2]
    pixels, _, notes = rgb(values, alpha=True)
    assert pixels[1, :, 0].tolist() == [0, 255, 204] and "transparent parts were laid on white" in notes


def test_full_opacity_changes_nothing_and_none_at_all_is_left_out():
    values = np.dstack([np.full((2, 2), 100), np.full((2, 2), 255)]).astype(np.uint8)
    assert (rgb(values, alpha=True)[0] == 100).all() and rgb(values, alpha=True)[2] == ""
    values[..., 1] = 0
    assert (rgb(values, alpha=True)[0] == 100).all()
    assert rgb(values, alpha=True)[2] == "its alpha channel is zero everywhere and was left out"


def test_a_channel_s_number_does_not_count_opacity():
    with pytest.raises(ImageError, match="a.tif has 1 channels; there is no 2"):
        rgb(np.zeros((2, 2, 2), np.uint8), View(channel=2), alpha=True)
