"""What SAC is measured against, on the same pictures."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.color import rgb2gray
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed


def otsu_watershed(pixels: np.ndarray) -> np.ndarray:
    """Otsu's threshold on grey, then a watershed on the distance transform. (H, W, 3) uint8 -> (H, W) int32.

    The side of the threshold that touches less of the picture's border is called nuclei.
    """
    grey = gaussian(rgb2gray(pixels), 1)
    light = grey > threshold_otsu(grey)
    edge = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    inside = ndimage.binary_opening(~light if edge.mean() > 0.5 else light)
    depth = gaussian(ndimage.distance_transform_edt(inside), 1)
    summits = peak_local_max(depth, min_distance=5, labels=label(inside))
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    return watershed(-depth, markers, mask=inside).astype(np.int32)
