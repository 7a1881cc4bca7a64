"""Which checkpoints the page may use: embedded ones, that of SAC_MODEL, and those whose name one knows."""

from __future__ import annotations

import json
import shutil

import pytest

from sac import hub
from sac.config import SACConfig
from sac.errors import CheckpointError, OptionError
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
        "preset-", "preset-0123456789ab", f"owner/name@{'1' * 40}", f"owner/name@{'1' * 39}", "", "tiny", "Nuclei", "owner/name", "/etc", "..", f"../jobs/{NAME}", f"{NAME}/../{NAME}", f"{NAME}\n",
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


def test_what_a_checkpoint_finds_is_what_it_says(trained):
    told = SACConfig(provenance={"finds": "islets", "microns": 150.0})
    (trained() / "sac_config.json").write_text(json.dumps(told.to_json()))
    trained("f" * 16)
    assert [models.sought(name) for name in ("nuclei", "nuclei-he", "glands")] == ["nuclei", "nuclei", "glands"]
    assert models.sought(NAME) == "islets"
    assert models.sought("f" * 16) == models.sought("e" * 16) == models.sought("") == "nuclei"  # broken, gone, none


def test_how_map_and_masks_are_read_is_the_checkpoint_s(trained):
    own = SACConfig(provenance={"certainty": 0.25, "prominence": 0.15})
    (trained() / "sac_config.json").write_text(json.dumps(own.to_json()))
    trained("f" * 16)
    assert models.thresholds(NAME) == (0.25, 0.15) and models.thresholds("nuclei") == (0.5, 0.1)
    assert [models.thresholds(name) for name in ("f" * 16, "e" * 16, "")] == [(0.5, 0.2)] * 3  # broken, gone, none


def test_titles(trained):
    trained(title="my <cells>")
    trained("f" * 16)
    assert models.title("nuclei-he") == "nuclei-he"
    assert models.title(NAME) == "my <cells>"
    assert models.title("f" * 16) == "untitled"
    assert models.title("a" * 16) == "deleted"


@pytest.mark.parametrize("title", [None, 7, ["a"], ""])
def test_a_title_that_is_no_text_is_none(trained, title):
    trained(title=title)
    assert models.title(NAME) == "untitled"


def test_one_of_the_hub_is_called_by_its_name_and_the_begin_of_its_commit():
    assert models.title(f"ada/cells@{'0123456789' * 4}") == "ada/cells@0123456"


def test_choices_are_the_embedded_ones_and_ones_own(trained):
    trained(title="mine")
    assert [name for _, name in models.choices([])] == ["nuclei", "nuclei-he", "glands"]
    assert models.choices([NAME])[-1] == ("mine", NAME)
    assert models.choices([NAME, "nuclei", NAME]) == models.choices([NAME])


# SAC_MODEL


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkpoint's folder that SAC_MODEL says."""
    path = shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "of-the-ward")
    monkeypatch.setenv("SAC_MODEL", str(path))
    return path


def test_without_it_the_page_chooses(monkeypatch):
    monkeypatch.delenv("SAC_MODEL", raising=False)
    assert models.default() == hub.DEFAULT and models.preferred("nuclei-he") == "nuclei-he"


@pytest.mark.parametrize("name", ["nuclei", "nuclei-he", "glands", f"ada/cells@{'1' * 40}"])
def test_it_is_the_default_and_the_first_choice(monkeypatch, name):
    monkeypatch.setenv("SAC_MODEL", name)
    assert models.default() == models.preferred("nuclei") == models.preferred("nuclei-he") == name
    names = [name for _, name in models.choices([])]
    assert names[0] == name and sorted(names) == sorted({name, "nuclei", "nuclei-he", "glands"})


def test_a_folders_path_is_never_told(folder):
    name = models.default()
    assert name.startswith("preset-") and models.place(name) == str(folder)
    assert models.title(name) == "of-the-ward" and models.choices([])[0] == ("of-the-ward", name)
    stored = json.loads((folder / hub.CONFIG).read_text())
    stored["provenance"]["title"] = "Our <stain>"
    (folder / hub.CONFIG).write_text(json.dumps(stored))
    assert models.title(name) == "Our <stain>"


def test_a_folder_with_other_weights_has_another_name(folder):
    name = models.default()
    folder.rename(folder.with_name("before"))
    shutil.copytree(hub.WEIGHTS / "nuclei-he", folder)
    hub.sha256.cache_clear()  # a server that is started anew
    assert models.default() != name and models.title(name) == "no longer here"
    with pytest.raises(OptionError, match="unknown model"):
        models.place(name)


def test_a_folder_without_weights_is_refused_in_a_sentence(folder):
    (folder / hub.HEAD).unlink()
    with pytest.raises(CheckpointError, match="of-the-ward holds no sac_head"):
        models.default()


def test_the_key_to_an_own_model_does_not_leave_the_house():
    assert models.told_to_others("nuclei") == "nuclei"
    told = models.told_to_others("0123456789abcdef")
    assert told == models.told_to_others("0123456789abcdef") != models.told_to_others("0123456789abcdee")
    assert "0123456789abcdef" not in told and not models.is_own(told)
