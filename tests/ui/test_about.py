"""What is said of a checkpoint: facts worked out from its files, and of a stranger's text nothing but letters."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace

import pytest

from sac import hub
from sac.config import SACConfig
from sac.ui import models
from sac.ui.about import CARD, CELL, ROWS, WORDS, about, card_in, card_scores, harmless, scores, split, table

MARKS = "\\`*_{}[]<>#|~$&:@.!+=-"
"""Letters that mean something in Markdown, or make an address a link."""
HOSTILE = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "![a](https://evil.example/x.png)",
    "[here](javascript:alert(1))", "<https://evil.example>", "https://evil.example/?a=b&c=d", "www.evil.example",
    "me@evil.example", "[a]: https://evil.example", "&lt;b&gt;", "$$\\href{javascript:alert(1)}{x}$$", "\\<b>", "`<b>`",
    "| a | b |", "- a", "1. a", "# a", "===", "~~~", "> a", "a  \nb", "\\",
)  # fmt: skip


@pytest.fixture
def preset(tmp_path, monkeypatch):
    """Makes a checkpoint out of strangers' texts that SAC_MODEL says, and tells what the page says of it."""
    folder = shutil.copytree(hub.WEIGHTS / "nuclei", tmp_path / "theirs")
    monkeypatch.setenv("SAC_MODEL", str(folder))

    def make(card: str | bytes | None = None, **changes) -> str:
        stored = json.loads((folder / hub.CONFIG).read_text())
        (folder / hub.CONFIG).write_text(json.dumps(stored | changes))
        if card is not None:
            (folder / hub.CARD).write_bytes(card if isinstance(card, bytes) else card.encode())
        return about(models.default())

    return make


def is_plain(markdown: str) -> bool:
    """Whether every mark is escaped."""
    marks = re.escape(MARKS)
    return re.fullmatch(rf"([^{marks}]|\\[{marks}])*", markdown) is not None


# What is said of the embedded ones


def test_an_embedded_one():
    told = about("nuclei-he")
    assert told.startswith(r"**nuclei\-he (H\&E, stains)**")
    for words in (
        "- Base: SAM `tiny`, this project's own weights, CC0 1.0; digest 5a366e6ef718",
        "- LoRA: rank 16, alpha 32, on q, v of all blocks",
        "- Prompts from: the picture and SAM's embedding of it",
        "- Trained on: dsb2018/train, monuseg/train; 27 images, 3 held out",
        "- Licence: CC BY-NC-SA 4.0 (not for commercial use; with credit; changes under the same licence)",
        "|  | Dice | AJI | PQ | mSA |\n|---|--:|--:|--:|--:|\n",
        r"| SAC instances | 0\.813 | 0\.645 | 0\.639 | 0\.369 |",
    ):
        assert words in told
    assert "Figures: monuseg/test;" in told and "Its card says" not in told


def test_a_base_of_metas_and_fewer_blocks(preset):
    told = preset(base="vit_h", base_sha256="", blocks="late", alpha=2.5, projections=["k"])
    assert "- Base: SAM `vit_h`, Meta's weights, Apache 2.0, from facebook/sam-vit-huge\n" in told
    assert "- LoRA: rank 16, alpha 2.5, on k of the later half of the blocks" in told


def test_one_that_is_gone_is_said_in_a_sentence():
    assert about("0123456789abcdef").startswith("unknown model '0123456789abcdef'")


# Figures


def test_figures_of_a_training_are_those_before_and_after():
    figures = {"before": {"dice": 0.5, "pq": 0.25, "msa": 0}, "after": {"dice": 0.75, "pq": 1, "msa": float("nan")}}
    config = replace(SACConfig(), provenance={"figures": figures})
    assert scores(config) == [["", "Dice", "PQ"], ["before", "0.500", "0.250"], ["after", "0.750", "1.000"]]


@pytest.mark.parametrize(
    "figures", [None, 3, [], {}, {"before": {"dice": 0.5}}, {"before": {"dice": 0.5}, "after": {"dice": "<b>"}}]
)
def test_what_are_no_figures_is_not_shown(figures):
    assert scores(replace(SACConfig(), provenance={"figures": figures})) == []


