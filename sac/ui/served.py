"""Files that the page serves, and sweeps."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder


def served(content: bytes, name: str, folder: str | None = None) -> str:
    """Path of a file with that content in `folder`, Gradio's unless it is given.

    It appears whole, and is written once: Gradio's own `save_bytes_to_cache` empties and writes an equal file anew while
    another tab may be fetching it.
    """
    with TemporaryDirectory(prefix="sac-") as room:
        path = Path(room) / Path(name).name
        path.write_bytes(content)
        return save_file_to_cache(path, folder or get_upload_folder())
