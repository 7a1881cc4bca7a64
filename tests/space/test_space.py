"""README's front matter, which the Hub reads, and space.yaml say the same; the pinned versions agree with them."""

import re
from pathlib import Path

import yaml

from sac import hub

ROOT = Path(__file__).parents[2]


def test_readme_repeats_space_yaml():
    front = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    assert yaml.safe_load(front) == yaml.safe_load((ROOT / "space.yaml").read_text(encoding="utf-8"))


def test_the_space_runs_the_pinned_gradio():
    version = yaml.safe_load((ROOT / "space.yaml").read_text(encoding="utf-8"))["sdk_version"]
    assert f"gradio=={version}" in (ROOT / "requirements.txt").read_text()


def test_every_requirement_is_pinned():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and line[0] != "#"]
    assert lines and all(re.fullmatch(r"[\w-]+==[\w.]+", line) for line in lines)


def test_embedded_weights_stay_small():
    """Base and one checkpoint, which is what a picture takes; and all of them, which is what a clone takes."""
    sizes = {d.name: sum(f.stat().st_size for f in d.iterdir()) for d in (ROOT / "sac" / "weights").iterdir()}
    assert sizes.keys() == {"tiny", "start", *hub.EMBEDDED}
    assert all(5e6 < sizes["tiny"] + sizes[name] <= 15e6 for name in hub.EMBEDDED)
    assert sum(sizes.values()) <= 30e6
