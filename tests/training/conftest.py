"""Two pictures of discs, as a training set on disk, and a small checkpoint to start from."""

from __future__ import annotations

import numpy as np
import pytest

from training.datasets.sample import Sample


def discs(seed: int, light: bool, source: str = "") -> Sample:
    """Twelve faint discs of 24 pixels with a strong core, which the base alone takes for the whole."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    ground, ink = (220, 90) if light else (30, 160)
    image, labels = np.full((160, 160), float(ground)), np.zeros((160, 160), np.int32)
    for number in range(12):
        row, column = divmod(number, 4)
        centre = np.array([27 + 50 * row, 20 + 40 * column]) + rng.uniform(-5, 5, 2)
        distance = np.hypot(y - centre[0], x - centre[1])
        labels[distance < 12] = number + 1
        image[distance < 12] = ground + (ink - ground) / 3
        image[distance < 6] = ink
    image += rng.normal(0, 4, labels.shape)
    pixels = np.repeat(image.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)
    return Sample(f"sample-{seed}", pixels, labels, source)


@pytest.fixture(scope="session")
def samples():
    return [discs(0, light=False), discs(1, light=True)]


@pytest.fixture(scope="session")
def two(samples, tmp_path_factory):
    """A training set of the two pictures."""
    from training.datasets.gather import gather

    return gather(samples, tmp_path_factory.mktemp("two"))


@pytest.fixture(scope="session")
def one(samples, tmp_path_factory):
    """A training set of one picture."""
    from training.datasets.gather import gather

    return gather(samples[:1], tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="session")
def checkpoint(sac, tmp_path_factory):
    """The folder of a small checkpoint with a title."""
    from dataclasses import replace

    from sac import hub

    folder = tmp_path_factory.mktemp("start")
    titled = sac.config.provenance
    sac.config = replace(sac.config, provenance={"title": "before", "data": ["cells"], "command": "fit --data cells"})
    hub.save(sac, folder, "")
    sac.config = replace(sac.config, provenance=titled)
    return folder


@pytest.fixture
def short_exams(monkeypatch):
    """One tile an exam."""
    monkeypatch.setattr("training.exam.TILES", 1)
