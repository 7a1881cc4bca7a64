"""A picture on a desk: the image, the work on it under each model and mode, the case that it is kept as."""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass, field, replace

import numpy as np

from sac.cases import Level
from sac.cases.packing import thumbnail
from sac.errors import CaseError, ImageError
from sac.export import Result
from sac.images import Image
from sac.inference.history import History
from sac.inference.session import Session
from sac.ui.cases.held import Held
from sac.ui.models import sought, title

THUMBNAIL = (88, 66)
PREVIEW = "This is a whole slide: drag a rectangle over the part to segment."
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
        small = base64.b64encode(thumbnail(image.pixels, THUMBNAIL)).decode()
        return cls(image, seen.hexdigest(), f"data:image/jpeg;base64,{small}")

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
        return Result(self.image, self.session.instances(), title(self.shown[0]), self.session.options, self.truth)
