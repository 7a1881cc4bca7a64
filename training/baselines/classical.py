"""What needs no learning: Otsu's threshold, and how a mask of all nuclei becomes nuclei."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from skimage.color import rgb2gray, rgb2hed
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import label
from skimage.segmentation import watershed

from sac.images import Image
from sac.prompts import nuclei_of
from training.targets import border_distance

NECK = 0.075
"""How much narrower, as a share of its piece's greatest depth, a neck must be to be cut: best of eight for SAC's mask and
for MSA's on images held out from DSB2018."""


def otsu_watershed(pixels: np.ndarray) -> np.ndarray:
    """Otsu's threshold, then a watershed on the distance transform. (H, W, 3) uint8 -> (H, W) int32.

    On stained tissue it is haematoxylin's (Ruifrok and Johnston 2001), and nuclei are what has more of it; elsewhere it is
    that of grey, and nuclei are on the side that touches less of the picture's border.
    """
    inside = ndimage.binary_opening(_haematoxylin(pixels) if Image("", pixels).is_stained else _off_the_border(pixels))
    depth = gaussian(ndimage.distance_transform_edt(inside), 1)
    summits = peak_local_max(depth, min_distance=5, labels=label(inside))
    markers = np.zeros(inside.shape, np.int32)
    markers[tuple(summits.T)] = np.arange(1, len(summits) + 1)
    return watershed(-depth, markers, mask=inside).astype(np.int32)


def _haematoxylin(pixels: np.ndarray) -> np.ndarray:
    stain = gaussian(rgb2hed(pixels)[..., 0], 1)
    return stain > threshold_otsu(stain)


def _off_the_border(pixels: np.ndarray) -> np.ndarray:
    grey = gaussian(rgb2gray(pixels), 1)
    light = grey > threshold_otsu(grey)
    edge = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    return ~light if edge.mean() > 0.5 else light


def parted(inside: np.ndarray, diameter: float, smallest: float = 0.0) -> np.ndarray:
    """The nuclei of a mask (H, W) bool of all of them: its pieces, cut at necks as SAC parts summits. (H, W) int32.

    diameter: of a typical nucleus, in pixels of the mask. smallest: area below which a piece is noise.
    """
    pieces = label(inside, connectivity=1)
    inside = inside & (np.bincount(pieces.ravel()) >= smallest)[pieces]
    drawn = np.stack([inside.astype(np.float32), border_distance(pieces)])
    found = nuclei_of(drawn, diameter, NECK)
    left = label(inside & (found == 0), connectivity=1)  # pieces too small for a summit stay as they are
    return np.where(left > 0, left + found.max(), found).astype(np.int32)
