"""The SAC that a training begins with: a fresh one, or a checkpoint's, with LoRA of the shape asked for."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from sac import hub
from sac.config import SACConfig
from sac.errors import CheckpointError, OptionError
from sac.model.lora import transplant
from sac.model.sac import SAC

SHAPE = ("rank", "alpha", "projections", "blocks")
"""What of a checkpoint's LoRA may be chosen anew; what it has learnt is carried over."""
SIZE = ("window", "diameter")
"""What may be chosen anew besides: the size of what it looks for."""
SEES = "generator_sees"
"""A generator that sees the picture alone may learn to see the embedding, too; it begins by heeding nothing of it."""


def begin(start: str, changes: dict[str, Any]) -> SAC:
    """A SAC to be trained. `changes`: fields of SACConfig that differ from the checkpoint's, or the defaults.

    Raises CheckpointError where there is no checkpoint `start`, OptionError where it cannot be changed so.
    """
    if not start:
        return hub.new(SACConfig(**changes))
    if os.path.isabs(start) and not os.path.isdir(start):
        raise CheckpointError("the checkpoint that this training starts from is no longer here")
    sac = hub.load(start)
    config = replace(sac.config, **changes)
    changed = [name for name in changes if getattr(config, name) != getattr(sac.config, name)]
    free = SHAPE + SIZE + ((SEES,) if config.generator_sees == "embedding" else ())
    fixed = [name for name in changed if name not in free]
    if fixed:
        raise OptionError(
            f"{', '.join(fixed)} of a checkpoint cannot be changed; {', '.join(SHAPE + SIZE)} can, or start from nothing"
        )
    if any(name in (*SHAPE, SEES) for name in changed):
        return _reshaped(sac, config)
    sac.config = config
    return sac


def _reshaped(sac: SAC, config: SACConfig) -> SAC:
    other = hub.new(config, begun=False)
    transplant(sac.sam.image_encoder, other.sam.image_encoder)
    other.mask_decoder.load_state_dict(sac.mask_decoder.state_dict())
    other.generator.load_state_dict(other.generator.state_dict() | sac.generator.state_dict())
    return other
