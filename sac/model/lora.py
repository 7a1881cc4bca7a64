"""Low-rank updates in SAM's attention (paper: h = W_0 x + B A x on Q and V), by the PEFT library.

SAM computes q, k and v with one fused linear; it is replaced by three with identical output, so that PEFT can
adapt any of them alone.
"""

from __future__ import annotations

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from sac.config import SACConfig


class SplitQKV(nn.Module):
    """SAM's fused projection as three linears. (..., C) -> (..., 3C)."""

    def __init__(self, fused: nn.Linear):
        super().__init__()
        self.q, self.k, self.v = (
            _linear(weight, bias) for weight, bias in zip(fused.weight.chunk(3), fused.bias.chunk(3))
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.q(x), self.k(x), self.v(x)], dim=-1)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    linear = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    linear.weight.data.copy_(weight)
    linear.bias.data.copy_(bias)
    return linear


def adapt(encoder: ImageEncoderViT, config: SACConfig) -> PeftModel:
    """The encoder with frozen weights and fresh, trainable LoRA where `config` says. Changes `encoder` in place."""
    for block in encoder.blocks:
        block.attn.qkv = SplitQKV(block.attn.qkv)
    return get_peft_model(encoder, lora_config(config, len(encoder.blocks)))


def lora_config(config: SACConfig, depth: int) -> LoraConfig:
    """PEFT's own configuration, as it is stored in `adapter_config.json`."""
    first = depth // 2 if config.blocks == "late" else 0
    blocks = "|".join(str(block) for block in range(first, depth))
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        target_modules=rf"blocks\.({blocks})\.attn\.qkv\.({'|'.join(config.projections)})",
    )


@torch.no_grad()
def transplant(source: nn.Module, target: nn.Module) -> None:
    """Gives `target`'s fresh LoRA what `source`'s says, whatever the rank, alpha, projections or blocks of either.

    Both are adapted encoders on the same base. A layer that both adapt takes the best approximation of its rank to
    the source's update B A (Eckart and Young 1936), exact where the rank suffices; other layers stay as they are.
    """
    there = _adapted(source)
    for name, layer in _adapted(target).items():
        if name not in there:
            continue
        a, b, scaling = _matrices(there[name])
        left, values, right = torch.linalg.svd(scaling * b.double() @ a.double(), full_matrices=False)
        new_a, new_b, new_scaling = _matrices(layer)
        learnt = int((values > values.max() * torch.finfo(torch.float32).eps).sum())  # rows of zeros would never learn
        rank = min(learnt, layer.r["default"])
        roots = values[:rank].sqrt()
        new_b.zero_()
        new_a[:rank] = roots[:, None] * right[:rank]
        new_b[:, :rank] = left[:, :rank] * roots / new_scaling


def _adapted(encoder: nn.Module) -> dict[str, LoraLayer]:
    return {name: module for name, module in encoder.named_modules() if isinstance(module, LoraLayer)}


def _matrices(layer: LoraLayer) -> tuple[Tensor, Tensor, float]:
    """A (rank, in), B (out, rank) and what their product is multiplied by."""
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.scaling["default"]
