"""The app on a Space: exactly what it needs goes there, with its owner's login, and runs from what arrived."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
import yaml
from loopback_hub import serving, spoken_to

from sac.commands import deploy as command
from sac.errors import HubError
from sac.space.deploy import ROOT, deploy, linked, needed, superseded, without_tests

TOKEN = "hf_the_owners_own_token"
OTHERS = "hf_a_token_of_someone_else"
SPACE = "spaces/owner/cells"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with serving() as server, spoken_to(server.address, tmp_path / "cache", monkeypatch):
        server.writers |= {TOKEN: "owner", OTHERS: "other"}
        yield server


@pytest.fixture
def small(tmp_path) -> Path:
    """A copy of the app's own layout, with next to nothing in it and with what should not go along."""
    root = tmp_path / "copy"
    files = {
        "app.py": "import sac", "LICENSE": "Apache", "README.md": "---\ntitle: x\n---\n![page](docs/a.png) [web](https://x.org)",
        "docs/a.png": "png", "docs/b.png": "not shown", "requirements.txt": "# The page\ngradio==6\n\n# Tests\npytest==9\n",
        "sac/__init__.py": "", "sac/config.py": "", "sac/weights/tiny/model.safetensors": "weights",
        "sac/__pycache__/x.pyc": "", "training/__init__.py": "", "training/a.partial": "",
        "tests/test_a.py": "", ".ci/run": "", ".git/config": "", "out/a.csv": "", ".env": "TOKEN=1",
    }  # fmt: skip
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


SMALL = {
    ".gitattributes", "app.py", "LICENSE", "README.md", "docs/a.png", "requirements.txt", "sac/__init__.py",
    "sac/config.py", "sac/weights/tiny/model.safetensors", "training/__init__.py",
}  # fmt: skip


def _refusal(name: str, token: str, root: Path, **options) -> str:
    with pytest.raises(HubError) as refused:
        deploy(name, token, root=root, **options)
    assert not token or token not in "".join(traceback.format_exception(refused.value))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def _new_space(server, private=False) -> None:
    """As the Hub makes one."""
    server.repositories[SPACE] = {
        ".gitattributes": b"*.safetensors filter=lfs",
        "README.md": b"---\nsdk: gradio\n---\n",
    }
    server.facts[SPACE] = {"private": private}


# What goes


def test_what_is_needed_goes_and_nothing_else(server, small):
    _new_space(server)
    assert deploy("owner/cells", TOKEN, root=small) == f"{server.address}/spaces/owner/cells"
    there = server.repositories[SPACE]
    assert set(there) == SMALL
    assert there["requirements.txt"] == b"# The page\ngradio==6\n"
    assert there["sac/weights/tiny/model.safetensors"] == b"weights"
    assert len(server.commits) == 1 and server.commits[0][1].count("lfsFile") == 1
    assert not server.facts[SPACE]["private"]


def test_a_space_is_made_where_there_is_none(server, small):
    deploy("owner/cells", TOKEN, private=True, root=small)
    assert server.facts[SPACE]["private"] and set(server.repositories[SPACE]) == SMALL - {".gitattributes"}


def test_going_there_again_takes_away_what_is_needed_no_more(server, small):
    _new_space(server)
    deploy("owner/cells", TOKEN, root=small)
    server.repositories[SPACE] |= {"packages.txt": b"the owner's own", "data/mine.csv": b"too"}
    (small / "sac" / "config.py").write_text("changed = 1")
    (small / "training" / "__init__.py").unlink()
    deploy("owner/cells", TOKEN, root=small)
    there = server.repositories[SPACE]
    assert set(there) == SMALL - {"training/__init__.py"} | {"packages.txt", "data/mine.csv"}
    assert there["sac/config.py"] == b"changed = 1" and len(server.commits) == 2


def test_only_the_owners_token_was_sent(server, small):
    deploy("owner/cells", TOKEN, root=small)
    told = {headers.get("authorization") for path, headers in server.requests if not path.startswith("/lfs/")}
    assert told == {f"Bearer {TOKEN}"}


def test_the_app_itself_is_whole():
    files = needed()
    assert {"app.py", "README.md", "LICENSE", "docs/page.png", "sac/weights/nuclei/sac_head.safetensors"} <= set(files)
    assert {"training/worker.py", "sac/ui/canvas/stage.html"} <= set(files)
    assert not [path for path in files if path.startswith(("tests", ".", "runs")) or "__pycache__" in path]
    said = files["requirements.txt"].decode()
    pinned = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line]
    only_tests = {line for line in pinned if line not in said}
    assert only_tests and all(
        line.split("==")[0] in ("pytest", "pytest-xdist", "playwright", "transformers") for line in only_tests
    )
    front = yaml.safe_load(Path(files["README.md"]).read_text(encoding="utf-8").split("---\n")[1])
    assert front["sdk"] == "gradio" and front["app_file"] in files


