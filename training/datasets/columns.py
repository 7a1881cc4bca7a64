"""Which columns of a parquet file hold pictures, and which of those the images and the masks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
from pyarrow import types

from sac.decoding.decoded import spoken
from sac.errors import DataError

IMAGES = {"image", "images", "img", "imgs", "picture", "pictures", "photo", "pixels", "pixel_values", "input"}
MASKS = {
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentation_mask", "instance",
    "instances", "instance_mask", "instance_masks", "label_mask", "mask_instance", "inst_map", "gt", "ground_truth",
}  # fmt: skip
NAMES = ("name", "file_name", "filename", "image_name", "image_id", "id")
"""What a column is called, in small letters and without its parents, that holds images, masks, or rows' names."""
TOLD = 12
"""Columns that a sentence lists."""


@dataclass(frozen=True)
class Columns:
    """Columns that hold pictures: images one in each row, masks one or a list. `name`: the column of names, or ""."""

    images: tuple[str, ...]
    masks: tuple[str, ...]
    name: str = ""
    others: tuple[str, ...] = ()

    @classmethod
    def of(cls, schema: pa.Schema) -> Columns:
        """By their types alone: what the schema's metadata claim is not looked at."""
        found = [column for field in schema for column in _pictures(field.name, field.type)]
        held = {name.split(".")[0] for name, _ in found} | {name for name, _ in found}
        return cls(
            images=_named_first([name for name, many in found if not many], IMAGES),
            masks=_named_first([name for name, _ in found], MASKS),
            name=next((f.name for n in NAMES for f in schema if f.name.lower() == n and _is_name(f.type)), ""),
            others=tuple(field.name for field in schema if field.name not in held),
        )

    def chosen(self, wanted: tuple[str, str], source: str) -> tuple[str, str]:
        """The columns of images and masks: those wanted, for "" the one that is called so. Raises DataError."""
        image = _one(self.images, wanted[0], IMAGES)
        mask = _one(tuple(name for name in self.masks if name != image), wanted[1], MASKS)
        if image and mask:
            return image, mask
        if not self.masks:
            raise DataError(f"{source} has no column with the bytes of pictures; its columns are {_list(self.others)}")
        what = "images" if not image else "masks"
        asked = wanted[0] if not image else wanted[1]
        if asked:
            raise DataError(f"{source} has no {what} in column {spoken(asked)}; pictures are in {_list(self.masks)}")
        raise DataError(f"say which column of {source} holds the {what}; pictures are in {_list(self.masks)}")


def _pictures(name: str, kind: pa.DataType, many: bool = False) -> Iterator[tuple[str, bool]]:
    """(dotted name, whether it holds several) of each column of pictures in a field of that type."""
    if _is_picture(kind):
        yield name, many
    elif _is_list(kind) and not many:
        yield from _pictures(name, kind.value_type, True)
    elif types.is_struct(kind) and "." not in name:
        for child in kind:
            yield from _pictures(f"{name}.{child.name}", child.type, many)


def _is_picture(kind: pa.DataType) -> bool:
    """A file's bytes, alone or with its path beside: the image feature of data sets on the Hub."""
    if types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _is_bytes(kind.field("bytes").type)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _is_list(kind: pa.DataType) -> bool:
    return types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)


def _is_name(kind: pa.DataType) -> bool:
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_integer(kind)


def _named_first(found: list[str], names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(found, key=lambda name: not _is_called(name, names)))


def _is_called(column: str, names: set[str]) -> bool:
    return re.sub(r"\W+", "_", column.split(".")[-1].strip().lower()) in names


def _one(found: tuple[str, ...], wanted: str, names: set[str]) -> str:
    """`wanted`, where it is among those found; for "" the only one of these names. Else ""."""
    fit = [column for column in found if (column == wanted if wanted else _is_called(column, names))]
    return fit[0] if len(fit) == 1 else ""


def _list(columns: tuple[str, ...]) -> str:
    more = f" and {len(columns) - TOLD} others" if len(columns) > TOLD else ""
    return (", ".join(spoken(name) for name in columns[:TOLD]) or "none") + more
