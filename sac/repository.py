"""Repositories on the Hub: what their names look like, how long they are waited for, and what is said of those not to be had."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from httpx2 import Client, HTTPError, RequestError, Response, TimeoutException
from huggingface_hub import set_client_factory
from huggingface_hub.errors import (
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils._http import hf_request_event_hook

from sac.errors import CheckpointError, SacError

NAME = re.compile(r"[\w][\w.-]*/[\w][\w.-]*")
"""owner/name."""
PATIENCE = 10
"""Seconds of silence after which the Hub is given up."""

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


def asked(name: str, question: Callable[[], T], error: type[SacError] = CheckpointError) -> T:
    """What the Hub answers to a question about repository `name`. Raises `error` in one plain sentence."""
    try:
        return question()
    except HFValidationError as cause:
        raise error(f"{name!r} is not a name that a repository on the Hub may have") from cause
    except RevisionNotFoundError as cause:
        raise error(f"the repository on the Hub has no such revision: {name}") from cause
    except RepositoryNotFoundError as cause:
        raise error(f"the Hub has no public repository for {name}") from cause
    except (HTTPError, LocalEntryNotFoundError, OSError, ValueError) as cause:  # ValueError: an answer that is no JSON
        raise error(f"{name} could not be fetched from the Hub, and no copy is here") from cause
