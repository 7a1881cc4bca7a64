"""What the page says in words: a picture, a result, scores. Markdown."""

from __future__ import annotations

import re

from sac.ui import work
from sac.ui.desk import Desk
from sac.ui.picture import Picture


def described(picture: Picture) -> str:
    image = picture.image
    height, width = image.size
    size = f"{width} × {height} px" + (f", {image.microns:.3g} µm per pixel" if image.microns else "")
    if image.is_preview:
        size = "whole slide of {1} × {0} px".format(*image.place.size)
    lines = [f"{plain(image.title)}: {size}", *map(escaped, image.notes)]
    if image.is_stained:
        lines.append("It looks like stained tissue: the checkpoint nuclei-he finds its nuclei, glands its glands.")
    if image.microns is None:
        lines.append("The size of a pixel is not known: tell it above, for areas in µm² and for the right scale.")
    if image.channel < 0 and image.channels and image.values.shape[2] not in (1, 3):
        lines.append("Nuclei are found best in their own channel: choose it under Channel.")
    return "  \n".join(lines)


def not_opened(sentences: list[str]) -> str:
    """Each refused file, in a line of its own."""
    return "  \n".join(["**Not opened**", *map(escaped, sentences)]) if sentences else ""


def told(picture: Picture, seconds: float | None = None) -> str:
    session = picture.session
    time_taken = "" if seconds is None else f" in {seconds:.1f} s"
    return "  \n".join(
        [
            f"**{counted([picture])}**{time_taken}",
            plain(picture.image.title),
            *map(escaped, (*picture.image.notes, *session.notes)),
        ]
    )


def counted(pictures: list[Picture]) -> str:
    """How many were found on segmented pictures, and of what: "9 nuclei, 4 glands"."""
    words = dict.fromkeys(p.sought for p in pictures)
    return ", ".join(f"{sum(len(p.session.nuclei) for p in pictures if p.sought == word)} {word}" for word in words)


def summary(desk: Desk) -> str:
    """What came of "segment all": counts, and one line for each that could not be done."""
    done = [p for p in desk.pictures if p.session]
    lines = [f"**{len(done)} of {len(desk.pictures)} images segmented**"]
    if done:
        lines.append(f"{counted(done)} in all")
    return "  \n".join(lines + [escaped(p.trouble) for p in desk.pictures if p.trouble])


def figures(picture: Picture) -> str:
    """The scores as a table, where there is something to score against."""
    if picture.session is None or (picture.truth is None and not picture.rivals):
        return ""
    heads = {"dice": "Dice", "iou": "IoU", "aji": "AJI", "pq": "PQ", "f1": "F1", "msa": "mSA"}
    against = "SAC, as shown" if picture.truth is None else "the ground truth"
    lines = [f"Scores against {against}", "", f"| | {picture.sought} | {' | '.join(heads.values())} |", "|---" * 8 + "|"]
    for row in work.figures(picture):
        cells = [f"{row[k]:.3f}" if k in row else "" for k in heads]
        lines.append(f"| {row['method']} | {row['nuclei']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def escaped(sentence: str) -> str:
    """A sentence, which may name files or channels, as Markdown that means nothing but itself."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", " ".join(sentence.split()))


def plain(name: str) -> str:
    """A file's name as Markdown that means nothing but itself."""
    return f"`{' '.join(name.split()).replace('`', chr(39)) or '…'}`"
