"""SAC: SAM, LoRA in its attention, the auto-prompt generator and a trained mask decoder, in one module.

With the adapter off and SAM's own decoder, the same object is vanilla SAM, from the same memory.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

import torch
import torch.nn.functional as F
from segment_anything.modeling import Sam
from torch import Tensor, nn

from sac.config import SACConfig
from sac.errors import OptionError
from sac.model.auto_prompt import AutoPromptGenerator, mask_prompt
from sac.model.decoder import TokenPrompts, WindowDecoder
from sac.model.lora import adapt

INSTANCE_MASK = 0
SEMANTIC_MASK = 1
"""Which of SAM's mask tokens answers: the single-mask one for a nucleus, a multimask one for all nuclei at once."""


ENCODING = threading.RLock()
"""Held while an image is encoded: switching the adapter off is seen by every thread that shares the model."""


class SAC(nn.Module):
    """Everything trained on top of a frozen `sam`, which is changed in place.

    Only the LoRA matrices, the generator and the copy of the mask decoder are trained.
    """

    def __init__(self, sam: Sam, config: SACConfig):
        super().__init__()
        self.config = config
        self.sam = sam
        self.mask_decoder = copy.deepcopy(sam.mask_decoder)
        seen = sam.prompt_encoder.embed_dim if config.generator_sees == "embedding" else 0
        self.generator = AutoPromptGenerator(config.generator_widths, seen)
        self.sam.image_encoder = adapt(sam.image_encoder, config)
        if config.tile % self.tokens or config.tile % self.generator.stride:
            raise OptionError(f"tile {config.tile} is no multiple of {self.tokens} and of {self.generator.stride}")
        self.learning(True)

    def learning(self, on: bool, encoder: bool = True) -> SAC:
        """Lets the trained parts, and no others, take gradients, or none at all. `encoder`: its LoRA matrices, too."""
        self.requires_grad_(False)
        for name, weight in self.named_parameters():
            head, adapter = name.startswith(("mask_decoder.", "generator.")), "lora_" in name
            weight.requires_grad_(on and (head or (adapter and encoder)))
        return self

    @property
    def nbytes(self) -> int:
        """Memory that its weights hold."""
        return sum(weight.nbytes for weight in (*self.parameters(), *self.buffers()))

    @property
    def frame(self) -> int:
        """Side of SAM's square input frame in pixels."""
        return self.sam.prompt_encoder.input_image_size[0]

    @property
    def tokens(self) -> int:
        """Side of the image embedding in tokens."""
        return self.sam.prompt_encoder.image_embedding_size[0]

    @property
    def stride(self) -> int:
        """Frame pixels per token."""
        return self.frame // self.tokens

    @property
    def token_pixels(self) -> int:
        """Tile pixels per token."""
        return self.config.tile // self.tokens

    def encode(self, images: Tensor, adapted: bool = True) -> Tensor:
        """Image embeddings (B, C, h, w) of crops (B, 3, side, side), RGB 0 to 255, resampled to SAM's input frame."""
        if images.shape[-1] != self.frame:
            images = F.interpolate(images, size=(self.frame, self.frame), mode="bilinear", antialias=True)
        with ENCODING, nullcontext() if adapted else self.unadapted():
            return self.sam.image_encoder((images - self.sam.pixel_mean) / self.sam.pixel_std)

    @contextmanager
    def unadapted(self) -> Iterator[None]:
        """Within it the encoder is the base's. PEFT's own switch lets all LoRA learn afterwards; here it is left as it was."""
        matrices = [weight for name, weight in self.sam.image_encoder.named_parameters() if "lora_" in name]
        learning = [weight.requires_grad for weight in matrices]
        try:
            with self.sam.image_encoder.disable_adapter():
                yield
        finally:
            for weight, learns in zip(matrices, learning):
                weight.requires_grad_(learns)

    def decode(
        self,
        features: Tensor,
        prompts: TokenPrompts,
        nuclei_map: Tensor | None = None,
        adapted: bool = True,
        whole: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Low-res logits (N, M, 4w, 4w) and predicted IoU (N, M) of all of SAM's M masks for N prompts.

        nuclei_map (B, 2, H, W): the generator's, given to SAM as a dense prompt. `whole` decodes on the whole
        embedding, w = tokens, instead of on windows.
        """
        size = self.sam.prompt_encoder.mask_input_size
        hints = None if nuclei_map is None else mask_prompt(nuclei_map, size)
        decoder = self.mask_decoder if adapted else self.sam.mask_decoder
        if whole:
            prompts = replace(prompts, origins=torch.zeros_like(prompts.origins))
            windows = WindowDecoder(self.tokens)
        else:
            windows = WindowDecoder(min(self.config.window, self.tokens), self.config.window_encoding)
        return windows(decoder, self.sam.prompt_encoder, features, prompts, hints)

    def trained(self) -> dict[str, Tensor]:
        """The weights that a checkpoint keeps beside PEFT's: generator and mask decoder, by name."""
        heads = {"generator": self.generator, "mask_decoder": self.mask_decoder}
        return {f"{part}.{name}": value for part, head in heads.items() for name, value in head.state_dict().items()}


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the processor multiplies it (AVX-512 BF16, AMX) and so gains by it, float32 elsewhere."""
    if device.type == "cuda":
        gains = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        can = torch.cpu.get_capabilities()
        gains = can.get("avx512_bf16", False) or can.get("amx_bf16", False)
    return torch.bfloat16 if gains else torch.float32


def fast(device: torch.device) -> torch.autocast:
    """Within it, matrix products run in the dtype that is fast on `device`."""
    dtype = fast_dtype(device)
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)
