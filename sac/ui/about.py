"""What the page says of a checkpoint: its base, its LoRA, what it was trained on, its licence and figures. Markdown.

A checkpoint's configuration and card may be a stranger's: of their text, only letters reach the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from sac import hub
from sac.config import SACConfig
from sac.errors import SacError
from sac.ui.models import EMBEDDED, OWN, place, title
from sac.ui.told import escaped

BASES = {"tiny": "this project's own weights, CC0 1.0"}
BASES |= {name: f"Meta's weights, Apache 2.0, from {source}" for name, source in hub.HUB_BASES.items()}
GENERATORS = {"picture": "the picture", "embedding": "the picture and SAM's embedding of it"}
LICENCES = {
    "cc0-1.0": "CC0 1.0 (free for any use)",
    "cc-by-4.0": "CC BY 4.0 (any use; with credit)",
    "cc-by-sa-4.0": "CC BY-SA 4.0 (any use; with credit; changes under the same licence)",
    "cc-by-nc-4.0": "CC BY-NC 4.0 (not for commercial use; with credit)",
    "cc-by-nc-sa-4.0": "CC BY-NC-SA 4.0 (not for commercial use; with credit; changes under the same licence)",
    "apache-2.0": "Apache 2.0 (any use; with its notice)",
    "mit": "MIT (any use; with its notice)",
}
SHOWN = ("Dice", "AJI", "PQ", "mSA")
"""Figures for which a narrow column has room."""
ROWS, CELL, CAPTION, WORD, WORDS = 8, 40, 120, 200, 700
"""Most rows of a table, and letters of a cell, of a line above a table, of a fact, and of a card's own words."""
CARD = 2**16
"""Letters of a card that are read."""

Table = list[list[str]]


def about(model: str) -> str:
    """All that is said of the checkpoint of that name."""
    try:
        config, card = hub.config_of(place(model)), card_in(hub.folder_of(place(model)))
    except SacError as error:
        return harmless(str(error), WORD)
    head, paragraphs = split(card)
    found, where = scores(config), "on what was held out of its training"
    if not found:
        found, where = card_scores(paragraphs)
    parts = [f"**{harmless(EMBEDDED.get(model) or title(model), WORD)}**", _facts(config, head)]
    if found:
        parts += [f"Figures: {where}", table(found)]
    words = "" if model in EMBEDDED or OWN.fullmatch(model) else _words(paragraphs)
    return "\n\n".join([*parts, *([f"Its card says:\n\n{words}"] if words else [])])


def harmless(text: str, length: int) -> str:
    """A stranger's text as Markdown that means nothing but its letters: no link, picture, tag, or hidden letter."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * length])
    shown = " ".join(shown.split())
    cut = shown if len(shown) <= length else shown[: length - 1].rstrip() + "…"
    return re.sub(r"([:@.!+=-])", r"\\\1", escaped(cut))  # addresses become links without any brackets


def card_in(folder: Path) -> str:
    """The text of a checkpoint's card, up to a length; "" where it has none."""
    path = folder / hub.CARD
    if not path.is_file():
        return ""
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.read(CARD)


def split(card: str) -> tuple[list[str], list[list[str]]]:
    """A card's head, and its body as paragraphs of lines, without code and without marks of emphasis."""
    lines = [line.strip() for line in card.splitlines()]
    end = lines.index("---", 1) if lines[:1] == ["---"] and "---" in lines[1:] else 0
    body, is_code = [], False
    for line in lines[end:]:
        is_code ^= line.startswith("```")
        body.append("" if is_code or line.startswith(("```", "---")) else line.replace("`", "").replace("**", ""))
    return lines[1:end], [list(block) for is_text, block in groupby(body, bool) if is_text]


def scores(config: SACConfig) -> Table:
    """The figures of a training's own provenance, before and after; nothing where there are none."""
    rows = config.provenance.get("figures")
    if not isinstance(rows, dict) or not all(isinstance(rows.get(when), dict) for when in ("before", "after")):
        return []
    known = [name for name in SHOWN if all(_is_score(rows[when].get(name.lower())) for when in ("before", "after"))]
    lines = [[when, *(f"{rows[when][name.lower()]:.3f}" for name in known)] for when in ("before", "after")]
    return [["", *known], *lines] if known else []


def card_scores(paragraphs: list[list[str]]) -> tuple[Table, str]:
    """The first table of a card that has figures, cut to those shown, and the line before it that says of what."""
    before = "as its card says"
    for lines in paragraphs:
        cells = [_cells(line) for line in lines if line.startswith("|")]
        known = _columns(cells[0]) if len(cells) > 2 else []
        if known:
            rows = [row for row in cells[2 : 2 + ROWS] if len(row) == len(cells[0])]
            return [["", *(cells[0][n] for n in known)], *([row[0], *(row[n] for n in known)] for row in rows)], before
        text = " ".join(lines)
        before = harmless(text, WORD) if len(text) < CAPTION and text[0] not in "#|" else "as its card says"
    return [], ""


def table(rows: Table) -> str:
    """A table, its first row the heads."""
    lines = [f"| {' | '.join(harmless(cell, CELL) for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" + "|--:" * (len(rows[0]) - 1) + "|", *lines[1:]])


def _facts(config: SACConfig, head: list[str]) -> str:
    return "\n".join(f"- {what}: {words}" for what, words in _rows(config, head))


def _rows(config: SACConfig, head: list[str]) -> Iterator[tuple[str, str]]:
    """(what, words) of what a checkpoint is."""
    base = f"SAM `{config.base}`, {BASES[config.base]}"
    yield "Base", f"{base}; digest {harmless(config.base_sha256[:12], 12)}" if config.base_sha256 else base
    where = "all blocks" if config.blocks == "all" else "the later half of the blocks"
    yield "LoRA", f"rank {config.rank}, alpha {config.alpha:g}, on {', '.join(config.projections)} of {where}"
    yield "Prompts from", GENERATORS[config.generator_sees]
    yield "Trained on", _training(config.provenance)
    yield "Licence", _licence(config.provenance, head)


def _training(source: dict[str, Any]) -> str:
    """Data, how many images, and how many of them were held out, as far as that is said."""
    data = source.get("data")
    named = [name for name in data if isinstance(name, str)] if isinstance(data, list | tuple) else []
    words = harmless(", ".join(named), WORD) or "not said"
    counts = [source.get("images"), source.get("held_out")]
    if any(type(count) is not int for count in counts):
        return words
    images, held_out = (harmless(str(count), 12) for count in counts)
    return f"{words}; {images} images, {held_out} held out"


def _licence(source: dict[str, Any], head: list[str]) -> str:
    """Of the weights, in words: as the configuration says it, else the head of the card."""
    said = [line.removeprefix("license:").strip() for line in head if line.startswith("license:")]
    told = source.get("licence") or "".join(said[:1])
    if not isinstance(told, str) or told in ("", "unknown"):
        return "not said: ask who trained it"
    return LICENCES.get(told.lower()) or harmless(told, CELL)


def _words(paragraphs: list[list[str]]) -> str:
    """What a card says beside its tables, headings and code, up to a length: a quotation."""
    said, left = [], WORDS
    for lines in paragraphs:
        text = " ".join(line for line in lines if not line.startswith(("#", "|")))
        if text and left > 0:
            said.append(f"> {harmless(text, left)}")
            left -= len(text)
    return "\n>\n".join(said)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def _columns(heads: list[str]) -> list[int]:
    """Where a table has the figures that are shown."""
    lower = [head.lower() for head in heads]
    return [lower.index(metric.lower()) for metric in SHOWN if metric.lower() in lower[1:]]


def _is_score(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