def test_a_cards_table_is_cut_to_what_is_shown():
    card = "# A\n\nof the ward\n\n| m | mSA | seconds | Dice |\n|---|---|---|---|\n| a | 1 | 2 | 3 |\n| b | 4 |\n"
    assert card_scores(split(card)[1]) == ([["", "Dice", "mSA"], ["a", "3", "1"]], "of the ward")
    long = card.replace("of the ward", "word " * 30).replace("| b | 4 |", "| a | 1 | 2 | 3 |\n" * 50)
    found, before = card_scores(split(long)[1])
    assert len(found) == 1 + ROWS and before == "as its card says"
    assert card_scores(split("| a | b |\n|---|---|\n| 1 | 2 |")[1]) == ([], "")


def test_cells_are_plain_and_short():
    _, _, row = table([["", "Dice"], ["<b>" * 100, "[x](http://e)"]]).splitlines()
    first, second = (cell.strip() for cell in row.strip("|").split(" | "))
    assert is_plain(first) and is_plain(second) and len(first.replace("\\", "")) == CELL


# Strangers' texts


@pytest.mark.parametrize("text", HOSTILE)
def test_of_a_text_only_letters_are_left(text):
    assert is_plain(harmless(text, 100)) and "\n" not in harmless(text, 100)


def test_letters_that_hide_or_turn_others_are_left_out():
    assert harmless("a\u202eb\u200bc\0d\u2028e\x1b[0m", 100) == r"a b c d e \[0m"


def test_a_text_is_cut():
    assert harmless("abcdef", 6) == "abcdef" and harmless("abcdefg", 6) == "abcde…"
    assert harmless(" " * 10**6 + "a", 6) == ""


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_card_stays_in_its_quotation(preset, text):
    told = preset(
        f"---\nlicense: {text}\n---\n{text}\n\nfirst {text} last\n", provenance={"title": text, "data": [text]}
    )
    assert "first" in told
    lines = [line.lstrip("> ").removeprefix("- ") for line in told.splitlines()]
    own = (
        "Base: SAM `tiny`, this project's own weights, CC0 1.0; digest ",
        "LoRA: ",
        "Prompts from: ",
        "Figures: ",
        "Its card says:",
        "",
    )
    strangers = [line for line in lines if not line.startswith(own[:5]) and line]
    for line in strangers:
        line = line.removeprefix("Trained on:").removeprefix("Licence:").removeprefix("**").removesuffix("**")
        assert is_plain(line)


@pytest.mark.parametrize(
    "provenance",
    [
        {}, {"data": 3, "images": "x", "licence": ["a"], "title": {"a": 1}}, {"data": [1, None, ["a"]], "licence": 7},
        {"figures": {"before": 1, "after": 2}, "images": True, "held_out": 10**3000}, {"images": 10**3000, "held_out": 1},
    ],
)  # fmt: skip
def test_an_odd_provenance_says_nothing_and_breaks_nothing(preset, provenance):
    told = preset("", provenance=provenance)
    assert "- Trained on: not said" in told and "Figures" not in told and len(told) < 600
    assert "- Licence: not said: ask who trained it" in told and told.startswith("**theirs**")


def test_licences_in_words(preset):
    assert "Licence: MIT (any" in preset("", provenance={"licence": "MIT"})
    assert "Licence: Apache 2.0" in preset("---\nlicense: apache-2.0\n---\n", provenance={})
    assert r"Licence: bsd\-3\-clause" in preset("---\nlicense: bsd-3-clause\n---\n", provenance={"licence": ""})
    assert "Licence: not said" in preset("---\nlicense: mit", provenance={})  # a head that does not end is none


def test_a_cards_own_words_are_quoted_without_its_code_and_headings(preset):
    told = preset("# Cells\nOf **our** ward.\n\n```python\nimport os\n```\n\nMore.\n")
    assert told.endswith("Its card says:\n\n> Of our ward\\.\n>\n> More\\.")


def test_a_long_or_broken_card(preset, tmp_path):
    told = preset("word " * 10**6)
    assert len(told) < WORDS + 600 and told.endswith("…")
    assert "Its card says" not in preset("|\n" * 10**5) and "Its card says" in preset(b"\xff\xfe a card")
    (tmp_path / hub.CARD).write_bytes(b"\xff" * (CARD + 1))
    assert card_in(tmp_path) == "\N{REPLACEMENT CHARACTER}" * CARD
    (tmp_path / hub.CARD).unlink()
    assert card_in(tmp_path) == ""
