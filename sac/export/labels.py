"""The label map as a TIFF: the one file that holds every pixel of every nucleus."""

from __future__ import annotations

import io

import numpy as np
import tifffile

from sac.export.result import Result


def label_tiff(result: Result) -> bytes:
    """The label map, uint16, or uint32 where a number is above 65,535; pixel size where it is known."""
    kind = np.uint16 if result.found.labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    microns = result.image.microns
    resolution = {"resolution": (1e4 / microns,) * 2, "resolutionunit": "CENTIMETER"} if microns else {}
    stream = io.BytesIO()
    labels = result.found.labels.astype(kind)
    tifffile.imwrite(stream, labels, compression="zlib", metadata=None, software=result.signature(), **resolution)
    return stream.getvalue()
