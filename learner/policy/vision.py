"""The vision tower of a Qwen3-VL as batched attention over images of one size.

Hugging Face's forward packs all patches into one row and loops over images for attention; for images of equal size one
batched product gives the same result. Weights, patch order and arithmetic are those of the model; see packed.py.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

from protocol.errors import VantageError


class ImageFeatures(NamedTuple):
    """Features of N images for the language model: tokens [N, n, D] and one [N, n, D] per deepstack layer."""

    tokens: Tensor
    deepstack: tuple[Tensor, ...]

    def select(self, index: Tensor) -> ImageFeatures:
        """Return the features of these images; an index may be repeated."""
        return ImageFeatures(self.tokens[index], tuple(level[index] for level in self.deepstack))


def join_features(parts: Sequence[ImageFeatures]) -> ImageFeatures:
    """Concatenate features of views, in order."""
    levels = zip(*(part.deepstack for part in parts))
    return ImageFeatures(torch.cat([part.tokens for part in parts]), tuple(torch.cat(level) for level in levels))


class FeatureCache:
    """Features of the views that were encoded last, each for as long as its array is in memory."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._known: OrderedDict[int, tuple[weakref.ref[NDArray[np.uint8]], ImageFeatures]] = OrderedDict()

    def get(self, view: NDArray[np.uint8]) -> Optional[ImageFeatures]:
        known = self._known.get(id(view))
        if known is None or known[0]() is not view:  # another array may have got the id of a freed one
            return None
        self._known.move_to_end(id(view))
        return known[1]

    def add(self, view: NDArray[np.uint8], features: ImageFeatures) -> None:
        self._known[id(view)] = (weakref.ref(view), features)
        self._known.move_to_end(id(view))
        while len(self._known) > self._most:
            self._known.popitem(last=False)


class _Grid(NamedTuple):
    """Tensors that depend only on the image size; n patches in the merge-block order of the model."""

    taps: Tensor  # [n, t] int64 indices into the learned position table
    tap_weights: Tensor  # [n, t]
    cos: Tensor  # [n, head_dim]
    sin: Tensor


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


class BatchedVision:
    """Callable: images uint8 [N, H, W, 3] -> ImageFeatures. Differentiable with respect to the weights."""

    def __init__(self, visual: Any, mean: list[float], std: list[float]) -> None:
        self.visual = visual
        self.merge = int(visual.spatial_merge_size)
        self.patch_px = int(visual.patch_size)
        scale = torch.tensor(std) * 255.0
        self._scale, self._shift = 1.0 / scale, -torch.tensor(mean) * 255.0 / scale
        self._grids: dict[tuple[int, int], _Grid] = {}

    def grid(self, height_px: int, width_px: int) -> tuple[int, int]:
        """Rows and columns of image tokens after merging."""
        cell = self.patch_px * self.merge
        if height_px % cell or width_px % cell or not (height_px and width_px):
            raise VantageError(
                "unsupported",
                f"views of {width_px} x {height_px} px are not supported: use multiples of {cell} px for both sides",
            )
        return height_px // cell, width_px // cell

    def patches(self, images: NDArray | Tensor) -> Tensor:
        """[N, n, channels * temporal * patch * patch], in the order of the Hugging Face image processor."""
        pixels = torch.as_tensor(images)
        count, height, width, _ = pixels.shape
        rows, columns = self.grid(height, width)
        device = self.visual.pos_embed.weight.device
        pixels = pixels.to(device).float() * self._scale.to(device) + self._shift.to(device)
        side, merge = self.patch_px, self.merge
        blocks = pixels.view(count, rows, merge, side, columns, merge, side, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
        frames = int(self.visual.patch_embed.temporal_patch_size)
        blocks = blocks.unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, frames, -1, -1)
        return blocks.reshape(count, rows * columns * merge * merge, -1)

    def __call__(self, images: NDArray | Tensor) -> ImageFeatures:
        visual = self.visual
        weight = visual.patch_embed.proj.weight
        count, height, width, _ = images.shape
        grid = self._grid(height, width, weight)
        positions = (visual.pos_embed(grid.taps) * grid.tap_weights[..., None].to(weight.dtype)).sum(1)
        hidden = F.linear(self.patches(images).to(weight.dtype), weight.flatten(1), visual.patch_embed.proj.bias)
        hidden = hidden + positions
        n = hidden.shape[1]
        levels: list[Tensor] = []
        taken = list(visual.deepstack_visual_indexes)
        for index, block in enumerate(visual.blocks):
            hidden = hidden + self._attend(block.attn, block.norm1(hidden), grid)
            hidden = hidden + block.mlp(block.norm2(hidden))
            if index in taken:
                merged = visual.deepstack_merger_list[taken.index(index)](hidden.reshape(count * n, -1))
                levels.append(merged.view(count, n // self.merge**2, -1))
        tokens = visual.merger(hidden.reshape(count * n, -1)).view(count, n // self.merge**2, -1)
        return ImageFeatures(tokens, tuple(levels))

    def _attend(self, attention: Any, x: Tensor, grid: _Grid) -> Tensor:
        count, n, _ = x.shape
        query, key, value = attention.qkv(x).view(count, n, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
        query = (query * grid.cos + rotate_half(query) * grid.sin) * attention.scaling
        key = key * grid.cos + rotate_half(key) * grid.sin
        mixed = (query @ key.transpose(-1, -2)).softmax(-1) @ value
        return attention.proj(mixed.transpose(1, 2).reshape(count, n, -1))

    def _grid(self, height_px: int, width_px: int, like: Tensor) -> _Grid:
        cached = self._grids.get((height_px, width_px))
        if cached is not None and cached.cos.dtype == like.dtype and cached.cos.device == like.device:
            return cached
        visual = self.visual
        rows, columns = self.grid(height_px, width_px)
        thw = torch.tensor([[1, rows * self.merge, columns * self.merge]], device=like.device)
        taps, weights = get_vision_interpolation_indices_and_weights(
            thw,
            num_grid_per_side=visual.num_grid_per_side,
            mode=visual.interpolation_mode,
            align_corners=visual.interpolation_align_corners,
            spatial_merge_size=self.merge,
        )
        with torch.no_grad():
            cos, sin = visual.rotary_pos_emb(like, get_vision_position_ids(thw, self.merge))
        grid = _Grid(taps, weights, cos.to(like.dtype), sin.to(like.dtype))
        self._grids[height_px, width_px] = grid
        return grid
