"""A student is built, taught with the budget that all have, and kept: asked for again, it is there."""

from __future__ import annotations

import hashlib
import json
import subprocess
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
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
from training.benchmark.sets import Ground, raw
from training.crops import Crops
from training.datasets.sample import Sample
from training.disk import read_json, write_json, written_whole
from training.exam import Exam
from training.fit import schedule_of
from training.lesson import PARTS, NucleiLesson
from training.loop import MATRICES, Course, Watcher, make_accelerator, run
from training.options import FitOptions
from training.thresholds import thresholds

ROOT = Path(__file__).parents[2]
LEARNT, FACTS = "learnt.safetensors", "facts.json"
LOOKS = 12
"""Points of a learning curve."""


@dataclass(frozen=True)
class Lessons:
    """Where and with what a student learns: a ground, a budget, a seed; `out` is the benchmark's folder."""

    ground: Ground
    budget: Budget
    seed: int
    out: Path

    def folder(self, student: Student) -> Path:
        """The student's own. Its name holds a digest of all that the training depends on."""
        base = hub.sha256(hub.base_path(self.budget.base)) if student.base else "random"
        begun = {"base": base, "heads": hub.sha256(hub.START) if student.scenes else ""}
        zoom = {"diameter": self.ground.zoom.diameter, "own": self.ground.zoom.own}
        shown = [self.ground.digest, self.ground.changes, zoom]
        told = [asdict(student), self.budget.to_json(), self.seed, shown, begun, {"Muon": MATRICES}]
        digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
        return self.out / "trained" / self.ground.name / f"{student.name}-{self.seed}-{digest[:8]}"

    @property
    def epoch(self) -> float:
        """Crops of an epoch."""
        return self.ground.epoch(SACConfig(**self.ground.changes))

    def has_taught(self, student: Student) -> bool:
        return (self.folder(student) / LEARNT).exists()


def taught(student: Student, lessons: Lessons) -> SAC:
    """The student's model after its training, which is done now, or gone on with, where it is not there yet."""
    torch.manual_seed(lessons.seed)
    sac = built(student, lessons)
    folder = lessons.folder(student)
    if student.learns != "nothing":
        if not lessons.has_taught(student):
            _teach(student, sac, lessons, folder)
        sac.load_state_dict({**sac.state_dict(), **load_file(folder / LEARNT)})
    sac.eval().learning(False).to(hub.device())
    if student.learns in ("sac", "generator"):
        sac.config = replace(sac.config, provenance=_thresholds(student, sac, lessons, folder / FACTS))
    return sac


def built(student: Student, lessons: Lessons) -> SAC:
    """The model with what the student may learn, and nothing else, taking gradients."""
    config = SACConfig(base=lessons.budget.base, **{**lessons.ground.changes, **dict(student.changes)})
    sac = hub.new(config, student.scenes) if student.base else hub.begin(SAC(build_sam(config.base), config))
    if not student.decoder:
        sac.mask_decoder.load_state_dict(sac.sam.mask_decoder.state_dict())
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
    return NucleiLesson(sac, alone, joint=student.joint, heard=student.heard)


def course_of(student: Student, sac: SAC, lessons: Lessons, options: FitOptions, folder: Path) -> Course:
    learn = lessons.ground.learn(student.images, lessons.seed)
    crops = Crops(learn, lessons.ground.zoom, sac.config.tile, options)
    return Course(lesson_of(student, sac, options), crops, schedule_of(options), folder, PARTS)


def learnt(model: nn.Module) -> dict[str, Tensor]:
    return {name: w.detach().cpu().contiguous() for name, w in model.named_parameters() if w.requires_grad}


def _teach(student: Student, sac: SAC, lessons: Lessons, folder: Path) -> None:
    accelerator = make_accelerator(lessons.seed)
    sac.to(accelerator.device)
    course = course_of(student, sac, lessons, lessons.budget.options(lessons.seed), folder)
    run(accelerator, course, resume=True, watcher=Curve(student, lessons, course.schedule.steps))
    facts = {"student": asdict(student), "seed": lessons.seed, "budget": asdict(lessons.budget), "commit": commit()}
    write_json(folder / FACTS, facts)
    with written_whole(folder / LEARNT) as partial:
        save_file(learnt(sac), partial)


def _thresholds(student: Student, sac: SAC, lessons: Lessons, path: Path) -> dict[str, float]:
    """How its map and masks are read: found as `fit` does, on images that nobody learns from, and kept in its facts."""
    facts, most = read_json(path), lessons.budget.most
    if facts.get("thresholds_on") != most:
        held = [raw(*piece) for piece in lessons.ground.samples("held-out", most)]
        found = thresholds(sac, held, lessons.ground.scale, decoded=student.learns == "sac")
        facts |= {"thresholds": found, "thresholds_on": most}
        write_json(path, facts)
    return facts["thresholds"]


class Curve(Watcher):
    """The Dice on tiles that were held out, `LOOKS` times while a student learns."""

    def __init__(self, student: Student, lessons: Lessons, steps: int):
        self.student, self.steps = student, steps
        self.every = max(1, steps // LOOKS)
        config = SACConfig(**lessons.ground.changes)
        held = lessons.ground.held_out(0)
        self.tiles: list[Sample] = Exam(held, lessons.ground.zoom, config.tile, seed=0).tiles  # the same for all seeds

    def after(self, step: int, lesson: nn.Module) -> dict[str, Any]:
        if step % self.every and step != self.steps:
            return {}
        lesson.eval()
        found = [self._dice(lesson.sac, tile) for tile in self.tiles]
        lesson.train()
        return {"dice": round(sum(found) / len(found), 5)} if found else {}

    def _dice(self, sac: SAC, tile: Sample) -> float:
        return pixel_dice(tile.labels, KNOWN[self.student.asked](Subject(sac, tile.image, tile.labels, scale=1.0)))


@lru_cache(maxsize=1)
def commit() -> str:
    """The commit that is at work, with a + where files differ from it; "" where there is no git."""
    words = (("rev-parse", "--short", "HEAD"), ("status", "--porcelain", "sac", "training"))
    try:
        said = [subprocess.run(["git", *w], cwd=ROOT, capture_output=True, text=True, check=True).stdout for w in words]
    except (OSError, subprocess.CalledProcessError):
        return ""
    return said[0].strip() + ("+" if said[1].strip() else "")
