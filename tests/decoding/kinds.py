"""Every kind of file: its name, a maker, and what is in it or a part of the sentence by which it is refused."""

import os

import hostile
import numpy as np
import PIL.Image
import slides
import tifffile
from files import content_of, grey, lsm, ome, other_file, picture, poked, saved, written
from imagecodecs import png_encode

RGB, GREY = picture(), grey()[..., None]
DEEP = GREY.astype(np.uint16) * 257 + 1
DEEP_RGB = RGB.astype(np.uint16) * 257
GLASS = np.dstack([RGB, GREY])
SMOOTH = slides.tissue(96, 128)
FIVE = np.stack([grey() + n for n in range(5)])
COUNTED = np.arange(2 * 3 * 4 * 16 * 20, dtype=np.uint16).reshape(2, 3, 4, 16, 20)
"""(T, Z, C, H, W); of both times' three z, the middle one of the first time is opened."""
MIDDLE = np.moveaxis(COUNTED[0, 1], 0, -1)
NOTHING = "PNG, JPEG, WebP, BMP, TIFF and whole-slide files are"


def by_pillow(pixels, **settings):
    return lambda path: saved(path, pixels, **settings)


def by_tifffile(pixels, **settings):
    return lambda path: written(path, pixels, **settings)


def rgb_tiff(**settings):
    return by_tifffile(RGB, photometric="rgb", **settings)


def of_bytes(content):
    return lambda path: content_of(path, content)


