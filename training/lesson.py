"""A SAC with the losses that teach it: generator loss plus mask loss, at every step (paper: joint optimisation)."""

from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sac.model.auto_prompt import mask_prior
from sac.model.decoder import TokenPrompts
from sac.model.sac import INSTANCE_MASK, SAC, SEMANTIC_MASK, fast
from training.loop import Part
from training.losses import generator_loss, mask_loss
from training.prompting import Frame, decoding_losses, pixel_windows, token_prompts, window_targets

MAP_SHARE = 0.9
"""Share of steps in which the decoder sees the generator's map, as it does at work."""
PARTS = (Part("sac.generator."), Part(".lora_", pace=5.0, whole=False))
"""Of a NucleiLesson. LoRA is what the generator's loss and the masks' both teach, and its matrices are small: B begins with
zeros, and at the others' learning rate it is far from done when they are (Hayou et al. 2024, LoRA+, arXiv 2402.12354)."""
SEMANTIC_SHARE = 0.35
"""Share of steps that also decode all nuclei at once."""


class NucleiLesson(nn.Module):
    """What `fit` teaches a SAC, step by step.

    alone: first steps, in which the generator learns alone. features (P, C, h, w): embeddings of the quick mode's crops,
    which are looked up instead of computed; None computes them. joint: whether the generator learns on, with the others.
    heard: whether the loss of the masks reaches the generator, too. Its map is a part of every mask, and a nucleus's mask
    is to be empty on its neighbours, of which the generator's own loss says the opposite.
    """

    def __init__(self, sac: SAC, alone: int, features: Tensor | None = None, joint: bool = True, heard: bool = False):
        super().__init__()
        self.sac, self.alone, self.joint, self.heard = sac, alone, joint, heard
        self.features = features  # no buffer: several processes would send it to each other at every step
        self.frame = Frame(sac.tokens, sac.stride, sac.token_pixels, min(sac.config.window, sac.tokens))

    def forward(self, batch: dict[str, Tensor], step: int) -> dict[str, Tensor]:
        images, is_alone = batch["image"].float(), step < self.alone
        with torch.no_grad() if is_alone else nullcontext():
            features = self._embedded(images, batch) if self.sac.generator.sees_embedding or not is_alone else None
        with nullcontext() if self.joint or is_alone else torch.no_grad():
            nuclei_map = self.sac.generator(images, features)
        losses = {"generator": generator_loss(nuclei_map, (batch["labels"] > 0).float(), batch["distance"])}
        if is_alone:
            return losses
        chance = np.random.default_rng([step, 1]).random(2)
        told = nuclei_map if self.heard else nuclei_map.detach()
        hint = told if chance[0] < MAP_SHARE else None
        losses |= self._instances(features, batch, hint, step)
        if chance[1] < SEMANTIC_SHARE:
            losses["semantic"] = self._semantic(features, batch, hint)
        return losses

    def examined(self, batch: dict[str, Tensor], nuclei_map: Tensor, features: Tensor, step: int) -> Tensor:
        """The loss by which a validation tile is judged: generator and instances, of what is embedded already."""
        with fast(features.device):
            loss = generator_loss(nuclei_map, (batch["labels"] > 0).float(), batch["distance"])
            return loss + self._instances(features, batch, nuclei_map, step)["mask"]

    def _embedded(self, images: Tensor, batch: dict[str, Tensor]) -> Tensor:
        if self.features is not None and "crop" in batch:
            return self.features[batch["crop"].to(self.features.device)].to(images.device, images.dtype)
        return self.sac.encode(images)

    def _instances(self, features: Tensor, batch: dict[str, Tensor], hint, step: int) -> dict[str, Tensor]:
        """One prompt a nucleus, decoded on windows, against the nucleus or, off every nucleus, against nothing."""
        prompts = token_prompts(batch, self.frame, step)
        logits, ious = self.sac.decode(features, prompts, hint)
        targets = window_targets(batch["labels"], batch["ids"].flatten(), prompts, self.frame)
        prior = None if hint is None else pixel_windows(mask_prior(hint[:, :1]), prompts, self.frame)
        only = slice(INSTANCE_MASK, INSTANCE_MASK + 1)
        return decoding_losses(logits[:, only], ious[:, only], targets, prior)

    def _semantic(self, features: Tensor, batch: dict[str, Tensor], hint) -> Tensor:
        """k pairs for the whole crop against all its nuclei: the paper's own task."""
        count = len(features)
        prompts = TokenPrompts(
            image=torch.arange(count, device=features.device),
            points=batch["pairs"] * (self.frame.stride / self.frame.pixels),
            labels=batch["pair_labels"],
            origins=torch.zeros(count, 2, dtype=torch.long, device=features.device),
        )
        logits, _ = self.sac.decode(features, prompts, hint, whole=True)
        masks = F.interpolate(logits[:, SEMANTIC_MASK, None].float(), size=batch["labels"].shape[-2:], mode="bilinear")
        if hint is not None:
            masks = masks + mask_prior(hint[:, :1])
        return 0.5 * mask_loss(masks[:, 0], (batch["labels"] > 0).float()).mean()
