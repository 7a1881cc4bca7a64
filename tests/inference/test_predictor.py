"""`embed` and `decode` are functions, and everything they take and give is on the picture's own pixels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sac.config import SegmentOptions
from sac.inference.by_hand import say_by_hand
from sac.inference.maps import map_of_parts
from sac.inference.predictor import _on_pixels, decode, decode_semantic, embed
from sac.inference.tiled import stretched
from sac.model.auto_prompt import SAY
from sac.prompts import NEGATIVE, POSITIVE, UNUSED, Prompts

DISCS = ((80, 100), (180, 60), (150, 190))
RADIUS = 14
VANILLA = SegmentOptions(adapted=False)


def _picture(factor: int = 1) -> np.ndarray:
    """Three light discs at DISCS on a dark ground, 256 pixels wide, made smaller by `factor`."""
    y, x = np.mgrid[:256:factor, :256:factor]
    picture = np.full((*y.shape, 3), 40, np.uint8)
    for cx, cy in DISCS:
        picture[(x - cx) ** 2 + (y - cy) ** 2 < RADIUS**2] = 200
    return picture


def _prompts(factor: int = 1) -> Prompts:
    """The middle of each disc, with another's as a negative and one point unused."""
    middles = np.array(DISCS, np.float32) / factor
    points = np.stack([middles, np.roll(middles, 1, axis=0), np.zeros((3, 2), np.float32)], axis=1)
    return Prompts(points, np.array([[POSITIVE, NEGATIVE, UNUSED]] * 3, np.int8))


def _drawn(mask, size: tuple[int, int]) -> np.ndarray:
    whole = np.zeros(size, bool)
    whole[mask.window] = mask.logits > 0
    return whole


# embed and decode


@pytest.fixture(scope="module")
def embedding(sac):
    return embed(sac, _picture(), 1.0, VANILLA)


def test_embedding_is_a_function(sac, embedding):
    picture = _picture()
    again = embed(sac, picture, 1.0, VANILLA)
    assert torch.equal(embedding.features, again.features)
    assert torch.equal(embedding.maps, again.maps)
    assert np.array_equal(embedding.nuclei_map, again.nuclei_map)
    assert np.array_equal(picture, _picture())


def test_embedding_tells_the_share_that_is_done(sac):
    told = []
    found = embed(sac, np.zeros((700, 700, 3), np.uint8), 1.0, SegmentOptions(), told.append)
    assert told[0] == 0 and len(told) > 1 and told == sorted(told) and told[-1] < 1
    assert np.allclose(np.array(told) * len(found.tiles), np.round(np.array(told) * len(found.tiles)))


@pytest.mark.parametrize(
    "size, scale, tiles", [((256, 256), 1.0, 1), ((100, 300), 1.0, 2), ((90, 40), 2.0, 1), ((1, 1), 1.0, 1)]
)
def test_embedding_is_on_the_pictures_own_pixels(sac, size, scale, tiles):
    picture = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    found = embed(sac, picture, scale, SegmentOptions())
    assert found.size == size
    assert len(found.tiles) == tiles
    assert found.features.shape == (tiles, 128, 32, 32)
    assert found.maps.shape == (tiles, 2, 256, 256)
    assert found.nuclei_map.shape == (2, *size) and found.nuclei_map.dtype == np.float32
    assert found.nuclei_map.min() >= 0 and found.nuclei_map.max() <= 1


def test_adapter_off_gives_another_embedding_and_the_same_map(sac, embedding):
    adapted = embed(sac, _picture(), 1.0, SegmentOptions())
    assert not torch.allclose(adapted.features, embedding.features, atol=1e-2)
    assert np.array_equal(adapted.nuclei_map, embedding.nuclei_map)


def test_decoding_is_a_function(sac, embedding):
    first, second = (decode(sac, embedding, _prompts(), VANILLA) for _ in range(2))
    assert len(first) == 3
    for one, other in zip(first, second):
        assert (one.x, one.y, one.certainty, one.prompt) == (other.x, other.y, other.certainty, other.prompt)
        assert np.array_equal(one.logits, other.logits)


