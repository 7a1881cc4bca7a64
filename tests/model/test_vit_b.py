"""A SAC on SAM's ViT-B, with random weights: made, saved, loaded and put to work in the memory of a small machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 6 * 2**30
"""Bytes that the process may take at its peak."""

WORK = """
import json, resource, sys
from dataclasses import replace
from pathlib import Path
import numpy as np, torch
from sac import hub
from sac.config import SACConfig, SegmentOptions
from sac.images import Image
from sac.inference.tiled import tiles_at_once
from sac.inference.segment import embed_image, segment_embedded
from sac.model.sam import build_sam
from sac.ui.examples import generated_field

folder = Path(sys.argv[1])
torch.manual_seed(0)
torch.save(build_sam("vit_b").state_dict(), folder / "sam_vit_b.pth")
sac = hub.new(SACConfig(base="vit_b", rank=4))
known = {n: w for n, w in hub.load("nuclei").generator.state_dict().items() if "sight" not in n}  # to find nuclei
sac.generator.load_state_dict(sac.generator.state_dict() | known)
with torch.no_grad():
    for name, weight in sac.named_parameters():
        if "lora_B" in name:
            weight.normal_(std=0.05)
hub.save(sac, folder / "checkpoint", "---\\nlicense: cc0-1.0\\n---\\n")
del sac
sac = hub.load(str(folder / "checkpoint"))
told = {"sizes": [sac.frame, sac.tokens, sac.stride, sac.token_pixels]}
told["at once"] = tiles_at_once(sac)
told["lora"] = sum("lora_B" in n and bool(w.any()) for n, w in sac.named_parameters())
picture = Image("field", generated_field(side=256, count=30).pixels[:200, :200])
options = SegmentOptions(scale=1.0, certainty=0.0)
embedding = embed_image(picture, sac, options, lambda share, words: None)
for mode in ("instances", "semantic"):
    found = segment_embedded(sac, embedding, replace(options, mode=mode))
    told[mode] = {"shape": found.labels.shape, "prompts": len(found.prompts), "nuclei": len(found)}
    assert np.isfinite(found.prompts.points).all() and found.labels.max() <= max(1, len(found))
block, tokens = sac.sam.image_encoder.base_model.model.blocks[0], torch.randn(1, 14, 14, 768)
with torch.inference_mode(), sac.sam.image_encoder.disable_adapter():
    vanilla = block(tokens)
with torch.inference_mode():
    told["moved"] = float((block(tokens) - vanilla).abs().max())
told["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("vit_b")
    environment = os.environ | {"SAC_BASE_VIT_B": str(folder / "sam_vit_b.pth"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_its_frame_has_four_times_the_tiles_pixels(told):
    """A tile of 256 pixels becomes SAM's 1024, whose 64 tokens are 16 frame pixels, or 4 of the tile's, apart."""
    assert told["sizes"] == [1024, 64, 16, 4]


@pytest.mark.parametrize("mode", ["instances", "semantic"])
def test_a_picture_is_segmented_on_its_own_pixels(told, mode):
    assert told[mode]["shape"] == [200, 200]
    assert told[mode]["prompts"] >= 1 and told[mode]["nuclei"] >= 1


def test_one_prompt_a_nucleus_is_asked(told):
    assert 10 <= told["instances"]["prompts"] <= 60  # some 20 ellipses lie in the part that is cut out


def test_lora_sits_on_both_projections_of_all_blocks_and_changes_what_they_say(told):
    assert told["lora"] == 24 and told["moved"] > 0.01


def test_its_tiles_are_encoded_one_at_a_time(told):
    """Attention over 64 x 64 tokens takes 16 times the memory of tiny's 32 x 32."""
    assert told["at once"] == 1


def test_it_fits_the_memory_of_a_small_machine(told):
    assert told["memory"] < MEMORY
