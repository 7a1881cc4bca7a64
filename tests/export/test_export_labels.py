"""The label map as a TIFF, read back."""

import io
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from export_cases import SIZE, result
from PIL import Image as PillowImage

from sac.export import label_tiff


def test_another_reader_sees_the_same_labels():
    made = result()
    assert np.array_equal(np.array(PillowImage.open(io.BytesIO(label_tiff(made)))), made.found.labels)


@pytest.mark.parametrize("count, kind", [(65_535, np.uint16), (65_536, np.uint32)])
def test_labels_widen_when_there_are_too_many(count, kind):
    labels = np.zeros((260, 260), np.int32)
    labels.ravel()[:count] = np.arange(1, count + 1)
    read = tifffile.imread(io.BytesIO(label_tiff(result(labels))))
    assert read.dtype == kind and np.array_equal(read, labels)


def test_labels_widen_for_a_high_number_of_few_nuclei():
    labels = np.zeros(SIZE, np.int32)
    labels[3:9, 3:9] = 65_536
    one = replace(result((labels > 0).astype(np.int32)).found, labels=labels, numbers=np.array([65_536]))
    read = tifffile.imread(io.BytesIO(label_tiff(replace(result(), found=one))))
    assert read.dtype == np.uint32 and np.array_equal(read, labels)


def test_the_label_map_knows_its_pixel_size():
    with tifffile.TiffFile(io.BytesIO(label_tiff(result(microns=0.25)))) as tiff:
        tags = tiff.pages[0].tags
        over, under = tags["XResolution"].value
        assert (over / under, tags["YResolution"].value) == (40_000, (over, under))  # pixels per centimetre
        assert tags["ResolutionUnit"].value == 3
