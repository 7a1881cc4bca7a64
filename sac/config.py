"""Settings as small frozen dataclasses: what a checkpoint is, how an image is segmented, what is refused."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from sac.errors import CheckpointError, OptionError

Mode = Literal["instances", "semantic"]
Strategy = Literal["centroid", "probability"]
Kinds = Literal["both", "positive", "negative"]

MODES = ("instances", "semantic")
STRATEGIES = ("centroid", "probability")
KINDS = ("both", "positive", "negative")
BASES = ("tiny", "vit_b", "vit_l", "vit_h")
NUCLEUS = 12.0
"""µm: diameter of a large nucleus."""
CERTAINTY = 0.5
"""Certainty below which a mask is dropped, where neither a checkpoint's training nor a user says another."""
PROMINENCE = 0.2
"""How much, in units of the distance map, two summits must be parted by a valley to be two nuclei, where neither a
checkpoint's training nor a user says another."""
PROMINENCE_RANGE = (0.01, 0.5)
"""From what to what a prominence may be."""
FINDS = re.compile(r"[a-z][a-z -]{1,29}")
"""Words for what a checkpoint finds: pages, cards and commands say them."""


@dataclass(frozen=True)
class SACConfig:
    """What a SAC is, apart from its weights. Stored in a checkpoint as `sac_config.json`."""

    base: str = "tiny"
    """Name of the SAM it adapts: tiny, vit_b, vit_l or vit_h."""
    base_sha256: str = ""
    """Digest of the base's weight file, so that an adapter is never put on a foreign base."""
    rank: int = 4
    alpha: float = 8.0
    projections: tuple[str, ...] = ("q", "v")
    """Which attention projections carry LoRA: any of q, k, v."""
    blocks: str = "all"
    """Which encoder blocks carry LoRA: "all", or "late" for the second half."""
    generator_widths: tuple[int, ...] = (16, 32, 64, 128, 192)
    """Channels of the auto-prompt generator's U-Net, from full resolution down."""
    generator_sees: str = "embedding"
    """What the generator's map is made from: the "picture" alone (the paper), or SAM's adapted "embedding" as well."""
    window: int = 16
    """Side of a decoding window in tokens of the image embedding."""
    window_encoding: str = "centre"
    """Positional encoding of a window: of its "place" in the tile, or as if at the tile's "centre"."""
    tile: int = 256
    """Pixels of the (scaled) picture along a tile's side; resampled to SAM's input frame."""
    diameter: float = 24.0
    """Nuclear diameter, in tile pixels, that pictures are scaled towards."""
    provenance: dict[str, Any] = field(default_factory=dict)
    """Where the weights come from: data, licence, command, seed, version."""

    def __post_init__(self):
        for name in ("projections", "generator_widths"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if self.base not in BASES:
            raise CheckpointError(f"unknown base {self.base!r}; known are {', '.join(BASES)}")
        if (
            not isinstance(self.projections, tuple)
            or not self.projections
            or any(p not in [*"qkv"] for p in self.projections)
        ):
            raise OptionError(f"projections {self.projections} are not of q, k, v")
        if self.blocks not in ("all", "late"):
            raise OptionError(f"blocks {self.blocks!r} is neither 'all' nor 'late'")
        if self.generator_sees not in ("picture", "embedding"):
            raise OptionError(f"generator_sees {self.generator_sees!r} is neither 'picture' nor 'embedding'")
        if self.window_encoding not in ("centre", "place"):
            raise OptionError(f"window_encoding {self.window_encoding!r} is neither 'centre' nor 'place'")
        widths = self.generator_widths
        if (
            not isinstance(widths, tuple)
            or not 1 <= len(widths) <= 8
            or not all(_within(w, 1, 1024, int) for w in widths)
        ):
            raise OptionError(f"generator_widths {widths!r} are not 1 to 8 whole numbers of 1 to 1024")
        for name, (least, most, *kinds) in RANGES.items():
            if not _within(getattr(self, name), least, most, *kinds):
                raise OptionError(f"{name} {getattr(self, name)!r} is outside {least} to {most}")
        if not isinstance(self.base_sha256, str) or not isinstance(self.provenance, dict):
            raise OptionError("base_sha256 must be text and provenance an object")
        if not _within(self.microns, 0.1, 10_000, int, float):
            raise OptionError(f"microns {self.microns!r} of the provenance is not a size in µm")
        if not isinstance(self.one_scale, bool):
            raise OptionError(f"one_scale {self.one_scale!r:.60} of the provenance is neither true nor false")
        if not _within(self.certainty, 0.0, 1.0, int, float):
            raise OptionError(f"certainty {self.certainty!r:.60} of the provenance is outside 0 to 1")
        if not _within(self.prominence, *PROMINENCE_RANGE, int, float):
            raise OptionError(f"prominence {self.prominence!r:.60} of the provenance is outside 0.01 to 0.5")
        if not isinstance(self.finds, str) or not FINDS.fullmatch(self.finds):
            raise OptionError(f"finds {self.finds!r:.60} of the provenance is not a word such as glands")

    @property
    def microns(self) -> float:
        """Diameter, in µm, of what it looks for: what its training was told, else that of a large nucleus."""
        return self.provenance.get("microns", NUCLEUS)

    @property
    def one_scale(self) -> bool:
        """Whether pictures are magnified by the size of their pixels alone, not by what is seen in them."""
        return self.provenance.get("one_scale", False)

    @property
    def finds(self) -> str:
        """What it looks for, in a word: what its training was told, else nuclei, or objects where they are larger."""
        return self.provenance.get("finds", "nuclei" if self.microns <= NUCLEUS else "objects")

    @property
    def certainty(self) -> float:
        """Certainty below which it drops a mask that nobody asked for: what its training found best, else a half."""
        return self.provenance.get("certainty", CERTAINTY)

    @property
    def prominence(self) -> float:
        """What parts two nuclei on its generator's map: what its training found best, else `PROMINENCE`."""
        return self.provenance.get("prominence", PROMINENCE)

    def options(self, **told: Any) -> SegmentOptions:
        """How it segments, but for what is told: fields of SegmentOptions."""
        return SegmentOptions(**{"certainty": self.certainty, "prominence": self.prominence} | told)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> SACConfig:
        """Strict: an unknown or missing key is a foreign checkpoint, not a default; but for what was added later on."""
        stored = BEFORE | stored
        known = {f.name for f in fields(cls)}
        if set(stored) != known:
            odd = ", ".join(sorted(set(stored) ^ known))
            raise CheckpointError(f"sac_config.json does not fit this version: {odd} missing or unknown")
        for name, example in asdict(cls()).items():
            if not _fits(stored[name], example):
                raise CheckpointError(f"sac_config.json: {name} is {stored[name]!r}, not such as {example!r}")
        return cls(**stored)


def _fits(value: Any, example: Any) -> bool:
    """Whether a stored value is of an example's kind; JSON has lists for tuples and may lose a decimal point."""
    if isinstance(example, tuple):
        return isinstance(value, list | tuple) and all(_fits(v, example[0]) for v in value)
    return type(value) is type(example) or (isinstance(example, float) and type(value) is int)


BEFORE = {"generator_sees": "picture"}
"""What a checkpoint is that was written before there was this to say."""
RANGES = {
    "rank": (1, 256, int),
    "alpha": (0.0, 4096.0, int, float),
    "window": (2, 256, int),
    "tile": (64, 4096, int),
    "diameter": (1.0, 1024.0, int, float),
}
"""What SACConfig's numbers may be: from, to, and of which type."""


def _within(value: Any, least: float, most: float, *kinds: type) -> bool:
    """False for NaN, too."""
    return type(value) in kinds and least <= value <= most


@dataclass(frozen=True)
class SegmentOptions:
    """How one image is segmented. Defaults were chosen on images held out from DSB2018 `train`."""

    mode: Mode = "instances"
    """"instances": a mask per nucleus. "semantic": one mask of all nuclei, as in the paper."""
    strategy: Strategy = "centroid"
    """Discriminating strategy: a component's centroid, or its most probable pixels."""
    negatives: int = 4
    """Most neighbours that become negative points of a nucleus (instances)."""
    pairs: int = 8
    """Positive and negative points per tile (semantic)."""
    kinds: Kinds = "both"
    """Which automatic points are given. A nucleus of its own (instances) always keeps its positive point."""
    overlap: int = 64
    """Pixels that neighbouring tiles share, in the scaled picture."""
    scale: float = 0.0
    """Magnification before the model; 0 estimates it from the nuclei's size."""
    certainty: float = CERTAINTY
    """Certainty (see `Mask`) below which a mask is dropped."""
    prominence: float = PROMINENCE
    """How deep a valley of the generator's distance map parts two nuclei (instances). Less parts more."""
    adapted: bool = True
    """False: vanilla SAM on the same prompts."""

    def __post_init__(self):
        if self.mode not in MODES:
            raise OptionError(f"unknown mode {self.mode!r}; it is one of {', '.join(MODES)}")
        if self.strategy not in STRATEGIES:
            raise OptionError(f"unknown strategy {self.strategy!r}; it is one of {', '.join(STRATEGIES)}")
        if self.kinds not in KINDS:
            raise OptionError(f"unknown kinds of points {self.kinds!r}; it is one of {', '.join(KINDS)}")
        if not 0 <= self.negatives <= 64 or not 1 <= self.pairs <= 64:
            raise OptionError(f"negatives {self.negatives} and pairs {self.pairs} must lie in 0 to 64 and 1 to 64")
        if self.overlap < 0:
            raise OptionError(f"overlap {self.overlap} is negative")
        if not 0 <= self.certainty <= 1:
            raise OptionError(f"certainty {self.certainty} is outside 0 to 1")
        if not PROMINENCE_RANGE[0] <= self.prominence <= PROMINENCE_RANGE[1]:
            raise OptionError(f"prominence {self.prominence} is outside {PROMINENCE_RANGE[0]} to {PROMINENCE_RANGE[1]}")
        if self.scale and not 0.05 <= self.scale <= 20:
            raise OptionError(f"scale {self.scale} is outside 0.05 to 20 (0 estimates it)")


@dataclass(frozen=True)
class View:
    """Which part of a file is opened, and how it is shown. Zeros leave the choice to the rule that a note states."""

    channel: int = 0
    """Channel to show in grey, from 1 on; -1: all in colours; 0: the one named as a nuclear stain, else all."""
    plane: int = 0
    """Plane of a stack, or image of a series, from 1 on; 0: the middle of a z-stack, else the first."""
    region: tuple[int, ...] = ()
    """Left, top, width and height in pixels of the file: of a whole slide, only this is read."""
    microns: float = 0.0
    """Size of a pixel in µm, where the file does not say it or is wrong; 0: as the file says."""

    def __post_init__(self):
        object.__setattr__(self, "region", tuple(self.region))
        numbers = (self.channel + 1, self.plane, *self.region) if type(self.channel) is int else (None,)
        if not all(type(v) is int and 0 <= v < 2**31 for v in numbers):
            raise OptionError(
                f"channel {self.channel}, plane {self.plane}, region {self.region}: whole numbers are needed"
            )
        if self.region and (len(self.region) != 4 or min(self.region[2:]) < 1):
            raise OptionError(f"region {self.region} is not left, top, width and height in pixels")
        if self.microns and not MICRONS[0] <= self.microns <= MICRONS[1]:
            raise OptionError(f"{self.microns} µm per pixel is outside {MICRONS[0]} to {MICRONS[1]}")

    @classmethod
    def of(cls, told: dict[str, Any] | None) -> View:
        """From JSON: any of the fields by name. Raises OptionError."""
        known = [f.name for f in fields(cls)]
        if not isinstance(told or {}, dict) or set(told or {}) - set(known):
            raise OptionError(f"a view has {', '.join(known)}; not {told!r}")
        try:
            return cls(**(told or {}))
        except TypeError as error:
            raise OptionError(f"a view holds numbers; not {told!r}") from error


MICRONS = (0.01, 20.0)
"""Sizes of a pixel, in µm, that a microscope can have: others are a screen's or a printer's."""


@dataclass(frozen=True)
class Limits:
    """What is refused, in one place."""

    upload: int = 512 * 2**20
    """Bytes of an uploaded file."""
    upload_on_space: int = 200 * 2**20
    """The same on a Hugging Face Space, whose memory and disk many visitors share."""
    pixels: int = 100_000_000
    """Pixels of an image in memory."""
    whole: int = 25_000_000
    """Pixels up to which a whole slide is opened at once; of a larger one, a region is."""
    values: int = 800_000_000
    """Bytes of an image's intensities, all channels together."""
    tiff_tile: int = 8192
    samples: int = 64
    pages: int = 10_000
    decoding_seconds: int = 60
    """Seconds that decoding a file may take, waiting included."""
    decoding_cpu: int = 8
    """Seconds of computing that it may take: 100 megapixels of 8 bit take up to 5, of RGB of 16 bit up to 8."""
    decoding_memory: int = 1_350_000_000
    """Bytes that the process which decodes a file may take."""
    wasted_seconds: int = 60
    """Seconds that may go, of one drop, into files which then cannot be opened: others wait meanwhile."""
    zip_members: int = 5_000
    zip_bytes: int = 4 * 2**30
    """Bytes that a zip's members may have together, unpacked."""
    zip_ratio: int = 100
    """Times that a zip's member may be larger than it is packed."""
    desks: int = 4 * 2**30
    """Bytes of images of all tabs together."""
    desk: int = 2 * 2**30
    """Bytes of pictures that one browser tab holds at once."""
    adapter: int = 200 * 2**20
    """Bytes of a checkpoint's file."""
    texts: int = 2**20
    """Bytes of its settings, and of its card."""
    base: int = 4 * 2**30
    """Bytes of a base SAM's file."""
    queue: int = 20
    """Requests that wait at once."""
    embeddings: int = 2**30
    """Bytes of image embeddings that are kept for all visitors together; the least recently used go first."""
    models: int = 4 * 2**30
    """Bytes of checkpoints in memory for all visitors together; one on vit_h takes 2.6 GB."""
    brought: int = 8
    """Checkpoints from the Hub that one browser tab takes."""
    pictures: int = 50
    """Pictures that one browser tab holds at once."""
    undo: int = 2**29
    """Bytes of history that one picture keeps; beyond it, the oldest steps go."""

    case: int = 200 * 2**20
    """Bytes of a version of a case, packed."""
    cases: int = 200
    """Cases of one owner."""
    cases_bytes: int = 4 * 2**30
    """Bytes of all cases of one owner."""
    disk_reserve: int = 200 * 2**20
    """Bytes that stay free on the disk of the cases: others need room, too."""
    versions: int = 100
    """Versions of a case; beyond it, the oldest but the first go."""
    link_days: int = 30
    comments: int = 1000
    comment: int = 2000
    """Characters of a comment."""
    notes: int = 20_000
    """Characters of a case's notes."""


LIMITS = Limits()


def data_folder() -> Path:
    """Where trainings and their checkpoints are kept: SAC_DATA_DIR, else the user's own folder for such data.

    Outside the project, the working folder and the temporary folder, whose files a page could serve.
    """
    told = os.environ.get("SAC_DATA_DIR")
    home = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return Path(told) if told else home / "segment-any-cell"
