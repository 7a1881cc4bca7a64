"""A made-up picture that several tests work on."""

from __future__ import annotations

import numpy as np
import pytest

from sac.config import SegmentOptions
from sac.inference.instances import Instances
from sac.inference.session import Session
from sac.prompts import Prompts


@pytest.fixture
def found() -> Instances:
    """1: 20 x 10 pixels; 2: 10 x 10, touching it; 3: 10 x 10, far away. A fourth point was asked in vain.

    The rows of prompts are in another order than the nuclei: row 0 became nucleus 2, row 1 nucleus 1.
    """
    labels = np.zeros((60, 80), np.int32)
    labels[10:20, 10:30], labels[10:20, 30:40], labels[40:50, 60:70] = 1, 2, 3
    points = [[[34, 15], [20, 15]], [[20, 15], [34, 15]], [[65, 45], [0, 0]], [[5, 55], [0, 0]]]
    prompts = Prompts(np.array(points, np.float32), np.array([[1, 0], [1, 0], [1, -1], [1, -1]], np.int8))
    return Instances(
        labels=labels,
        numbers=np.array([1, 2, 3]),
        certainty=np.array([0.875, 0.75, 0.5], np.float32),
        stability=np.array([1.0, 0.5, 0.25], np.float32),
        prompts=prompts,
        prompt=np.array([1, 0, 2]),
        origin=("automatic",) * 3,
        notes=("a note",),
    )


@pytest.fixture
def field(found) -> Session:
    return Session.begin(found, SegmentOptions())
