"""Nuclei as regions of interest that ImageJ and Fiji open in their ROI manager."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from sac.export.outlines import Outline
from sac.export.result import Result
from sac.export.text import to_json

FARTHEST = 60_535
"""Highest coordinate that ImageJ's 16-bit integers hold (-5000 to 60535); beyond it, they are stored as float32."""
MOVE, LINE, CLOSE = 0.0, 1.0, 4.0
"""Steps of a composite's path, as java.awt.geom.PathIterator numbers them."""
COMMENT = 65_535
"""Most bytes of a zip's comment."""


def rois_zip(result: Result) -> bytes:
    """A zip with a ROI per nucleus, called NUMBER-Y-X, in the pixels of the picture at hand.

    Outlines run along pixels' edges, so that ImageJ fills exactly the nucleus's pixels. Each carries certainty and
    origin as properties; what all were made with is the zip's comment.
    """
    found, stream = result.found, io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = to_json(result.about())[:COMMENT]
        facts = zip(found.numbers.tolist(), found.certainty.tolist(), found.origin, result.outlines)
        for number, certainty, origin, outline in facts:
            roi = _roi(outline)
            roi.name = f"{number:04d}-{(roi.top + roi.bottom) // 2:04d}-{(roi.left + roi.right) // 2:04d}"
            roi.props = f"Certainty: {certainty:.4f}\nOrigin: {origin}\n"
            archive.writestr(f"{roi.name}.roi", roi.tobytes())
    return stream.getvalue()


def _roi(outline: Outline) -> ImagejRoi:
    """A traced polygon, or a composite where there are holes or several pieces."""
    corners = np.concatenate([piece[0] for piece in outline])
    (left, top), (right, bottom) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
    roi = ImagejRoi(left=left, top=top, right=right, bottom=bottom)
    rings = [ring for piece in outline for ring in piece]
    if len(rings) > 1:
        roi.roitype = ROI_TYPE.RECT
        roi.multi_coordinates = np.concatenate([_path(ring) for ring in rings])
        roi.shape_roi_size = len(roi.multi_coordinates)
        return roi
    roi.roitype = ROI_TYPE.TRACED
    roi.integer_coordinates = (rings[0][:-1] - (left, top)).astype(np.int32)
    roi.n_coordinates = len(roi.integer_coordinates)
    if max(right, bottom) > FARTHEST:
        roi.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        roi.subpixel_coordinates = rings[0][:-1].astype(np.float32)
    return roi


def _path(ring: np.ndarray) -> np.ndarray:
    """A closed ring (n, 2) as a path: to its first corner, along the others, and back. (3 n - 2,) float32."""
    steps = np.full((len(ring) - 1, 3), LINE, np.float32)
    steps[0, 0] = MOVE
    steps[:, 1:] = ring[:-1]
    return np.append(steps.ravel(), np.float32(CLOSE))
