"""A picture on a desk as a case holds it, and the other way round."""

from __future__ import annotations

from sac.cases import Case, Who, Work
from sac.errors import CaseError, ImageError
from sac.inference.history import History
from sac.ui.cases.held import Held, cases
from sac.ui.desk import Desk
from sac.ui.models import title
from sac.ui.picture import PREVIEW, Kept, Picture


def work_of(picture: Picture, notes: str) -> Work:
    """What a case keeps of a picture: everything but the steps that can be undone. Raises ImageError for a preview."""
    if picture.image.is_preview:
        raise ImageError(PREVIEW)
    sessions = {variant: history.now for variant, history in picture.histories.items()}
    models = {model: title(model) for model, _ in sessions}
    return Work(picture.image, sessions, picture.shown, notes, picture.truth, models)


def lay(desk: Desk, id: str, who: Who, version: int | None = None) -> Picture:
    """Opens a case on a desk, in place of the same case where it lies there, and shows it. Raises CaseError."""
    case, work = cases().open(id, who, version)
    picture = Picture.of(work.image)
    picture.histories = {variant: History(session) for variant, session in work.sessions.items()}
    picture.shown, picture.truth = work.shown, work.truth
    hold(picture, case, who, work, version)
    with desk.lock:
        there = [n for n, other in enumerate(desk.pictures) if other.held and other.held.id == id]
        if there:
            desk.index = there[0]
        else:
            desk.add([work.image])
        desk.pictures[desk.index] = picture
    return picture


def check_saved(desk: Desk | None, id: str) -> None:
    """Raises CaseError where the case lies on the desk with work that is not saved: opening it would throw that away."""
    if any(picture.held and picture.held.id == id and picture.is_unsaved for picture in (desk.pictures if desk else ())):
        raise CaseError("There is work on this case that is not saved yet: save it first, or close the image.")


def hold(picture: Picture, case: Case, who: Who, work: Work, version: int | None = None) -> None:
    """The case has the picture as `work` is, as of `version` or the latest. What was done on it since is not kept yet."""
    picture.held = Held(case.id, who, case.name, version or case.version, case.level, work.notes)
    picture.kept = Kept(work.sessions, work.truth, work.image.microns)