@pytest.mark.parametrize("scale", [1, 2])
def test_masks_lie_about_their_points(sac, scale):
    """A picture of half the size, magnified twice, is prompted and answered in its own pixels."""
    picture = _picture(factor=scale)
    size = picture.shape[:2]
    y, x = np.mgrid[: size[0], : size[1]]
    masks = decode(sac, embed(sac, picture, float(scale), VANILLA), _prompts(scale), VANILLA)
    assert [m.prompt for m in masks] == [0, 1, 2]
    for mask, (cx, cy) in zip(masks, np.array(DISCS) / scale):
        inside = _drawn(mask, size)
        assert inside[round(cy), round(cx)]
        assert abs(x[inside].mean() - cx) < RADIUS / scale / 2
        assert abs(y[inside].mean() - cy) < RADIUS / scale / 2
        disc = (x - cx) ** 2 + (y - cy) ** 2 < (RADIUS / scale) ** 2
        assert inside[disc].mean() > 0.9
        assert 0 <= mask.certainty <= 1


def test_what_the_generator_doubts_is_less_certain(sac):
    """Certainty is predicted IoU times the mean probability of nucleus; a user's own point is not doubted, and SAM not asked."""
    options = SegmentOptions()
    own = embed(sac, _picture(), 1.0, options)
    half = replace(own, nuclei_map=own.nuclei_map * [[[0.0]], [[1.0]]] + [[[0.5]], [[0.0]]])  # says nothing: prior 0
    masks = decode(sac, half, _prompts(), options)
    hand = replace(_prompts(), by_hand=np.ones((3, 3), bool))
    clicked = {mask.prompt: mask for mask in decode(sac, half, hand, options)}
    assert masks and all(mask.nucleus == pytest.approx(0.5) for mask in masks)
    assert all(mask.nucleus == 1 for mask in clicked.values())
    assert all(mask.certainty == pytest.approx(clicked[mask.prompt].certainty / 2) for mask in masks)
    vanilla = decode(sac, half, _prompts(), VANILLA)
    assert vanilla and all(mask.nucleus == 1 for mask in vanilla)


def test_a_prompt_is_answered_alone_as_among_others(sac, embedding):
    """What an edit relies on: only the rows it touched are decoded again."""
    together = decode(sac, embedding, _prompts(), VANILLA)
    for row in range(3):
        (alone,) = decode(sac, embedding, _prompts()[[row]], VANILLA)
        one, other = _drawn(alone, embedding.size), _drawn(together[row], embedding.size)
        assert (one & other).sum() > 0.98 * (one | other).sum()


def test_a_mask_is_cut_to_what_it_holds(sac, embedding):
    for mask in decode(sac, embedding, _prompts(), VANILLA):
        inside = mask.logits > 0
        assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


def test_unused_points_have_no_say(sac, embedding):
    asked = _prompts()
    moved = asked.points.copy()
    moved[:, 2] = 99
    first, second = (decode(sac, embedding, p, VANILLA) for p in (asked, replace(asked, points=moved)))
    for one, other in zip(first, second, strict=True):
        assert np.array_equal(one.logits, other.logits)


def test_no_prompts_no_masks(sac, embedding):
    nothing = Prompts(np.zeros((0, 5, 2), np.float32), np.zeros((0, 5), np.int8))
    assert decode(sac, embedding, nothing, VANILLA) == []


def test_masks_stay_on_a_picture_smaller_than_a_tile(sac):
    picture = _picture()[70:130, 60:101]
    found = embed(sac, picture, 1.0, VANILLA)
    asked = Prompts(np.array([[[20, 30]], [[0, 0]], [[40, 59]]], np.float32), np.full((3, 1), POSITIVE, np.int8))
    masks = decode(sac, found, asked, replace(VANILLA, certainty=0.0))
    assert masks
    for mask in masks:
        height, width = mask.logits.shape
        assert 0 <= mask.x and mask.x + width <= 41 and 0 <= mask.y and mask.y + height <= 60


