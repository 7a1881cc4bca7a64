"""Label images and binary masks become label maps; everything else is refused in one sentence."""

import numpy as np
import PIL.Image
import pytest
import tifffile
from files import picture, saved, written

from sac.errors import ImageError
from sac.labels import read_label_image, read_labels


def numbered(height=24, width=32):
    """Three nuclei, 1 to 3; the second and third touch."""
    labels = np.zeros((height, width), np.uint16)
    labels[2:8, 3:9], labels[12:20, 4:12], labels[12:20, 12:18] = 1, 2, 3
    return labels


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32", "uint32", "float32"])
@pytest.mark.parametrize("settings", [{}, {"compression": "zlib"}, {"byteorder": ">"}])
def test_a_label_tiff_comes_back(tmp_path, kind, settings):
    labels = read_labels(written(tmp_path / "truth.tif", numbered().astype(kind), **settings), (24, 32))
    assert labels.dtype == np.int32 and np.array_equal(labels, numbered())


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_a_label_png_comes_back(tmp_path, kind):
    assert np.array_equal(read_labels(saved(tmp_path / "truth.png", numbered().astype(kind)), (24, 32)), numbered())


def test_numbers_with_gaps_are_closed_up(tmp_path):
    sparse = np.array([0, 7, 300, 65535], np.uint16)[numbered()]
    assert np.array_equal(read_labels(written(tmp_path / "truth.tif", sparse), (24, 32)), numbered())


def test_a_label_in_two_pieces_stays_one_nucleus(tmp_path):
    labels = numbered()
    labels[22:24, 28:32] = 1
    assert np.array_equal(read_labels(written(tmp_path / "truth.tif", labels), (24, 32)), labels)


def test_labels_without_background(tmp_path):
    full = np.repeat([[4, 5, 9]], 6, axis=0).astype(np.uint8)
    labels = read_labels(saved(tmp_path / "truth.png", full), (6, 3))
    assert labels.tolist() == [[1, 2, 3]] * 6


@pytest.mark.parametrize("white", [255, 1])
@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_each_component_of_a_binary_mask_is_a_nucleus(tmp_path, white, ending):
    mask = (numbered() > 0) * np.uint8(white)
    labels = read_labels(saved(tmp_path / f"mask.{ending}", mask), (24, 32))
    assert np.array_equal(labels, np.minimum(numbered(), 2)) and labels.dtype == np.int32


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_a_mask_of_one_bit(tmp_path, ending):
    labels = read_labels(saved(tmp_path / f"mask.{ending}", PIL.Image.fromarray(numbered() > 0)), (24, 32))
    assert np.array_equal(labels, np.minimum(numbered(), 2))


def test_pixels_that_meet_at_a_corner_are_two_nuclei(tmp_path):
    mask = np.array([[255, 0], [0, 255]], np.uint8)
    assert read_labels(saved(tmp_path / "mask.png", mask), (2, 2)).tolist() == [[1, 0], [0, 2]]


@pytest.mark.parametrize("values", [(1, 2), (2, 1), (255, 100), ((68, 1, 84), (253, 231, 37))])
def test_of_two_values_that_are_not_0_the_one_along_the_border_is_background(tmp_path, values):
    """(ground, nuclei), as MATLAB numbers its classes, and in the colours that matplotlib paints a mask in."""
    mask = np.array(values, np.uint8)[(numbered() > 0).astype(int)]
    mask[2:8, :9] = values[1]  # a nucleus that reaches the border
    found = read_label_image(saved(tmp_path / "mask.png", mask))
    expected = np.minimum(numbered(), 2)
    expected[2:8, :9] = 1
    assert np.array_equal(found.labels, expected) and found.is_binary


def test_an_empty_mask_and_a_full_one(tmp_path):
    for value, expected in ((0, 0), (255, 1)):
        labels = read_labels(saved(tmp_path / "mask.png", np.full((5, 4), value, np.uint8)), (5, 4))
        assert (labels == expected).all() and labels.shape == (5, 4)


@pytest.mark.parametrize("alpha", [False, True])
def test_each_colour_is_a_nucleus(tmp_path, alpha):
    colours = np.array([[0, 0, 0], [0, 0, 200], [0, 200, 0], [200, 0, 0]], np.uint8)[numbered()]
    if alpha:
        colours = np.dstack([colours, np.full((24, 32), 255, np.uint8)])
    assert np.array_equal(read_labels(saved(tmp_path / "colours.png", colours), (24, 32)), numbered())


def test_colours_that_agree_in_two_of_three_bands_are_told_apart(tmp_path):
    colours = np.array([[0, 0, 0], [9, 9, 1], [9, 9, 2], [10, 9, 1]], np.uint8)[numbered()]
    assert np.array_equal(read_labels(saved(tmp_path / "colours.png", colours), (24, 32)), numbered())