def cut_short(make):
    """The first half of a file."""
    return lambda path: content_of(path, make(path).read_bytes()[: os.path.getsize(path) // 2])


def with_levels(path):
    """An OME-TIFF of two z with two smaller copies of each in SubIFDs."""
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(np.stack([RGB, 255 - RGB]), photometric="rgb", subifds=2, tile=(16, 16), metadata={"axes": "ZYXS"})
        for factor in (2, 4):
            small = np.stack([RGB, 255 - RGB])[:, ::factor, ::factor]
            tiff.write(small, photometric="rgb", subfiletype=1, tile=(16, 16))
    return path


READ: list[tuple] = [
    ("PNG, RGB", "a.png", by_pillow(RGB), RGB),
    ("PNG, grey", "a.png", by_pillow(GREY[..., 0]), GREY),
    ("PNG, grey and opacity", "a.png", by_pillow(GLASS[..., 2:]), GLASS[..., 2:]),
    ("PNG, RGB and opacity", "a.png", by_pillow(GLASS), GLASS),
    ("PNG, palette", "a.png", by_pillow(PIL.Image.fromarray(RGB // 64 * 64).quantize(64)), RGB // 64 * 64),
    ("PNG, 1 bit", "a.png", by_pillow(PIL.Image.fromarray(grey() > 80)), (GREY > 80) * np.uint8(255)),
    ("PNG, 16-bit grey", "a.png", by_pillow(DEEP[..., 0]), DEEP),
    ("PNG, 16-bit RGB", "a.png", lambda path: content_of(path, png_encode(DEEP_RGB)), DEEP_RGB),
    ("PNG, 16-bit RGB and opacity", "a.png", lambda path: content_of(path, png_encode(np.dstack([DEEP_RGB, DEEP]))),
     np.dstack([DEEP_RGB, DEEP])),
    ("PNG, animated", "a.png", by_pillow(RGB, save_all=True, append_images=[PIL.Image.fromarray(255 - RGB)]), RGB),
    ("JPEG", "a.jpg", by_pillow(SMOOTH, quality=95), (SMOOTH, 8)),
    ("JPEG, grey, progressive", "a.jpg", by_pillow(SMOOTH[..., 0], quality=95, progressive=True), (SMOOTH[..., :1], 8)),
    ("JPEG, CMYK", "a.jpg", by_pillow(PIL.Image.fromarray(SMOOTH).convert("CMYK"), quality=95), (SMOOTH, 12)),
    ("WebP, lossless", "a.webp", by_pillow(RGB, lossless=True), RGB),
    ("WebP, lossy, with opacity", "a.webp", by_pillow(np.dstack([SMOOTH, SMOOTH[..., :1]]), quality=95),
     (np.dstack([SMOOTH, SMOOTH[..., :1]]), 12)),
    ("WebP, animated", "a.webp",
     by_pillow(RGB, save_all=True, lossless=True, append_images=[PIL.Image.fromarray(255 - RGB)]), RGB),
    ("BMP", "a.bmp", by_pillow(RGB), RGB),
    ("BMP, 1 bit", "a.bmp", by_pillow(PIL.Image.fromarray(grey() > 80)), (GREY > 80) * np.uint8(255)),
    ("TIFF", "a.tif", rgb_tiff(), RGB),
    *[(f"TIFF, {kind}", "a.tif", rgb_tiff(compression=kind, tile=(16, 16)), RGB) for kind in ("lzw", "deflate", "zstd")],
    ("TIFF, packbits, strips", "a.tif", rgb_tiff(compression="packbits", rowsperstrip=5), RGB),
    ("TIFF, JPEG", "a.tif", by_tifffile(SMOOTH, photometric="rgb", compression="jpeg", tile=(32, 32)), (SMOOTH, 12)),
    ("TIFF, JPEG 2000", "a.tif", rgb_tiff(compression="jpeg2000", tile=(16, 16)), RGB),
    ("TIFF, fax", "a.tif", by_pillow(PIL.Image.fromarray(grey() > 80), compression="group4"),
     (GREY > 80) * np.uint8(255)),
    ("BigTIFF, big-endian, strips", "a.tif", by_tifffile(DEEP_RGB, photometric="rgb", bigtiff=True, byteorder=">",
     rowsperstrip=5, compression="lzw", predictor=True), DEEP_RGB),
    ("TIFF, planar", "a.tif", by_tifffile(np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate",
     compression="zlib"), RGB),
    ("TIFF, 12 bit packed", "a.tif", by_tifffile(DEEP[..., 0] // 16, bitspersample=12), DEEP // 16),
    *[(f"TIFF, {kind}", "a.tif", by_tifffile(GREY[..., 0].astype(kind)), GREY.astype(kind))
      for kind in ("int8", "int16", "int32", "uint32", "float16", "float32", "float64")],
    ("TIFF, CMYK", "a.tif", by_pillow(PIL.Image.fromarray(RGB).convert("CMYK")), RGB),
    ("TIFF, 5 channels", "a.tif", by_tifffile(FIVE, metadata={"axes": "CYX"}), np.moveaxis(FIVE, 0, -1)),
    ("OME-TIFF, t, z, 4 channels", "a.ome.tif", by_tifffile(COUNTED, metadata={"axes": "TZCYX"}, compression="zlib"),
     MIDDLE),
    ("OME-TIFF, levels in SubIFDs", "a.ome.tif", with_levels, RGB),
    ("OME-TIFF that names another file", "a.ome.tif", lambda path: ome(path, data=other_file("/etc/passwd")),
     np.full((16, 16, 1), 50, np.uint8)),
    ("OME-TIFF, description that laughs", "a.ome.tif",
     lambda path: ome(path, doctype=hostile.LAUGHS, more='Name="&a11;"'), np.full((16, 16, 1), 50, np.uint8)),
    ("OME-TIFF, description cut off", "a.ome.tif", lambda path: ome(path, more="<"), np.full((16, 16, 1), 50, np.uint8)),
    ("ImageJ hyperstack", "a.tif", by_tifffile(COUNTED, imagej=True), MIDDLE),
    ("LSM", "a.lsm", lambda path: lsm(path, np.stack([RGB, RGB // 2, RGB // 3]).transpose(0, 3, 1, 2)), RGB // 2),
    ("TIFF whose resolution is 0", "a.tif", lambda path: written(path, grey(), resolution=(0, 0)), GREY),
    ("TIFF that is its own smaller copy", "a.tif", hostile.subifd_circle, RGB),
    ("slide: Aperio SVS", "a.svs", lambda path: slides.svs(path, slides.tissue()), None),
    ("slide: Hamamatsu NDPI", "a.ndpi", lambda path: slides.ndpi(path, slides.tissue()), None),
    ("slide: Philips", "a.tiff", lambda path: slides.philips(path, slides.tissue()), None),
    ("slide: Leica SCN", "a.scn", lambda path: slides.leica(path, slides.tissue()), None),
    ("slide: pyramid of tiles", "a.tif", lambda path: slides.pyramid(path, slides.tissue(), photometric="rgb"), None),
]  # fmt: skip
REFUSED: list[tuple] = [
    ("nothing", "a.png", of_bytes(b""), NOTHING),
    ("a letter", "a.png", of_bytes(b"Dear colleague, the picture is attached."), NOTHING),
    ("SVG", "a.png", of_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>"), NOTHING),
    ("HTML", "a.tif", of_bytes(b"<!doctype html><title>404</title>"), NOTHING),
    ("GIF", "a.png", by_pillow(RGB, format="GIF"), NOTHING),
    ("PDF", "a.tif", by_pillow(RGB, format="PDF"), NOTHING),
    ("PostScript", "a.tif", of_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"), NOTHING),
    ("zip", "a.tif", of_bytes(b"PK\5\6" + bytes(18)), NOTHING),
    ("program", "a.png", of_bytes(b"\x7fELF\2\1\1" + bytes(99)), NOTHING),
    ("index of a slide of several files", "a.vms", of_bytes(hostile.SLIDE_INDEX), NOTHING),
    *[(f"half a {name[2:].upper()}", name, cut_short(make), NOTHING) for name, make in (
        ("a.png", by_pillow(RGB)), ("a.jpg", by_pillow(SMOOTH)), ("a.webp", by_pillow(SMOOTH)), ("a.bmp", by_pillow(RGB)),
        ("a.tif", rgb_tiff(compression="lzw")), ("a.svs", lambda path: slides.svs(path, SMOOTH, factors=())))],
    ("half an uncompressed TIFF", "a.tif", cut_short(rgb_tiff()), NOTHING),
    ("PNG that claims 400 megapixels", "a.png", lambda path: hostile.claiming_png(path, 20_000, 20_000),
     "400 megapixels"),
    ("JPEG that claims 4,290 megapixels", "a.jpg", lambda path: hostile.claiming_jpeg(path, 65_500, 65_500),
     "4290 megapixels"),
    ("WebP that claims 268 megapixels", "a.webp", lambda path: hostile.claiming_webp(path, 16_383, 16_383),
     "268 megapixels"),
    ("BMP that claims 3,600 megapixels", "a.bmp", lambda path: hostile.claiming_bmp(path, 60_000, 60_000),
     "3600 megapixels"),
    ("PNG whose text unpacks to 8 GB", "a.png", hostile.text_bomb, NOTHING),
    ("PNG whose profile unpacks to 8 GB", "a.png", lambda path: hostile.text_bomb(path, b"iCCP"), NOTHING),
    ("PNG of a million frames", "a.png", hostile.film, "1000000 frames"),
    ("JPEG of 10,000 scans", "a.jpg", hostile.many_scans, "takes too long"),
    ("TIFF that claims 400 megapixels", "a.tif",
     lambda path: hostile.claiming_tiff(path, ImageWidth=20_000, ImageLength=20_000), "400 megapixels"),
    ("TIFF that claims tiles of 60,000", "a.tif",
     lambda path: hostile.claiming_tiff(path, TileWidth=60_000, TileLength=60_000), "tiles of 60000 x 60000"),
    ("TIFF that claims 60,000 samples", "a.tif", lambda path: hostile.claiming_tiff(path, SamplesPerPixel=60_000),
     "60000 samples"),
    ("TIFF that claims 2^31 strips", "a.tif", lambda path: poked(written(path, grey()), 273, count=2**31, value=100),
     NOTHING),
    ("TIFF whose strip unpacks to 8 GB", "a.tif", hostile.deflate_bomb, NOTHING),
    ("TIFF of 20,000 pages", "a.tif", lambda path: hostile.pages(path, 20_000), "more than 10000 pages"),
    ("TIFF whose pages go in a circle", "a.tif", hostile.circle, "more than 10000 pages"),
    ("TIFF of complex numbers", "a.tif", by_tifffile(np.zeros((8, 8), np.complex64)), "complex64"),
    ("TIFF of volumes", "a.tif", by_tifffile(np.zeros((32, 32, 32), np.uint8), volumetric=True, tile=(16, 16, 16)),
     "volume of 32"),
    ("TIFF, CIELAB", "a.tif", by_tifffile(RGB, photometric="cielab"), "CIELAB"),
    ("OME-TIFF of a million z", "a.ome.tif", lambda path: ome(path, z=10**6), "1000000 planes"),
    ("OME-TIFF of a billion z", "a.ome.tif", lambda path: ome(path, z=10**9), "1000000000 planes"),
    ("slide whose tiles are damaged", "a.svs", hostile.hurt_slide, "damaged"),
]  # fmt: skip
