"""What one browser tab has on its desk: pictures, what was done to each, and the one that is shown."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import secrets
import threading
import weakref
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image as PillowImage

from sac.cases import GONE, Level
from sac.config import LIMITS
from sac.errors import CaseError, DeskError, ImageError
from sac.export import Result
from sac.images import Image
from sac.inference.history import History
from sac.inference.session import Session
from sac.ui.cases.held import Held
from sac.ui.models import sought, title

THUMBNAIL = (88, 66)

EMPTY = "There is no image yet: drop one on the page, or pick an example."
PREVIEW = "This is a whole slide: drag a rectangle over the part to segment."
CLOSED = "That image was closed meanwhile."

Variant = tuple[str, str]
"""Model and mode: a picture keeps its work under each, so that switching loses nothing."""


@dataclass(frozen=True)
class Kept:
    """What a case has of a picture, but for notes and steps that can be undone."""

    sessions: dict[Variant, Session]
    truth: np.ndarray | None
    microns: float | None

    def has(self, picture: Picture) -> bool:
        """Whether nothing was done on the picture since. What an edit leaves is the same object."""
        sessions = {variant: history.now for variant, history in picture.histories.items()}
        known = self.sessions == sessions and self.truth is picture.truth
        return known and self.microns == picture.image.microns


@dataclass(eq=False)
class Picture:
    """One image and the work on it. held: the case that it is kept as; kept: what that case has of it; id: what the
    browser calls it, as no other is called."""

    image: Image
    digest: str
    thumbnail: str
    histories: dict[Variant, History] = field(default_factory=dict)
    shown: Variant | None = None
    truth: np.ndarray | None = None
    rivals: dict[str, np.ndarray] = field(default_factory=dict)
    trouble: str = ""
    busy: bool = False
    """Whether it is being segmented."""
    held: Held | None = None
    kept: Kept | None = None
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @classmethod
    def of(cls, image: Image) -> Picture:
        seen = hashlib.sha256(repr(image.pixels.shape).encode() + image.pixels.tobytes())
        return cls(image, seen.hexdigest(), _thumbnail(image.pixels))

    @property
    def history(self) -> History | None:
        """The work that is shown; None where the picture is not segmented yet."""
        return self.histories.get(self.shown) if self.shown else None

    @property
    def session(self) -> Session | None:
        return self.history.now if self.history else None

    @property
    def sought(self) -> str:
        """What is found on it, in a word, by the checkpoint whose work is shown."""
        return sought(self.shown[0] if self.shown else "")

    @property
    def state(self) -> str:
        """In a word, for the strip: whole slide, failed, new, segmented or edited."""
        if self.image.is_preview:
            return "whole slide"
        if self.history is None:
            return "failed" if self.trouble else "new"
        return "edited" if self.history.past else "segmented"

    @property
    def is_unsaved(self) -> bool:
        """Whether it was changed since its case was saved."""
        return self.held is not None and not (self.kept and self.kept.has(self))

    def allow(self, level: Level) -> Picture:
        """The picture itself. Raises CaseError where it belongs to a case that may not be used so."""
        if self.held:
            self.held.allow(level)
        return self

    def is_over(self) -> bool:
        """Whether the link that it came by is over. Of a case of one's own that was deleted, the picture stays."""
        try:
            self.allow("view")
        except CaseError:
            if not self.held.is_mine:
                return True
            self.held = self.kept = None
        return False

    def begin(self, variant: Variant, session: Session) -> None:
        """A fresh segmentation: the first of its variant, or one more step of it, that can be undone."""
        before = self.histories.get(variant)
        if before:
            session = replace(session, last=max(session.last, before.now.last))
        self.histories[variant] = before.then(session) if before else History(session)
        self.shown, self.trouble = variant, ""
        self.rivals.clear()

    def commit(self, history: History) -> None:
        """The work shown moves on, or back."""
        self.histories[self.shown] = history

    def result(self) -> Result:
        """What exports take. Raises ImageError where nothing was segmented."""
        if self.image.is_preview:
            raise ImageError(PREVIEW)
        if self.session is None:
            raise ImageError(f"{self.image.name} is not segmented yet: press Segment first.")
        return Result(self.image, self.session.instances(), title(self.shown[0]), self.session.options)


