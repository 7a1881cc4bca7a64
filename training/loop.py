"""The training loop of `pretrain` and `fit`: steps, a learning rate, a state that survives, a word when it fails."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, DistributedDataParallelKwargs, broadcast_object_list, set_seed
from timm.optim import Muon
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset
from tqdm import tqdm

from sac.errors import TrainingError
from sac.model.sac import fast_dtype
from training.disk import room
from training.places import LOG
from training.states import clear_states, load_state, save_state, save_what_changes

GRADIENT_NORM = 1.0
MATRICES = 5.0
"""How many times as fast as biases and norms matrices learn: `Schedule.rate` is theirs. Muon's update of a matrix has the
size of AdamW's, but no direction of it drowns the others, and so it may be larger."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: steps of `batch` crops at `learning_rate`, warm-up, then a cosine to zero."""

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


@dataclass(frozen=True)
class Part:
    """Weights with `word` in their names: their gradients are clipped by themselves, they learn `pace` times as fast.

    whole: whether a weight with rows and columns is a matrix by itself; False for factors of one, which NAdamW takes.
    """

    word: str
    pace: float = 1.0
    whole: bool = True


@dataclass(frozen=True)
class Course:
    """What is learnt, from what, how long, and the folder that its log and state lie in.

    lesson: its forward takes (batch, step) and returns named losses. `examples[k]` is a pure function of k; batch s is
    made of examples s*batch to (s+1)*batch, whatever the number of processes. parts: of the lesson; what is in none of them
    is the last. Clipped together, the steep losses of one all but stop the other.
    """

    lesson: nn.Module
    examples: Dataset
    schedule: Schedule
    out: Path
    parts: tuple[Part, ...] = ()

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Weights that learn, as `optimizer_of` takes them: "params" of each part, its "pace", and who takes them."""
        parts = (*self.parts, Part(""))
        learnt: list[list[nn.Parameter]] = [[] for _ in parts]
        for name, weight in self.lesson.named_parameters():
            if weight.requires_grad:
                learnt[next(n for n, part in enumerate(parts) if part.word in name)].append(weight)
        return [
            {"params": weights, "pace": part.pace, "use_fallback": not part.whole}
            for part, weights in zip(parts, learnt)
            if weights
        ]


class Watcher:
    """Looks on while a lesson is learnt, on the main process; may end it. Its state is saved with the training's."""

    def begins(self, lesson: nn.Module) -> dict[str, Any]:
        """Called before the first step. Returns what is to be logged."""
        return {}

    def after(self, step: int, lesson: nn.Module) -> dict[str, Any]:
        """Called after each step. Returns what is to be logged."""
        return {}

    def verdict(self) -> str:
        """Asked after each step: "" to go on, "enough" or "pause" to end after saving a state, "cancel" at once."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        pass


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
    torch.utils.deterministic.fill_uninitialized_memory = False  # would take a twentieth of each step
    return accelerator


def run(accelerator: Accelerator, course: Course, resume: bool, watcher: Watcher | None = None) -> str:
    """Teaches `course.lesson` in place. Returns "done", or the watcher's verdict that ended it.

    Raises TrainingError when a loss or gradient is not finite, or the disk is full: the last saved state stays.
    """
    watcher, schedule, out = watcher or Watcher(), course.schedule, course.out
    if schedule.batch % accelerator.num_processes:
        raise TrainingError(
            f"a batch of {schedule.batch} cannot be shared by {accelerator.num_processes} processes: "
            f"take a multiple of {accelerator.num_processes}"
        )
    out.mkdir(parents=True, exist_ok=True)
    model, optimizer = accelerator.prepare(course.lesson, optimizer_of(course.groups, schedule.learning_rate))
    learner = _Learner(accelerator, model, optimizer, schedule)
    save_what_changes(accelerator)
    accelerator.register_for_checkpointing(watcher)
    first = load_state(accelerator, optimizer, out) if resume else clear_states(accelerator, out)
    if first == 0 and accelerator.is_main_process:
        _log(out, {"step": 0, **watcher.begins(course.lesson)})
    loader = accelerator.prepare(_loader(course, first))
    bar = tqdm(total=schedule.steps, initial=first, disable=not accelerator.is_main_process, mininterval=2)
    model.train()
    verdict = _agreed(accelerator, watcher)
    for step, batch in enumerate(loader if not verdict else (), start=first + 1):
        losses = learner.step(batch, step - 1)
        bar.set_postfix({k: f"{v:.3f}" for k, v in losses.items()}, refresh=False)
        bar.update()
        if accelerator.is_main_process:
            rounded = {k: round(v, 5) for k, v in losses.items()}
            _log(out, {"step": step, "at": round(time.time(), 2), **rounded, **watcher.after(step, course.lesson)})
        verdict = _agreed(accelerator, watcher)
        if step % schedule.save_every == 0 or step == schedule.steps or verdict in ("enough", "pause"):
            save_state(accelerator, out, step)
        if verdict:
            break
    bar.close()
    return verdict or "done"


def optimizer_of(groups: list[dict[str, Any]], rate: float) -> Muon:
    """Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) for matrices and convolutions, NAdamW for all else.

    Muon's updates are scaled as in Liu et al. 2025, arXiv 2502.16982, section 2.2; both have Nesterov's momentum.
    """
    return Muon(groups, lr=MATRICES * rate, fallback_lr_scale=1 / MATRICES, weight_decay=0.01, nesterov=True)


def _loader(course: Course, first: int) -> DataLoader:
    batch = course.schedule.batch
    rows = range(first * batch, course.schedule.steps * batch)
    return DataLoader(Subset(course.examples, rows), batch_size=batch, num_workers=1, prefetch_factor=4)


@dataclass(frozen=True)
class _Learner:
    """Who takes the steps."""

    accelerator: Accelerator
    model: nn.Module
    optimizer: torch.optim.Optimizer
    schedule: Schedule

    def step(self, batch: dict[str, Tensor], step: int) -> dict[str, float]:
        """One step, the first being 0. Returns the losses; raises TrainingError where one, or a gradient, is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = MATRICES * group["pace"] * self.schedule.rate(step)
        losses: dict[str, Tensor] = self.model(batch, step)
        total = sum(losses.values())
        self._check_finite("loss", self.accelerator.reduce(total.detach()), step)
        self.accelerator.backward(total)
        for group in self.optimizer.param_groups:
            self._check_finite("gradient", self.accelerator.clip_grad_norm_(group["params"], GRADIENT_NORM), step)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {name: value.item() for name, value in losses.items()}

    def _check_finite(self, what: str, value: Tensor, step: int) -> None:
        if not torch.isfinite(value):
            raise TrainingError(
                f"the {what} became {value.item()} at step {step + 1}: try a learning rate below "
                f"{self.schedule.learning_rate:g}; the last saved state is kept"
            )


def _agreed(accelerator: Accelerator, watcher: Watcher) -> str:
    """The main process's verdict, in every process."""
    said = [watcher.verdict() if accelerator.is_main_process else ""]
    return broadcast_object_list(said)[0] if accelerator.num_processes > 1 else said[0]


def _log(out: Path, row: dict[str, Any]) -> None:
    with room(), (out / LOG).open("a") as log:
        log.write(json.dumps(row) + "\n")
