"""SAM's mask decoder over many windows of many images in one batch.

A nucleus is small, so its mask is decoded on a window of the image embedding around its prompt instead of on
the whole. segment-anything's `predict_masks` repeats one image embedding for all prompts and adds each prompt's
dense embedding to it; here the image embedding is zero and each prompt's window travels with its dense
embedding, so that Meta's code serves unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from segment_anything.modeling import MaskDecoder, PromptEncoder
from torch import Tensor

UPSCALING = 4
"""Low-res logits per token along a side, in SAM's mask decoder."""


@dataclass(frozen=True)
class TokenPrompts:
    """What to decode, one row per object, as tensors in SAM's input frame.

    image (N,) int64: which image of the batch each row belongs to.
    points (N, P, 2) float32, (x, y) in frame pixels; labels (N, P): 1 inside, 0 outside, -1 unused.
    boxes (N, 4) float32, (x0, y0, x1, y1), or None; origins (N, 2) int64: (x, y) of the window in tokens.
    """

    image: Tensor
    points: Tensor
    labels: Tensor
    origins: Tensor
    boxes: Tensor | None = None

    def __getitem__(self, rows) -> TokenPrompts:
        boxes = None if self.boxes is None else self.boxes[rows]
        return TokenPrompts(self.image[rows], self.points[rows], self.labels[rows], self.origins[rows], boxes)


def window_origins(centres: Tensor, side: int, window: int, stride: int) -> Tensor:
    """Origins (N, 2), in tokens, of windows about `centres` (N, 2), in frame pixels, kept inside the embedding."""
    return (centres / stride - window / 2).round().long().clamp(0, side - window)


def cut_windows(maps: Tensor, image: Tensor, origins: Tensor, window: int) -> Tensor:
    """Windows of `maps` (B, C, H, W) at `origins` (N, 2), both in cells of `maps`: (N, C, window, window)."""
    steps = torch.arange(window, device=maps.device)
    rows = origins[:, 1, None] + steps
    columns = origins[:, 0, None] + steps
    cut = maps.permute(0, 2, 3, 1)[image[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class WindowDecoder:
    """How windows are decoded: their side in tokens and whose positional encoding they carry."""

    window: int
    encoding: str = "centre"

    def __call__(
        self,
        decoder: MaskDecoder,
        prompt_encoder: PromptEncoder,
        features: Tensor,
        prompts: TokenPrompts,
        mask_prompts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """All of SAM's masks for each prompt.

        features (B, C, h, w): image embeddings. mask_prompts (B, 1, 4h, 4w): dense prompts as logits, or None.
        Returns low-res logits (N, M, 4 window, 4 window) and predicted IoU (N, M); row 0 of M is the single-mask
        output, the others are the multimask outputs.
        """
        if self.encoding == "place":
            return self._by_place(decoder, prompt_encoder, features, prompts, mask_prompts)
        side = features.shape[-1]
        middle = torch.full_like(prompts.origins, (side - self.window) // 2)
        return self._batch(decoder, prompt_encoder, features, prompts, mask_prompts, middle)

    def _by_place(self, decoder, prompt_encoder, features, prompts, mask_prompts):
        """Each window with the encoding of its own place: one call of SAM's decoder per distinct place."""
        places, group = prompts.origins.unique(dim=0, return_inverse=True)
        order, parts = [], []
        for index in range(len(places)):
            rows = (group == index).nonzero()[:, 0]
            chosen = prompts[rows]
            order.append(rows)
            parts.append(self._batch(decoder, prompt_encoder, features, chosen, mask_prompts, chosen.origins))
        back = torch.cat(order).argsort()
        return torch.cat([p[0] for p in parts])[back], torch.cat([p[1] for p in parts])[back]

    def _batch(self, decoder, prompt_encoder, features, prompts, mask_prompts, places):
        """One call of SAM's decoder; all windows take the positional encoding found at `places[0]`."""
        stride = prompt_encoder.input_image_size[0] // features.shape[-1]
        sparse, dense = self._embed_prompts(prompt_encoder, prompts, mask_prompts, (places - prompts.origins) * stride)
        x, y = (int(v) for v in places[0])
        encoding = prompt_encoder.get_dense_pe()[:, :, y : y + self.window, x : x + self.window]
        windows = cut_windows(features, prompts.image, prompts.origins, self.window)
        return decoder.predict_masks(
            image_embeddings=torch.zeros_like(windows[:1]),
            image_pe=encoding,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=windows + dense,
        )

    def _embed_prompts(self, prompt_encoder, prompts, mask_prompts, shift):
        """SAM's prompt encoder in full precision: coordinates do not survive bfloat16."""
        with torch.autocast(prompts.points.device.type, enabled=False):
            dense_prompts = None
            if mask_prompts is not None:
                dense_prompts = cut_windows(
                    mask_prompts.float(), prompts.image, prompts.origins * UPSCALING, self.window * UPSCALING
                )
            boxes = None if prompts.boxes is None else prompts.boxes + shift.repeat(1, 2)
            sparse, dense = prompt_encoder(
                points=(prompts.points + shift[:, None], prompts.labels), boxes=boxes, masks=dense_prompts
            )
        return sparse, dense[..., : self.window, : self.window]
