"""Model cards: what a checkpoint was trained on, under which licence, by which command."""

from __future__ import annotations

from sac import __version__
from sac.config import SACConfig

FREE = "cc0-1.0"


def base_card(command: str, seed: int) -> str:
    """README.md of the tiny base."""
    return f"""---
license: {FREE}
tags: [segment-anything, image-segmentation]
---
# tiny: a small SAM that has never seen a cell

SAM's own classes (image encoder, prompt encoder, mask decoder) with small dimensions, trained from scratch on
generated scenes of textured shapes on textured grounds. No photograph and no microscope image went in.

| | |
|---|---|
| data | scenes generated from seed {seed} |
| licence | CC0 1.0 |
| command | `{command}` |
| software | segment-any-cell {__version__} |
"""


def sac_card(title: str, config: SACConfig) -> str:
    """README.md of a SAC checkpoint, from its provenance."""
    source = config.provenance
    before = "".join(f"| trained before | `{command}` |\n" for command in source["before"])
    return f"""---
license: {source["licence"]}
tags: [segment-anything, lora, nuclei, microscopy, image-segmentation]
---
# {title}

A SAC (SAM with LoRA of rank {config.rank} on {", ".join(config.projections)} of {config.blocks} encoder blocks, an
auto-prompt generator and a trained mask decoder) on the base `{config.base}`. A re-implementation of the method of
arXiv 2401.13220; no figure here is the paper's.

| | |
|---|---|
| data | {", ".join(source["data"])} |
| licence of the weights | {source["licence"]} |
| started from | {source["start"] or "a fresh adapter, the base's decoder, an untrained generator"} |
{before}| command | `{source["command"]}` |
| images of it | {source["images"]}, and {source["held_out"]} held out |
| seed | {source["seed"]} |
| software | segment-any-cell {source["version"]} |
{_figures(source)}"""


def _figures(source: dict) -> str:
    """Scores on the images that were held out, before and after, where they were compared."""
    if "figures" not in source:
        return ""
    rows = source["figures"]
    names = list(rows["after"])
    lines = [
        "",
        "## Figures",
        "",
        f"Means over what was held out: {source['held_out']} image(s), or parts of them.",
        "",
    ]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {when} | {' | '.join(f'{rows[when][name]:.3f}' for name in names)} |" for when in rows]
    return "\n".join(lines) + "\n"
