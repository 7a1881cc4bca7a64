"""COCO annotations, as pycocotools reads them."""

import numpy as np
import pytest
from export_cases import AREAS, case, coco, nothing, result
from pycocotools import mask as rle

from sac.export.coco import _counts


def test_annotations_say_number_area_box_and_score():
    read = coco(result())
    annotations = [read.anns[number] for number in (1, 2, 3, 4)]
    assert [a["area"] for a in annotations] == AREAS
    assert [a["bbox"] for a in annotations] == [[5, 5, 10, 10], [15, 8, 10, 4], [49, 39, 1, 1], [20, 20, 10, 10]]
    assert [a["score"] for a in annotations] == pytest.approx([0.9, 0.8, 0.7, 0.6])
    assert {(a["image_id"], a["category_id"], a["iscrowd"]) for a in annotations} == {(1, 1, 0)}


@pytest.mark.parametrize("name", ["by hand", "noise", "numbers with gaps", "everything", "in pieces"])
def test_run_lengths_agree_with_what_they_say(name):
    for annotation in coco(case(name)).anns.values():
        packed = annotation["segmentation"]
        assert rle.area(packed) == annotation["area"] and rle.toBbox(packed).tolist() == annotation["bbox"]


def test_the_picture_and_the_category_are_told():
    read = coco(result(name="Gewebe ä 核.png"))
    assert read.loadImgs([1]) == [{"id": 1, "file_name": "Gewebe ä 核.png", "width": 50, "height": 40}]
    assert read.getCatIds(catNms=["nucleus"]) == [1] and read.getAnnIds(imgIds=[1]) == [1, 2, 3, 4]


def test_no_annotation_in_an_empty_picture():
    assert coco(nothing()).anns == {} and coco(nothing()).getImgIds() == [1]


def test_counts_run_down_the_columns_of_the_whole_picture():
    inside = np.array([[True, False], [True, True]])  # at (x, y) = (2, 1) of a picture 3 high and 5 wide
    assert _counts(inside, (slice(1, 3), slice(2, 4)), (3, 5)) == [7, 2, 2, 1, 3]


def test_what_reaches_from_edge_to_edge_is_met_as_pycocotools_meets_it():
    """Their own runs are never of no length; those of ours would make them lose count."""
    labels = np.zeros((40, 50), np.int32)
    labels[:, 10:30], labels[30:, 35:] = 1, 2
    masks = [annotation["segmentation"] for annotation in coco(result(labels)).anns.values()]
    assert masks == [own(labels == 1), own(labels == 2)]
    assert rle.iou([own((labels == 1) & (np.arange(50) < 20))], masks, [0, 0]).tolist() == [[0.5, 0.0]]


def own(inside: np.ndarray) -> dict:
    """A mask as pycocotools encodes it."""
    packed = rle.encode(np.asfortranarray(inside.astype(np.uint8)))
    return {"size": packed["size"], "counts": packed["counts"].decode()}
