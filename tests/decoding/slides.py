"""Small whole slides, made as scanners make them: pyramids in one TIFF."""

import io
import struct

import numpy as np
import PIL.Image
import tifffile

APERIO = "Aperio Image Library v11.2.1\r\n{0}x{1} [0,0 {0}x{1}] (64x64) JPEG/RGB Q=95|AppMag = 40|MPP = 0.25"


def tissue(height=640, width=832):
    """An RGB picture (H, W, 3) smooth enough for JPEG to keep: red grows to the right, green downwards."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([columns * 255 // width, rows * 255 // height, np.full((height, width), 128)], -1).astype(np.uint8)


def svs(path, pixels, factors=(2, 4), description=APERIO, **settings):
    """An Aperio slide: levels of JPEG tiles, a stripped thumbnail behind the first of them."""
    height, width = pixels.shape[:2]
    tiles = {
        "photometric": "rgb",
        "tile": (64, 64),
        "compression": "jpeg",
        "compressionargs": {"level": 95},
        **settings,
    }
    told = {"description": description.format(width, height), "metadata": None}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, **tiles, **told)
        tiff.write(np.ascontiguousarray(pixels[::8, ::8]), photometric="rgb", compression="jpeg", **told)
        for factor in factors:
            tiff.write(np.ascontiguousarray(pixels[::factor, ::factor]), **tiles, **told)
    return path


def pyramid(path, pixels, factors=(2, 4), **settings):
    """A tiled TIFF with smaller copies behind it, as vips and ImageMagick write it."""
    tiles = {"tile": (64, 64), "metadata": None, **settings}
    with tifffile.TiffWriter(path) as tiff:
        tiff.write(pixels, **tiles)
        for factor in factors:
            tiff.write(np.ascontiguousarray(pixels[::factor, ::factor]), subfiletype=1, **tiles)
    return path


def ndpi(path, pixels, factors=(2, 4), lens=40.0):
    """A Hamamatsu slide: a TIFF with offsets of 64 bit, each level one strip with one JPEG, told by tags from 65420 on."""
    content, link = bytearray(b"II*\0" + bytes(8)), 4
    for factor in (1, *factors):
        level = np.ascontiguousarray(pixels[::factor, ::factor])
        strip, data = len(content), jpeg(level)
        content += data
        resolution = len(content)
        content += struct.pack("<II", 40_000 // factor, 1)
        tags = [
            (254, 4, 0), (256, 4, level.shape[1]), (257, 4, level.shape[0]), (258, 3, 8), (259, 3, 7), (262, 3, 6),
            (273, 4, strip), (277, 3, 3), (278, 4, level.shape[0]), (279, 4, len(data)), (282, 5, resolution),
            (283, 5, resolution), (284, 3, 1), (296, 3, 3), (65420, 4, 1), (65421, 11, lens / factor),
            (65422, 9, 0), (65423, 9, 0), (65424, 9, 0),
        ]  # fmt: skip
        content += bytes(len(content) % 2)
        struct.pack_into("<Q", content, link, len(content))
        content += struct.pack("<H", len(tags))
        for code, kind, value in tags:
            content += struct.pack("<HHIf" if kind == 11 else "<HHII", code, kind, 1, value)
        link = len(content)
        content += bytes(8 + 4 * len(tags))  # the next directory, then the upper halves of all values
    path.write_bytes(content)
    return path


def jpeg(pixels, **settings):
    """A JPEG's bytes."""
    stream = io.BytesIO()
    PIL.Image.fromarray(pixels).save(stream, "JPEG", **{"quality": 95, **settings})
    return stream.getvalue()


PHILIPS = (
    '<?xml version="1.0" encoding="UTF-8"?><DataObject ObjectType="DPUfsImport">'
    '<Attribute Name="DICOM_MANUFACTURER" Group="0x0008" Element="0x0070" PMSVR="IString">PHILIPS</Attribute>'
    '<Attribute Name="PIM_DP_SCANNED_IMAGES" Group="0x301D" Element="0x1003" PMSVR="IDataObjectArray"><Array>'
    '<DataObject ObjectType="DPScannedImage">'
    '<Attribute Name="PIM_DP_IMAGE_TYPE" Group="0x301D" Element="0x1004" PMSVR="IString">WSI</Attribute>'
    '<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE" Group="0x1001" Element="0x8B01" '
    'PMSVR="IDataObjectArray"><Array>{}</Array></Attribute></DataObject></Array></Attribute></DataObject>'
)
PHILIPS_LEVEL = (
    '<DataObject ObjectType="PixelDataRepresentation"><Attribute Name="DICOM_PIXEL_SPACING" Group="0x0028" '
    'Element="0x0030" PMSVR="IDoubleArray">&quot;{0}&quot; &quot;{0}&quot;</Attribute></DataObject>'
)


def philips(path, pixels, factors=(2, 4)):
    """A Philips slide as TIFF: sizes of all levels' pixels, in mm, in its XML."""
    told = PHILIPS.format("".join(PHILIPS_LEVEL.format(0.00025 * factor) for factor in (1, *factors)))
    with tifffile.TiffWriter(path) as tiff:
        for factor in (1, *factors):
            tiff.write(
                np.ascontiguousarray(pixels[::factor, ::factor]), photometric="rgb", tile=(64, 64), compression="jpeg",
                compressionargs={"level": 95}, software="Philips DP v1.0", metadata=None,
                description=told if factor == 1 else None, subfiletype=int(factor > 1),
            )  # fmt: skip
    return path


LEICA = (
    '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="1" '
    'sizeX="{0}" sizeY="{1}"><image name="1"><creationDate>2020-01-01T00:00:00Z</creationDate>'
    '<device model="SCN400" version="1"/><pixels sizeX="{2}" sizeY="{3}">{4}</pixels>'
    '<view sizeX="{5}" sizeY="{6}" offsetX="{7}" offsetY="{8}"/><scanSettings><objectiveSettings>'
    "<objective>40</objective></objectiveSettings><illuminationSettings><numericalAperture>0.65</numericalAperture>"
    "<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image></collection></scn>"
)


def leica(path, pixels, factors=(2, 4), corner=(0, 0)):
    """A Leica slide: sizes in nm and the page of each level in its XML. corner: (x, y) of the scan on the glass."""
    height, width = pixels.shape[:2]
    levels = "".join(
        f'<dimension sizeX="{-(-width // factor)}" sizeY="{-(-height // factor)}" r="{n}" ifd="{n}"/>'
        for n, factor in enumerate((1, *factors))
    )
    across, down = width * 250, height * 250
    left, top = (250 * start for start in corner)
    glass = left + across + 1, top + down + 1  # a view of all would be the macro
    told = LEICA.format(*glass, width, height, levels, across, down, left, top)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        for factor in (1, *factors):
            tiff.write(
                np.ascontiguousarray(pixels[::factor, ::factor]), photometric="rgb", tile=(64, 64), compression="jpeg",
                compressionargs={"level": 95}, metadata=None, description=told if factor == 1 else None,
                resolution=(40_000 / factor, 40_000 / factor), resolutionunit="CENTIMETER",
            )  # fmt: skip
    return path
