"""The border to a GPU: where one is lent by the call, names and arrays go over it, and the result is the same."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from lent_gpu import SPACES

from sac import hub
from sac.config import LIMITS, SegmentOptions
from sac.errors import OptionError
from sac.inference.cache import Cache
from sac.inference.reprompt import clicked
from sac.ui import gpu, work
from sac.ui.picture import Picture

ROOT = Path(__file__).parents[2]


def test_what_a_lent_gpu_finds_is_what_is_found_here(image, sessions, tmp_path):
    """In another process, to which no tensor goes: what that changes in place is lost."""
    package = tmp_path / "installed" / "spaces"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SPACES)
    variables = {**os.environ, "SPACES_ZERO_GPU": "true", "PYTHONPATH": f"{package.parent}{os.pathsep}{ROOT}"}
    program = [sys.executable, str(Path(__file__).with_name("lent_gpu.py")), str(tmp_path)]
    ran = subprocess.run(program, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = np.load(tmp_path / "found.npz")
    picture = Picture.of(image)
    picture.begin(("nuclei", "instances"), sessions["nuclei", "instances"])
    assert np.array_equal(found["labels"], picture.session.labels) and len(picture.session.nuclei) > 20
    assert np.array_equal(found["alone"], found["labels"])
    assert np.array_equal(found["vanilla"], work.rival(picture, "vanilla"))
    edited = clicked(picture.session, work.embedded(picture)(), (128.0, 128.0), 1)[0]
    assert np.array_equal(found["edited"], edited.labels)
    assert str(found["said"]).startswith("no checkpoint 'nowhere'")


def test_without_the_package_nothing_is_lent(monkeypatch):
    monkeypatch.setenv("SPACES_ZERO_GPU", "true")
    assert gpu.GPU is None and not gpu.is_lent()


def test_an_embedding_goes_to_another_process_as_arrays(image):
    before = work.embedding_of(Picture.of(image), "nuclei", SegmentOptions())
    after = pickle.loads(pickle.dumps(before))
    assert b"torch._utils" not in pickle.dumps(before)
    assert torch.equal(after.features, before.features) and torch.equal(after.maps, before.maps)
    assert np.array_equal(after.nuclei_map, before.nuclei_map)
    assert (after.size, after.scale, after.tiles) == (before.size, before.scale, before.tiles)
    assert after.on(torch.device("meta")).features.device.type == "meta"


def test_the_device_is_the_one_that_is_named_else_a_gpu_where_there_is_one(monkeypatch):
    monkeypatch.delenv("SAC_DEVICE", raising=False)
    assert hub.device() == ("cuda" if torch.cuda.is_available() else "cpu")
    monkeypatch.setenv("SAC_DEVICE", "cpu")
    assert hub.device() == gpu.device() == "cpu"


def test_a_device_that_is_not_there_is_said(monkeypatch):
    monkeypatch.setattr(work, "MODELS", Cache(LIMITS.models))
    monkeypatch.setenv("SAC_DEVICE", "abacus")
    with pytest.raises(OptionError, match="device 'abacus' is not to be had"):
        work.loaded("nuclei")
