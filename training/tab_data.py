"""What a visitor brings to learn from: files, a data set on the Hub, or the corrections made on the page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import gradio as gr
import numpy as np

from sac.errors import CaseError, DataError
from sac.overlay import outlined
from sac.ui.desk import Desk
from sac.ui.errors import shows_errors
from sac.ui.picture import Picture
from sac.ui.serving.guests import members_only
from sac.ui.told import escaped
from training.datasets import files, from_hub
from training.datasets.gather import Survey, TrainingSet, counted, gather
from training.datasets.sample import Sample
from training.disk import room
from training.jobs import Job, Jobs

SHOWN, SIDE = 4, 320
"""Samples that are shown, and the pixels of each along its sides."""
SENTENCES = 12
"""Refused files that are named."""
ESTIMATING = "Estimating time, memory and disk …"


class Bringing:
    """The handlers that gather a training set. Each answers (draft, words, samples, estimate, whether it can start).

    It cannot start yet: what it takes is told first, by `Teaching.estimate`, which the new draft sets off.
    """

    def __init__(self, jobs: Jobs):
        self.jobs = jobs

    @members_only
    @shows_errors
    def files(self, draft: Job | None, paths: list[str] | None, progress=gr.Progress()) -> tuple:
        """From uploaded files and zips."""
        if not paths:
            return self._nothing(draft, "")
        with TemporaryDirectory(prefix="sac-") as place:
            return self._gathered(draft, files.samples([Path(path) for path in paths], Path(place)), progress)

    @members_only
    @shows_errors
    def hub(self, draft: Job | None, name: str, split: str, image: str, mask: str, progress=gr.Progress()) -> tuple:
        """From a split of a data set on the Hub."""
        with TemporaryDirectory(prefix="sac-") as place:
            found = from_hub.samples((name or "").strip(), split or "", (image or "", mask or ""), Path(place))
            return self._gathered(draft, found, progress)

    @members_only
    @shows_errors
    def corrections(self, draft: Job | None, desk: Desk | None, progress=gr.Progress()) -> tuple:
        """From the pictures of the other tab whose nuclei were mended."""
        return self._gathered(draft, corrected(desk), progress)

    @members_only
    @shows_errors
    def look(self, name: str) -> tuple[dict, dict, dict]:
        """The splits of a data set on the Hub, and the columns of the first."""
        splits = from_hub.splits((name or "").strip())
        first = next((name for name in splits if "train" in name), next(iter(splits)))
        return gr.update(choices=list(splits), value=first), *_columns(splits[first].images, splits[first].masks)

    def _gathered(self, draft: Job | None, brought: Iterable[Sample | DataError], progress: gr.Progress) -> tuple:
        job = self.jobs.draft()
        try:
            with room():
                found = gather(brought, job.set, lambda name: progress(0, desc=f"Reading {name}"))
        except DataError as error:
            self.jobs.discard(job)
            return self._nothing(draft, f"**Nothing to learn from**  \n{escaped(str(error))}")
        if draft:
            self.jobs.discard(draft)
        samples = gr.update(value=pictures(found), visible=True)
        return job, told(found.survey), samples, ESTIMATING, gr.update(interactive=False)

    def _nothing(self, draft: Job | None, words: str) -> tuple:
        if draft:
            self.jobs.discard(draft)
        return None, words, gr.update(value=[], visible=False), "", gr.update(interactive=False)


def corrected(desk: Desk | None) -> Iterator[Sample]:
    """Pictures that a visitor edited, as they are now. Raises DataError where there is none."""
    pictures = [p for p in desk.pictures if p.history and p.history.past] if desk else []
    if not pictures:
        raise DataError("no picture was corrected yet: segment one under Segment and mend its nuclei, then come back")
    for number, picture in enumerate(pictures, start=1):
        _allow(picture)
        image, labels = picture.image, picture.session.labels
        yield Sample(f"{number} {image.name}", image.pixels, labels, "corrections", microns=image.microns or 0.0)


def _allow(picture: Picture) -> None:
    try:
        picture.allow("edit")
    except CaseError as error:
        raise DataError(str(error)) from error


def told(survey: Survey) -> str:
    """What was found, what was left out, and what is likely to spoil the training. Markdown."""
    sizes = sorted({(f.width, f.height) for f in survey.facts}, key=math.prod)
    size = " to ".join(f"{width} × {height}" for width, height in dict.fromkeys((sizes[0], sizes[-1])))
    diameter = np.median([f.diameter for f in survey.facts if f.nuclei])
    lines = [
        f"**{counted(len(survey.facts))} with {survey.nuclei} nuclei**",
        f"{size} px, nuclei of about {diameter:.0f} px across",
    ]
    lines += [f"⚠ {escaped(problem)}" for problem in survey.problems]
    if survey.refused:
        more = len(survey.refused) - SENTENCES
        lines += ["**Left out**", *map(escaped, survey.refused[:SENTENCES])]
        lines += [f"and {more} more"] if more > 0 else []
    return "  \n".join(lines)


def pictures(found: TrainingSet) -> list[tuple[np.ndarray, str]]:
    """A few samples with their outlines, spread over the set, each with its name and count."""
    chosen = np.unique(np.linspace(0, len(found) - 1, min(SHOWN, len(found))).round().astype(int))
    return [_picture(found[int(number)], found.survey.facts[number].nuclei) for number in chosen]


def _picture(sample: Sample, nuclei: int) -> tuple[np.ndarray, str]:
    top, left = (max(0, (length - SIDE) // 2) for length in sample.labels.shape)
    part = (slice(top, top + SIDE), slice(left, left + SIDE))
    labels: Any = np.unique(sample.labels[part], return_inverse=True)[1].reshape(sample.labels[part].shape)
    return outlined(sample.image[part], labels.astype(np.int32)), f"{sample.name}: {nuclei} nuclei"


def _columns(*found: tuple[str, ...]) -> tuple[dict, dict]:
    return tuple(gr.update(choices=list(names), value=names[0] if names else None) for names in found)
