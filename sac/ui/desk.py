"""What one browser tab has on its desk: pictures, and the one that is shown."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sac.cases import GONE, Level
from sac.config import LIMITS
from sac.errors import CaseError, DeskError, ImageError, Stopped
from sac.images import Image
from sac.inference.segment import Progress
from sac.ui.picture import Picture

EMPTY = "There is no image yet: drop one on the page, or pick an example."
ABANDONED = 60.0
"""Seconds after a tab seemed to be closed in which its work goes on: a network may break."""
CLOSED = "That image was closed meanwhile."


class Desk:
    """A tab's pictures. Handlers change it only while they hold `lock`; it is compared by identity.

    opening: held while another part of a file is read, so that edits go on meanwhile.
    left: when the tab seemed to be closed, in monotonic seconds; None while it speaks. See `opening.forget`.
    tasks, stops: how much long work is under way, and how often it was stopped. See `task`.
    picked: whether the visitor chose a checkpoint; before that, the page does. models: those that came from the Hub.
    """

    def __init__(self):
        self.pictures: list[Picture] = []
        self.index = 0
        self.picked = False
        self.models: list[str] = []
        self.rev = 0
        self.left: float | None = None
        self.tasks = self.stops = 0
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
            if desk.left and desk.lock.acquire(blocking=False):  # two that wait for each other would wait for ever
                try:
                    desk.clear()
                finally:
                    desk.lock.release()
        return coming + sum(desk.nbytes for desk in desks) <= LIMITS.desks

    @contextmanager
    def task(self, progress: Progress) -> Iterator[Progress]:
        """Long work for this tab: gives what it is to tell its progress to, and passes it on.

        That raises Stopped once the visitor stops it, or has been gone for a while: others wait for their turn.
        """
        begun = self.stops

        def tell(share: float, word: str) -> None:
            if self.stops > begun or (self.left and time.monotonic() - self.left > ABANDONED):
                raise Stopped("It was stopped.")
            progress(share, word)

        self.tasks += 1
        try:
            yield tell
        finally:
            self.tasks -= 1

    def stop(self) -> bool:
        """Ends the long work that is under way, at its next word. Returns whether there is any."""
        self.stops += 1
        return self.tasks > 0

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
        if picture not in self.pictures:
            raise ImageError(CLOSED)
        if picture.histories or picture.busy or picture.truth is not None or picture.image.is_preview:
            self.add([image])
        else:
            self.index = self.pictures.index(picture)
            self.pictures[self.index] = Picture.of(image)

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
