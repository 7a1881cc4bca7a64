"""Instances become files that other programs open: label maps, pictures, tables, outlines and masks."""

from sac.export.archive import CONTRACT, FILES, safe_stem, write_all, zipped, zipped_all
from sac.export.chart import areas_png
from sac.export.coco import coco_json
from sac.export.imagej import rois_zip
from sac.export.labels import label_tiff
from sac.export.pictures import outlines_png, overlay_png, preview_png
from sac.export.prompts import prompts_json
from sac.export.qupath import geojson
from sac.export.result import Result
from sac.export.tables import nuclei_csv, summaries_csv, summary_csv

__all__ = [
    "CONTRACT", "FILES", "Result", "areas_png", "coco_json", "geojson", "label_tiff", "nuclei_csv",
    "outlines_png", "overlay_png", "preview_png", "prompts_json", "rois_zip", "safe_stem", "summaries_csv", "summary_csv",
    "write_all", "zipped", "zipped_all",
]  # fmt: skip
