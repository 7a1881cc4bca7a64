"""`python -m training fit`: SAC on a frozen base, all trained parts together (paper: joint optimisation)."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from sac import __version__, hub
from sac.model.sac import SAC
from training.augment import Zoom
from training.cards import sac_card
from training.crops import Crops
from training.datasets.division import Piece, Pieces, divide, is_strips
from training.datasets.gather import TrainingSet
from training.datasets.sample import Sample
from training.disk import room
from training.embeddings import embeddings
from training.exam import Exam
from training.examiner import Examiner
from training.lesson import PARTS, NucleiLesson
from training.loop import Course, Schedule, make_accelerator, run
from training.options import FitOptions, Task
from training.outcome import Outcome, compare, judged
from training.places import HELD_OUT
from training.start import begin
from training.thresholds import readings

WARMUP = 50
"""Steps in which the learning rate rises, or a tenth of all, where that is less."""
TRAINING = "Training"
"""What is told while steps are taken."""
SOUGHT = ("microns", "finds", "one_scale")
"""What of a training's options says what it looks for, and how large."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Fitted:
    """How a training ended. verdict: "done", "enough" (nothing was gained any more), "pause" or "cancel".

    outcome: before and after; None where there was no checkpoint to start from, or nothing was held out.
    """

    verdict: str
    outcome: Outcome | None = None


class Split(NamedTuple):
    """Images of a training, and those held out from it; or, of so few that none can be spared, those of which a strip was."""

    learnt: int
    held_out: int
    strips: bool = False


def fit(out: Path, whole: TrainingSet, task: Task, resume: bool = False, told: Told = print) -> Fitted:
    """Teaches a SAC what a training set shows, and writes the checkpoint with its card to `out`.

    told: hears what is being done. Raises TrainingError, CheckpointError or OptionError; a saved state stays.
    """
    options = task.options
    accelerator = make_accelerator(options.seed)
    told = told if accelerator.is_main_process else lambda said: None
    told("Loading the checkpoint")
    out.mkdir(parents=True, exist_ok=True)
    sac = begin(options.start, task.changes).learning(True, encoder=not options.quick).to(accelerator.device)
    sought = sought_of(options, sac.config.provenance)  # before and after are compared at the scale that these suggest
    sac.config = replace(sac.config, provenance=sac.config.provenance | sought)
    learn, keep = divide(whole.survey.facts, options.hold_out)
    crops = Crops(Pieces(whole, learn), Zoom.at_work(sac.config), sac.config.tile, options)
    with accelerator.main_process_first():
        kept = resume or not accelerator.is_main_process  # others take what the main process has just made
        features = embeddings(sac, crops, out, kept) if options.quick else None
    lesson = NucleiLesson(sac, options.alone, features)
    started = {name: w.detach().clone() for name, w in lesson.named_parameters() if w.requires_grad and options.keep}
    told(TRAINING)
    examiner = Examiner(_exams(sac, whole, learn, keep, options.seed), options, out)
    verdict = run(accelerator, Course(lesson, crops, schedule_of(options), out, PARTS), resume, examiner)
    if verdict in ("pause", "cancel"):
        return Fitted(verdict)
    examiner.restore(lesson, started)
    outcome = None
    if accelerator.is_main_process:
        outcome = _judged(sac.eval(), judged(whole, keep), options, out, told)
        _save(sac, task, Split(len(learn), len(keep), is_strips(keep)), outcome, out)
        _name(whole, keep, out)
    return Fitted(verdict, outcome)


def _exams(sac: SAC, whole: TrainingSet, learn: list[Piece], keep: list[Piece], seed: int) -> dict[str, Exam]:
    sides = {"training": learn, "validation": keep}
    config, zoom = sac.config, Zoom.at_work(sac.config)
    return {name: Exam(Pieces(whole, side), zoom, config.tile, seed) for name, side in sides.items()}


def schedule_of(options: FitOptions) -> Schedule:
    return Schedule(
        steps=options.steps,
        batch=options.batch,
        learning_rate=options.learning_rate,
        warmup=min(WARMUP, options.steps // 10 + 1),
        seed=options.seed,
        save_every=options.save_every,
    )


def _judged(sac: SAC, samples: list[Sample], options: FitOptions, out: Path, told: Told) -> Outcome | None:
    """What was held out says from where on masks are kept and nuclei parted, and how it is before and after."""
    if not samples:
        return None
    told("Finding how certain a mask must be")
    read = readings(sac, samples)
    sac.config = replace(sac.config, provenance=sac.config.provenance | read.best())
    if not options.start:
        return None
    before = hub.load(options.start, str(sac.sam.device))
    asked = [(sample, read.best(without=number)) for number, sample in enumerate(samples)]
    return compare(before, sac.learning(False), asked, out, lambda name: told(f"Comparing before and after: {name}"))


def _save(sac: SAC, task: Task, split: Split, outcome: Outcome | None, out: Path) -> None:
    """The checkpoint with its card."""
    told = provenance(sac.config.provenance, task, split, outcome)
    own = {"certainty": sac.config.certainty, "prominence": sac.config.prominence}
    sac.config = replace(sac.config, provenance=told | own)
    with room():
        hub.save(sac, out, sac_card(task.title or out.name, sac.config))


def _name(whole: TrainingSet, keep: list[Piece], out: Path) -> None:
    """Writes the names of the images that it did not learn from, not of those whose strips are held out."""
    names = [whole.survey.facts[piece.index].name for piece in keep if not is_strips([piece])]
    with room():
        (out / HELD_OUT).write_text("".join(f"{name}\n" for name in names))


def sought_of(options: FitOptions, before: dict) -> dict[str, Any]:
    """What is looked for: as a training is told, or as the checkpoint that it starts from was."""
    return {name: told for name in SOUGHT if (told := getattr(options, name) or before.get(name))}


def provenance(before: dict, task: Task, split: Split, outcome: Outcome | None) -> dict[str, Any]:
    """Where weights come from. `before`: of the checkpoint they started from, whose data and commands stay named."""
    options = task.options
    figures = {} if outcome is None else {"figures": outcome.figures(), "read_by": "others"}
    return {
        "data": list(dict.fromkeys([*before.get("data", []), *task.data])),
        "images": split.learnt,
        "held_out": split.held_out,
        "licence": options.licence,
        "title": task.title,
        "start": before.get("title") or (Path(options.start).name if os.path.isabs(options.start) else options.start),
        "before": [*before.get("before", []), *([before["command"]] if "command" in before else [])],
        "command": task.command,
        "seed": options.seed,
        "version": __version__,
        **sought_of(options, before),
        **({"strips": True} if split.strips else {}),
        **figures,
    }