def test_a_palette_of_colours(tmp_path):
    indexed = PIL.Image.fromarray(numbered().astype(np.uint8), "P")
    indexed.putpalette([0, 0, 0, 0, 0, 200, 0, 200, 0, 200, 0, 0] + [0] * 756)
    assert np.array_equal(read_labels(saved(tmp_path / "palette.png", indexed), (24, 32)), numbered())


def painted(first, others, entries=256):
    """A palette (3, entries) of 8 bit of that first colour and others, then black."""
    palette = np.zeros((entries, 3), np.uint8)
    palette[: 1 + len(others)] = [first, *others]
    return palette.T


@pytest.mark.parametrize("ending", ["png", "bmp", "tif"])
@pytest.mark.parametrize("ground", [(0, 0, 0), (255, 255, 255)])
def test_of_a_palette_the_numbers_count(tmp_path, ending, ground):
    """The first and the last nucleus are shown in the same red; the ground is 0, whatever its colour."""
    palette = painted(ground, [(200, 0, 0), (0, 0, 200), (200, 0, 0)])
    indexed = PIL.Image.fromarray(numbered().astype(np.uint8), "P")
    indexed.putpalette(palette.T.tobytes())
    path = saved(tmp_path / f"palette.{ending}", indexed)
    assert np.array_equal(read_labels(path, (24, 32)), numbered())


def test_of_a_palette_of_16_bit_numbers_the_numbers_count(tmp_path):
    many = numbered() * 1000
    settings = {"photometric": "palette", "colormap": painted((255, 255, 255), [], 65536).astype(np.uint16)}
    assert np.array_equal(read_labels(written(tmp_path / "palette.tif", many, **settings), (24, 32)), numbered())


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_of_a_palette_that_a_program_sorted_black_is_the_ground(tmp_path, ending):
    colours = [(200, 0, 0), (0, 0, 0), (0, 0, 200), (0, 200, 0)]
    indexed = PIL.Image.fromarray(np.array([1, 0, 2, 3], np.uint8)[numbered()], "P")
    indexed.putpalette(painted(colours[0], colours[1:]).T.tobytes())
    path = saved(tmp_path / f"palette.{ending}", indexed)
    assert np.array_equal(read_labels(path, (24, 32)), numbered())


IMAGEJ = "ImageJ=1.54f\nmin=0.0\nmax=255.0\n"


def test_a_mask_of_imagej_that_is_shown_inverted(tmp_path):
    """It writes 255 for what it found, and that white is zero."""
    mask = (numbered() > 0) * np.uint8(255)
    path = written(tmp_path / "mask.tif", mask, photometric="miniswhite", metadata=None, description=IMAGEJ)
    assert np.array_equal(read_labels(path, (24, 32)), np.minimum(numbered(), 2))


def test_a_mask_of_truths_that_tifffile_wrote(tmp_path):
    """It says that white is zero, and calls what is true 1."""
    tifffile.imwrite(tmp_path / "mask.tif", numbered() > 0)
    assert np.array_equal(read_labels(tmp_path / "mask.tif", (24, 32)), np.minimum(numbered(), 2))


@pytest.mark.parametrize("kind", ["uint8", "uint16"])
def test_labels_that_are_shown_inverted(tmp_path, kind):
    path = written(tmp_path / "truth.tif", numbered().astype(kind), photometric="miniswhite", metadata=None)
    assert np.array_equal(read_labels(path, (24, 32)), numbered())


@pytest.mark.parametrize("bits", [1, 8])
def test_a_mask_whose_white_is_zero_is_as_it_is_shown(tmp_path, bits):
    """As fax machines and scanners write it."""
    stored = numbered() == 0 if bits == 1 else (numbered() == 0) * np.uint8(255)
    path = written(tmp_path / "mask.tif", stored, photometric="miniswhite", metadata=None)
    assert np.array_equal(read_labels(path, (24, 32)), np.minimum(numbered(), 2))


def label_refusal(path, size=(24, 32), name=None):
    """The sentence with which a label file is refused; it names the file and nothing of the machine."""
    with pytest.raises(ImageError) as caught:
        read_labels(path, size, name)
    said = str(caught.value)
    assert said.startswith(name or path.name) and "\n" not in said and str(path.parent) not in said
    return said


def test_labels_of_another_size_are_refused(tmp_path):
    said = label_refusal(written(tmp_path / "truth.tif", numbered()), (32, 24))
    assert "(24, 32)" in said and "(32, 24)" in said
    assert "(25, 32)" in label_refusal(saved(tmp_path / "colours.png", picture(25, 32)))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, -1])
def test_values_that_are_no_labels_are_refused(tmp_path, odd):
    values = numbered().astype(np.float32)
    values[5, 5] = odd
    assert "no labels" in label_refusal(written(tmp_path / "truth.tif", values))


