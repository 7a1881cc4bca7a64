"""A training's saved states: the newest two, each there whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import load_file
from torch import nn
from torch.optim import Optimizer

from sac.errors import TrainingError
from training.disk import room, sync, written_whole
from training.places import LOG, STATE

KEPT_STATES = 2
OTHER_TRAINING = "the saved state is of another training; begin anew, without resuming"


def save_what_changes(accelerator: Accelerator) -> None:
    """Saves and restores weights that are learnt, and buffers: a frozen base of 2.5 GB need not lie in each state."""

    def changing(model: nn.Module) -> set[str]:
        frozen = {name for name, weight in model.named_parameters() if not weight.requires_grad}
        return set(model.state_dict()) - frozen

    def before_saving(models: list[nn.Module], weights: list[dict], folder: str) -> None:
        for model, values in zip(models, weights):
            kept = changing(accelerator.unwrap_model(model))
            plain = {name.removeprefix("module."): value for name, value in values.items()}
            values.clear()
            values.update({name: value for name, value in plain.items() if name in kept})

    def before_loading(models: list[nn.Module], folder: str) -> None:
        for model in models:
            plain = accelerator.unwrap_model(model)
            values = load_file(Path(folder) / "model.safetensors")
            own = plain.state_dict()
            if {n: v.shape for n, v in values.items()} != {n: own[n].shape for n in changing(plain)}:
                raise TrainingError(OTHER_TRAINING)
            plain.load_state_dict({**own, **values})
        models.clear()

    accelerator.register_save_state_pre_hook(before_saving)
    accelerator.register_load_state_pre_hook(before_loading)


def save_state(accelerator: Accelerator, out: Path, step: int) -> None:
    """Writes beside, then renames: a state is there whole, or not at all. The last two are kept."""
    partial = out / f"{STATE}{step}.partial"
    try:
        with room():
            accelerator.save_state(str(partial))
            accelerator.wait_for_everyone()
            if accelerator.is_main_process:
                _settle(partial, out / f"{STATE}{step}")
    except TrainingError:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    if accelerator.is_main_process:
        for old in _states(out)[:-KEPT_STATES]:
            shutil.rmtree(old)


def _settle(partial: Path, whole: Path) -> None:
    """Lets files reach the disk before their folder gets the name by which it is believed."""
    for path in [*(p for p in partial.rglob("*") if p.is_file()), partial]:
        sync(path)
    partial.rename(whole)
    sync(whole.parent)


def load_state(accelerator: Accelerator, optimizer: Optimizer, out: Path) -> int:
    """Restores the newest whole state. Returns the steps that are done, 0 where there is none.

    What the optimizer's groups have and those of an older state have not stays as it is.
    """
    states = _states(out)
    if not states:
        return clear_states(accelerator, out)
    begun = [dict(group) for group in optimizer.param_groups]
    try:
        accelerator.load_state(str(states[-1]))
    except ValueError as error:  # an optimizer's, of other parts
        raise TrainingError(OTHER_TRAINING) from error
    for group, before in zip(optimizer.param_groups, begun):
        group |= before | group
    done = int(states[-1].name.removeprefix(STATE))
    log = out / LOG
    if accelerator.is_main_process and log.exists():  # steps after the state are done, and logged, again
        rows = [line for line in log.read_text().splitlines(keepends=True) if line.endswith("\n")]
        with written_whole(log) as partial:
            partial.write_text("".join(line for line in rows if json.loads(line)["step"] <= done))
    return done


def clear_states(accelerator: Accelerator, out: Path) -> int:
    if accelerator.is_main_process:
        for old in _folders(out, whole=False):
            shutil.rmtree(old)
        (out / LOG).unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return 0


def _states(out: Path) -> list[Path]:
    return sorted(_folders(out, whole=True), key=lambda p: int(p.name.removeprefix(STATE)))


def _folders(out: Path, whole: bool) -> list[Path]:
    """Those of states; what else lies there under a like name is not ours. whole: without those that are half written."""
    name = re.compile(rf"{STATE}\d+" + ("" if whole else r"(\.partial)?"))
    return [path for path in out.glob(f"{STATE}*") if name.fullmatch(path.name) and path.is_dir()]
