"""Fixtures that several packages' tests share: a small but real SAC, and the data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # several processes share the cores: none shall wait by spinning

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Real images with labels, named by SAC_TEST_DATA."""
    folder = Path(os.environ.get("SAC_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip("no test data here: SAC_TEST_DATA names its folder")
    return folder


@pytest.fixture(scope="session")
def small_config():
    """A SAC with a two-level generator and LoRA of rank 2 on the tiny base."""
    from sac.config import SACConfig

    return SACConfig(generator_widths=(8, 16), rank=2)


@pytest.fixture
def new_sac(small_config):
    """Makes an untrained SAC of one's own; the same one for the same seed."""
    import torch

    from sac import hub

    def make(seed: int = 0, config=small_config):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return hub.new(config).eval()

    return make


@pytest.fixture(scope="session")
def sac(small_config):
    """One SAC for all tests that only read: B of its LoRA and the generator's sight are not zero, its decoder is not the base's."""
    import torch

    from sac import hub

    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = hub.new(small_config).eval()
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if "lora_B" in name or "sight" in name:
                    weight.normal_(std=0.05)
                if name.startswith("mask_decoder."):
                    weight.add_(torch.randn_like(weight) * 0.01)
    return made.learning(False)


@pytest.fixture
def no_trace():
    """Undoes what a training sets for its whole process: accelerate's state, torch's determinism and seeds."""
    import torch
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)
    deterministic = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        yield
    torch.use_deterministic_algorithms(deterministic)
    AcceleratorState._reset_state(reset_partial_state=True)
