"""Errors that speak to their reader become a toast; all others stay bugs with a traceback in the log."""

from __future__ import annotations

import functools
import html
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gradio as gr

from sac.errors import SacError, Stopped


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


def as_text(sentence: object) -> str:
    """A sentence, which may name files, for a toast, which would take it for HTML."""
    return html.escape(str(sentence), quote=False)


@contextmanager
def _toast() -> Iterator[None]:
    try:
        yield
    except Stopped as error:
        raise gr.Error(visible=False, print_exception=False) from error
    except SacError as error:
        raise gr.Error(as_text(error), duration=None, title="This did not work", print_exception=False) from error
