"""Files that are meant to crash, stall or swell whoever reads them. Each writes to a path and returns it."""

import struct
import zlib

import numpy as np
import tifffile
from files import content_of, grey, picture, png_chunks, png_header, png_of, poked, retagged, saved, written
from slides import jpeg, svs, tissue


def empty_png(width, height, depth=8, colour=2, before=()):
    """A PNG of a size, of zeros, with chunks before its pixels."""
    row = 1 + width * {0: 1, 2: 3, 4: 2, 6: 4}[colour] * depth // 8
    return png_of(
        png_header(width, height, depth, colour), *before, (b"IDAT", packed_zeros(height * row)), (b"IEND", b"")
    )


def claiming_png(path, width, height):
    """Claims a size and holds a few bytes."""
    return content_of(path, png_of(png_header(width, height), (b"IDAT", zlib.compress(bytes(99))), (b"IEND", b"")))


def packed_zeros(count):
    """A zlib stream that unpacks to `count` zeros: one block, which holds a megabyte of them, again and again."""
    packer, (megabytes, rest) = zlib.compressobj(9, zlib.DEFLATED, -15), divmod(count, 2**20)
    block = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = count % 65521 << 16 | 1  # Adler's, of zeros
    return b"\x78\xda" + block * megabytes + packer.compress(bytes(rest)) + packer.flush() + struct.pack(">I", checksum)


def text_bomb(path, kind=b"zTXt"):
    """A chunk of text, or of a colour profile, that unpacks to 8 GB."""
    return content_of(path, empty_png(16, 16, before=[(kind, b"x\0\0" + packed_zeros(8 * 10**9))]))


def film(path, frames=1_000_000):
    """An animated PNG that claims many frames."""
    first = saved(path, picture(), save_all=True, append_images=[]).read_bytes()
    chunks = png_chunks(first)
    control = b"acTL", struct.pack(">II", frames, 0)
    place = b"fcTL", struct.pack(">IIIIIHHBB", 0, 32, 24, 0, 0, 1, 10, 0, 0)
    return content_of(path, png_of(chunks[0], control, place, *chunks[1:]))


def many_chunks(path, count=200_000):
    return content_of(path, empty_png(16, 16, before=[(b"prVt", b"")] * count))


def many_scans(path, side=6000, scans=10_000):
    """A progressive JPEG whose refinements go over the whole picture again and again, in a few bytes each."""
    whole = jpeg(np.zeros((side, side), np.uint8), progressive=True)
    last = whole[whole.rindex(b"\xff\xc4") : -2]  # a Huffman table and the scan behind it
    return content_of(path, whole[:-2] + last * scans + whole[-2:])


def claiming_jpeg(path, width, height):
    content = bytearray(jpeg(picture()))
    struct.pack_into(">HH", content, content.index(b"\xff\xc0") + 5, height, width)
    return content_of(path, bytes(content))


def claiming_webp(path, width, height):
    content = bytearray(saved(path, picture(), lossless=True).read_bytes())
    struct.pack_into("<I", content, 21, (width - 1) | (height - 1) << 14 | 1 << 28)
    return content_of(path, bytes(content))


def claiming_bmp(path, width, height):
    content = bytearray(saved(path, picture()).read_bytes())
    struct.pack_into("<ii", content, 18, width, height)
    return content_of(path, bytes(content))


def claiming_tiff(path, **tags):
    """A small tiled TIFF whose tags claim other numbers."""
    return retagged(written(path, grey(16, 16), tile=(16, 16)), **tags)


def deflate_bomb(path):
    """A strip of 16 x 16 pixels that unpacks to 8 GB."""
    strips = iter([packed_zeros(8 * 10**9)])
    tifffile.imwrite(path, strips, shape=(16, 16), dtype=np.uint8, compression="zlib", metadata=None)
    return path


def pages(path, count):
    """A TIFF of that many pages which all hold the same pixels."""
    (at, size) = (8, 2 + 12 * 8 + 4)
    entries = [(256, 4, 8), (257, 4, 8), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (278, 4, 8), (279, 4, 64)]
    body = struct.pack("<H", 8) + b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in entries)
    first = at + 64
    chain = (body + struct.pack("<I", first + (n + 1) * size if n < count - 1 else 0) for n in range(count))
    return content_of(path, b"II*\0" + struct.pack("<I", first) + bytes(range(64)) + b"".join(chain))


def circle(path, count=150):
    """A chain of pages of which the last leads to the first again."""
    content = bytearray(pages(path, count).read_bytes())
    content[-4:] = content[4:8]
    return content_of(path, bytes(content))


def subifd_circle(path):
    """A page that is its own smaller copy."""
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(picture(), photometric="rgb", metadata=None, subifds=1)
        tiff.write(picture(12, 16), photometric="rgb", metadata=None, subfiletype=1)
    return poked(path, 330, value=struct.unpack_from("<I", path.read_bytes(), 4)[0])


def hurt_slide(path):
    """A slide whose tiles at full resolution are no JPEGs, in its upper left."""
    content = bytearray(svs(path, tissue()).read_bytes())
    with tifffile.TiffFile(path) as tiff:
        start = tiff.pages.first.dataoffsets[0]
    content[start : start + 600] = b"\xa5" * 600
    return content_of(path, bytes(content))


LAUGHS = "<!DOCTYPE OME [<!ENTITY a0 'ha'>{}]>".format(
    "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12))
)
"""Entities that unfold to 2 x 10^11 letters."""
SLIDE_INDEX = (
    b"[Virtual Microscope Specimen]\r\nNoLayers=1\r\nNoJpegColumns=1\r\nNoJpegRows=1\r\nImageFile=/etc/passwd\r\n"
)
"""The text file of a Hamamatsu VMS slide: it names the files that hold the pixels."""


def zeros_tiff(path, height, width, bands, kind, rows):
    """A TIFF of zeros in strips of some rows, packed a thousandfold: all that it claims is there."""
    settings = {"compression": "zlib", "photometric": "rgb" if bands > 2 else "minisblack", "rowsperstrip": rows}
    shape = (height, width, bands) if bands > 1 else (height, width)
    strips = [packed_zeros(rows * width * bands * np.dtype(kind).itemsize)] * -(-height // rows)
    tifffile.imwrite(path, iter(strips), shape=shape, dtype=kind, metadata=None, **settings)
    return path
