"""What every file says of how it was made, and that each says it once."""

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from export_cases import SIZE, case, cells, nothing, result, strict
from PIL import Image as PillowImage

from sac import __version__
from sac.config import SegmentOptions
from sac.export import FILES, coco_json, geojson, label_tiff, nuclei_csv, prompts_json, rois_zip, summary_csv

REGION = {"region": [1000, 2000, 50, 40], "plane": 3}


def told_by_json(made):
    with zipfile.ZipFile(io.BytesIO(rois_zip(made))) as archive:
        yield strict(archive.comment)
    yield strict(prompts_json(made))
    yield strict(geojson(made))["properties"]
    yield strict(coco_json(made))["info"]


def told_by_tables(made):
    for raw in (nuclei_csv(made), summary_csv(made)):
        header, row, *_ = cells(raw)
        yield dict(zip(header, row))


def test_every_json_says_what_it_was_made_with():
    for told in told_by_json(result(microns=0.5)):
        assert told["image"] == "cells.png" and told["model"] == "nuclei" and __version__ in told["software"]
        assert told["settings"]["mode"] == "instances" and told["settings"]["negatives"] == SegmentOptions().negatives
        assert told["micrometres_per_pixel"] == 0.5 and told["notes"] == ["a note"] and "place" not in told


def test_every_table_says_what_it_was_made_with():
    for told in told_by_tables(result()):
        assert told["image"] == "cells.png" and told["model"] == "nuclei" and __version__ in told["software"]
        assert json.loads(told["settings"])["mode"] == "instances"
        assert told["notes"] == "a note" and told["place"] == ""


def test_a_region_and_a_plane_are_told_everywhere():
    made = case("a region")
    assert [told["place"] for told in told_by_json(made)] == [REGION] * 4
    assert [json.loads(told["place"]) for told in told_by_tables(made)] == [REGION] * 2


def test_a_preview_says_which_part_of_its_file_it_shows_and_how_small():
    told = case("a preview").about()["place"]
    assert told == {"region": [0, 0, 125, 100], "downsample": 2.5}  # 50 x 40 pixels, each 2.5 of the file's


def test_a_channel_is_told_where_it_is_one_of_several():
    values = np.zeros((*SIZE, 3), np.uint16)
    assert result(values=values, channel=2).about()["place"] == {"channel": 2}
    assert "place" not in result(values=values).about()  # all of them, in colours
    assert "place" not in result(values=values[..., :1], channel=1).about()


def test_notes_of_the_picture_come_first_and_none_comes_twice():
    made = result()
    image = replace(made.image, notes=("turned", "cut"))
    found = replace(made.found, notes=("turned", "cut", "magnified"))
    assert replace(made, image=image, found=found).about()["notes"] == ["turned", "cut", "magnified"]


def test_only_the_last_size_of_a_pixel_that_a_user_named_is_told():
    made = result()
    first = made.image.sized(0.25)
    segmented = replace(made.found, notes=(*first.notes, "magnified"))
    told = replace(made, image=first.sized(0.5), found=segmented).about()
    assert told["micrometres_per_pixel"] == 0.5
    assert told["notes"] == ["a pixel is 0.5 µm, as the user says", "magnified"]


def test_pictures_and_labels_say_it_in_their_software_tag_and_say_nothing_else():
    made = result(model="modèle")
    with tifffile.TiffFile(io.BytesIO(label_tiff(made))) as tiff:
        tags = {tag.name: tag.value for tag in tiff.pages[0].tags}
    for ending in [ending for ending in FILES if ending.endswith("png")]:
        told = PillowImage.open(io.BytesIO(FILES[ending](made))).info
        assert told["Software"] == tags["Software"]
    assert tags["Software"].startswith(f"segment-any-cell {__version__}; mod\\xe8le; {{")
    assert json.loads(tags["Software"].split("; ", 2)[2])["mode"] == "instances"
    assert not set(tags) & {"ImageDescription", "DateTime", "Artist", "HostComputer", "ExifTag", "XMP"}


@pytest.mark.parametrize("numbers", [[1, 2, 3], [2, 5, 9]])
def test_ranks_have_no_gaps(numbers):
    labels = np.zeros((4, 4), np.int32)
    labels[0, :3] = numbers
    assert result(labels).ranks[0].tolist() == [1, 2, 3, 0] and not result(labels).ranks[1:].any()


def test_what_several_files_need_is_worked_out_once_and_anew_for_another_result():
    made = result()
    assert made.outlines is made.outlines and made.measurements is made.measurements
    assert len(replace(made, found=nothing().found).outlines) == 0
