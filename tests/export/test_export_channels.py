"""Brightness per nucleus, against the plain definition, and which pictures have stains."""

import numpy as np
import pytest
from export_cases import SIZE, case, labels_by_hand, result
from skimage.color import rgb2hed

from sac.export.channels import Running, brightness, channel_names, stains
from sac.images import Image

LABELS = labels_by_hand()


def told(made):
    return {one.name: one for one in brightness(made.image, made.ranks, len(made.found))}


def image(values, channels=()):
    return Image("x.png", np.zeros((*values.shape[:2], 3), np.uint8), values=values, channels=channels)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_mean_and_deviation_are_those_of_a_nucleus_pixels(kind):
    values = np.random.default_rng(0).integers(0, 250, (*SIZE, 2)).astype(kind)
    for channel, one in enumerate(told(result(values=values)).values()):
        for rank in range(4):
            own = values[..., channel][LABELS == rank + 1].astype(float)
            assert one.mean[rank] == pytest.approx(own.mean()) and one.deviation[rank] == pytest.approx(own.std())


def test_what_is_no_finite_number_is_left_out():
    values = np.ones((*SIZE, 1))
    values[5:10], values[10:15] = 3, np.nan  # nucleus 1: rows 5 to 9 count, without the hole's upper row of 3
    values[39, 49] = np.inf  # all of nucleus 3
    values[8, 15] = -np.inf  # one pixel of nucleus 2: 19 of 3, 20 no numbers
    (one,) = told(result(values=values)).values()
    assert one.mean.tolist() == pytest.approx([3, 3, np.nan, 1], nan_ok=True)
    assert one.deviation.tolist() == pytest.approx([0, 0, np.nan, 0], nan_ok=True)


def test_a_small_spread_on_a_great_offset_is_not_lost():
    rng = np.random.default_rng(0)
    values = 1e9 + rng.random((3, 1000))
    one = Running(2)
    for part in values:
        one.add(np.arange(1000) % 2, part)
    mean, deviation = one.result()
    assert deviation.tolist() == pytest.approx([values[:, 0::2].std(), values[:, 1::2].std()], rel=1e-6)
    assert mean.tolist() == pytest.approx([values[:, 0::2].mean(), values[:, 1::2].mean()], rel=1e-14)


def test_values_too_large_to_add_up_are_no_numbers_and_no_error():
    (one,) = told(result(values=np.full((*SIZE, 1), 1.7e308))).values()
    assert not np.isinf(np.round(one.mean[2])) and one.mean[2] == 1.7e308  # a single pixel
    assert not np.isfinite(one.mean[0])


@pytest.mark.parametrize(
    "channels, names",
    [
        (("DAPI", "GFP"), ("dapi", "gfp")),
        (("", ""), ("channel_1", "channel_2")),
        ((), ("channel_1", "channel_2")),
        (("DAPI", "dapi "), ("dapi", "dapi_2")),
        (("=HYPERLINK(\"x\")", "-1"), ("hyperlink_x", "1")),
        (("Café 405/450 nm", "核"), ("cafe_405_450_nm", "channel_2")),
        (("n" * 99, "n" * 98), ("n" * 40, "n" * 40 + "_2")),
        (("channel 2", ""), ("channel_2", "channel_2_2")),
    ],
)  # fmt: skip
def test_columns_names_are_plain_and_differ(channels, names):
    assert channel_names(image(np.zeros((2, 2, 2)), channels)) == names


def test_a_picture_without_values_of_its_own_has_red_green_and_blue():
    assert channel_names(result().image) == ("red", "green", "blue")


def test_stains_are_scikit_images():
    every = np.random.default_rng(0).integers(0, 256, (5000, 3), np.uint8)
    every[0], every[1] = 0, 255
    assert stains(every) == pytest.approx(rgb2hed(every)[:, :2], abs=1e-12)


def tissue(background=(225, 190, 215), nuclei=(110, 70, 150)):
    pixels = np.full((*SIZE, 3), background, np.uint8)
    pixels[LABELS > 0] = nuclei
    return result(pixels=pixels)


def test_stained_tissue_has_haematoxylin_and_eosin():
    read = told(tissue())
    assert list(read) == ["red", "green", "blue", "haematoxylin", "eosin"]
    expected = rgb2hed(np.array([[110, 70, 150]], np.uint8))[0]
    assert read["haematoxylin"].mean.tolist() == pytest.approx([expected[0]] * 4)
    assert read["eosin"].mean.tolist() == pytest.approx([expected[1]] * 4)


@pytest.mark.parametrize(
    "made",
    [
        tissue(background=(20, 10, 60)),  # fluorescence in colours
        tissue(background=(200, 200, 200), nuclei=(90, 90, 90)),  # bright, but grey
        result(values=np.full((*SIZE, 3), (225, 190, 215), np.uint8), channels=("a", "b", "c")),  # three stains, not RGB
        result(values=np.full((*SIZE, 3), (225, 190, 215), np.uint16), channels=("red", "green", "blue")),
    ],
)  # fmt: skip
def test_other_pictures_have_no_stains(made):
    assert not {"haematoxylin", "eosin"} & set(told(made))


def test_nothing_found_has_channels_all_the_same():
    assert [len(one.mean) for one in told(case("five channels, nothing found")).values()] == [0] * 5