def test_points_in_every_tile_of_a_large_picture(sac):
    """The same disc in each quarter of a picture of four tiles: the same mask, at its own place."""
    quarter = np.full((200, 200, 3), 40, np.uint8)
    y, x = np.mgrid[:200, :200]
    quarter[(x - 100) ** 2 + (y - 100) ** 2 < RADIUS**2] = 200
    picture = np.tile(quarter, (2, 2, 1))
    points = np.array([[[100, 100]], [[300, 100]], [[100, 300]], [[300, 300]]], np.float32)
    found = embed(sac, picture, 1.0, VANILLA)
    assert len(found.tiles) == 4
    masks = decode(sac, found, Prompts(points, np.full((4, 1), POSITIVE, np.int8)), VANILLA)
    for mask, (cx, cy) in zip(masks, points[:, 0], strict=True):
        rows, columns = np.nonzero(_drawn(mask, (400, 400)))
        assert abs(columns.mean() - cx) < RADIUS / 2 and abs(rows.mean() - cy) < RADIUS / 2


@pytest.mark.parametrize("adapted", [True, False])
@pytest.mark.parametrize("size, scale", [((256, 256), 1.0), ((100, 300), 1.0), ((60, 50), 2.0)])
def test_semantic_mask_is_on_the_pictures_pixels(sac, size, scale, adapted):
    """A row of prompts per tile, anywhere in it."""
    options = SegmentOptions(mode="semantic", adapted=adapted)
    found = embed(sac, np.random.default_rng(1).integers(0, 255, (*size, 3)).astype(np.uint8), scale, options)
    place = np.array([[(t.x + 40) / scale, (t.y + 40) / scale] for t in found.tiles], np.float32)
    asked = Prompts(place[:, None], np.full((len(place), 1), POSITIVE, np.int8))
    mask = decode_semantic(sac, found, asked, options)
    assert mask.shape == size and mask.dtype == bool


def test_semantic_mask_does_not_depend_on_which_point_comes_first(sac, embedding):
    """Whole-tile decoding has no window: a row's points are a set."""
    points = np.array([[[80, 100], [180, 60], [30, 220]]], np.float32)
    labels = np.array([[POSITIVE, POSITIVE, NEGATIVE]], np.int8)
    turned = [1, 0, 2]
    first = decode_semantic(sac, embedding, Prompts(points, labels), VANILLA)
    second = decode_semantic(sac, embedding, Prompts(points[:, turned], labels[:, turned]), VANILLA)
    assert (first != second).mean() < 0.01


def test_maps_of_parts_are_cut_to_the_picture(sac):
    picture = np.random.default_rng(2).integers(0, 255, (100, 600, 3)).astype(np.uint8)
    maps = map_of_parts(sac, picture, most=2)
    assert [m.shape for m in maps] == [(2, 100, 256)] * 2


# Boxes and points set by hand


