"""A student is built, taught with the budget that all have, and kept: asked for again, it is there."""

from __future__ import annotations

import hashlib
import json
import resource
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sac import hub
from sac.config import SACConfig
from sac.metrics import pixel_dice
from sac.model.sac import SAC
from sac.model.sam import build_sam
from training.baselines.adapters import with_adapters
from training.baselines.methods import KNOWN
from training.baselines.one_mask import OneMaskLesson
from training.baselines.subject import Subject
from training.benchmark.plan import Budget, Student
from training.benchmark.sets import Ground
from training.crops import Crops
from training.datasets.sample import Sample
from training.disk import write_json
from training.exam import Exam
from training.fit import WARMUP
from training.lesson import NucleiLesson
from training.loop import Course, Schedule, Watcher, make_accelerator, run
from training.options import FitOptions

LEARNT, FACTS = "learnt.safetensors", "facts.json"
LOOKS = 12
"""Points of a learning curve."""


@dataclass(frozen=True)
class Class:
    """Where and with what a student learns: a ground, a budget, a seed; `out` is the benchmark's folder."""

    ground: Ground
    budget: Budget
    seed: int
    out: Path

    def folder(self, student: Student) -> Path:
        """The student's own. Its name holds a digest of all that the training depends on."""
        base = hub.sha256(hub.base_path(self.budget.base)) if student.base else "random"
        told = [asdict(student), self.budget.to_json(), self.seed, self.ground.digest, base]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return self.out / "trained" / self.ground.name / f"{student.name}-{self.seed}-{digest[:8]}"

    @property
    def epoch(self) -> float:
        """Crops of an epoch."""
        return self.ground.epoch(SACConfig(**self.ground.changes))

    def has_taught(self, student: Student) -> bool:
        return (self.folder(student) / LEARNT).exists()


def taught(student: Student, lessons: Class) -> SAC:
    """The student's model after its training, which is done now, or gone on with, where it is not there yet."""
    torch.manual_seed(lessons.seed)
    sac = built(student, lessons)
    folder = lessons.folder(student)
    if student.learns != "nothing":
        if not lessons.has_taught(student):
            _teach(student, sac, lessons, folder)
        sac.load_state_dict({**sac.state_dict(), **load_file(folder / LEARNT)})
    return sac.eval().learning(False).to(hub.device())


def built(student: Student, lessons: Class) -> SAC:
    """The model with what the student may learn, and nothing else, taking gradients."""
    config = SACConfig(base=lessons.budget.base, **{**lessons.ground.changes, **dict(student.changes)})
    sac = hub.new(config) if student.base else SAC(build_sam(config.base), config)
    sac.learning(False)
    learning: list[nn.Module] = []
    if student.learns in ("sac", "generator"):
        learning.append(sac.generator)
    if student.learns in ("decoder", "adapters") or (student.learns == "sac" and student.decoder):
        learning.append(sac.mask_decoder)
    if student.learns == "adapters":
        learning += with_adapters(sac.sam.image_encoder.base_model.model)
    for part in learning:
        part.requires_grad_(True)
    for name, weight in sac.named_parameters():
        if "lora_" in name and student.learns == "sac" and student.adapter:
            weight.requires_grad_(True)
    return sac


def lesson_of(student: Student, sac: SAC, options: FitOptions) -> nn.Module:
    if student.learns in ("decoder", "adapters"):
        return OneMaskLesson(sac)
    alone = {"generator": options.steps}.get(student.learns, options.alone if student.joint else options.steps // 2)
    return NucleiLesson(sac, alone, joint=student.joint)


def course_of(student: Student, sac: SAC, lessons: Class, folder: Path) -> Course:
    options = lessons.budget.options(lessons.seed)
    learn = lessons.ground.learn(student.images, lessons.seed)
    crops = Crops(learn, sac.config.diameter, sac.config.tile, options)
    warmup = min(WARMUP, options.steps // 10 + 1)
    schedule = Schedule(options.steps, options.batch, options.learning_rate, warmup, options.seed, options.save_every)
    return Course(lesson_of(student, sac, options), crops, schedule, folder)


def learnt(model: nn.Module) -> dict[str, Tensor]:
    return {name: w.detach().cpu().contiguous() for name, w in model.named_parameters() if w.requires_grad}


def _teach(student: Student, sac: SAC, lessons: Class, folder: Path) -> None:
    accelerator = make_accelerator(lessons.seed)
    sac.to(accelerator.device)
    course = course_of(student, sac, lessons, folder)
    begun = time.perf_counter()
    run(accelerator, course, resume=True, watcher=Curve(student, lessons, course.schedule.steps))
    facts = {
        "student": asdict(student),
        "seed": lessons.seed,
        "budget": asdict(lessons.budget),
        "learnt": sum(w.numel() for w in sac.parameters() if w.requires_grad),
        "seconds": round(time.perf_counter() - begun, 1),
    }
    write_json(folder / FACTS, facts)
    partial = folder / f"{LEARNT}.partial"
    save_file(learnt(sac), partial)
    partial.replace(folder / LEARNT)


class Curve(Watcher):
    """The Dice on tiles that were held out, `LOOKS` times while a student learns."""

    def __init__(self, student: Student, lessons: Class, steps: int):
        self.student, self.steps = student, steps
        self.every = max(1, steps // LOOKS)
        config = SACConfig(**lessons.ground.changes)
        held = lessons.ground.held_out(0)
        self.tiles: list[Sample] = Exam(held, config.diameter, config.tile, lessons.seed).tiles

    def after(self, step: int, lesson: nn.Module) -> dict[str, Any]:
        if step % self.every and step != self.steps:
            return {}
        lesson.eval()
        found = [self._dice(lesson.sac, tile) for tile in self.tiles]
        lesson.train()
        return {"dice": round(sum(found) / len(found), 5)} if found else {}

    def _dice(self, sac: SAC, tile: Sample) -> float:
        return pixel_dice(tile.labels, KNOWN[self.student.asked](Subject(sac, tile.image, tile.labels, scale=1.0)))


@dataclass(frozen=True)
class Cost:
    """What a student costs: weights that it learns, seconds a step, and the peak of memory in bytes."""

    learnt: int
    step: float
    memory: int


STEPS = 12
"""Steps of which the last half is timed."""


def cost(student: Student, lessons: Class) -> Cost:
    """Of a training of a few steps, in a process of its own: its peak of memory is that of all that it did before."""
    accelerator = make_accelerator(lessons.seed)
    sac = built(student, lessons).to(accelerator.device)
    lessons = replace(lessons, budget=replace(lessons.budget, steps=max(STEPS, lessons.budget.steps)))
    course = course_of(student, sac, lessons, lessons.out)
    model, optimizer = course.lesson, torch.optim.AdamW([w for w in sac.parameters() if w.requires_grad])
    alone = getattr(model, "alone", 0)
    batches = torch.utils.data.DataLoader(course.examples, batch_size=course.schedule.batch)
    seconds = []
    for number, batch in zip(range(STEPS), batches):
        batch = {name: value.to(accelerator.device) for name, value in batch.items()}
        begun = time.perf_counter()
        with accelerator.autocast():
            loss = sum(model(batch, number + (alone if student.learns == "sac" else 0)).values())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        seconds.append(time.perf_counter() - begun)
    late = seconds[STEPS // 2 :]
    on_device = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    memory = on_device or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return Cost(sum(w.numel() for w in sac.parameters() if w.requires_grad), sum(late) / len(late), memory)
