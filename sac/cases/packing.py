"""What a version of a case holds, as JSON and arrays, and back. What is read may come from strangers."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from sac.config import LIMITS, SegmentOptions
from sac.errors import CaseError, SacError
from sac.images import Image, Place
from sac.inference.session import Nucleus, Point, Row, Session

Variant = tuple[str, str]
"""Model and mode."""
FORMAT = 1
THUMBNAIL = (176, 132)
MOST = 2**30
"""The highest number of a nucleus or a point: more than any picture has, with room for those to come."""
TEXTS = 1000, 2000
"""Notes or names of channels that are kept, and letters of each."""
LARGEST_SCALE = 6.0
"""Magnification that a session may have, of a picture that is not larger then than a picture may be."""
KINDS = "uif"
"""Kinds of numbers that an array may hold: unsigned, signed, floating."""


@dataclass(frozen=True)
class Work:
    """A picture and what was done to it. models: what each model is called in words; truth (H, W): a ground truth."""

    image: Image
    sessions: dict[Variant, Session] = field(default_factory=dict)
    shown: Variant | None = None
    notes: str = ""
    truth: np.ndarray | None = None
    models: dict[str, str] = field(default_factory=dict)

    def renamed(self, named: Callable[[str], str]) -> Work:
        """The same, its models called otherwise."""
        sessions = {(named(model), mode): session for (model, mode), session in self.sessions.items()}
        shown = self.shown and (named(self.shown[0]), self.shown[1])
        models = {named(model): title for model, title in self.models.items()}
        return replace(self, sessions=sessions, shown=shown, models=models)

    @property
    def nuclei(self) -> int:
        return len(self.sessions[self.shown].nuclei) if self.shown else 0


def packed(work: Work) -> tuple[str, dict[str, np.ndarray]]:
    """JSON and arrays by name. Nothing of the file but its pixels, their size and place, and its channels."""
    image = work.image
    arrays = {"pixels": image.pixels}
    if not _is_part(image.values, image.pixels):
        arrays["values"] = image.values
    if work.truth is not None:
        arrays["truth"] = work.truth
    sessions = []
    for number, (variant, session) in enumerate(work.sessions.items()):
        arrays[f"labels-{number}"] = session.labels
        sessions.append({"variant": list(variant), **_session_told(session)})
    told = {
        "format": FORMAT,
        "image": {
            "microns": image.microns,
            "notes": _cut(image.notes),
            "channels": _cut(image.channels),
            "channel": image.channel,
            "bands": image.values.shape[2],
            **_place_told(image),
        },
        "sessions": sessions,
        "shown": list(work.shown) if work.shown else None,
        "notes": work.notes,
        "models": work.models,
    }
    return json.dumps(told, allow_nan=False), arrays


def unpacked(told: str, arrays: dict[str, np.ndarray], name: str) -> Work:
    """The work that `packed` packed, of a picture now called `name`. Raises CaseError where it is none."""
    try:
        return _work(json.loads(told), arrays, name)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise CaseError("The case is damaged, or it was written by another program.") from error
    except CaseError:
        raise
    except SacError as error:
        raise CaseError(f"The case is damaged: {error}") from error


def to_bytes(array: np.ndarray) -> bytes:
    """An array as NumPy's own file format, deflated piece by piece: an array may be large."""
    stream = _Deflated()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
    return stream.finished()


def from_bytes(content: bytes) -> np.ndarray:
    """Raises CaseError where it is not what `to_bytes` made."""
    try:
        return np.lib.format.read_array(io.BytesIO(zlib.decompress(content)), allow_pickle=False)
    except (zlib.error, ValueError, EOFError) as error:
        raise CaseError("The case is damaged: restore a backup, or open another of its versions.") from error


def cleaned(text: str) -> str:
    """Text that can be written anywhere: halves of letters, which JSON may bring, become question marks."""
    return text.encode("utf-8", "replace").decode("utf-8")


def in_line(text: str, most: int) -> str:
    """Text in one line."""
    return " ".join(cleaned(text or "").split())[:most].rstrip()


