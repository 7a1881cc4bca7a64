"""Tiles cover a picture, share their borders, and are put together without seams."""

import numpy as np
import pytest

from sac.inference.tiles import Tile, owners, plan_tiles, stitch

PLANS = [
    ((256, 256), 256, 64), ((257, 256), 256, 64), ((100, 60), 256, 64), ((520, 696), 256, 64), ((1000, 1000), 256, 0),
    ((64, 1000), 128, 127), ((511, 512), 128, 32), ((1, 1), 16, 4), ((448, 449), 256, 64),
]  # fmt: skip


@pytest.mark.parametrize("size, side, overlap", PLANS)
def test_every_pixel_is_covered(size, side, overlap):
    seen = np.zeros(size, int)
    for tile in plan_tiles(size, side, overlap):
        assert tile.side == side and tile.x >= 0 and tile.y >= 0
        seen[tile.y : tile.y + side, tile.x : tile.x + side] += 1
    assert seen.min() >= 1


@pytest.mark.parametrize("size, side, overlap", PLANS)
def test_neighbours_share_the_overlap_and_none_reaches_over_a_large_picture(size, side, overlap):
    tiles = plan_tiles(size, side, overlap)
    for length, starts in ((size[0], {t.y for t in tiles}), (size[1], {t.x for t in tiles})):
        starts = sorted(starts)
        assert starts[0] == 0 and starts[-1] == max(0, length - side)
        assert all(side - (later - earlier) >= overlap for earlier, later in zip(starts, starts[1:]))


def test_as_few_tiles_as_will_do():
    assert plan_tiles((100, 256), 256, 64) == [Tile(0, 0, 256)]
    assert len(plan_tiles((256, 257), 256, 64)) == 2
    assert len(plan_tiles((448, 448), 256, 64)) == 4  # 256 + 192
    assert len(plan_tiles((448, 449), 256, 64)) == 6


@pytest.mark.parametrize("overlap", [256, 300])
def test_an_overlap_that_leaves_no_step_is_refused(overlap):
    with pytest.raises(Exception, match="overlap"):
        plan_tiles((500, 500), 256, overlap)


@pytest.mark.parametrize("size", [(70, 90), (20, 90), (20, 10), (32, 32)])
def test_constant_maps_stitch_to_a_constant(size):
    tiles = plan_tiles(size, 32, 8)
    maps = np.broadcast_to(np.array([3.0, -1.5], np.float32)[:, None, None], (len(tiles), 2, 32, 32))
    whole = stitch(tiles, maps, size)
    assert whole.shape == (2, *size) and whole.dtype == np.float32
    assert np.allclose(whole[0], 3, atol=1e-5) and np.allclose(whole[1], -1.5, atol=1e-5)


@pytest.mark.parametrize("size", [(70, 90), (20, 90), (20, 10), (32, 32), (101, 33)])
def test_a_cut_map_stitches_back(size):
    whole = np.random.default_rng(0).normal(size=(*size, 3)).astype(np.float32)
    tiles = plan_tiles(size, 32, 8)
    maps = np.stack([tile.cut(whole) for tile in tiles]).transpose(0, 3, 1, 2)
    assert np.allclose(stitch(tiles, maps, size), whole.transpose(2, 0, 1), atol=1e-5)


def test_a_tile_says_little_at_its_border_and_most_in_its_middle():
    tiles = plan_tiles((16, 28), 16, 4)
    maps = np.stack([np.full((1, 16, 16), value, np.float32) for value in (0, 1)])
    row = stitch(tiles, maps, (16, 28))[0, 8]
    assert row[:12].max() == 0 and row[16:].min() == 1
    assert row[12:16] == pytest.approx([1 / 5, 2 / 5, 3 / 5, 4 / 5])  # weights 4:1, 3:2, 2:3, 1:4


def test_a_small_picture_is_filled_up():
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    cut = Tile(0, 0, 4).cut(pixels, (7, 8, 9))
    assert cut.shape == (4, 4, 3) and cut.dtype == np.uint8
    assert np.array_equal(cut[:2, :3], pixels)
    assert (cut[2:] == (7, 8, 9)).all() and (cut[:, 3:] == (7, 8, 9)).all()


def test_a_point_belongs_to_the_tile_it_lies_deepest_in():
    tiles = plan_tiles((256, 448), 256, 64)  # from 0 and from 192: the seam is at 224
    points = np.array([[10, 10], [223, 128], [225, 128], [440, 250]], np.float32)
    assert owners(tiles, points).tolist() == [0, 0, 1, 1]


def test_owners_have_their_points():
    rng = np.random.default_rng(1)
    tiles = plan_tiles((700, 900), 256, 64)
    points = (rng.random((200, 2)) * (900, 700)).astype(np.float32)
    for (x, y), index in zip(points, owners(tiles, points)):
        tile = tiles[index]
        assert tile.x <= x <= tile.x + 256 and tile.y <= y <= tile.y + 256
    assert owners(tiles, np.zeros((0, 2), np.float32)).tolist() == []
