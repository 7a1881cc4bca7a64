"""A GPU that is lent by the call, as on ZeroGPU: names and arrays go to the process that has it, arrays come back.

Everywhere else, all is computed in this process, on the device that `hub.device` names.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from sac import hub
from sac.errors import SacError
from sac.images import Image
from sac.inference.predictor import Embedding
from sac.model.sac import SAC
from sac.remote.downloads import silent

try:
    from spaces import GPU  # a Space has it; it does nothing but on ZeroGPU
except ImportError:
    GPU = None

SECONDS = 60
"""For which the GPU is asked at a time."""
MODELS = 2
"""Checkpoints that the process with the GPU keeps."""
YES = ("1", "t", "true")

T = TypeVar("T")


def is_lent() -> bool:
    """Whether the GPU is another process's, which has it only while it is called."""
    return GPU is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in YES


def device() -> str:
    """Where this process keeps models. Edits are answered here: beside a GPU that is lent, without it."""
    return "cpu" if is_lent() else hub.device()


def lent(task: Callable[..., T], place: str, *arguments: Any) -> T:
    """What `task(sac, *arguments)` returns, computed where the GPU is.

    task: a function of a module, which changes nothing but what it returns. place: what `hub.load` takes. What hears of
    progress stays here and hears nothing. Raises the task's own SacError.
    """
    outcome = _carried_out(task, place, [_bare(argument) for argument in arguments])
    if isinstance(outcome, SacError):
        raise outcome
    return outcome


def _bare(argument: Any) -> Any:
    """An argument as it goes over: of a picture, what a model looks at."""
    if isinstance(argument, Image):
        return Image(argument.name, argument.pixels, argument.microns)
    return silent if callable(argument) else argument


def _carried_out(task: Callable[..., T], place: str, arguments: list[Any]) -> T | SacError:
    """In the process that has the GPU. An error is returned: raised, only its type would come back."""
    try:
        sac = _model(place)
        return task(sac, *[a.on(sac.sam.device) if isinstance(a, Embedding) else a for a in arguments])
    except SacError as error:
        return error


if GPU is not None:
    _carried_out = GPU(duration=SECONDS)(_carried_out)


@lru_cache(maxsize=MODELS)
def _model(place: str) -> SAC:
    """Not the page's own: those are shared by threads, whose locks a fork would copy as they are."""
    return hub.load(place, hub.device())
