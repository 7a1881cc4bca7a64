"""Results worked out by hand, the hard cases of exporting, and readers that know nothing of this program."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import warnings
import zipfile
from dataclasses import replace
from functools import cache

import numpy as np
import tifffile
from affine import Affine
from pycocotools.coco import COCO
from rasterio.features import rasterize
from roifile import ImagejRoi
from skimage.draw import polygon2mask

from sac.config import SegmentOptions
from sac.export import Result, coco_json, geojson, label_tiff, rois_zip
from sac.images import Image, Place
from sac.inference.instances import Instances
from sac.prompts import Prompts

SIZE = (40, 50)
AREAS = [94, 40, 1, 36]
NO_PROMPTS = Prompts(np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.int8))


def labels_by_hand():
    """A square with a hole, a bar that touches it, a single pixel in the corner, an L."""
    labels = np.zeros(SIZE, np.int32)
    labels[5:15, 5:15] = 1
    labels[9:11, 8:11] = 0
    labels[8:12, 15:25] = 2
    labels[39, 49] = 3
    labels[20:30, 20:22] = labels[28:30, 20:30] = 4
    return labels


def prompts_by_hand():
    points = np.array([[[9, 7], [19, 9]], [[19, 9], [9, 7]], [[49, 39], [0, 0]], [[20, 25], [19, 9]], [[1, 1], [0, 0]]])
    labels = np.array([[1, 0], [1, 0], [1, -1], [1, 0], [1, -1]], np.int8)
    return Prompts(points.astype(np.float32), labels)


def result(labels=None, name="cells.png", microns=None, model="nuclei", mode="instances", **image):
    """The nuclei by hand, or those of `labels`, each of which was found by the row of prompts of its order."""
    prompts = prompts_by_hand() if labels is None else NO_PROMPTS
    labels = labels_by_hand() if labels is None else labels
    numbers = np.unique(labels[labels > 0]).astype(np.int64)
    count = len(numbers)
    found = Instances(
        labels=labels,
        numbers=numbers,
        certainty=np.linspace(0.9, 0.6, count, dtype=np.float32),
        stability=np.linspace(0.8, 0.5, count, dtype=np.float32),
        prompts=prompts,
        prompt=np.arange(count) if mode == "instances" and len(prompts) else np.full(count, -1),
        origin=("automatic",) * count,
        notes=("a note",),
    )
    pixels = image.pop("pixels", np.full((*labels.shape, 3), 100, np.uint8))
    return Result(Image(name, pixels, microns, **image), found, model, SegmentOptions(mode=mode))


def nothing(**settings):
    return result(np.zeros(SIZE, np.int32), **settings)


def drawn(*boxes):
    """Labels with a rectangle per (number, top, bottom, left, right), later ones over earlier ones; 0 erases."""
    labels = np.zeros(SIZE, np.int32)
    for number, top, bottom, left, right in boxes:
        labels[top:bottom, left:right] = number
    return labels


def _noise():
    return np.random.default_rng(7).integers(0, 6, SIZE).astype(np.int32)


def speckled():
    """65,600 nuclei: every second pixel of every row, of two rows in turn."""
    labels = np.zeros((410, 320), np.int32)
    labels[::2, ::2] = np.arange(205 * 160).reshape(205, 160) + 1
    labels[1::2, 1::2] = np.arange(205 * 160).reshape(205, 160) + 205 * 160 + 1
    return labels


def _of_five_channels(labels, kind):
    values = np.random.default_rng(3).integers(0, 4000, (*labels.shape, 5)).astype(kind)
    names = ("DAPI", "", "DAPI", "=SUM(A1)", "β-Catenin / 2")
    return result(labels, values=values, channels=names)


def _with_gaps_in_its_values():
    values = np.linspace(0, 1, SIZE[0] * SIZE[1] * 2, dtype=np.float32).reshape(*SIZE, 2)
    values[5:8] = np.nan
    values[39, 49] = (np.inf, -np.inf)
    return result(values=values, channels=("a", "b"))


MAKERS = {
    "by hand": lambda: result(microns=0.5),
    "nothing": lambda: nothing(microns=0.5),
    "one pixel": lambda: result(drawn((1, 17, 18, 30, 31))),
    "one line": lambda: result(drawn((1, 17, 18, 3, 31)), microns=0.1),
    "everything": lambda: result(np.ones(SIZE, np.int32)),
    "two nuclei side by side, no background": lambda: result(drawn((1, 0, 40, 0, 20), (2, 0, 40, 20, 50))),
    "numbers with gaps": lambda: result(
        drawn((3, 0, 9, 0, 9), (70_000, 20, 30, 20, 30), (2_000_000_000, 30, 40, 20, 50))
    ),
    "in pieces": lambda: result(drawn((1, 2, 8, 2, 8), (1, 20, 30, 20, 40), (2, 22, 25, 22, 25), (0, 4, 5, 4, 5))),
    "pieces that meet at corners": lambda: result(drawn((1, 2, 4, 2, 4), (1, 4, 6, 4, 6), (1, 6, 8, 2, 4))),
    "a hole that meets the outside at a corner": lambda: result(
        drawn((1, 10, 16, 10, 16), (0, 11, 12, 11, 12), (0, 10, 11, 10, 11))
    ),
    "a nucleus in a hole of one in a hole": lambda: result(
        drawn((1, 0, 40, 0, 50), (2, 5, 35, 5, 45), (3, 10, 30, 10, 40), (0, 15, 25, 15, 35), (1, 18, 20, 18, 20))
    ),
    "noise": lambda: result(_noise()),
    "an odd name": lambda: result(name='=1+1;\r\n"核"\udcff\0$_{.png', model="@модель"),
    "a huge name": lambda: result(name="n" * 70_000 + ".png"),
    "a region": lambda: result(place=Place((9000, 9000), (1000, 2000)), planes=("",) * 5, plane=3),
    "a preview": lambda: result(place=Place((100, 125), (0, 0), 2.5)),
    "float values, some no numbers": _with_gaps_in_its_values,
    "five channels": lambda: _of_five_channels(labels_by_hand(), np.uint16),
    "five channels, nothing found": lambda: _of_five_channels(np.zeros(SIZE, np.int32), np.float64),
}


@cache
def case(name):
    """One of the hard cases, made once."""
    return MAKERS[name]()


# Readers: each makes the label map again from one file.


def read_tiff(made):
    return tifffile.imread(io.BytesIO(label_tiff(made)))


def read_geojson(made):
    """Each pixel whose centre lies in a polygon, where the file's own words say that the picture lies."""
    told = strict(geojson(made))
    lies = told["properties"]["coordinates"]
    shapes = [(f["geometry"], int(f["properties"]["name"].removeprefix("nucleus "))) for f in told["features"]]
    if not shapes:
        return np.zeros(made.image.size)
    frame = Affine.translation(*lies["corner"]) @ Affine.scale(lies["downsample"])
    return rasterize(shapes, made.image.size, transform=frame, dtype=np.int32)


