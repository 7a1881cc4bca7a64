"""Small pictures and the files that hold them, for tests that read."""

import numpy as np
import PIL.Image
import tifffile


def picture(height=24, width=32):
    """An RGB picture in which no two pixels are alike."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows * 7, columns * 5, rows * 3 + columns], axis=-1).astype(np.uint8)


def grey(height=24, width=32):
    return picture(height, width)[..., 0]


def saved(path, pixels, **settings):
    """Writes pixels, or a Pillow image, by Pillow. Returns the path."""
    made = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    made.save(path, **settings)
    return path


def written(path, pixels, **settings):
    """Writes pixels by tifffile. Returns the path."""
    tifffile.imwrite(path, pixels, **settings)
    return path
