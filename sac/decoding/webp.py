"""WebPs that do not move, by imagecodecs: Pillow decodes each of them as a film, in four times the memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

HEAD = 30
"""Bytes in which every WebP says its size."""


def size(path: Path) -> tuple[int, int] | None:
    """(height, width) that a WebP claims; None for any other file. After RFC 9649, sections 2.5 to 2.7."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    if len(head) < HEAD or head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return None
    kind = head[12:16]
    if kind == b"VP8X":  # of 24 bits each, less one
        return _number(head[27:30]) + 1, _number(head[24:27]) + 1
    if kind == b"VP8L":  # of 14 bits each, less one, behind a signature byte
        packed = _number(head[21:25])
        return (packed >> 14 & 0x3FFF) + 1, (packed & 0x3FFF) + 1
    return _number(head[28:30]) & 0x3FFF, _number(head[26:28]) & 0x3FFF


def _number(little_endian: bytes) -> int:
    return int.from_bytes(little_endian, "little")


def values(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB, or (H, W, 4) with opacity."""
    from imagecodecs import webp_decode

    return webp_decode(np.memmap(path, np.uint8, "r"))
