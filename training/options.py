"""What `fit` can be told: flags and form fields are made from it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from sac.config import FINDS
from sac.errors import OptionError


@dataclass(frozen=True)
class FitOptions:
    """What `fit` can be told."""

    start: str = ""
    """Checkpoint to start from (a name, folder or owner/name), instead of a fresh SAC on the base."""
    quick: bool = False
    """Teach the generator and the decoder alone, on image embeddings that are computed once."""
    steps: int = 1500
    batch: int = 6
    """Crops per step."""
    prompts: int = 10
    """Prompts per crop."""
    learning_rate: float = 1e-3
    """Of biases and norms; matrices and convolutions, which Muon takes, and LoRA learn five times as fast."""
    generator_steps: int = -1
    """First steps, in which the generator learns alone, as its map teaches the decoder little before. -1: a tenth of all
    for a fresh SAC, 50 at most; none for one that can already find nuclei."""
    hold_out: float = 0.1
    """Share of the images that is kept from training, to see how it goes. 0: none, and no early end."""
    patience: int = 6
    """Rounds of validation without a gain in mSA after which training ends. 0: it never ends early."""
    look_every: int = 2
    """Steps between two looks at a tile of the validation images."""
    keep: float = 0.0
    """Share of the weights it starts from that is mixed back in at the end (Wortsman et al. 2022): of a single image,
    0.5 makes it steadier on others, and less good on its like."""
    microns: float = 0.0
    """Diameter, in µm, of what is to be found, where it is no nucleus: the first guess in a picture whose pixels have a
    known size. 0: that of the checkpoint it starts from, or of a large nucleus."""
    one_scale: bool = False
    """Magnify all images alike, these and those that are segmented later: by the size of their pixels, .5 µm where it is
    not known. For what differs much in size from picture to picture, such as glands. A checkpoint hands it down."""
    finds: str = ""
    """What is to be found, in the plural, such as glands: pages and cards say it. "": that of the checkpoint it starts
    from, or nuclei."""
    seed: int = 0
    save_every: int = 50
    """Steps between two saved states."""
    licence: str = "unknown"
    """Licence of the weights, for the model card."""

    def __post_init__(self):
        for name, (least, most) in RANGES.items():
            value, words = getattr(self, name), name.replace("_", " ")
            if type(value) is not int and (isinstance(least, int) or type(value) is not float):
                raise OptionError(f"{words} {value!r} is not a {'whole ' * isinstance(least, int)}number")
            if not least <= value <= most:  # false for NaN, too
                raise OptionError(f"{words} {value} is outside {least} to {most}")
        if not LICENCE.fullmatch(self.licence):
            raise OptionError(f"licence {self.licence!r} is not an identifier such as cc-by-4.0")
        if self.finds and not FINDS.fullmatch(self.finds):
            raise OptionError(f"finds {self.finds!r} is not a word such as glands: 2 to 30 small letters of a to z")

    @property
    def alone(self) -> int:
        """First steps in which the generator learns alone."""
        if self.generator_steps < 0:
            return 0 if self.start else min(50, self.steps // 10)
        return self.generator_steps


RANGES = {
    "steps": (1, 1_000_000),
    "batch": (1, 1024),
    "prompts": (1, 256),
    "learning_rate": (1e-7, 0.1),
    "generator_steps": (-1, 1_000_000),
    "hold_out": (0.0, 0.9),
    "patience": (0, 1000),
    "look_every": (1, 10_000),
    "keep": (0.0, 1.0),
    "microns": (0.0, 10_000.0),
    "seed": (0, 2**31),
    "save_every": (1, 1_000_000),
}
"""What the numbers may be, from and to."""
LICENCE = re.compile(r"[A-Za-z0-9.+-]{1,60}")
"""Identifiers of licences: a card is YAML, and one line each."""


@dataclass(frozen=True)
class Task:
    """A training as it was asked for.

    changes: fields of SACConfig that differ from those of the checkpoint it starts from, or from the defaults. title,
    data, command: what the model card says.
    """

    options: FitOptions
    changes: dict[str, Any] = field(default_factory=dict)
    title: str = ""
    data: tuple[str, ...] = ()
    command: str = ""

    @classmethod
    def of(cls, stored: dict[str, Any]) -> Task:
        """From the JSON of `dataclasses.asdict`."""
        options, data = FitOptions(**stored["options"]), tuple(stored["data"])
        return cls(options, stored["changes"], stored["title"], data, stored["command"])
