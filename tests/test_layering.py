"""Imports point down, and heavy libraries stay home (DESIGN.md, "The house"): read from the source, not from memory."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

LEVELS = (
    ("sac.config", "sac.errors", "sac.flags"),
    ("sac.decoding",),
    ("sac.model", "sac.prompts", "sac.images", "sac.intensities", "sac.labels", "sac.bundle"),
    ("sac.inference",),
    ("sac.remote", "sac.tensors"),
    ("sac.hub", "sac.cases", "sac.logins", "sac.export", "sac.overlay", "sac.metrics", "sac.gland_metrics"),
    ("sac.publish", "sac.space"),
    ("sac.ui", "sac.commands", "sac.__main__", "training"),
    ("app",),
)
"""From the ground up. A module may import its own level and those before it."""

TORCH = (
    "sac.model", "sac.inference.tiled", "sac.inference.maps", "sac.inference.predictor", "sac.hub", "sac.tensors",
    "training",
)  # fmt: skip
HOMES = {
    **dict.fromkeys(("torch", "torchvision", "segment_anything", "peft", "accelerate", "safetensors"), TORCH),
    "gradio": ("app", "sac.ui", "training.tab*"),
    "gradio_client": ("app", "sac.ui", "training.tab*"),
    "huggingface_hub": ("sac.remote", "sac.publish", "sac.space", "training.datasets"),
}
"""Heavy libraries, and who may import them."""


def is_part(module, package):
    """Whether `module` is `package` or in it; `training.tab*` stands for every name that starts so."""
    if package.endswith("*"):
        return module.startswith(package[:-1])
    return module == package or module.startswith(package + ".")


def level_of(module):
    """The level of the entry that `module` is part of, None where there is none."""
    if module in ("sac", "sac.__version__"):
        return 0
    return next((level for level, row in enumerate(LEVELS) for entry in row if is_part(module, entry)), None)


def imported(source):
    """Every module that a source imports, wherever in it; `from a import b` counts as a.b."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names]
    return found


def violations(module, source):
    """What a module of that name imports and should not, in words."""
    wrong = []
    own = level_of(module)
    if own is None:
        return [f"{module} has no level: add it to LEVELS"]
    for name in imported(source):
        if name.startswith("."):
            wrong.append(f"{module} imports {name} relatively")
        home = HOMES.get(name.split(".")[0])
        if home and not any(is_part(module, place) for place in home):
            wrong.append(f"{module} imports {name}, which lives in {', '.join(home)}")
        if is_part(module, "sac") and is_part(name, "training"):
            wrong.append(f"{module} imports {name}: sac never imports training")
        elif name.split(".")[0] in ("sac", "training", "app"):
            level = level_of(name)
            if level is None or level > own:
                wrong.append(f"{module} imports {name}, which stands above it")
    return wrong


def modules():
    """Name and source of every module of the project."""
    files = [ROOT / "app.py", *sorted(ROOT.glob("sac/**/*.py")), *sorted(ROOT.glob("training/**/*.py"))]
    parts = [file.relative_to(ROOT).with_suffix("").parts for file in files]
    names = [".".join(p[:-1] if p[-1] == "__init__" else p) for p in parts]
    return [(name, file.read_text(encoding="utf-8")) for name, file in zip(names, files)]


MODULES = modules()


@pytest.mark.parametrize("name, source", MODULES, ids=[name for name, _ in MODULES])
def test_imports_point_down_and_heavy_libraries_stay_home(name, source):
    assert violations(name, source) == []


def test_the_check_sees_the_project():
    names = dict(MODULES)
    assert {"app", "sac", "sac.model.sac", "sac.ui.page", "training.fit", "training.datasets.folder"} <= set(names)
    assert "torch" in imported(names["sac.model.sac"]) and "gradio" in imported(names["sac.ui.page"])
    assert "sac.images.Image" in imported(names["sac.export.result"])


@pytest.mark.parametrize(
    "module, source, word",
    [
        ("sac.export", "import torch", "torch"),
        ("sac.export", "def f():\n    from torch.nn import functional", "torch"),
        ("sac.inference.tiles", "try:\n    import safetensors.torch as st\nexcept ImportError: pass", "safetensors"),
        ("sac.images", "from sac.inference.instances import Mask", "above"),
        ("sac.config", "from sac import prompts", "above"),
        ("sac.inference.segment", "import os, sac.hub", "above"),
        ("sac.metrics", "from sac.ui.page import build_page", "above"),
        ("sac.hub", "from training.fit import FitOptions", "never"),
        ("sac.ui.page", "import training", "never"),
        ("sac.ui.page", "import app", "above"),
        ("sac.ui.page", "from torch import Tensor", "torch"),
        ("training.fit", "import gradio as gr", "gradio"),
        ("training.fit", "from huggingface_hub import HfApi", "huggingface_hub"),
        ("sac.images", "from .config import LIMITS", "relatively"),
        ("sac.images", "from . import config", "relatively"),
        ("sac.images", "from sac import surprise", "above"),
        ("sac.surprise", "import os", "no level"),
        ("tests", "import os", "no level"),
    ],
)
def test_a_made_up_source_is_caught(module, source, word):
    (wrong,) = violations(module, source)
    assert word in wrong and module in wrong


@pytest.mark.parametrize(
    "module, source",
    [
        ("sac.export", "from sac import __version__\nfrom sac.overlay import outlined\nimport numpy, shapely"),
        ("sac.model.lora", "import torch, peft\nfrom sac.config import SACConfig"),
        ("sac.inference.predictor", "from torch import Tensor\nfrom sac.model.sac import SAC"),
        ("training.fit", "import torch\nfrom sac import hub\nfrom training.losses import mask_loss"),
        ("training.tab", "import gradio"),
        ("training.tab_live", "import gradio"),
        ("training.datasets.hub", "import huggingface_hub"),
        ("app", "import gradio, training.tab\nfrom sac.ui.page import build_page"),
        ("sac.images", "import torchlike, gradiometer"),
    ],
)
def test_a_well_made_source_passes(module, source):
    assert violations(module, source) == []


def loaded_by(statement):
    """The top-level modules of a fresh interpreter after `statement`."""
    code = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(ran.stdout.split())


def test_exports_and_cases_load_no_torch():
    loaded = loaded_by("import sac.export, sac.metrics, sac.flags, sac.inference.tiles, sac.cases, sac.commands.cases")
    assert {"sac", "numpy", "tifffile"} <= loaded
    assert not loaded & {"training", "app", *HOMES}
