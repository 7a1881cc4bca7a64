"""What can go wrong and be said in one sentence. Anything else is a bug and keeps its traceback."""

import errno

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of the errors which say that there is no room for a file, not that it is damaged."""


class SacError(Exception):
    """Base of all errors that a user can mend: says what is wrong, the value, and what is accepted."""


class ImageError(SacError):
    """A picture that cannot be read, or not without damage."""


class DeskError(ImageError):
    """A picture for which a browser tab has no more room."""


class Stopped(SacError):
    """What a visitor stopped, or left behind: there is nobody to tell."""


class CheckpointError(SacError):
    """A checkpoint or base that is missing, incomplete, foreign or damaged."""


class OptionError(SacError):
    """A setting outside what is accepted."""


class EditError(SacError):
    """An edit that does not fit the picture as it stands."""


class DataError(SacError):
    """A training or evaluation set that does not hold what it should."""


class TrainingError(SacError):
    """A training that cannot start, or had to stop."""


class HubError(SacError):
    """Something that the Hub does not take, or does not give."""


class CaseError(SacError):
    """A case that is not there, not allowed, or cannot be kept."""


class CaseChanged(CaseError):
    """A case that somebody else saved meanwhile. latest: the number of that version; author: who that was."""

    def __init__(self, latest: int, author: str):
        by = f" by {author}" if author else ""
        super().__init__(f"The case was saved{by} meanwhile, as version {latest}. Keep both, or reload theirs?")
        self.latest, self.author = latest, author


def of_system(error: OSError) -> str:
    """What the system says of a file or folder that a command was given. Raises the error where it names none."""
    if not (error.filename and error.strerror):
        raise error
    return f"{error.filename}: {error.strerror}"
