"""Errors that speak to their reader become a toast; all others stay bugs with a traceback in the log."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr

from sac.errors import SacError


def shows_errors(handler: Callable) -> Callable:
    """Turns a SacError from a page's handler, or generator of values, into a toast with its sentence."""
    if inspect.isgeneratorfunction(handler):

        @functools.wraps(handler)
        def shown(*arguments, **named):
            with _toast():
                yield from handler(*arguments, **named)
    else:

        @functools.wraps(handler)
        def shown(*arguments, **named):
            with _toast():
                return handler(*arguments, **named)

    return shown


@contextmanager
def _toast() -> Iterator[None]:
    try:
        yield
    except SacError as error:
        raise gr.Error(str(error), duration=None, title="This did not work", print_exception=False) from error
