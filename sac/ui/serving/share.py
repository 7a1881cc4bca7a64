"""A public link through Gradio's relay: only with logins, and only after a yes."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable

from gradio.networking import setup_tunnel

from sac.errors import OptionError

WORDS = """
--share makes this page reachable from the whole internet.

* A program of Gradio's is fetched and started here. It connects this machine to a relay that Gradio, a part of
  Hugging Face, Inc. (USA), runs; you get an address that anybody may try.
* Every picture, every result and every password of a visitor passes through that relay, which could read it. Do not
  do this with pictures of patients that may not leave your house.
* Whoever has the address sees a login page. With a login from your file, or with a link to a case, one comes in;
  trainings and pictures use this machine.
* It lasts until you end this program, one week at most.
"""
QUESTION = "Type yes to go on: "
NO_LOGINS = "--share needs --auth-file: a page that the whole internet can reach has to ask who comes"
LOG = logging.getLogger(__name__)


def agree(tell: Callable[[str], None], ask: Callable[[str], str]) -> None:
    """Says what sharing means and asks for a yes. Raises OptionError for anything else."""
    tell(WORDS)
    try:
        answer = ask(QUESTION)
    except EOFError:
        answer = ""
    if answer.strip().lower() != "yes":
        raise OptionError("Nothing was shared, and the page was not started: the answer was not yes")


def share(host: str, port: int) -> str:
    """Connects a page of this machine to the relay. Returns its address there. Raises OptionError.

    Done here and not by `launch(share=True)`, which would have the page load its script from another company.
    """
    try:
        address = setup_tunnel(host, port, secrets.token_urlsafe(32), None, None)
    except Exception as error:  # whatever goes wrong in there, the page stays up for those at this machine
        LOG.info("no tunnel", exc_info=error)
        raise OptionError("Gradio's relay could not be reached, so there is no public link") from error
    return f"https://{address.split('://')[-1]}"