BOXES = np.array([(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for x, y in DISCS], np.float32)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_box_tells_which_of_two_sizes_is_meant(sac, scale):
    """A disc in a larger, darker one: the same point, once with a box round each."""
    y, x = np.mgrid[:256:scale, :256:scale]
    away = np.hypot(x - 128, y - 128)
    picture = np.where(away < 12, 220, np.where(away < 32, 130, 30)).astype(np.uint8)
    found = embed(sac, np.repeat(picture[..., None], 3, axis=2), float(scale), VANILLA)
    middle, reaches = 128 / scale, np.array([12, 32]) / scale
    boxes = np.array([(middle - r, middle - r, middle + r, middle + r) for r in reaches], np.float32)
    asked = Prompts(np.full((2, 1, 2), middle, np.float32), np.full((2, 1), POSITIVE, np.int8), boxes=boxes)
    small, large = ((m.logits > 0).sum() for m in decode(sac, found, asked, VANILLA))
    assert large > 2 * small


def test_rows_with_and_without_a_box_are_answered_as_apart(sac, embedding):
    boxes = BOXES.copy()
    boxes[1] = np.nan
    together = {m.prompt: m for m in decode(sac, embedding, replace(_prompts(), boxes=boxes), VANILLA)}
    assert sorted(together) == [0, 1, 2]
    for rows, had in (([0, 2], BOXES[[0, 2]]), ([1], None)):
        for mask in decode(sac, embedding, replace(_prompts()[rows], boxes=had), VANILLA):
            other = together[rows[mask.prompt]]
            assert np.array_equal(mask.logits, other.logits) and (mask.x, mask.y) == (other.x, other.y)


def test_a_row_of_boxes_that_are_not_there_is_a_row_without(sac, embedding):
    none = replace(_prompts(), boxes=np.full((3, 4), np.nan, np.float32), by_hand=np.zeros((3, 3), bool))
    for one, other in zip(
        decode(sac, embedding, none, VANILLA), decode(sac, embedding, _prompts(), VANILLA), strict=True
    ):
        assert np.array_equal(one.logits, other.logits)


def _hand(*points: tuple[float, float, int], by_hand: bool = True) -> Prompts:
    places, labels = np.array([[p[:2] for p in points]], np.float32), np.array([[p[2] for p in points]], np.int8)
    return Prompts(places, labels, np.full(labels.shape, by_hand))


def _said(prior: float, prompts: Prompts, reach: float = 3.0) -> np.ndarray:
    """What is said on 20 x 30 pixels from (100, 50) on, on top of a generator that says `prior` everywhere."""
    return say_by_hand(np.full((20, 30), prior, np.float32), *np.ogrid[50:70, 100:130], prompts, reach)


@pytest.mark.parametrize("kind, says", [(POSITIVE, 2 * SAY), (NEGATIVE, -2 * SAY)])
@pytest.mark.parametrize("prior", [-SAY, 0.0, SAY])
def test_at_its_point_the_hand_speaks_in_place_of_the_generator(prior, kind, says):
    said = _said(prior, _hand((110, 55, kind)))
    assert said[5, 10] + prior == pytest.approx(says)
    share = np.exp(-0.5)  # one reach away: 0.61 of the point, the rest the generator
    assert said[5, 13] + prior == said[8, 10] + prior == pytest.approx(share * says + (1 - share) * prior)
    assert abs(said[19, 29]) < 1e-4


def test_two_hands_are_each_heeded_at_their_points():
    total = 4 + _said(4.0, _hand((105, 55, POSITIVE), (122, 63, NEGATIVE)))
    assert total[5, 5] == pytest.approx(2 * SAY, abs=1e-3) and total[13, 22] == pytest.approx(-2 * SAY, abs=1e-3)


def test_of_two_hands_side_by_side_the_later_has_its_say_in_full():
    assert 4 + _said(4.0, _hand((110, 55, POSITIVE), (112, 55, NEGATIVE)))[5, 12] == pytest.approx(-2 * SAY)


def test_points_of_the_generator_do_not_speak_as_hands():
    assert not _said(4.0, _hand((110, 55, NEGATIVE), by_hand=False)).any()


@pytest.mark.parametrize("adapted", [True, False])
def test_a_hand_says_no_where_a_mask_was(sac, adapted):
    """Decoded with and without the hand, the logits differ by what was said: the decoder hears one more point alike."""
    options = SegmentOptions(adapted=adapted)
    found = embed(sac, _picture(), 1.0, options)
    points = np.array([[DISCS[0], (DISCS[0][0] + 8, DISCS[0][1])]], np.float32)
    asked = Prompts(points, np.array([[POSITIVE, NEGATIVE]], np.int8))
    (deaf,) = decode(sac, found, asked, options)
    masks = decode(sac, found, replace(asked, by_hand=np.array([[False, True]])), options)
    x, y = points[0, 1].astype(int)
    before, after = _logits(deaf), _logits(masks[0])
    both = np.isfinite(before) & np.isfinite(after)
    reach = 0.2 * sac.config.diameter
    prior = np.zeros_like(before)
    if adapted:
        probability = torch.from_numpy(found.nuclei_map[0])
        prior = SAY * torch.logit(probability, eps=1e-4).tanh().numpy()
    rows, columns = np.mgrid[:256, :256]
    near = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * reach**2))
    assert both.sum() > 100
    assert (after - before)[both] == pytest.approx((near * (-2 * SAY - prior))[both], abs=1e-4)


def _logits(mask) -> np.ndarray:
    whole = np.full((256, 256), np.nan, np.float32)
    whole[mask.window] = mask.logits
    return whole


