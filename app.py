"""Segment Any Cell: `python app.py` opens the page."""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from tqdm import tqdm

from sac.errors import SacError
from sac.ui.page import build_page, launch_settings  # Gradio reads the variable when it is imported
from sac.ui.work import settled
from training.tab import build_train_tab


def main() -> None:
    parser = argparse.ArgumentParser(description="Open the page of Segment Any Cell.")
    parser.add_argument("--host", default=None, help="address to listen on (this machine only)")
    parser.add_argument("--port", type=int, default=None, help="port (the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="make a public link through Gradio's relay")
    parser.add_argument("--auth-file", default=None, help="file with one name:password a line; asks visitors to log in")
    parser.add_argument("--data-dir", default=None, help="folder for what is kept: trainings, uploads")
    parsed = parser.parse_args()
    if parsed.data_dir:
        os.environ["SAC_DATA_DIR"] = os.path.abspath(parsed.data_dir)
        os.environ["GRADIO_TEMP_DIR"] = os.path.join(os.environ["SAC_DATA_DIR"], "visitors")
    try:
        settle_model(os.environ.get("SAC_MODEL", ""))
        settings = launch_settings()
    except SacError as error:
        raise SystemExit(str(error)) from error
    build_page({"Teach": build_train_tab}).launch(
        server_name=parsed.host,
        server_port=parsed.port,
        share=parsed.share,
        auth=read_users(parsed.auth_file) if parsed.auth_file else None,
        **settings,
    )


def settle_model(told: str) -> None:
    """Makes sure, before the page opens, that the checkpoint of SAC_MODEL is here and loads. Raises SacError."""
    if not told:
        return
    with tqdm(total=1, bar_format="{desc} {percentage:3.0f}%", leave=False, delay=1e-3) as bar:

        def tell(share: float, words: str) -> None:
            bar.n = share
            bar.set_description_str(words)

        try:
            os.environ["SAC_MODEL"] = settled(told, tell)
        except SacError as error:
            raise SacError(f"SAC_MODEL: {error}") from error


def read_users(path: str) -> list[tuple[str, str]]:
    """Names and passwords from a file with one name:password a line."""
    with open(path, encoding="utf-8") as lines:
        pairs = [line.strip().split(":", 1) for line in lines if line.strip()]
    if not pairs or any(len(pair) != 2 for pair in pairs):
        raise SystemExit(f"{path}: every line must be name:password")
    return [(name, password) for name, password in pairs]


if __name__ == "__main__":
    main()
