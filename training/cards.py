"""Model cards: what a checkpoint was trained on, under which licence, by which command."""

from __future__ import annotations

from sac import __version__, hub
from sac.config import SACConfig
from sac.inference.scale import USUAL
from training.outcome import MOST_IMAGES

FREE = "cc0-1.0"


PRETRAINED = {
    "sam": """# tiny: a small SAM that has never seen a cell

SAM's own classes (image encoder, prompt encoder, mask decoder) with small dimensions, trained from scratch on
generated scenes of textured shapes on textured grounds. No photograph and no microscope image went in.""",
    "head": """# start: heads that have never seen a cell

What a fresh SAC begins with: an auto-prompt generator, and on `tiny` a mask decoder, trained on generated scenes of
textured shapes on textured grounds. The generator began with random weights, the decoder with those of `tiny`. No
photograph and no microscope image went in.""",
}


def base_card(part: str, command: str, seed: int) -> str:
    """README.md of what `pretrain` makes: the tiny base ("sam") or the heads of a SAC ("head")."""
    return f"""---
license: {FREE}
library_name: segment-any-cell
pipeline_tag: mask-generation
tags: [segment-anything, image-segmentation]
---
{PRETRAINED[part]}

| | |
|---|---|
| data | scenes generated from seed {seed} |
| licence | CC0 1.0 |
| command | `{command}` |
| software | segment-any-cell {__version__} |
"""


READ_BY = {
    "others": "The one after reads the map and the masks of each image by thresholds found on the others alone.",
    "": "How the map and the masks of the one after are read was found on these images, too.",
}
"""What a card says of the thresholds behind its figures, by the provenance's word on it; older checkpoints have none."""


def sac_card(title: str, config: SACConfig) -> str:
    """README.md of a SAC checkpoint, from its provenance."""
    source = config.provenance
    before = "".join(f"| trained before | `{command}` |\n" for command in source["before"])
    return f"""---
license: {source["licence"]}
library_name: segment-any-cell
pipeline_tag: image-segmentation
{_base_model(config)}tags: [segment-anything, mask-generation, lora, {config.finds}, microscopy]
---
# {title}

A SAC (SAM with LoRA of rank {config.rank} on {", ".join(config.projections)} of {config.blocks} encoder blocks, an
auto-prompt generator{_sight(config)} and a trained mask decoder) on the base `{config.base}`. A re-implementation of the
method of arXiv 2401.13220; no figure here is the paper's.

| | |
|---|---|
| data | {", ".join(source["data"])} |
| licence of the weights | {source["licence"]} |
| started from | {source["start"] or "a fresh adapter, heads that had seen generated scenes"} |
{before}| command | `{source["command"]}` |
| images of it | {source["images"]}, {_held_out(source)} |
| seed | {source["seed"]} |
| software | segment-any-cell {source["version"]} |
{_figures(source)}{_use(config)}{_limits(config)}"""


def _base_model(config: SACConfig) -> str:
    """The head's lines on the base, where that is on the Hub."""
    named = hub.HUB_BASES.get(config.base)
    return f"base_model: {named}\nbase_model_relation: adapter\n" if named else ""


def _sight(config: SACConfig) -> str:
    return " that sees SAM's embedding, too," if config.generator_sees == "embedding" else ""


def _use(config: SACConfig) -> str:
    return f"""
## How to use it

With the program Segment Any Cell; NAME is this folder, or owner/name once it is on the Hub:

```sh
python -m sac segment field.png --out results --model NAME
```

```python
from sac import hub
from sac.images import read_image
from sac.inference.segment import segment

{config.finds.replace(" ", "_").replace("-", "_")} = segment(read_image("field.png"), hub.load("NAME"))
```
"""


def _limits(config: SACConfig) -> str:
    source = config.provenance
    checked = "" if "figures" in source else " How well it does was not measured on images that were held out."
    return f"""
## Limits

It learnt from the data above and from nothing else: look at its outlines before you count on them for another stain, tissue,
microscope or magnification.{checked} {_scaled(config)}
A mask's certainty is the model's own estimate; below {config.certainty:g} it is dropped. Two neighbours are told apart where
the generator's map, 1 in the middle of each, falls by {config.prominence:g} between them. For research, not for diagnosis.
"""


def _scaled(config: SACConfig) -> str:
    """How large pictures are when it looks at them, and what users are to do for it."""
    if config.one_scale:
        return (
            f"All pictures are scaled alike, to {config.microns / config.diameter:.3g} µm a pixel: give the size of a pixel\n"
            f"where the file does not say it, else {USUAL:g} µm are assumed."
        )
    return (
        f"Pictures are scaled so that {config.finds} are about {config.diameter:g} pixels wide; where that cannot be told\n"
        "from the picture, give the size of a pixel in µm."
    )


def _measured(source: dict) -> str:
    """What figures are means over."""
    count, most = source["held_out"], min(source["held_out"], MOST_IMAGES)
    if source.get("strips"):
        return f"strips of {most} image(s) that it learnt the rest of: others may fare worse."
    return f"{most} image(s) of the {count} held out, or their middles."


def _held_out(source: dict) -> str:
    """What of the images it did not learn from; of older trainings strips are not told apart."""
    return f"of {source['held_out']} of them all but a strip" if source.get("strips") else f"and {source['held_out']} held out"


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
        f"Means over {_measured(source)}",
        READ_BY[source.get("read_by", "")],
        "",
    ]
    lines += [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {when} | {' | '.join(f'{rows[when][name]:.3f}' for name in names)} |" for when in rows]
    return "\n".join(lines) + "\n"
