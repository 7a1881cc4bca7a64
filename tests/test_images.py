"""A file becomes an Image: its pixels, its intensities, what they are called, where they lie, and notes of all changes."""

import numpy as np
import pytest
from files import grey, picture, saved, thrice, written

from sac.config import View
from sac.errors import ImageError
from sac.images import Image, Place, open_file, read_image


def test_a_picture_of_8_bit_is_itself(tmp_path):
    image = read_image(saved(tmp_path / "cells.png", picture()))
    assert np.array_equal(image.pixels, picture()) and image.values is image.pixels
    assert (image.name, image.size, image.notes, image.microns) == ("cells.png", (24, 32), (), None)
    assert (image.channels, image.planes, image.plane, image.channel) == (("red", "green", "blue"), ("",), 1, -1)
    assert image.place == Place((24, 32), (0, 0), 1.0) and image.nbytes == 24 * 32 * 3


def test_grey_is_repeated_and_held_once(tmp_path):
    image = read_image(saved(tmp_path / "grey.png", grey()))
    assert np.array_equal(image.pixels, thrice(grey())) and image.notes == () and image.channels == ("grey",)
    assert image.values.shape == (24, 32, 1) and np.shares_memory(image.values, image.pixels)


def test_deep_intensities_are_kept_beside_the_pixels(tmp_path):
    deep = grey().astype(np.uint16) * 20 + 7
    image = read_image(written(tmp_path / "deep.tif", deep))
    assert np.array_equal(image.values[..., 0], deep) and image.pixels.max() == 255
    assert len(image.notes) == 1 and image.nbytes == 24 * 32 * (3 + 2)


def test_channels_and_opacity_are_told_apart(tmp_path):
    channels = np.stack([grey(), grey() // 2])
    image = read_image(written(tmp_path / "two.tif", channels, metadata={"axes": "CYX"}))
    assert image.channels == ("", "") and image.channel == -1 and image.values.shape == (24, 32, 2)
    glass = read_image(saved(tmp_path / "glass.png", np.dstack([picture(), grey()])))
    assert glass.channels == ("red", "green", "blue") and np.array_equal(glass.values, picture())
    assert glass.pixels[0, 0].tolist() == [255, 255, 255] and "transparent parts were laid on white" in glass.notes


def test_a_region_knows_where_it_lies(tmp_path):
    path = saved(tmp_path / "cells.png", picture())
    image = read_image(path, view=View(region=(5, 3, 20, 10)))
    assert np.array_equal(image.pixels, picture()[3:13, 5:25]) and image.place == Place((24, 32), (5, 3), 1.0)
    assert image.notes == ("a region from (5, 3) on, of 32 x 24 pixels",)


def test_the_size_of_a_pixel_as_the_user_says(tmp_path):
    path = written(tmp_path / "sized.tif", grey(), resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
    assert read_image(path).microns == pytest.approx(0.25)
    told = read_image(path, view=View(microns=0.5))
    assert told.microns == 0.5 and told.notes == ("a pixel is 0.5 µm, as the user says",)
    assert told.sized(0.3).notes == ("a pixel is 0.3 µm, as the user says",) and told.sized(0.3).view.microns == 0.3


def test_a_file_is_called_as_its_sender_called_it(tmp_path):
    assert read_image(saved(tmp_path / "upload-1.png", picture()), "mine.png").name == "mine.png"
    (tmp_path / "upload-2.png").write_bytes(b"no")
    with pytest.raises(
        ImageError, match=r"^mine\.png is not an image that can be read; PNG, JPEG, WebP, BMP, TIFF and"
    ):
        read_image(tmp_path / "upload-2.png", "mine.png")
    with pytest.raises(ImageError, match=r"^nowhere\.png: no such file$"):
        open_file(tmp_path / "nowhere.png")


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)]
)
def test_an_image_checks_itself(pixels):
    with pytest.raises(ValueError, match="uint8"):
        Image("wrong", pixels)


def test_an_image_has_as_many_values_as_pixels():
    with pytest.raises(ValueError, match="values"):
        Image("wrong", np.zeros((4, 4, 3), np.uint8), values=np.zeros((4, 5, 1), np.uint16))
