"""`embed` once, `decode` for every edit: the only place that knows SAM's input frame.

Both are functions of their arguments. Everything they take and return is in pixels of the picture at hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sac.config import SegmentOptions
from sac.inference.by_hand import REACH_BY_HAND, heed_in_tiles, say_by_hand
from sac.inference.instances import SMALLEST, Mask, stability
from sac.inference.maps import nuclei_maps
from sac.inference.tiled import Tiled, rescaled, resized, stretched, tiles_at_once
from sac.inference.tiles import Tile, owners, stitch
from sac.model.auto_prompt import mask_prior
from sac.model.decoder import UPSCALING, TokenPrompts, window_origins
from sac.model.sac import INSTANCE_MASK, SAC, SEMANTIC_MASK, fast
from sac.prompts import POSITIVE, Prompts

PROMPTS_AT_ONCE = 64


@dataclass(frozen=True)
class Embedding:
    """One picture, embedded.

    size: (height, width) of the picture; scale: what it was magnified by before tiling. tiles: T squares of the
    scaled picture. features (T, C, h, w) and maps (T, 2, side, side) on the model's device. nuclei_map (2, H, W)
    float32 on the picture's own pixels: probability of nucleus, and distance to its border, 0 to 1.
    """

    size: tuple[int, int]
    scale: float
    tiles: list[Tile]
    features: Tensor
    maps: Tensor
    nuclei_map: np.ndarray

    @property
    def nbytes(self) -> int:
        """Memory that it holds."""
        return self.features.nbytes + self.maps.nbytes + self.nuclei_map.nbytes

    def only(self, tiles: list[int]) -> Embedding:
        """The same with some of its tiles: good for what lies on them."""
        return replace(self, tiles=[self.tiles[t] for t in tiles], features=self.features[tiles], maps=self.maps[tiles])

    def on(self, device: torch.device) -> Embedding:
        """The same, on the device of another model."""
        return replace(self, features=self.features.to(device), maps=self.maps.to(device))

    def __reduce__(self):
        """Goes to another process as arrays: tensors would have to share memory, or a device, with it."""
        arrays = self.features.cpu().numpy(), self.maps.cpu().numpy(), self.nuclei_map
        return _of_arrays, (self.size, self.scale, self.tiles, *arrays)


def _of_arrays(size, scale, tiles, features: np.ndarray, maps: np.ndarray, nuclei_map: np.ndarray) -> Embedding:
    return Embedding(size, scale, tiles, torch.from_numpy(features), torch.from_numpy(maps), nuclei_map)


@torch.inference_mode()
def embed(
    sac: SAC,
    pixels: np.ndarray,
    scale: float,
    options: SegmentOptions,
    told: Callable[[float], None] = lambda share: None,
) -> Embedding:
    """A picture's image embeddings and nuclei map, tile by tile. pixels (H, W, 3) uint8 RGB. told: hears the share done."""
    tiled = Tiled.of(sac, pixels, scale, options.overlap)
    features, maps = [], []
    for crops in tiled.crops(sac):
        told(sum(map(len, maps)) / len(tiled.tiles))
        with fast(sac.sam.device):
            features.append(sac.encode(crops, options.adapted).float())
        maps.append(nuclei_maps(sac, crops, features[-1] if options.adapted else None))
    logits = torch.cat(maps)
    return Embedding(tiled.size, scale, tiled.tiles, torch.cat(features), logits, tiled.whole(logits.sigmoid()))


@torch.inference_mode()
def embed_by_vanilla(sac: SAC, pixels: np.ndarray, own: Embedding) -> Embedding:
    """A picture's tiles as vanilla SAM embeds them. `own`: SAC's embedding of it, whose map, and so whose prompts, stay."""
    tiled = Tiled(own.size, rescaled(stretched(pixels), own.scale), own.tiles)
    with fast(sac.sam.device):
        features = [sac.encode(crops, adapted=False).float() for crops in tiled.crops(sac)]
    return replace(own, features=torch.cat(features))


