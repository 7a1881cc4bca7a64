"""The training loop of `pretrain` and `fit`: steps, a learning rate, a state that survives, a word when it fails."""

from __future__ import annotations

import json
import math
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs, set_seed
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from sac.errors import TrainingError
from sac.model.sac import fast_dtype

KEPT_STATES = 2
STATE = "state-"
GRADIENT_NORM = 1.0


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: steps of `batch` crops, AdamW at `learning_rate`, warm-up, then a cosine to zero."""

    steps: int = 1000
    batch: int = 6
    learning_rate: float = 1e-3
    warmup: int = 50
    seed: int = 0
    save_every: int = 100
    """Steps between two saved states."""

    def rate(self, step: int) -> float:
        """Learning rate of a step: a function of the step alone, so that resuming needs no scheduler state."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def make_accelerator(seed: int) -> Accelerator:
    """Accelerate with bfloat16 where the device gains by it; deterministic on a CPU."""
    cuda = torch.cuda.is_available()
    fast = fast_dtype(torch.device("cuda" if cuda else "cpu")) == torch.bfloat16
    accelerator = Accelerator(
        mixed_precision="bf16" if fast else "no",
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    set_seed(seed)
    torch.use_deterministic_algorithms(not cuda)
    return accelerator


def run(
    accelerator: Accelerator, model: nn.Module, examples: Dataset, schedule: Schedule, out: Path, resume: bool
) -> nn.Module:
    """Trains `model`, whose forward takes (batch, step) and returns named losses, and returns it unwrapped.

    `examples[k]` is a pure function of k; batch s is made of examples s*batch to (s+1)*batch, whatever the number of
    processes. Raises TrainingError when a loss is not finite: the last saved state stays as it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=schedule.learning_rate, weight_decay=0.01)
    model, optimizer = accelerator.prepare(model, optimizer)
    first = _load_state(accelerator, out) if resume else _clear_states(accelerator, out)
    loader = accelerator.prepare(_loader(examples, schedule, first))
    bar = tqdm(total=schedule.steps, initial=first, disable=not accelerator.is_main_process, mininterval=2)
    model.train()
    for step, batch in enumerate(loader, start=first):
        losses = _step(accelerator, model, optimizer, batch, step, schedule)
        bar.set_postfix({k: f"{v:.3f}" for k, v in losses.items()}, refresh=False)
        bar.update()
        _log(accelerator, out, step, losses)
        if (step + 1) % schedule.save_every == 0 or step + 1 == schedule.steps:
            _save_state(accelerator, out, step + 1)
    bar.close()
    return accelerator.unwrap_model(model)


def _loader(examples: Dataset, schedule: Schedule, first: int) -> DataLoader:
    rows = range(first * schedule.batch, schedule.steps * schedule.batch)
    return DataLoader(Subset(examples, rows), batch_size=schedule.batch, num_workers=1, prefetch_factor=4)


def _step(accelerator, model, optimizer, batch, step: int, schedule: Schedule) -> dict[str, float]:
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate(step)
    losses: dict[str, Tensor] = model(batch, step)
    total = sum(losses.values())
    if not torch.isfinite(total):
        raise TrainingError(f"the loss became {total.item()} at step {step}; the last good state is kept")
    accelerator.backward(total)
    accelerator.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
    optimizer.step()
    optimizer.zero_grad()
    return {name: value.item() for name, value in losses.items()}


def _log(accelerator: Accelerator, out: Path, step: int, losses: dict[str, float]) -> None:
    if accelerator.is_main_process:
        with (out / "log.jsonl").open("a") as log:
            log.write(json.dumps({"step": step, **{k: round(v, 5) for k, v in losses.items()}}) + "\n")


def _save_state(accelerator: Accelerator, out: Path, step: int) -> None:
    """Writes beside, then renames: a state is there whole, or not at all. The last two are kept."""
    partial = out / f"{STATE}{step}.partial"
    accelerator.save_state(str(partial))
    accelerator.wait_for_everyone()
    if not accelerator.is_main_process:
        return
    for file in partial.rglob("*"):
        if file.is_file():
            with file.open("rb") as written:
                os.fsync(written.fileno())
    partial.rename(out / f"{STATE}{step}")
    for old in _states(out)[:-KEPT_STATES]:
        shutil.rmtree(old)


def _load_state(accelerator: Accelerator, out: Path) -> int:
    """Restores the newest whole state. Returns the step to go on with, 0 where there is none."""
    states = _states(out)
    if not states:
        return 0
    accelerator.load_state(str(states[-1]))
    first = int(states[-1].name.removeprefix(STATE))
    log = out / "log.jsonl"
    if accelerator.is_main_process and log.exists():  # steps after the state are done, and logged, again
        log.write_text("".join(log.read_text().splitlines(keepends=True)[:first]))
    return first


def _clear_states(accelerator: Accelerator, out: Path) -> int:
    if accelerator.is_main_process:
        for old in out.glob(f"{STATE}*"):
            shutil.rmtree(old)
        (out / "log.jsonl").unlink(missing_ok=True)
    accelerator.wait_for_everyone()
    return 0


def _states(out: Path) -> list[Path]:
    whole = [p for p in out.glob(f"{STATE}*") if not p.name.endswith(".partial")]
    return sorted(whole, key=lambda p: int(p.name.removeprefix(STATE)))