def test_negative_whole_numbers_are_refused(tmp_path):
    assert "no labels" in label_refusal(written(tmp_path / "truth.tif", -numbered().astype(np.int16)))


def test_probabilities_are_no_labels(tmp_path):
    probabilities = np.random.default_rng(0).random((24, 32)).astype(np.float32)
    assert "no labels" in label_refusal(written(tmp_path / "map.tif", probabilities))


def test_a_photograph_is_no_label_image(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    assert "photograph" in label_refusal(saved(tmp_path / "photo.png", noise), (400, 400))


def test_a_small_photograph_is_no_label_image_either(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)  # 40,000 pixels, nearly all distinct
    assert "photograph" in label_refusal(saved(tmp_path / "photo.png", noise), (200, 200))


@pytest.mark.parametrize("content", [b"", b"II*\0", b"\x89PNG\r\n\x1a\n", b"Dear colleague, the mask is attached."])
def test_labels_from_what_is_no_image(tmp_path, content):
    path = tmp_path / "letter.png"
    path.write_bytes(content)
    assert "PNG, JPEG, WebP, BMP, TIFF and whole-slide" in label_refusal(path)
    assert "no such file" in label_refusal(tmp_path / "nowhere.png")


def test_a_label_file_is_called_as_its_sender_called_it(tmp_path):
    label_refusal(written(tmp_path / "upload-1.tif", numbered()), (9, 9), name="mine.tif")


# What is doubtful


def test_a_binary_mask_and_a_jpeg_are_known_for_what_they_are(tmp_path):
    mask = (numbered() > 0) * np.uint8(255)
    for name, pixels, expected in (
        ("labels.png", numbered().astype(np.uint8), (False, False)),
        ("mask.png", mask, (True, False)),
        ("mask.jpg", mask, (True, True)),
        ("colour.jpg", np.dstack([mask] * 3), (True, True)),
        ("blank.jpg", mask * 0, (True, True)),
    ):
        found = read_label_image(saved(tmp_path / name, pixels))
        assert (found.is_binary, found.is_jpeg) == expected
        assert np.array_equal(found.labels > 0, pixels.reshape(24, 32, -1)[..., 0] > 0)


@pytest.mark.parametrize(
    "pixels", [numbered() * 40, picture(), numbered() + 20, np.dstack([numbered() * 80] * 3) * [1, 0, 0]]
)
def test_a_jpeg_of_more_than_black_and_white_is_refused(tmp_path, pixels):
    assert "PNG or TIFF" in label_refusal(saved(tmp_path / "smeared.jpg", pixels.astype(np.uint8)))


def resized(mask, factor, how=PIL.Image.Resampling.BILINEAR):
    """A mask (H, W) as programs magnify it: borders run through all greys."""
    picture = PIL.Image.fromarray(mask)
    return np.asarray(picture.resize((round(picture.width * factor), round(picture.height * factor)), how))


@pytest.mark.parametrize("how", [PIL.Image.Resampling.BILINEAR, PIL.Image.Resampling.BICUBIC])
@pytest.mark.parametrize("factor", [1.3, 2.4, 5])
@pytest.mark.parametrize("bands", [1, 3])
def test_a_mask_whose_borders_are_smeared_is_cut_at_half_intensity(tmp_path, how, factor, bands):
    smeared = resized((numbered() > 0) * np.uint8(255), factor, how)
    found = read_label_image(saved(tmp_path / "mask.png", np.dstack([smeared] * bands).squeeze()))
    assert len(np.unique(smeared)) > 9 and (found.is_binary, found.is_jpeg) == (True, False)
    assert np.array_equal(found.labels > 0, smeared > 127.5) and found.labels.max() == 2


def high(*numbers):
    """The three nuclei under other numbers."""
    return np.array([0, *numbers], np.uint8)[numbered()]


def with_slivers():
    """A crop of a large label image: a nucleus of a high number, and one pixel each of what lies beside it."""
    labels = np.zeros((24, 32), np.uint8)
    labels[4:20, 4:26], labels[0, 3:20], labels[23, 9:30], labels[20, 5:9] = 255, 200, 201, 202
    return labels


@pytest.mark.parametrize(
    "labels",
    [
        *(high(*numbers) for numbers in [(1, 2, 3), (85, 170, 255), (254, 255, 253), (7, 9, 200), (64, 255, 65)]),
        with_slivers(),
        np.arange(1, 256, dtype=np.uint8).reshape(15, 17).repeat(3, axis=0).repeat(3, axis=1),
        np.where(numbered() == 2, 255, np.arange(24 * 32).reshape(24, 32) % 97).astype(np.uint8),  # nuclei of a pixel
    ],
)
def test_a_label_image_is_never_taken_for_a_smeared_mask(tmp_path, labels):
    found = read_label_image(saved(tmp_path / "labels.png", labels))
    assert not found.is_binary
    assert found.labels.max() == len(np.unique(labels[labels > 0]))
