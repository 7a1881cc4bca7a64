"""What is compared: who learns what, how each is asked, and which lines a table has."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from sac.config import SACConfig
from sac.errors import OptionError
from training.options import FitOptions

Learns = Literal["sac", "generator", "decoder", "adapters", "nothing"]


@dataclass(frozen=True)
class Student:
    """A model to be trained. learns: "sac" (generator, LoRA and decoder), SAM-FT's "decoder", MSA's "adapters" (and
    decoder), the "generator" alone, or "nothing".

    changes: fields of SACConfig. The rest departs from SAC: without LoRA (`adapter`), with the base's decoder as it is
    (`decoder`), generator first and the others after it (`joint`), the masks' loss reaching the generator, too (`heard`),
    on the first `images` of a shuffled training set (0: all), on a base whose weights are random (`base`), with heads that
    have not learnt scenes (`scenes`). All who learn begin with the same heads, as far as they have any of them.
    """

    name: str
    learns: Learns = "sac"
    changes: tuple[tuple[str, Any], ...] = ()
    adapter: bool = True
    decoder: bool = True
    joint: bool = True
    heard: bool = False
    images: int = 0
    base: bool = True
    scenes: bool = True

    @property
    def asked(self) -> str:
        """The method that it is judged by while it learns."""
        return {"sac": "sac of any certainty", "generator": "generator", "nothing": "everything"}.get(self.learns, "0 points")


@dataclass(frozen=True)
class Line:
    """A line of a table: what it is called, who is asked, and by which of the known methods."""

    label: str
    student: Student
    method: str

    def begins_with(self, *words: str) -> bool:
        """Whether one of the words begins what it is called."""
        return self.label.strip("*").lower().startswith(tuple(word.lower() for word in words))


@dataclass(frozen=True)
class Budget:
    """What every student is given alike."""

    base: str = "tiny"
    """SAM that all of them start from: tiny, vit_b, vit_l or vit_h."""
    steps: int = 300
    batch: int = 6
    """Crops per step."""
    prompts: int = 10
    """Prompts per crop, for those that learn nuclei one by one."""
    learning_rate: float = 1e-3
    hold_out: float = 0.2
    """Share of the training images that nobody learns from: ablations and curves are measured on them."""
    save_every: int = 50
    """Steps between two saved states."""
    most: int = 24
    """Images held out on which ablations are measured, spread over all (0: all)."""

    def __post_init__(self):
        SACConfig(base=self.base)
        if self.most < 0:
            raise OptionError(f"most {self.most} is negative")

    def options(self, seed: int) -> FitOptions:
        """The same for the training loop. Raises OptionError."""
        return FitOptions(
            steps=self.steps,
            batch=self.batch,
            prompts=self.prompts,
            learning_rate=self.learning_rate,
            hold_out=self.hold_out,
            seed=seed,
            save_every=self.save_every,
        )

    def to_json(self) -> dict[str, Any]:
        """Without what does not change a training."""
        told = asdict(self)
        return {name: value for name, value in told.items() if name not in ("most", "save_every")}


NOBODY = Student("base", "nothing")
SAM_FT, MSA = Student("sam-ft", "decoder"), Student("msa", "adapters")
UNET, WHOLE = Student("unet", "generator", changes=(("generator_sees", "picture"),)), Student("sac")

RIVALS = (
    Line("Otsu with watershed", NOBODY, "otsu"),
    Line("SAM, everything mode", NOBODY, "everything"),
    Line("SAM, one careless point in each nucleus*", NOBODY, "one careless point"),
    Line("SAM, one good point*", NOBODY, "one good point"),
    Line("SAM, three points*", NOBODY, "three points"),
    Line("SAM, three points and four beside*", NOBODY, "three points, four beside"),
    Line("SAM-FT", SAM_FT, "0 points"),
    Line("SAM-FT, 1 point on each tile*", SAM_FT, "1 points"),
    Line("SAM-FT, 3 points on each tile*", SAM_FT, "3 points"),
    Line("MSA", MSA, "0 points"),
    Line("U-Net alone", UNET, "generator"),
    Line("SAM, SAC's points", WHOLE, "vanilla"),
    Line("SAC, one mask", WHOLE, "one mask, parted"),
    Line("SAC, masks of any certainty", WHOLE, "sac of any certainty"),
    Line("**SAC**", WHOLE, "sac"),
)
"""On the test images. Lines with a star are told the truth's points, as an expert would set them."""


