"""Downloads as a bar on stderr, where somebody watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from sac.remote.downloads import Progress


@contextmanager
def shown() -> Iterator[Progress]:
    """A bar for the shares and words that it hears; nothing where stderr is no terminal."""
    with tqdm(total=100, bar_format="{desc} {bar} {percentage:3.0f} %", disable=None, leave=False) as bar:

        def tell(share: float, words: str) -> None:
            bar.set_description_str(words, refresh=False)
            bar.n = round(100 * share)
            bar.refresh()

        yield tell