def read_rois(made):
    """Each ROI filled by the rule that ImageJ has for composites: even-odd, a pixel by its centre."""
    labels = np.zeros(made.image.size, np.int64)
    for name, roi in rois(made).items():
        inside = np.zeros(labels.shape, bool)
        for ring in roi.coordinates(multi=True):
            left, top = np.floor(ring.min(axis=0)).astype(int)
            right, bottom = np.ceil(ring.max(axis=0)).astype(int)
            window = slice(top, bottom), slice(left, right)
            inside[window] ^= polygon2mask((bottom - top, right - left), (ring - (left, top))[:, ::-1] - 0.5)
        assert not labels[inside].any()
        labels[inside] = int(name.split("-")[0])
    return labels


def read_coco(made):
    labels = np.zeros(made.image.size, np.int64)
    read = coco(made)
    for number, annotation in read.anns.items():
        labels[mask_of(read, annotation) > 0] = number
    return labels


READERS = {"TIFF": read_tiff, "GeoJSON": read_geojson, "ImageJ": read_rois, "COCO": read_coco}


def rois(made):
    """ROIs by name, as roifile reads them."""
    with zipfile.ZipFile(io.BytesIO(rois_zip(made))) as archive:
        assert archive.testzip() is None and len(set(archive.namelist())) == len(archive.namelist())
        return {name: ImagejRoi.frombytes(archive.read(name)) for name in archive.namelist()}


def coco(made):
    """As pycocotools reads it."""
    read = COCO()
    read.dataset = strict(coco_json(made))
    with contextlib.redirect_stdout(io.StringIO()):
        read.createIndex()
    return read


def mask_of(read, annotation):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # pycocotools's own, of numpy 2
        return read.annToMask(annotation)


def strict(raw):
    """JSON as the standard has it: no NaN, no Infinity."""

    def refuse(word):
        raise ValueError(word)

    return json.loads(raw, parse_constant=refuse)


def cells(raw):
    """A CSV's rows as text, its header first."""
    return list(csv.reader(io.StringIO(raw.decode(), newline="")))


def features(made):
    told = strict(geojson(made))
    assert told["type"] == "FeatureCollection" and all(f["type"] == "Feature" for f in told["features"])
    return told["features"]


def with_origins(made, *origins):
    return replace(made, found=replace(made.found, origin=origins))
