"""Every hard case in every format: count in is count out, and masks are equal to the pixel."""

import io
import zipfile

import numpy as np
import pytest
import shapely
from export_cases import MAKERS, READERS, case, cells, coco, features, mask_of, result, rois, speckled, strict
from PIL import Image as PillowImage
from roifile import ImagejRoi
from shapely.geometry import shape

from sac.export import FILES, nuclei_csv, rois_zip, summary_csv


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", MAKERS)
def test_a_reader_that_knows_nothing_of_this_gets_the_label_map(name, reader):
    made = case(name)
    assert np.array_equal(READERS[reader](made), made.found.labels)


@pytest.mark.parametrize("name", MAKERS)
def test_every_file_counts_the_same_nuclei(name):
    made = case(name)
    numbers = made.found.numbers.tolist()
    header, *rows = cells(nuclei_csv(made))
    areas = [int((made.found.labels == number).sum()) for number in numbers]
    assert [(int(row[0]), int(row[header.index("area_px")])) for row in rows] == list(zip(numbers, areas))
    assert [f["properties"]["name"] for f in features(made)] == [f"nucleus {number}" for number in numbers]
    assert len(rois(made)) == len(coco(made).anns) == len(numbers)
    header, row = cells(summary_csv(made))
    assert int(row[header.index("nuclei")]) == len(numbers)


def test_more_nuclei_than_16_bits_can_number():
    """Each file made once, and read faster than with the readers: pixel by pixel where one of the last nuclei lies."""
    made = result(speckled())
    numbers, last = made.found.numbers.tolist(), 65_590
    (y,), (x,) = np.nonzero(made.found.labels == last)
    assert np.array_equal(READERS["TIFF"](made), made.found.labels)
    assert np.array_equal(READERS["GeoJSON"](made), made.found.labels)
    assert [int(row[0]) for row in cells(nuclei_csv(made))[1:]] == numbers
    with zipfile.ZipFile(io.BytesIO(rois_zip(made))) as archive:
        roi = ImagejRoi.frombytes(archive.read(f"{last}-{y:04d}-{x:04d}.roi"))
        assert len(set(archive.namelist())) == 65_600
    assert (roi.left, roi.top, roi.right, roi.bottom) == (x, y, x + 1, y + 1)
    read = coco(made)
    assert list(read.anns) == numbers and {annotation["area"] for annotation in read.anns.values()} == {1}
    assert np.argwhere(mask_of(read, read.anns[last])).tolist() == [[y, x]]


@pytest.mark.parametrize("name", MAKERS)
def test_geometry_is_valid_and_its_rings_are_closed(name):
    for feature in features(case(name)):
        geometry = feature["geometry"]
        assert shape(geometry).is_valid, shapely.is_valid_reason(shape(geometry))
        for piece in [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]:
            assert all(ring[0] == ring[-1] and len(ring) >= 5 for ring in piece)


@pytest.mark.parametrize("name", MAKERS)
def test_no_file_holds_what_is_no_number(name):
    made = case(name)
    for ending in FILES:
        if ending.endswith("json"):
            strict(FILES[ending](made))
    for raw in (nuclei_csv(made), summary_csv(made)):
        header, *rows = cells(raw)
        assert len(set(header)) == len(header)
        for row in rows:
            assert len(row) == len(header)
            assert not {cell.lower() for cell in row} & {"nan", "inf", "-inf", "none", "null"}


@pytest.mark.parametrize("name", MAKERS)
def test_every_picture_is_one_and_those_of_the_picture_are_as_large(name):
    made = case(name)
    for ending in [ending for ending in FILES if ending.endswith("png")]:
        raw = FILES[ending](made)
        PillowImage.open(io.BytesIO(raw)).verify()  # every chunk's checksum
        with PillowImage.open(io.BytesIO(raw)) as picture:
            picture.load()
            assert picture.format == "PNG" and set(picture.info) <= {"Software", "dpi"}
            assert ending == "areas.png" or picture.size == made.image.size[::-1]
