"""Repositories on the Hub: what their names look like, how long they are waited for, and what is said of those not to be had."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import Any, TypeVar

from httpx2 import Client, HTTPError, RequestError, Response, TimeoutException
from huggingface_hub import set_client_factory
from huggingface_hub.errors import (
    GatedRepoError,
    HFValidationError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import hf_request_event_hook

from sac.errors import NO_ROOM, CheckpointError, SacError

NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
"""owner/name."""
PATIENCE = 10
"""Seconds of silence after which the Hub is given up."""
DISK = (*NO_ROOM, errno.EACCES, errno.EPERM, errno.EROFS)
"""What a folder answers in which nothing can be written."""

T = TypeVar("T")


class ImpatientClient(Client):
    """The Hub's client as it comes waits for ever, and sends six times what was met with silence; this one does neither."""

    def send(self, request, **options: Any) -> Response:
        try:
            return super().send(request, **options)
        except TimeoutException as error:
            if request.method in ("GET", "HEAD"):
                raise
            raise RequestError(f"no answer to {request.method}", request=request) from error


def _client() -> Client:
    return ImpatientClient(event_hooks={"request": [hf_request_event_hook]}, follow_redirects=True, timeout=PATIENCE)


set_client_factory(_client)


class Silence(OSError):
    """The Hub was given up, as nothing came from it."""


def asked(name: str, question: Callable[[], T], error: type[SacError] = CheckpointError) -> T:
    """What the Hub answers to a question about repository `name`. Raises `error` in one plain sentence."""
    try:
        return question()
    except HFValidationError as cause:
        raise error(f"{name!r} is not a name that a repository on the Hub may have") from cause
    except RevisionNotFoundError as cause:
        raise error(f"the repository on the Hub has no such revision: {name}") from cause
    except GatedRepoError as cause:
        raise error(gated(name)) from cause
    except RepositoryNotFoundError as cause:  # the Hub tells strangers no more of a private one
        raise error(
            f"the Hub has no public repository for {name}: there is none of this name, or it is private"
        ) from cause
    except RemoteEntryNotFoundError as cause:
        raise error(f"{name} lacks a file that the Hub lists; try again later") from cause
    except (HTTPError, OSError, ValueError) as cause:
        raise error(f"{name} could not be fetched from the Hub: {_reason(cause)}") from cause


def gated(name: str) -> str:
    return (
        f"{name} is gated: only accounts that its owner lets in may fetch it;"
        " ask on its page, download it with your own account, and give the folder"
    )


def passes(cause: BaseException | None) -> bool:
    """Whether a failure is of the moment, not of the repository: then a copy that was fetched before serves."""
    status = _status(cause)
    if status:
        return status == 429 or status >= 500
    return isinstance(cause, (HTTPError, OSError, ValueError)) and not isinstance(cause, HFValidationError)


def _reason(cause: Exception) -> str:
    """Why nothing came."""
    status = _status(cause)
    if status == 429:
        wait = cause.response.headers.get("Retry-After", "")
        return f"it asks for fewer requests; try again in {f'{wait} s' if wait.isdigit() else 'some minutes'}"
    if status:
        trouble = f"it has trouble of its own (status {status}); try again later"
        return trouble if status >= 500 else f"it refuses (status {status})"
    if isinstance(cause, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, which forbids to ask it"
    if isinstance(cause, (TimeoutException, Silence)):
        return "it is silent; try again later"
    if isinstance(cause, ValueError):  # an answer that is no JSON
        return "what answers is not the Hub; a proxy, or a network that wants a sign-in, may stand between"
    if isinstance(cause, OSError) and cause.errno in DISK:
        return f"its files cannot be kept here ({os.strerror(cause.errno).lower()})"
    return "it cannot be reached; is this computer online?"


def _status(cause: BaseException | None) -> int | None:
    response = getattr(cause, "response", None)
    return None if response is None else response.status_code