def test_every_import_resolves_from_what_the_command_sent(server, tmp_path, monkeypatch, capsys):
    """The app as the Space has it: another folder, nothing else on the path, a host's own variables."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    parser = argparse.ArgumentParser()
    command.add(parser.add_subparsers())
    assert command.run(parser.parse_args(["deploy", "owner/cells", "--private"])) == 0
    assert capsys.readouterr().out == f"{server.address}/spaces/owner/cells\n"
    assert server.facts[SPACE]["private"]
    folder = tmp_path / "space"
    for name, content in server.repositories[SPACE].items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "HF_TOKEN", "SAC_DATA_DIR")}
    variables |= {
        "SYSTEM": "spaces", "SPACE_ID": "owner/cells", "HOME": str(tmp_path), "SAC_DATA_DIR": str(tmp_path / "data"),
        "PYTHONSAFEPATH": "",
    }  # fmt: skip
    code = (
        "import app, training.worker, sac, pathlib\n"
        "from sac import hub\n"
        "assert pathlib.Path(sac.__file__).parents[1] == pathlib.Path.cwd()\n"
        "assert hub.load(hub.DEFAULT).config.base == 'tiny'"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=variables, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr


# What is refused


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("", "a token of the Hub is needed"),
        ("hf_of_nobody", "does not know this token"),
        (OTHERS, "may not write to owner/cells"),
        ("hf_é", "a token of the Hub is needed"),
    ],
)
def test_without_the_right_it_is_said(server, small, token, words):
    assert words in _refusal("owner/cells", token, small)
    assert SPACE not in server.repositories


@pytest.mark.parametrize("name", ["cells", "owner/..", "owner/a/b", "", "https://x.org/a"])
def test_a_name_that_no_space_has(server, small, name):
    _refusal(name, TOKEN, small)
    assert server.commits == []


def test_a_space_that_runs_something_else_is_left_alone(server, small):
    _new_space(server)
    server.repositories[SPACE] |= {"app.py": b"another app"}
    assert "runs another app" in _refusal("owner/cells", TOKEN, small)
    assert server.repositories[SPACE]["app.py"] == b"another app" and server.commits == []


def test_what_was_meant_to_be_private_does_not_go_to_a_public_space(server, small):
    _new_space(server)
    assert "is there already, and public" in _refusal("owner/cells", TOKEN, small, private=True)
    assert server.commits == []


def test_a_copy_that_is_not_whole_goes_nowhere(server, small):
    (small / "docs" / "a.png").unlink()
    assert _refusal("owner/cells", TOKEN, small) == "this copy of the app is not whole: a.png is missing"
    assert server.requests == []


def test_a_hub_that_falls_silent_is_given_up(server, small, monkeypatch):
    server.silent.append("preupload")
    monkeypatch.setattr("sac.remote.repository.PATIENCE", 1)
    begun = time.monotonic()
    assert "fell silent" in _refusal("owner/cells", TOKEN, small)
    assert time.monotonic() - begun < 15


def test_without_the_hub_it_is_said_soon(small, tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    with spoken_to(address, tmp_path, monkeypatch):
        assert "could not be reached" in _refusal("owner/cells", TOKEN, small)


# The rules


def test_links_of_readme():
    readme = "![a](docs/page.png) [r](RESULTS.md) [w](https://arxiv.org/abs/1) [m](mailto:x@y.z) [again](docs/page.png)"
    assert linked(readme) == ["RESULTS.md", "docs/page.png"]


def test_requirements_without_those_of_tests():
    assert without_tests("# A\na==1\n\n# Tests\nb==2\n\n# C\nc==3\n") == "# A\na==1\n\n# C\nc==3\n"


def test_only_the_apps_own_folders_are_swept():
    there = ["app.py", "sac/config.py", "sac/old.py", "training/x.py", "docs/old.png", "packages.txt", ".gitattributes"]
    files = {"app.py", "sac/config.py"}
    assert superseded(there, files, "owner/cells") == ("sac/old.py", "training/x.py", "docs/old.png")


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path):
    yield
    shutil.rmtree(tmp_path / "space", ignore_errors=True)  # 25 MB of weights
