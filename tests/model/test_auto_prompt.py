"""The auto-prompt generator: its map's shape and invariants, and the map as a dense prompt."""

from __future__ import annotations

import pytest
import torch

from sac.model.auto_prompt import AutoPromptGenerator, mask_prompt

FAR = 20.0


@pytest.fixture(scope="module")
def generator():
    torch.manual_seed(0)
    return AutoPromptGenerator((4, 8, 12)).eval().requires_grad_(False)


def _picture(seed: int, count: int = 1, height: int = 96, width: int = 96) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed)) * 255


@pytest.mark.parametrize("widths, stride", [((8,), 1), ((8, 16), 2), ((4, 8, 12, 16, 20), 16)])
def test_map_has_the_pictures_size(widths, stride):
    generator = AutoPromptGenerator(widths)
    assert generator.stride == stride
    assert generator(_picture(0, 2, 48, 32)).shape == (2, 2, 48, 32)


@pytest.mark.parametrize("widths, side", [((8,), 48), ((4, 8, 12), 6), ((4, 8, 12, 16, 20), 6), ((4, 8, 12, 16), 13)])
def test_one_that_sees_the_embedding_begins_with_what_the_picture_alone_says(widths, side):
    torch.manual_seed(0)
    seeing, alone = AutoPromptGenerator(widths, seen=5), AutoPromptGenerator(widths)
    alone.load_state_dict({n: w for n, w in seeing.state_dict().items() if not n.startswith("sight")})
    picture, features = _picture(4, 1, 48, 48), torch.randn(1, 5, side, side)
    assert torch.equal(seeing(picture, features), alone(picture))
    torch.nn.init.normal_(seeing.sight.weight, std=10)
    assert not torch.allclose(seeing(picture, features), alone(picture), atol=1e-4)
    assert torch.equal(alone(picture, features), alone(picture))


def test_picture_moved_by_the_stride_gives_the_map_moved(generator):
    """Away from the borders, whose padding does not move along."""
    picture = _picture(1)
    moved = generator(picture.roll((4, 8), (2, 3)))
    inner = (slice(None), slice(None), slice(40, -36), slice(40, -36))
    assert torch.allclose(moved[inner], generator(picture).roll((4, 8), (2, 3))[inner], atol=1e-5)
    assert generator(picture)[inner].std() > 1e-3


def test_map_does_not_depend_on_the_batch(generator):
    together = generator(_picture(2, 3))
    for n in range(3):
        assert torch.allclose(together[n], generator(_picture(2, 3)[n : n + 1])[0], atol=1e-5)


def test_no_running_statistics_are_kept(generator):
    """Training and evaluation give the same map."""
    picture = _picture(3)
    evaluated = generator(picture)
    assert torch.equal(generator.train()(picture), evaluated)
    generator.eval()


def test_dense_prompt_orders_ground_border_seam_inside():
    """Clamped logit, -4 to 4, plus 8 (sigmoid(distance) - 1/2), -4 to 4, worked out for settled pixels."""
    nuclei = torch.tensor([-FAR, 0.0, FAR, FAR])  # ground, border, seam between two nuclei, inside
    depth = torch.tensor([-FAR, -FAR, -FAR, FAR])
    found = mask_prompt(torch.stack([nuclei, depth]).view(1, 2, 1, 4), (1, 4)).flatten()
    assert torch.allclose(found, torch.tensor([-8.0, -4.0, 0.0, 8.0]), atol=1e-5)


def test_dense_prompt_is_bounded_and_has_the_size_asked_for():
    hint = mask_prompt(100 * torch.randn(3, 2, 64, 64), (32, 48))
    assert hint.shape == (3, 1, 32, 48)
    assert hint.abs().max() <= 8


def test_dense_prompt_keeps_its_place():
    """A nucleus in the right half stays there when the prompt is half as large."""
    nuclei_map = torch.full((1, 2, 16, 16), -FAR)
    nuclei_map[..., 8:] = FAR
    hint = mask_prompt(nuclei_map, (8, 8))[0, 0]
    assert torch.allclose(hint[:, :4], torch.tensor(-8.0), atol=1e-5)
    assert torch.allclose(hint[:, 4:], torch.tensor(8.0), atol=1e-5)