@torch.inference_mode()
def decode(sac: SAC, embedding: Embedding, prompts: Prompts, options: SegmentOptions) -> list[Mask]:
    """A mask per prompt, each decoded on a window about its positive point, in the tile that knows it best."""
    if not len(prompts):
        return []
    anchors = prompts.points[np.arange(len(prompts)), (prompts.labels == POSITIVE).argmax(axis=1)]
    tile = owners(embedding.tiles, anchors * embedding.scale)
    masks: list[Mask] = []
    for group in _by_boxes(prompts):
        for start in range(0, len(group), PROMPTS_AT_ONCE):
            rows = group[start : start + PROMPTS_AT_ONCE]
            masks.extend(_decode_rows(sac, embedding, prompts, rows, tile[rows], options))
    return masks


def _by_boxes(prompts: Prompts) -> list[np.ndarray]:
    """Rows without a box and rows with one: SAM's prompt encoder takes either in a batch, not both."""
    if prompts.boxes is None:
        return [np.arange(len(prompts))]
    boxed = np.isfinite(prompts.boxes).all(axis=1)
    return [np.flatnonzero(~boxed), np.flatnonzero(boxed)]


@torch.inference_mode()
def decode_semantic(sac: SAC, embedding: Embedding, prompts: Prompts, options: SegmentOptions) -> np.ndarray:
    """One mask (H, W) bool of all nuclei: row t of `prompts` decoded on the whole of tile t, then blended.

    Where the embedding has no tile it is False.
    """
    logits = []
    many = tiles_at_once(sac)
    for start in range(0, len(embedding.tiles), many):
        rows = np.arange(start, min(start + many, len(embedding.tiles)))
        asked = _token_prompts(sac, embedding, prompts[rows], rows)
        masks, _ = _decoded(sac, embedding, asked, options, whole=True)
        index = SEMANTIC_MASK if options.adapted else INSTANCE_MASK
        masks = F.interpolate(masks[:, index, None].float(), size=embedding.maps.shape[-2:], mode="bilinear")
        if options.adapted:
            masks = masks + mask_prior(embedding.maps[rows, :1])
        logits.append(masks.cpu())
    blended = torch.cat(logits).numpy()
    if prompts.by_hand is not None:
        reach = REACH_BY_HAND * sac.config.diameter
        heed_in_tiles(blended[:, 0], embedding.tiles, embedding.scale, prompts, reach)
    scaled = tuple(round(length * embedding.scale) for length in embedding.size)
    whole = stitch(embedding.tiles, blended, scaled)
    return resized(whole, embedding.size)[0] > 0


def _decoded(sac: SAC, embedding: Embedding, asked: TokenPrompts, options: SegmentOptions, whole: bool = False):
    """What `SAC.decode` says, from the tiles that are asked about alone.

    The maps go along as dense prompts; vanilla SAM goes by points alone.
    """
    used, image = asked.image.unique(return_inverse=True)
    hints = embedding.maps[used] if options.adapted else None
    with fast(sac.sam.device):
        return sac.decode(embedding.features[used], replace(asked, image=image), hints, options.adapted, whole)


def _token_prompts(sac: SAC, embedding: Embedding, prompts: Prompts, tile: np.ndarray) -> TokenPrompts:
    """Prompts in SAM's frame: scaled, moved to their tile, with the window each is decoded on."""
    device = sac.sam.device
    corners = np.array([(embedding.tiles[t].x, embedding.tiles[t].y) for t in tile], np.float32)

    def framed(places: np.ndarray) -> Tensor:
        scaled = (places + 0.5) * embedding.scale - 0.5 - corners[:, None]
        return torch.from_numpy(scaled.astype(np.float32)).to(device) * (sac.frame / sac.config.tile)

    points = framed(prompts.points)
    boxed = prompts.boxes is not None and np.isfinite(prompts.boxes).all()
    first = (prompts.labels == POSITIVE).argmax(axis=1)
    anchors = points[torch.arange(len(first)), torch.from_numpy(first)]
    return TokenPrompts(
        image=torch.from_numpy(tile).to(device),
        points=points,
        labels=torch.from_numpy(prompts.labels.astype(np.int64)).to(device),
        origins=window_origins(anchors, sac.tokens, min(sac.config.window, sac.tokens), sac.stride),
        boxes=framed(prompts.boxes.reshape(-1, 2, 2)).flatten(1) if boxed else None,
    )