def thumbnail(pixels: np.ndarray, size: tuple[int, int] = THUMBNAIL) -> bytes:
    """A small JPEG, at most of `size` (width, height)."""
    step = max(1, min(pixels.shape[0] // (2 * size[1]), pixels.shape[1] // (2 * size[0])))
    small = PillowImage.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    small.thumbnail(size)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return stream.getvalue()


class _Deflated:
    """A file to write to, whose content is packed on the way."""

    def __init__(self):
        self._packing, self._parts = zlib.compressobj(1), []

    def write(self, content: bytes) -> None:
        self._parts.append(self._packing.compress(content))

    def finished(self) -> bytes:
        return b"".join([*self._parts, self._packing.flush()])


def _is_part(values: np.ndarray, pixels: np.ndarray) -> bool:
    """Whether values are the pixels, or the first of their bands."""
    return values is pixels or (
        values.dtype == pixels.dtype
        and values.shape[2] <= 3
        and np.array_equal(np.broadcast_to(values, pixels.shape) if values.shape[2] == 1 else values, pixels)
    )


def _place_told(image: Image) -> dict[str, Any]:
    """Where in its file a picture lay, for exports; nothing of one that was all of it."""
    place = image.place
    if image.is_preview or place == Place(image.size):
        return {}
    return {"place": {"size": place.size, "corner": place.corner, "plane": place.depth_and_time}}


def _session_told(session: Session) -> dict[str, Any]:
    return {
        "options": asdict(session.options),
        "nuclei": {
            n: [list(f.window), f.area, f.certainty, f.stability, f.origin, f.accepted]
            for n, f in session.nuclei.items()
        },
        "points": {n: [p.x, p.y, p.kind, p.by_hand, p.on] for n, p in session.points.items()},
        "rows": {n: [[list(p) for p in row.points], row.box and list(row.box)] for n, row in session.rows.items()},
        "last": session.last,
        "notes": _cut(session.notes),
    }


def _work(told: dict[str, Any], arrays: dict[str, np.ndarray], name: str) -> Work:
    if told["format"] != FORMAT:
        raise CaseError(f"The case has format {told['format']!r}; {FORMAT} is accepted: update the app.")
    pixels, facts = arrays["pixels"], told["image"]
    bands = _whole(facts["bands"], 1, LIMITS.samples)
    values = arrays.get("values", pixels if bands == pixels.shape[2] else pixels[..., :bands])
    _check(values.ndim == 3 and values.dtype.kind in KINDS and pixels.size and len(pixels.shape) == 3)
    _check(pixels.shape[0] * pixels.shape[1] <= LIMITS.pixels and values.nbytes <= LIMITS.values)
    channels = _texts(facts["channels"])
    image = Image(
        name,
        pixels,
        None if facts["microns"] is None else _positive(facts["microns"]),
        _texts(facts["notes"]),
        values,
        channels,
        _whole(facts["channel"], -1, max(1, len(channels))),
        place=_place(facts["place"], pixels.shape) if "place" in facts else None,
    )
    sessions = {
        _variant(part["variant"]): _session(part, arrays[f"labels-{number}"], image.size)
        for number, part in enumerate(told["sessions"])
    }
    _check(all(mode == session.options.mode for (_, mode), session in sessions.items()))
    shown = None if told["shown"] is None else _variant(told["shown"])
    _check(shown is None or shown in sessions)
    truth = arrays.get("truth")
    _check(truth is None or (truth.shape == image.size and truth.dtype == np.int32 and truth.min(initial=0) >= 0))
    models = {_text(key, 200): cleaned(str(value)[:200]) for key, value in told["models"].items()}
    return Work(image, sessions, shown, _text(told["notes"], LIMITS.notes), truth, models)


def _place(told: dict[str, Any], size: tuple[int, ...]) -> Place:
    """The place, in its file, of a picture of `size` (height, width, ...), which must lie inside."""
    (height, width), (x, y), plane = told["size"], told["corner"], told["plane"]
    whole = _whole(height, size[0], MOST), _whole(width, size[1], MOST)
    corner = _whole(x, 0, width - size[1]), _whole(y, 0, height - size[0])
    _check(isinstance(plane, list) and len(plane) in (0, 2))
    return Place(whole, corner, depth_and_time=tuple(_whole(along, 0, MOST) for along in plane))


def _session(told: dict[str, Any], labels: np.ndarray, size: tuple[int, int]) -> Session:
    _check(labels.shape == size and labels.dtype == np.int32)
    nuclei = {int(n): _nucleus(fact, size) for n, fact in told["nuclei"].items()}
    points = {
        int(n): Point(_number(x), _number(y), _whole(kind, 0, 1), _truth(hand), _truth(on))
        for n, (x, y, kind, hand, on) in told["points"].items()
    }
    rows = {
        int(n): Row(
            tuple((_whole(p, 1, MOST), _whole(label, 0, 1)) for p, label in asked), None if box is None else _box(box)
        )
        for n, (asked, box) in told["rows"].items()
    }
    last = _whole(told["last"], 0, MOST)
    _check(labels.min(initial=0) >= 0 and _numbers(labels) == set(nuclei))
    options = _options(told["options"], labels.size)
    _check(max([*nuclei, *(rows if options.mode == "instances" else ()), 0]) <= last)
    _check(min(rows, default=1) >= 1 and max(rows, default=1) <= MOST)
    _check(all(p in points for row in rows.values() for p, _ in row.points))
    _check(set(points) == set(range(1, len(points) + 1)))
    return Session(labels, options, nuclei, points, rows, last, _texts(told["notes"]))


def _numbers(labels: np.ndarray) -> set[int]:
    """Numbers other than 0 on a map. Sorting a large one takes many times as long as ticking them off."""
    if labels.max(initial=0) > labels.size:
        return set(np.unique(labels).tolist()) - {0}
    seen = np.zeros(int(labels.max(initial=0)) + 1, bool)
    seen[labels] = True
    return set(np.flatnonzero(seen).tolist()) - {0}


def _options(told: dict[str, Any], pixels: int) -> SegmentOptions:
    """Options for so many pixels, whose values are of the kind that they should be; JSON may lose a decimal point."""
    usual = asdict(SegmentOptions())
    for name, value in told.items():
        _check(type(value) is type(usual[name]) or (type(usual[name]) is float and type(value) is int))
    options = SegmentOptions(**told)
    _check(options.overlap <= usual["overlap"] and options.scale <= LARGEST_SCALE)  # more would be endless work
    _check(options.scale <= 1 or round(options.scale**2 * pixels) <= LIMITS.pixels)
    return options


def _nucleus(fact: list, size: tuple[int, int]) -> Nucleus:
    (x0, y0, x1, y1), area, certainty, stability, origin, accepted = fact
    x1, y1 = _whole(x1, 1, size[1]), _whole(y1, 1, size[0])
    window = _whole(x0, 0, x1 - 1), _whole(y0, 0, y1 - 1), x1, y1
    area = _whole(area, 1, size[0] * size[1])
    return Nucleus(window, area, _number(certainty), _number(stability), _text(origin, 40), _truth(accepted))


def _box(box: list) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box
    return _number(x0), _number(y0), _number(x1), _number(y1)


def _variant(told: list) -> Variant:
    model, mode = told
    return _text(model, 200), _text(mode, 40)


def _check(holds: Any) -> None:
    if not holds:
        raise ValueError("its parts do not fit together")


def _whole(value: Any, least: int, most: int) -> int:
    _check(type(value) is int and least <= value <= most)
    return value


def _number(value: Any) -> float:
    _check(type(value) in (int, float) and abs(value) < 1e9)
    return value


def _positive(value: Any) -> float:
    _check(_number(value) > 0)
    return value


def _truth(value: Any) -> bool:
    _check(type(value) is bool)
    return value


def _text(value: Any, most: int) -> str:
    _check(isinstance(value, str) and len(value) <= most)
    return cleaned(value)


def _texts(values: Any) -> tuple[str, ...]:
    _check(isinstance(values, list) and len(values) <= TEXTS[0])
    return tuple(_text(value, TEXTS[1]) for value in values)


def _cut(texts: Iterable[str]) -> list[str]:
    """As much of texts, which may be a file's, as `_texts` takes."""
    return [text[: TEXTS[1]] for text in texts][: TEXTS[0]]
