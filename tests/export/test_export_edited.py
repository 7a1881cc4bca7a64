"""After edits, every file carries the session's numbers and facts: gaps, boxes, points set by hand, origins."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from export_cases import READERS, cells, coco, features, result, rois, strict

from sac.export import label_tiff, nuclei_csv, prompts_json, summary_csv
from sac.inference import edits
from sac.inference.session import Point, Session
from sac.prompts import NEGATIVE

GAPS = [1, 3, 4, 6]  # 5: the row that was asked in vain
CERTAINTIES = [0.9, 0.7, 0.6, 0.6]
ORIGINS = ["automatic", "automatic", "edited", "edited"]


@pytest.fixture(scope="module")
def edited():
    """Nucleus 2 deleted, 4 cut into 4 and 6, 1 with a point and a box set by hand: 1, 3, 4 and 6 are left."""
    made = result()
    session = edits.deleted(Session.begin(made.found, made.options), [2])
    session = edits.split(session, [(20, 26), (22, 26)])  # 10 rows of 2 pixels: 6 | cut | 3 and the bar below
    session, point = session.with_point(Point(7.125, 12, NEGATIVE, by_hand=True))
    row = session.rows[1]
    row = replace(row, points=(*row.points, (point, NEGATIVE)), box=(4.1, 5.0, 15.5, 15.0))
    return replace(made, found=replace(session, rows={**session.rows, 1: row}).instances())


@pytest.mark.parametrize("reader", READERS)
def test_masks_carry_the_sessions_numbers(edited, reader):
    labels = READERS[reader](edited)
    assert np.unique(labels).tolist() == [0, *GAPS] and np.array_equal(labels, edited.found.labels)


def test_tables_and_prompts_carry_the_sessions_numbers(edited):
    labels, read = tifffile.imread(io.BytesIO(label_tiff(edited))), pd.read_csv(io.BytesIO(nuclei_csv(edited)))
    assert read["nucleus"].tolist() == GAPS
    assert read["area_px"].tolist() == [(labels == number).sum() for number in GAPS]
    told = strict(prompts_json(edited))["prompts"]
    assert [row["nucleus"] for row in told] == [1, 3, 4, None]
    assert told[2]["points"][0] == {"x": 20, "y": 25, "label": 1, "by_hand": False}


def test_facts_stay_with_their_numbers(edited):
    read = pd.read_csv(io.BytesIO(nuclei_csv(edited)))
    assert read["certainty"].tolist() == pytest.approx(CERTAINTIES)
    assert read["stability"].tolist() == pytest.approx([0.8, 0.6, 0.5, 0.5])
    measured = [feature["properties"]["measurements"]["certainty"] for feature in features(edited)]
    assert measured == pytest.approx(CERTAINTIES)
    annotations = coco(edited).anns
    assert [annotations[number]["score"] for number in GAPS] == pytest.approx(CERTAINTIES)


def test_each_file_says_how_a_nucleus_came_about(edited):
    assert pd.read_csv(io.BytesIO(nuclei_csv(edited)))["origin"].tolist() == ORIGINS
    assert [annotation["origin"] for annotation in coco(edited).anns.values()] == ORIGINS
    classes = [feature["properties"]["classification"]["name"] for feature in features(edited)]
    assert classes == ["Nucleus", "Nucleus", "Nucleus: edited", "Nucleus: edited"]
    assert [roi.props.splitlines()[1] for roi in rois(edited).values()] == [f"Origin: {o}" for o in ORIGINS]
    header, row = cells(summary_csv(edited))
    counts = dict(zip(header, row))
    assert (counts["automatic"], counts["clicked"], counts["edited"]) == ("2", "0", "2")


def test_what_was_accepted_is_in_both_tables(edited):
    session = Session.begin(edited.found, edited.options)
    reviewed = replace(edited, found=edits.accepted(session, 3).instances())
    assert pd.read_csv(io.BytesIO(nuclei_csv(reviewed)))["accepted"].tolist() == [0, 1, 0, 0]
    header, row = cells(summary_csv(reviewed))
    assert dict(zip(header, row))["accepted"] == "1"


def test_points_by_hand_and_boxes_are_told(edited):
    first, second, *_ = strict(prompts_json(edited))["prompts"]
    assert first["points"][-1] == {"x": 7.12, "y": 12, "label": 0, "by_hand": True}
    assert [point["by_hand"] for point in first["points"]] == [False, False, True]
    assert first["box"] == [4.1, 5, 15.5, 15] and "box" not in second