class Desk:
    """A tab's pictures. Handlers change it only while they hold `lock`; it is compared by identity.

    opening: held while another part of a file is read, so that edits go on meanwhile.
    left: a mark of when the tab seemed to be closed; None while it speaks. See `opening.forget`.
    picked: whether the visitor chose a checkpoint; before that, the page does. models: those that came from the Hub.
    """

    def __init__(self):
        self.pictures: list[Picture] = []
        self.index = 0
        self.picked = False
        self.models: list[str] = []
        self.rev = 0
        self.left: object | None = None
        self.lock, self.opening = threading.RLock(), threading.Lock()
        self._room: TemporaryDirectory | None = None

    def __deepcopy__(self, memo: dict) -> Desk:
        return self

    @property
    def picture(self) -> Picture:
        """The picture shown. Raises ImageError where there is none."""
        if not self.pictures:
            raise ImageError(EMPTY)
        return self.pictures[self.index]

    def add(self, images: list[Image]) -> None:
        """Lays images on the desk and shows the first of them. Raises ImageError where it is full."""
        if len(self.pictures) + len(images) > LIMITS.pictures:
            raise DeskError(f"One tab holds up to {LIMITS.pictures} images; close some first.")
        coming = sum(image.nbytes for image in images)
        if coming + self.nbytes > LIMITS.desk:
            raise DeskError(f"One tab holds up to {LIMITS.desk / 2**30:.0f} GB of images; close some first.")
        if images and not self._has_room(coming):
            raise DeskError("This server holds as many images as it can; close some, or try again later.")
        if images:
            self.index = len(self.pictures)
        self.pictures += [Picture.of(image) for image in images]

    def _has_room(self, coming: int) -> bool:
        """Whether the server has room for so many bytes more. Tabs that seem to be closed make room, if need be."""
        desks = {self, *DESKS.values()}
        if coming + sum(desk.nbytes for desk in desks) <= LIMITS.desks:
            return True
        for desk in desks:
            if desk.left:
                desk.clear()
        return coming + sum(desk.nbytes for desk in desks) <= LIMITS.desks

    @property
    def nbytes(self) -> int:
        """Memory of its images."""
        return sum(picture.image.nbytes for picture in self.pictures)

    def place_of(self, id: object) -> int | None:
        """Where the picture of that id lies; None where it was closed, or what a browser sent is no id."""
        return next((place for place, picture in enumerate(self.pictures) if picture.id == id), None)

    def named(self, id: str) -> Picture:
        """The picture of that id, or the one shown for "". Raises ImageError where it was closed."""
        place = self.place_of(id) if id else self.index
        if place is None:
            raise ImageError(CLOSED)
        return self.pictures[place]

    def put(self, image: Image, picture: Picture) -> None:
        """Shows another part of a picture's file: in its place, or beside it where that would lose work.

        Raises ImageError where the picture was closed.
        """
        place = self.place_of(self.named(picture.id).id)
        if picture.histories or picture.busy or picture.image.is_preview:
            self.add([image])
        else:
            self.pictures[place], self.index = Picture.of(image), place

    @property
    def room(self) -> Path:
        """A folder for what comes out of this tab's zips; it goes when the tab closes."""
        if self._room is None:
            self._room = TemporaryDirectory(prefix="sac-", dir=os.environ.get("GRADIO_TEMP_DIR"))
        return Path(self._room.name)

    def remove(self, index: int) -> None:
        """Takes a picture and all work on it off the desk."""
        if 0 <= index < len(self.pictures):
            del self.pictures[index]
            self.index = max(0, min(self.index - (index < self.index), len(self.pictures) - 1))

    def close_over(self) -> bool:
        """Takes pictures off the desk whose links are over. Returns whether there were any."""
        with self.lock:
            over = [index for index, picture in enumerate(self.pictures) if picture.is_over()]
            for index in reversed(over):
                self.remove(index)
        return bool(over)

    def clear(self) -> None:
        """Lets go of everything: the tab was closed."""
        with self.lock:
            self.pictures, self.index = [], 0
            if self._room:
                self._room.cleanup()
                self._room = None


def at(desk: Desk | None, level: Level = "view") -> Desk:
    """The desk that has a picture on it. Raises ImageError where there is none.

    Raises CaseError where a link is over, whose picture leaves the desk, or does not go as far as `level`.
    """
    if desk is None or not desk.pictures:
        raise ImageError(EMPTY)
    desk.left = None
    if desk.close_over():
        raise CaseError(GONE)
    desk.picture.allow(level)
    return desk


DESKS: weakref.WeakValueDictionary[str, Desk] = weakref.WeakValueDictionary()
"""Desks by Gradio's name for the tab, to empty them when it closes. No authority: handlers get theirs from gr.State."""


def _thumbnail(pixels: np.ndarray) -> str:
    """A small JPEG as data URL."""
    step = max(1, min(pixels.shape[0] // (2 * THUMBNAIL[1]), pixels.shape[1] // (2 * THUMBNAIL[0])))
    small = PillowImage.fromarray(np.ascontiguousarray(pixels[::step, ::step]))
    small.thumbnail(THUMBNAIL)
    stream = io.BytesIO()
    small.save(stream, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