def _decode_rows(sac, embedding, prompts, rows, tile, options) -> Iterator[Mask]:
    if not len(rows):
        return
    asked = _token_prompts(sac, embedding, prompts[rows], tile)
    logits, ious = _decoded(sac, embedding, asked, options)
    corners = np.array([(embedding.tiles[t].x, embedding.tiles[t].y) for t in tile])
    frame_pixels = sac.config.tile / sac.frame
    origins = asked.origins.cpu().numpy() * sac.stride * frame_pixels + corners
    step = sac.stride / UPSCALING * frame_pixels
    starts, windows = _on_pixels(logits[:, INSTANCE_MASK].float(), origins, step, embedding.scale)
    certainty = ious[:, INSTANCE_MASK].float().clamp(0, 1).cpu().numpy()
    for row, start, window, value in zip(rows, starts, windows, certainty):
        mask = _on_picture(start, window, embedding.size)
        asked_by = prompts[[row]]
        mask = replace(mask, logits=mask.logits + _others_say(mask, asked_by, embedding, sac, options))
        if (mask.logits > 0).sum() * embedding.scale**2 >= SMALLEST:
            steady, nucleus = stability(mask.logits), _likeness(mask, asked_by, embedding, options)
            told = {"certainty": float(value) * nucleus, "nucleus": nucleus, "stability": steady}
            yield replace(_trimmed(mask), prompt=int(row), **told)


def _on_pixels(logits: Tensor, origins: np.ndarray, step: float, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Low-res logits (N, L, L) resampled onto the picture's pixels.

    Cell i of a window covers `step` scaled pixels from `origins` (N, 2) on. Returns the first pixel (x, y) of each
    window, (N, 2) int64, and (N, S, S) float32.
    """
    side = logits.shape[-1]
    starts = np.floor(origins / scale).astype(np.int64)
    count = int(np.ceil(side * step / scale)) + 1
    pixels = starts[:, :, None] + np.arange(count)
    cells = ((pixels + 0.5) * scale - origins[:, :, None]) / step
    grid = torch.from_numpy((2 * cells / side - 1).astype(np.float32)).to(logits.device)
    x = grid[:, 0, None, :].expand(-1, count, -1)
    y = grid[:, 1, :, None].expand(-1, -1, count)
    windows = F.grid_sample(
        logits[:, None], torch.stack([x, y], dim=-1), mode="bilinear", padding_mode="border", align_corners=False
    )
    return starts, windows[:, 0].cpu().numpy()


def _on_picture(start: np.ndarray, window: np.ndarray, size: tuple[int, int]) -> Mask:
    """A window whose first pixel is `start` (x, y), without what lies beside a picture of `size`."""
    x, y = (int(v) for v in start)
    part = window[max(0, -y) : size[0] - y, max(0, -x) : size[1] - x]
    return Mask(max(0, x), max(0, y), part, certainty=0.0, prompt=-1)


def _trimmed(mask: Mask) -> Mask:
    """The same mask in the smallest window that holds it."""
    inside = mask.logits > 0
    rows, columns = (np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0)))
    part = mask.logits[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return replace(mask, x=mask.x + int(columns[0]), y=mask.y + int(rows[0]), logits=part.copy())


def _others_say(mask: Mask, prompts: Prompts, embedding: Embedding, sac: SAC, options: SegmentOptions) -> np.ndarray:
    """What the generator and, near their points, users add to the decoder's logits (h, w) of one row of prompts."""
    say = np.zeros(mask.logits.shape, np.float32)
    if options.adapted:
        say += _prior(embedding.nuclei_map[0][mask.window])
    if prompts.by_hand is not None and prompts.by_hand.any():
        reach = REACH_BY_HAND * sac.config.diameter / embedding.scale
        say += say_by_hand(say, *np.ogrid[mask.window], prompts, reach)
    return say


def _likeness(mask: Mask, prompts: Prompts, embedding: Embedding, options: SegmentOptions) -> float:
    """`Mask.nucleus` of a mask that one row of prompts asked for."""
    by_hand = prompts.by_hand is not None and prompts.by_hand.any()
    if by_hand or not options.adapted:
        return 1.0
    return float(embedding.nuclei_map[0][mask.window][mask.logits > 0].mean())


def _prior(probability: np.ndarray) -> np.ndarray:
    """The generator's say on a window of the picture, from its probability of nucleus (h, w)."""
    return mask_prior(torch.logit(torch.from_numpy(probability), eps=1e-4)).numpy()
