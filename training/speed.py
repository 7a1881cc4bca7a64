"""`python -m training speed`: how long a field of view takes, what memory, and what decoding in windows saves."""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from segment_anything.modeling.image_encoder import Attention

from sac import hub
from sac.inference.predictor import decode, embed
from sac.inference.segment import auto_prompts, segment
from sac.inference.tiled import TOKENS_AT_ONCE
from sac.model.attention import PositionedAttention
from sac.model.decoder import TokenPrompts
from sac.model.sac import SAC, fast
from sac.model.sam import build_sam
from sac.ui.examples import generated_field

PROMPTS = 24
"""Prompts of the comparison between windows and the whole embedding."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default=hub.DEFAULT, help="checkpoint")
    parser.add_argument("--side", type=int, default=1000, help="side of the generated field in pixels")
    parser.add_argument("--nuclei", type=int, default=560, help="nuclei drawn on it; some hide others")
    parser.add_argument("--runs", type=int, default=5, help="timed runs, after one that is not; medians are printed")


def run(parsed: argparse.Namespace) -> None:
    """Prints a table of medians, the peak memory of this process, and a ratio."""
    sac = hub.load(parsed.model)
    options = sac.config.options()
    field = generated_field(side=parsed.side, count=parsed.nuclei)
    found = segment(field, sac, options)
    embedding = embed(sac, field.pixels, 1.0, options)
    prompts = auto_prompts(sac, embedding, options)
    rows = {
        f"whole road ({parsed.side} x {parsed.side} px, {len(found)} nuclei)": lambda: segment(field, sac, options),
        f"embed ({len(embedding.tiles)} tiles)": lambda: embed(sac, field.pixels, 1.0, options),
        f"decode ({len(prompts)} prompts)": lambda: decode(sac, embedding, prompts, options),
        "decode 1 prompt": lambda: decode(sac, embedding, prompts[:1], options),
    }
    seconds = {name: _median(work, parsed.runs) for name, work in rows.items()}
    features = embedding.features
    windows = _median(lambda: _decode_some(sac, features, whole=False), parsed.runs)
    whole = _median(lambda: _decode_some(sac, features, whole=True), parsed.runs)
    lines = [f"| {name} | {value:.3f} s |" for name, value in seconds.items()]
    lines.append(f"| peak memory | {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB |")
    lines.append(f"| decoding on the whole embedding over decoding on windows | {whole / windows:.1f} times |")
    for base in ("tiny", "vit_b"):
        ours, sams = _encoding(base)
        lines.append(f"| encode a frame, {base} | {ours:.3f} s |")
        lines.append(f"| the same with SAM's own attention over it | {sams / ours:.1f} times |")
    sys.stdout.write("\n".join(["| | |", "|---|---|", *lines, ""]))


def _median(work: Callable[[], object], runs: int) -> float:
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


@torch.inference_mode()
def _encoding(base: str, runs: int = 5) -> tuple[float, float]:
    """Seconds a frame, as many at once as at work, with this project's attention and with SAM's, by random weights."""
    device = torch.device(hub.device())
    encoder = build_sam(base).image_encoder.eval().to(device)
    count = max(1, TOKENS_AT_ONCE // encoder.pos_embed.shape[1] ** 2)
    frames = torch.zeros(count, 3, encoder.img_size, encoder.img_size, device=device)
    with fast(device):
        ours = _median(lambda: encoder(frames), runs)
        for block in encoder.blocks:
            block.attn = _sams_own(block.attn)
        return ours / count, _median(lambda: encoder(frames), runs) / count


def _sams_own(ours: PositionedAttention) -> Attention:
    """SAM's attention with the same weights."""
    size = [(len(positions) + 1) // 2 for positions in (ours.rel_pos_h, ours.rel_pos_w)]
    plain = Attention(ours.proj.in_features, ours.num_heads, use_rel_pos=True, input_size=size)
    plain.load_state_dict(ours.state_dict())
    return plain.to(ours.proj.weight.device)


@torch.inference_mode()
def _decode_some(sac: SAC, features: torch.Tensor, whole: bool) -> None:
    """The same prompts with the same decoder, on windows or on the whole embedding."""
    places = np.random.default_rng(0).uniform(0, sac.frame, (PROMPTS, 1, 2)).astype(np.float32)
    prompts = TokenPrompts(
        image=torch.zeros(PROMPTS, dtype=torch.long),
        points=torch.from_numpy(places),
        labels=torch.ones(PROMPTS, 1, dtype=torch.long),
        origins=torch.zeros(PROMPTS, 2, dtype=torch.long),
    )
    sac.decode(features, prompts, whole=whole)