OWN = ("adapter", "decoder", "joint", "heard", "images", "base", "scenes")
"""Fields of Student that make a variant; all others are those of SACConfig."""


def _variant(name: str, label: str, method: str = "sac", **changes: Any) -> Line:
    """A SAC that differs in fields of Student or, by all other names, of SACConfig; the same one where it does not."""
    own = {k: changes.pop(k) for k in OWN if k in changes}
    same = not own and SACConfig(**changes) == SACConfig()
    return Line(label, WHOLE if same else Student(name, changes=tuple(changes.items()), **own), method)


RANKS = (1, 4, 16, 64)
ABLATIONS: dict[str, tuple[Line, ...]] = {
    "Prompt pairs on each tile (one mask)": (
        Line("none: U-Net alone", UNET, "generator"),
        *(Line(f"{k}", WHOLE, f"{k} pairs") for k in (1, 3, 8, 16)),
    ),
    "Kinds of prompts (one mask, 8 pairs)": tuple(
        Line(kind, WHOLE, f"only {kind}") for kind in ("both", "positive", "negative")
    ),
    "Neighbours as negative points (a mask each)": tuple(
        Line(f"{n}", WHOLE, f"{n} negatives") for n in (0, 1, 2, 4, 8)
    ),
    "Discriminating strategy": (
        Line("centroid, a mask each", WHOLE, "sac"),
        Line("probability, a mask each", WHOLE, "sac by probability"),
        Line("centroid, one mask", WHOLE, "one mask, parted"),
        Line("probability, one mask", WHOLE, "one mask, parted, by probability"),
    ),
    "LoRA rank": tuple(_variant(f"sac-rank-{r}", f"{r}", rank=r, alpha=2.0 * r) for r in RANKS),
    "LoRA on": tuple(
        _variant(f"sac-on-{''.join(on)}", ", ".join(on).upper(), projections=on)
        for on in (("q",), ("v",), ("q", "v"), ("q", "k", "v"))
    ),
    "Blocks with LoRA": (
        _variant("sac-no-lora", "none", adapter=False),
        _variant("sac-late", "the second half", blocks="late"),
        Line("all", WHOLE, "sac"),
    ),
    "The generator sees": (
        _variant("sac-sees-picture", "the picture", generator_sees="picture"),
        Line("the picture and its embedding", WHOLE, "sac"),
    ),
    "Mask decoder": (_variant("sac-frozen-decoder", "frozen", decoder=False), Line("trained", WHOLE, "sac")),
    "Optimised": (
        _variant("sac-in-turn", "the generator for half of the steps, then the others", joint=False),
        Line("jointly", WHOLE, "sac"),
    ),
    "The loss of the masks": (
        _variant("sac-heard", "reaches the generator, too", heard=True),
        Line("teaches encoder and decoder alone", WHOLE, "sac"),
    ),
    "Training images (stains vary more with one and three)": (
        *(_variant(f"sac-images-{n}", f"{n}", images=n) for n in (1, 3, 10, 30)),
        Line("all", WHOLE, "sac"),
    ),
    "Base SAM": (
        _variant("sac-random-base", "random weights, decoder's, too", base=False),
        Line("{base}", WHOLE, "sac"),
    ),
    "Heads begin with": (
        _variant("sac-fresh-heads", "a random generator, the base's decoder", scenes=False),
        Line("what they learnt of generated scenes", WHOLE, "sac"),
    ),
}
"""On images held out from training, so that what they teach may be heeded."""
CURVES = (SAM_FT, MSA, UNET, WHOLE)
"""Whose Dice is drawn over the epochs."""
