"""Which checkpoints the page may use: embedded ones, and trained ones whose name one knows."""

from __future__ import annotations

import json

import pytest

from sac.errors import OptionError
from sac.ui import models

NAME = "0123456789abcdef"


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Makes a trained checkpoint's folder, by name."""
    monkeypatch.setenv("SAC_DATA_DIR", str(tmp_path))

    def make(name: str = NAME, **provenance):
        run = tmp_path / "jobs" / name / "run"
        run.mkdir(parents=True)
        (run / "sac_config.json").write_text(json.dumps({"provenance": provenance}))
        return run

    return make


def test_embedded_ones_and_trained_ones_have_a_place(trained):
    run = trained(title="mine")
    assert models.place("nuclei") == "nuclei" and models.place(NAME) == str(run)


@pytest.mark.parametrize(
    "name",
    [
        "", "tiny", "Nuclei", "owner/name", "/etc", "..", f"../jobs/{NAME}", f"{NAME}/../{NAME}", f"{NAME}\n",
        f"{NAME}/", NAME.upper(), NAME[:-1], NAME + "0", "fedcba9876543210", "nuclei\0",
    ],
)  # fmt: skip
def test_no_other_name_has_a_place(trained, name):
    trained()
    with pytest.raises(OptionError, match="unknown model"):
        models.place(name)


def test_a_training_without_a_checkpoint_yet_has_no_place(trained):
    (trained() / "sac_config.json").unlink()
    with pytest.raises(OptionError, match="unknown model"):
        models.place(NAME)


def test_titles(trained):
    trained(title="my <cells>")
    trained("f" * 16)
    assert models.title("nuclei-he") == "nuclei-he"
    assert models.title(NAME) == "my <cells>"
    assert models.title("f" * 16) == "untitled"
    assert models.title("a" * 16) == "deleted"


def test_choices_are_the_embedded_ones_and_ones_own(trained):
    trained(title="mine")
    assert [name for _, name in models.choices([])] == ["nuclei", "nuclei-he"]
    assert models.choices([NAME])[-1] == ("mine", NAME)
