"""Small pictures and the files that hold them, for tests that read."""

import struct
import zlib

import numpy as np
import PIL.Image
import tifffile


def picture(height=24, width=32):
    """An RGB picture in which no two pixels are alike."""
    rows, columns = np.mgrid[:height, :width].astype(np.uint8)
    return np.stack([rows * 7, columns * 5, rows * 3 + columns], axis=-1).astype(np.uint8)


def grey(height=24, width=32):
    return picture(height, width)[..., 0]


def thrice(values):
    """Grey (H, W) as RGB (H, W, 3)."""
    return np.repeat(np.asarray(values)[..., None], 3, axis=-1)


def saved(path, pixels, **settings):
    """Writes pixels, or a Pillow image, by Pillow. Returns the path."""
    made = pixels if isinstance(pixels, PIL.Image.Image) else PIL.Image.fromarray(pixels)
    made.save(path, **settings)
    return path


def written(path, pixels, **settings):
    """Writes pixels by tifffile. Returns the path."""
    tifffile.imwrite(path, pixels, **settings)
    return path


def content_of(path, content):
    """Writes bytes. Returns the path."""
    path.write_bytes(content)
    return path


def png_of(*chunks):
    """A PNG's bytes, of chunks (kind, body)."""
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def png_chunks(content):
    """The chunks (kind, body) of a PNG's bytes."""
    chunks, at = [], 8
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return chunks


def png_header(width, height, depth=8, colour=2):
    """The IHDR chunk of a PNG: colour 0 grey, 2 RGB, 3 palette, 4 grey and opacity, 6 RGB and opacity."""
    return b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)


def retagged(path, page=0, **values):
    """Overwrites tags of a TIFF's page by name. Returns the path."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for name, value in values.items():
            tiff.pages[page].tags[name].overwrite(value)
    return path


def poked(path, tag, count=None, value=None, kind=None):
    """Overwrites the count, the value or offset, or the type of a tag in a little-endian classic TIFF, unchecked."""
    content = bytearray(path.read_bytes())
    (at,) = struct.unpack_from("<I", content, 4)
    (tags,) = struct.unpack_from("<H", content, at)
    entry = next(at + 2 + 12 * n for n in range(tags) if struct.unpack_from("<H", content, at + 2 + 12 * n)[0] == tag)
    for offset, form, number in ((2, "<H", kind), (4, "<I", count), (8, "<I", value)):
        if number is not None:
            struct.pack_into(form, content, entry + offset, number)
    return content_of(path, bytes(content))


OME = (
    '<?xml version="1.0"?>{doctype}<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" '
    'UUID="urn:uuid:00000000-0000-0000-0000-000000000001"><Image ID="Image:0"><Pixels ID="Pixels:0" '
    'DimensionOrder="XYCZT" Type="uint8" SizeX="16" SizeY="16" SizeC="1" SizeZ="{z}" SizeT="1" {more}>'
    '<Channel ID="Channel:0:0" SamplesPerPixel="1"/>{data}</Pixels></Image></OME>'
)


def ome(path, z=1, data='<TiffData IFD="0" PlaneCount="1"/>', more="", doctype="", level=50):
    """A TIFF of 16 x 16 pixels of one level, and an OME description that need not be true. Returns the path."""
    described = OME.format(z=z, data=data, more=more, doctype=doctype).encode()
    return written(path, np.full((16, 16), level, np.uint8), description=described, metadata=None, compression="zlib")


def other_file(name):
    """An OME TiffData that says that the pixels lie in another file."""
    uuid = "urn:uuid:00000000-0000-0000-0000-000000000002"
    return f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'


def lsm(path, stack, microns=0.5, names=("green", "red", "far red"), colours=((0, 255, 0), (255, 0, 0), (9, 9, 9))):
    """A Zeiss LSM of a stack (Z, 3, H, W) uint8: a thumbnail behind each page, what is what in private structures."""
    depth, count, height, width = stack.shape
    told = b"".join(struct.pack("<I", len(name) + 1) + name.encode() + b"\0" for name in names)
    packed = b"".join(bytes((*colour, 0)) for colour in colours)
    names_at = 24 + len(packed)
    channels = struct.pack("<6I", names_at + len(told), len(colours), len(names), 24, names_at, 0) + packed + told
    info = bytearray(380)
    struct.pack_into(
        "<2I8i3d", info, 0, 0x00400494C, len(info), width, height, depth, count, 1, 1, 8, 8, *[microns * 1e-6] * 3
    )
    with tifffile.TiffWriter(path, byteorder="<") as tiff:
        for plane in stack:
            own = [(34412, 1, len(info), bytes(info), True)]
            tiff.write(plane, photometric="rgb", planarconfig="separate", metadata=None, extratags=own)
            tiff.write(np.zeros((8, 8, 3), np.uint8), photometric="rgb", subfiletype=1, metadata=None)
    content = bytearray(path.read_bytes())
    struct.pack_into("<I", content, content.index(bytes(info)) + 108, len(content))
    return content_of(path, bytes(content) + channels)
