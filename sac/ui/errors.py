"""Errors that speak to their reader become a toast; all others stay bugs with a traceback in the log."""

from __future__ import annotations

import functools
from collections.abc import Callable

import gradio as gr

from sac.errors import SacError


def shows_errors(handler: Callable) -> Callable:
    """Turns a SacError from a page's handler into a toast with its sentence."""

    @functools.wraps(handler)
    def shown(*arguments, **named):
        try:
            return handler(*arguments, **named)
        except SacError as error:
            raise gr.Error(str(error), duration=None, title="This did not work", print_exception=False) from error

    return shown
