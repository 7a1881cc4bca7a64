"""A program of `test_gpu.py`: pictures segmented where a GPU is lent by the call. Writes what it found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

SPACES = '''
"""What `spaces` does on ZeroGPU, in short: a marked function runs in another process, which tensors do not reach."""
import io, multiprocessing, os, pickle
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module

CALLS, POOL = [], []


class Arrays(pickle.Pickler):
    def reducer_override(self, value):
        if type(value).__module__.startswith("torch"):
            raise TypeError(f"{type(value)} does not go to another process")
        return NotImplemented


def dumped(value):
    stream = io.BytesIO()
    Arrays(stream).dump(value)
    return stream.getvalue()


def there(module, name, arguments):
    os.environ["SAC_DEVICE"] = "cpu"  # whatever device that process has
    return dumped(getattr(import_module(module), name)(*pickle.loads(arguments)))


def GPU(duration):
    def marked(task):
        if multiprocessing.parent_process() is not None:
            return task
        def called(*arguments):
            if not POOL:
                POOL.append(ProcessPoolExecutor(1, multiprocessing.get_context("spawn")))
            CALLS.append(arguments[0].__name__)
            sent = POOL[0].submit(there, task.__module__, task.__name__, dumped(arguments))
            return pickle.loads(sent.result())
        return called
    return marked
'''


def main(folder: Path) -> None:
    """Segments, compares and edits one picture; what goes wrong in the other process is said here."""
    os.environ["SAC_DEVICE"] = "no device"  # nothing here may ask for a device of its own
    import spaces

    from sac import hub
    from sac.errors import CheckpointError
    from sac.inference.reprompt import clicked
    from sac.ui import gpu, work
    from sac.ui.examples import generated_field
    from sac.ui.picture import Picture

    picture, found = Picture.of(generated_field(side=256, count=40)), {}
    options = hub.config_of("nuclei").options()
    picture.begin(("nuclei", "instances"), work.segmented(picture, "nuclei", options))
    found["labels"] = picture.session.labels
    assert spaces.CALLS == ["_embed", "segment_embedded"], spaces.CALLS
    found["vanilla"] = work.rival(picture, "vanilla")
    calls = len(spaces.CALLS)
    found["edited"] = clicked(picture.session, work.embedded(picture)(), (128.0, 128.0), 1)[0].labels
    found["alone"] = work.segment_file(picture.image, "nuclei", "instances").result.found.labels
    assert spaces.CALLS[calls:] == ["_segment"], spaces.CALLS  # an edit is answered here
    try:
        gpu.lent(work._segment, "nowhere", picture.image, options)
    except CheckpointError as error:
        found["said"] = np.array(str(error))
    np.savez(folder / "found.npz", **found)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