@pytest.mark.parametrize("scale", [1, 2])
def test_a_semantic_hand_changes_the_mask_about_its_point_only(sac, scale):
    options = SegmentOptions(mode="semantic")
    found = embed(sac, _picture(scale), float(scale), options)
    size = 256 // scale
    points = np.array([[(128, 40), (40, 200)]], np.float32) / scale
    asked = Prompts(points, np.array([[POSITIVE, NEGATIVE]], np.int8))
    deaf = decode_semantic(sac, found, asked, options)
    heard = decode_semantic(sac, found, replace(asked, by_hand=np.array([[True, True]])), options)
    rows, columns = np.mgrid[:size, :size]
    away = np.min([np.hypot(columns - x, rows - y) for x, y in points[0]], axis=0)
    changed = deaf != heard
    assert changed.any() and away[changed].max() < 5 * 0.2 * sac.config.diameter / scale


# Pixels


def _half_plane(vertical: bool) -> torch.Tensor:
    """Logits (1, 64, 64): -1 in cells before 32, +1 from there on, along x or y."""
    logits = torch.full((64, 64), -1.0)
    logits[:, 32:] = 1.0
    return (logits if vertical else logits.T)[None]


@pytest.mark.parametrize(
    "origin, scale, first, start",
    [
        ((0, 0), 1.0, 64, 0),  # cell 32 begins at 2 * 32 pixels
        ((10, 10), 1.0, 74, 10),
        ((0, 0), 0.5, 128, 0),  # each scaled pixel is two of the picture's
        ((10, 10), 0.5, 148, 20),
        ((10, 10), 2.0, 37, 5),  # (10 + 64) / 2
        ((11, 11), 2.0, 38, 5),  # 37.5 is the middle of pixel 37: logit 0, not inside
        ((-7, -7), 1.0, 57, -7),
    ],
)
@pytest.mark.parametrize("vertical", [True, False])
def test_a_half_plane_lands_on_its_pixels(origin, scale, first, start, vertical):
    starts, windows = _on_pixels(_half_plane(vertical), np.array([origin], float), 2.0, scale)
    assert starts.tolist() == [[start, start]]
    assert windows.shape[1] == windows.shape[2] == 64 * 2 / scale + 1
    inside = windows[0] > 1e-6
    along = inside.any(axis=0) if vertical else inside.any(axis=1)
    assert start + int(along.argmax()) == first
    assert along[along.argmax() :].all()
    assert np.array_equal(inside, np.broadcast_to(along if vertical else along[:, None], inside.shape))


def test_values_between_cells_are_interpolated():
    """Cells of 2 pixels: pixel 63 is a quarter of a cell before the border, pixel 64 a quarter behind it."""
    _, windows = _on_pixels(_half_plane(True), np.array([[0.0, 0.0]]), 2.0, 1.0)
    assert windows[0, 5, 62:66].tolist() == pytest.approx([-1, -0.5, 0.5, 1])


def test_dim_picture_is_drawn_to_the_full_range():
    picture = np.full((10, 10, 3), 50, np.uint8)
    picture[5:] = 150
    picture[0, 0] = 90
    found = stretched(picture)
    assert found.dtype == np.uint8 and found.shape == picture.shape
    assert found[1, 1].tolist() == [0, 0, 0] and found[9, 9].tolist() == [255, 255, 255]
    assert found[0, 0].tolist() == [102, 102, 102]  # (90 - 50) * 255 / 100


def test_noise_of_few_levels_is_not_blown_up():
    """100 to 110 is narrower than 24 levels: stretched as if it reached 124."""
    picture = np.full((10, 10, 3), 100, np.uint8)
    picture[5:] = 110
    assert np.unique(stretched(picture)).tolist() == [0, 106]  # 10 * 255 / 24 = 106.25


@pytest.mark.parametrize("level", [0, 100, 255])
def test_uniform_picture_stays_uniform(level):
    assert len(np.unique(stretched(np.full((4, 5, 3), level, np.uint8)))) == 1


def test_stretching_keeps_the_order_of_intensities():
    ramp = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    levels = stretched(ramp)[..., 0].ravel().astype(int)
    assert (np.diff(levels) >= 0).all() and levels[0] == 0 and levels[-1] == 255
