"""Segment Any Cell: `python app.py` opens the page."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from sac.commands.progress import shown
from sac.errors import OptionError, SacError
from sac.space.keeping import begun
from sac.ui.cases.held import is_link
from sac.ui.page import (  # Gradio reads the variable when it is imported
    build_page,
    launch_settings,
)
from sac.ui.serving.launch import Serving, serve
from sac.ui.serving.share import agree, share
from sac.ui.work import settled
from training.tab import build_train_tab


def main() -> None:
    parsed = _parser().parse_args()
    if parsed.data_dir:
        os.environ["SAC_DATA_DIR"] = os.path.abspath(parsed.data_dir)
        os.environ["GRADIO_TEMP_DIR"] = os.path.join(os.environ["SAC_DATA_DIR"], "visitors")
    try:
        serving = Serving(parsed.host, parsed.port, parsed.share, parsed.auth_file)
        settle_model(os.environ.get("SAC_MODEL", ""))
        if parsed.share:
            agree(print, input)
        keeping = begun(os.environ.get("SAC_KEEP", ""))
        page = build_page({"Teach": build_train_tab}, keeping)
        print(f"Open {serve(page, serving, is_link, **launch_settings())}", flush=True)
    except SacError as error:
        raise SystemExit(str(error)) from error
    if parsed.share:
        try:
            print(f"For everybody with a login: {share(serving.address, page.server_port)}", flush=True)
        except OptionError as error:
            print(f"{error}; the page goes on for this machine alone.", flush=True)
    with keeping:
        page.block_thread()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Open the page of Segment Any Cell.")
    parser.add_argument("--host", default="", help="address to listen on (this machine only)")
    parser.add_argument("--port", type=int, default=None, help="port (the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's relay; asks first")
    parser.add_argument(
        "--auth-file", type=Path, default=None, help="who may log in: a file made by `python -m sac user FILE NAME`"
    )
    parser.add_argument("--data-dir", default=None, help="folder for what is kept: cases, trainings, uploads")
    return parser


def settle_model(told: str) -> None:
    """Makes sure, before the page opens, that the checkpoint of SAC_MODEL is here and loads. Raises SacError."""
    if not told:
        return
    try:
        with shown() as progress:
            os.environ["SAC_MODEL"] = settled(told, progress)
    except SacError as error:
        raise SacError(f"SAC_MODEL: {error}") from error


if __name__ == "__main__":
    main()
