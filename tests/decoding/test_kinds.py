"""Every kind of file, each in a process of its own: read right or refused in words. The run ends with a table."""

import numpy as np
import pytest
import slides
from kinds import READ, REFUSED

from sac.config import View
from sac.decoding.decoded import Decoded


@pytest.mark.parametrize("kind, name, make, expected", READ, ids=[kind for kind, *_ in READ])
def test_a_kind_that_is_read_right(tmp_path, measured, kind, name, make, expected):
    view = View(region=(100, 50, 300, 200)) if expected is None else View()
    if expected is None:  # JPEG, but for the pyramid
        expected = slides.tissue()[50:250, 100:400], 8
    expected, tolerance = expected if isinstance(expected, tuple) else (expected, 0)
    answer, row = measured(kind, make(tmp_path / name), view=view)
    assert isinstance(answer, Decoded), answer
    assert answer.values.shape == expected.shape and answer.values.dtype == expected.dtype
    assert np.abs(answer.values.astype(float) - expected).max() <= tolerance
    row[1] = "read right"


@pytest.mark.parametrize("kind, name, make, phrase", REFUSED, ids=[kind for kind, *_ in REFUSED])
def test_a_kind_that_is_refused_in_words(tmp_path, measured, kind, name, make, phrase):
    answer, row = measured(kind, make(tmp_path / name))
    assert isinstance(answer, str), f"was read: {answer}"
    assert answer.startswith(name) and phrase in answer
    assert "\n" not in answer and "/" not in answer and "Error" not in answer and len(answer) < 300
    row[1] = "refused in words"
