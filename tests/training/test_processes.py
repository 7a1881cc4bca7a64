"""Two processes teach one lesson: the same batches, the same weights but for rounding, one of them speaks and writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from kills import scenes
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from sac import hub

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this torch has no gloo, by which processes on a CPU speak to each other",
)
NEAR = 0.02
"""Of the way that the weights went. Sums over a batch are rounded in another order (1e-7 of a gradient), and Adam's first
steps go a full learning rate whatever a gradient's size: those that are zero but for rounding may turn about."""


def launched(processes: int, *command: str) -> subprocess.CompletedProcess:
    """A module's command in that many processes, on the CPU."""
    several = ["torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    environment = {
        **os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(Path(__file__).parent)]),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", *(several if processes > 1 else []), *(["-m", "--"] if processes > 1 else []), *command],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for sample in scenes(2):
        Image.fromarray(sample.image).save(folder / "images" / f"{sample.name}.png")
        Image.fromarray(sample.labels.astype(np.uint16)).save(folder / "labels" / f"{sample.name}.png")
    return folder


def way(out: Path, start: dict[str, Tensor]) -> Tensor:
    """How far each learnt weight went from where it started, in float32."""
    learnt = load_file(out / "state-3" / "model.safetensors")
    return torch.cat(
        [(learnt[n] - start[n.removeprefix("sac.")]).flatten() for n in sorted(learnt) if "buffer" not in n]
    )


def test_two_processes_learn_what_one_learns(pictures, tmp_path):
    asked = ["--start", "nuclei", "--steps", "3", "--batch", "2", "--prompts", "2", "--hold-out", "0"]
    asked += ["--generator-steps", "1", "--look-every", "100"]
    for processes in (1, 2):
        out = tmp_path / str(processes)
        done = launched(processes, "test_processes", "fit", "--data", str(pictures), "--out", str(out), *asked)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == ["Loading the checkpoint", "Training"]
        assert [json.loads(line)["step"] for line in (out / "log.jsonl").read_text().splitlines()] == [0, 1, 2, 3]
        assert hub.load(str(out)).config.provenance["images"] == 2
    assert (tmp_path / "2" / "state-3" / "random_states_1.pkl").exists()  # there were two
    start = hub.load("nuclei").state_dict()
    alone, together = (way(tmp_path / name, start) for name in "12")
    apart = float((together - alone).norm() / alone.norm())
    print(f"two processes end {apart:.1e} of the way from where one ends; at most {(together - alone).abs().max():.1e}")
    assert alone.norm() > 0 and apart < NEAR


def test_a_batch_that_cannot_be_shared_is_refused_in_words(pictures, tmp_path):
    asked = ["--data", str(pictures), "--out", str(tmp_path), "--steps", "1", "--batch", "3"]
    done = launched(2, "training", "fit", *asked, "--generator-widths", "8", "16")
    assert done.returncode != 0
    assert "a batch of 3 cannot be shared by 2 processes: take a multiple of 2" in done.stderr


def stop(out: str) -> None:
    """What each process runs: the first one's watcher ends it after step 3, as the other's would not."""
    from accelerate import PartialState
    from test_loop import Lesson, Stopper, teach

    lesson = Lesson(0)
    watcher = Stopper(3, "pause")
    verdict = teach(Path(out), lesson, False, watcher)
    told = {"verdict": verdict, "steps": [s for s, _ in lesson.seen], "crops": [n for _, n in lesson.seen]}
    told |= {"watched": watcher.seen, "bytes": [lesson.layers[0].weight.sum().item()]}
    (Path(out) / f"told-{PartialState().process_index}.json").write_text(json.dumps(told))


def test_all_processes_hear_the_verdict(tmp_path):
    done = launched(2, "test_processes", str(tmp_path))
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"told-{n}.json").read_text()) for n in (0, 1))
    assert (first["watched"], second["watched"]) == ([1, 2, 3], [])
    for told in (first, second):
        assert (told["verdict"], told["steps"], told["crops"]) == ("pause", [0, 1, 2], [1, 1, 1])
    assert first["bytes"] == second["bytes"]
    assert {p.name for p in tmp_path.glob("state-*")} == {"state-2", "state-3"}
    assert len((tmp_path / "log.jsonl").read_text().splitlines()) == 4


def fit_in_float32(arguments: list[str]) -> int:
    """What each process runs: rounded to bfloat16, sums in another order end a tenth of the way apart."""
    from training.__main__ import main

    torch.cpu.get_capabilities = dict  # of a processor that gains nothing by bfloat16
    return main(arguments)


if __name__ == "__main__":
    sys.exit(fit_in_float32(sys.argv[1:]) if sys.argv[1] == "fit" else stop(sys.argv[1]))
