"""The packed forward: every prompt is computed once, and any number of branches continue it.

    packed = PackedPolicy(model, processor)            # model: a Qwen3-VL, with or without PEFT LoRA layers inside
    images = packed.encode(views)                      # uint8 [N, H, W, 3] -> ImageFeatures, gradient only if enabled
    prefix = packed.prefill(prompts, images)           # list of B token lists, images in the order of the prompts
    logits = packed.logits(prefix.last)                # [B, V]: next-token logits of each prompt
    hidden = packed.branch(prefix, ids)                # ids int64 [B, K, T] -> hidden [B, K, T, D]
    logp = packed.log_probs(prefix, ids)               # [B, K, T]: log p(ids[b, k, t] | prompt b, ids[b, k, :t])
    cache = packed.cache()                             # of branches that grow token by token:
    hidden = packed.extend(prefix, cache, ids)         # next tokens int64 [B, K] -> hidden [B, K, D]

A *prefix* is a chat header with images (and a question). Its K *branches* are completions (in pre-training, questions
with their answers); each attends to the prefix and to itself, never to other branches. GRPO has 16 completions per
prompt: images and prompt are computed once instead of 16 times, forward and backward. The weights, modules and
arithmetic are those of the Hugging Face model, so logits agree to 1e-5 in float32. LoRA layers work because their
modules are called. Gradients flow through prefix and branches if enabled.

Shapes: B prompts, P longest prompt, K branches of T tokens, D hidden size, V vocabulary. Prompts of different lengths
are padded on the right and masked. Branches are padded on the right with any token id: attention is causal, so hidden
states before the padding are correct and those in the padding must be ignored. Image tokens in a prompt are expanded,
one id per token (see `expand`), and all views of one call have the same size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from learner.policy.vision import BatchedVision, FeatureCache, ImageFeatures, join_features, rotate_half
from protocol.errors import VantageError

_LEAST_ROOM = 32  # tokens of a cache
_MOST_WEIGHTS = 2**22  # attention weights of one prompt and head that are computed explicitly


class Prefix(NamedTuple):
    """A computed batch of prompts, input of `branch`."""

    keys: tuple[Tensor, ...]  # per layer [B, H, P, head_dim], rotated
    values: tuple[Tensor, ...]  # per layer [B, H, P, head_dim]
    bias: Tensor | None  # [B, 1, 1, P]: -inf at padding, else 0; None if all prompts have the same length
    next_position: Tensor  # [B] rotary position of the first token after the prompt
    last: Tensor  # [B, D] normalised hidden state of the last token of each prompt

    def select(self, index: Tensor) -> Prefix:
        """The prompts at these indices."""
        bias = None if self.bias is None else self.bias[index]
        keys, values = (tuple(layer[index] for layer in layers) for layers in (self.keys, self.values))
        return Prefix(keys, values, bias, self.next_position[index], self.last[index])


class Cache:
    """Keys and values of branches that grow token by token, per layer [B, H, K, room, head_dim]; see `extend`."""

    def __init__(self, layers: int) -> None:
        self.length = 0
        self._keys: list[Tensor | None] = [None] * layers
        self._values: list[Tensor | None] = [None] * layers

    def append(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Add one token to every branch, [B, H, K, head_dim] each; return all keys and values of the layer."""
        found = []
        for store, new in ((self._keys, key), (self._values, value)):
            stored = store[layer]
            if stored is None or stored.shape[3] == self.length:
                room = new.new_empty(*new.shape[:3], max(_LEAST_ROOM, 2 * self.length), new.shape[3])
                if stored is not None:
                    room[:, :, :, : self.length] = stored
                store[layer] = stored = room
            stored[:, :, :, self.length] = new
            found.append(stored[:, :, :, : self.length + 1])
        return found[0], found[1]


class PackedPolicy:
    """Prefix-and-branches forward of a Qwen3-VL model; see the module docstring.

    Raises VantageError("unsupported") for other architectures; they use the forward of transformers.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        base = model.get_base_model() if hasattr(model, "get_base_model") else model
        if getattr(base.config, "model_type", "") != "qwen3_vl":
            raise VantageError("unsupported", "the packed forward needs a Qwen3-VL model: use the transformers engine")
        self.model = base
        self.text = base.model.language_model
        images = processor.image_processor
        self.vision = BatchedVision(base.model.visual, list(images.image_mean), list(images.image_std))
        self.image_token_id = int(base.config.image_token_id)
        self.pad_token_id = int(processor.tokenizer.pad_token_id)
        self._encoded = FeatureCache()

    @property
    def device(self) -> torch.device:
        return self.text.embed_tokens.weight.device

    def encode(self, views: NDArray[np.uint8] | Tensor) -> ImageFeatures:
        """Image features of views uint8 [N, H, W, 3]. Wrap in torch.no_grad() if the vision tower is frozen."""
        return self.vision(views)

    @torch.no_grad()
    def encode_once(self, views: Sequence[NDArray[np.uint8]]) -> ImageFeatures:
        """Image features of views of one shape, without gradient.

        A view is encoded once: screening, sampling, the training step and later uses of a question pass the same array.
        """
        found = [self._encoded.get(view) for view in views]
        missing = {id(view): view for view, known in zip(views, found) if known is None}
        if missing:
            new = self.encode(np.stack(list(missing.values())))
            for index, view in enumerate(missing.values()):
                self._encoded.add(view, new.select(torch.tensor([index], device=self.device)))
            found = [self._encoded.get(view) for view in views]
        return join_features([features for features in found if features is not None])

    def expand(self, token_ids: Sequence[int], height_px: int, width_px: int) -> list[int]:
        """Replace every image token by as many tokens as an image of this size has."""
        rows, columns = self.vision.grid(height_px, width_px)
        out: list[int] = []
        for token in token_ids:
            out += [token] * (rows * columns if token == self.image_token_id else 1)
        return out

    def prefill(
        self, prompts: Sequence[Sequence[int]], images: ImageFeatures | None, grid: tuple[int, int] | None = None
    ) -> Prefix:
        """Compute prompts, given as token ids with expanded image tokens.

        `images` holds the features of all images in the order of the prompts, or None if there are none. `grid` is
        (rows, columns) of tokens per image; by default images are square.
        """
        device = self.device
        lengths = [len(prompt) for prompt in prompts]
        longest = max(lengths)
        padded = np.full((len(prompts), longest), self.pad_token_id, np.int64)
        for row, prompt in zip(padded, prompts):
            row[: len(prompt)] = prompt
        tokens = 0 if images is None else images.tokens.shape[1]
        side = grid or (round(tokens**0.5),) * 2
        is_image = padded == self.image_token_id
        expected = 0 if images is None else images.tokens.shape[0] * tokens
        if is_image.sum() != expected or side[0] * side[1] != tokens:
            raise VantageError("internal", f"prompts have {is_image.sum()} image tokens but the images have {expected}")
        layout = [_rope_positions(row[:length].tobytes(), *side) for row, length in zip(is_image, lengths)]
        positions = np.zeros((3, len(prompts), longest), np.int64)
        for index, (columns, _) in enumerate(layout):
            positions[:, index, : lengths[index]] = columns
        next_position = torch.tensor([following for _, following in layout], device=device)
        image_at = torch.from_numpy(np.flatnonzero(is_image)).to(device)

        hidden = self.text.embed_tokens(torch.from_numpy(padded).to(device))
        if images is not None:
            hidden = _overwrite(hidden, image_at, images.tokens)
        cos, sin = self._rotation(hidden, torch.from_numpy(positions).to(device))
        minus_inf = float("-inf")
        causal = torch.full((longest, longest), minus_inf, device=device, dtype=hidden.dtype).triu(1)
        bias = None
        if min(lengths) < longest:
            absent = torch.arange(longest, device=device) >= torch.tensor(lengths, device=device)[:, None]
            bias = torch.zeros(absent.shape, device=device, dtype=hidden.dtype).masked_fill(absent, minus_inf)
            bias = bias[:, None, None, :]
        rows = torch.arange(len(prompts), device=device)
        last_at = torch.tensor(lengths, device=device) - 1

        keys, values = [], []
        for index, layer in enumerate(self.text.layers):
            attention = layer.self_attn
            normed = layer.input_layernorm(hidden)
            key, value = _key_value(attention, normed, cos, sin)
            keys.append(key)
            values.append(value)
            mask = causal
            if index == len(self.text.layers) - 1:
                # Only the last token is needed: keys and values of the others are computed above.
                hidden, normed = hidden[rows, last_at][:, None], normed[rows, last_at][:, None]
                cos, sin = cos[rows, :, last_at][:, :, None], sin[rows, :, last_at][:, :, None]
                mask = causal[last_at][:, None, None]
            query = _query(attention, normed, cos, sin)
            hidden = _finish(layer, hidden, _attend(query, _grouped(attention, key), _grouped(attention, value), mask))
            if images is not None and index < len(images.deepstack) and index < len(self.text.layers) - 1:
                hidden = _add(hidden, image_at, images.deepstack[index])
        return Prefix(tuple(keys), tuple(values), bias, next_position, self.text.norm(hidden)[:, 0])

    def branch(
        self, prefix: Prefix, ids: Tensor, at: Tensor | None = None, tap: tuple[int, list[Tensor]] | None = None
    ) -> Tensor:
        """Normalised hidden states of branches: ids int64 [B, K, T] -> [B, K, T, D].

        With `at` (int64 [B, K, S], positions in the branch) the last layer computes and returns only those S states,
        [B, K, S, D]. `tap` = (layer, list) appends the raw hidden states [B, K, T, D] of that layer to the list.
        """
        count, branches, length = ids.shape
        flat = branches * length
        hidden = self.text.embed_tokens(ids.reshape(count, flat))
        steps = prefix.next_position[:, None] + torch.arange(length, device=ids.device)
        cos, sin = self._rotation(hidden, steps.expand(3, -1, -1))  # [B, 1, T, head_dim]: equal for all branches
        cos, sin = (part.repeat(1, 1, branches, 1) for part in (cos, sin))
        own = torch.full((length, length), float("-inf"), device=ids.device, dtype=hidden.dtype).triu(1)
        for index, layer in enumerate(self.text.layers):
            attention = layer.self_attn
            normed = layer.input_layernorm(hidden)
            key, value = _key_value(attention, normed, cos, sin)
            if at is not None and index == len(self.text.layers) - 1:
                chosen = (at + torch.arange(branches, device=ids.device)[:, None] * length).reshape(count, -1)
                hidden, normed = _take(hidden, chosen), _take(normed, chosen)
                cos, sin = (_take(part[:, 0], chosen)[:, None] for part in (cos, sin))
                own = own[at][:, None]  # [B, 1, K, S, T]
            query = _query(attention, normed, cos, sin)
            mixed = _branch_attention(attention, query, prefix, index, key, value, own, branches)
            hidden = _finish(layer, hidden, mixed)
            if tap is not None and index == tap[0]:
                tap[1].append(hidden.view(count, branches, -1, hidden.shape[-1]))
        return self.text.norm(hidden).view(count, branches, -1, hidden.shape[-1])

    def cache(self) -> Cache:
        return Cache(len(self.text.layers))

    def extend(self, prefix: Prefix, cache: Cache, ids: Tensor) -> Tensor:
        """Add the tokens int64 [B, K] to K branches of each prompt; normalised hidden states of the tokens [B, K, D].

        The same values as `branch` computes, in linear instead of quadratic time for every token.
        """
        hidden = self.text.embed_tokens(ids)
        cos, sin = self._rotation(hidden, (prefix.next_position + cache.length).expand(3, -1)[..., None])
        for index, layer in enumerate(self.text.layers):
            attention = layer.self_attn
            normed = layer.input_layernorm(hidden)
            key, value = _key_value(attention, normed, cos, sin)
            own_key, own_value = cache.append(index, key, value)
            query = _query(attention, normed, cos, sin)  # [B, H_query, K, d]
            grouped = query.unflatten(1, (key.shape[1], -1))  # [B, H, G, K, d]
            to_prefix = torch.einsum("bhgkd,bhpd->bhgkp", grouped, prefix.keys[index])
            if prefix.bias is not None:
                to_prefix = to_prefix + prefix.bias[:, None]
            to_own = torch.einsum("bhgkd,bhktd->bhgkt", grouped, own_key)
            length = to_prefix.shape[-1]
            weights = torch.cat([to_prefix, to_own], -1).softmax(-1)
            mixed = torch.einsum("bhgkp,bhpd->bhgkd", weights[..., :length], prefix.values[index])
            mixed = mixed + torch.einsum("bhgkt,bhktd->bhgkd", weights[..., length:], own_value)
            hidden = _finish(layer, hidden, mixed.flatten(1, 2))
        cache.length += 1
        return self.text.norm(hidden)

    def logits(self, hidden: Tensor) -> Tensor:
        """Logits [..., V] of normalised hidden states [..., D]."""
        return self.model.lm_head(hidden)

    def log_probs(self, prefix: Prefix, ids: Tensor) -> Tensor:
        """log p of every token of completions ids [B, K, T], given the prompt and the tokens before it: [B, K, T].

        Values at padding are meaningless: mask them.
        """
        branches, length = ids.shape[1:]
        first = self.logits(prefix.last)[:, None, None].expand(-1, branches, -1, -1)
        if length > 1:
            rest = self.logits(self.branch(prefix, ids[..., :-1]))
            first = torch.cat([first, rest], 2)
        return first.float().log_softmax(-1).gather(-1, ids[..., None])[..., 0]

    def _rotation(self, like: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """cos and sin [B, 1, L, head_dim] for positions int64 [3, B, L]."""
        with torch.no_grad():
            cos, sin = self.text.rotary_emb(like, positions)
        return cos[:, None], sin[:, None]


@lru_cache(maxsize=4096)
def _rope_positions(is_image: bytes, rows: int, columns: int) -> tuple[NDArray[np.int64], int]:
    """Return Qwen3-VL's positions [3, L] along time, height and width, and the next free position.

    Text advances all three axes together. An image has one position in time; text after it continues at its start plus
    its longer side.
    """
    mask = np.frombuffer(is_image, bool)
    positions = np.empty((3, len(mask)), np.int64)
    index = position = 0
    while index < len(mask):
        if not mask[index]:
            positions[:, index] = position
            index, position = index + 1, position + 1
            continue
        cells = np.arange(rows * columns)
        offsets = np.stack([cells * 0, cells // columns, cells % columns])
        positions[:, index : index + len(cells)] = position + offsets
        index, position = index + len(cells), position + max(rows, columns)
    return positions, position


def _overwrite(hidden: Tensor, image_at: Tensor, features: Tensor) -> Tensor:
    flat = hidden.reshape(-1, hidden.shape[-1])
    return flat.index_copy(0, image_at, features.reshape(-1, hidden.shape[-1]).to(hidden.dtype)).view_as(hidden)


def _add(hidden: Tensor, image_at: Tensor, features: Tensor) -> Tensor:
    flat = hidden.reshape(-1, hidden.shape[-1])
    return flat.index_add(0, image_at, features.reshape(-1, hidden.shape[-1]).to(hidden.dtype)).view_as(hidden)


def _take(x: Tensor, index: Tensor) -> Tensor:
    """x [B, L, D] at index [B, S] -> [B, S, D]."""
    return x.gather(1, index[..., None].expand(-1, -1, x.shape[-1]))


def _heads(attention: Any, x: Tensor) -> Tensor:
    return x.view(*x.shape[:2], -1, attention.head_dim)


def _key_value(attention: Any, normed: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
    key = attention.k_norm(_heads(attention, attention.k_proj(normed))).transpose(1, 2)
    return key * cos + rotate_half(key) * sin, _heads(attention, attention.v_proj(normed)).transpose(1, 2)


def _query(attention: Any, normed: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    query = attention.q_norm(_heads(attention, attention.q_proj(normed))).transpose(1, 2)
    return (query * cos + rotate_half(query) * sin) * attention.scaling


def _grouped(attention: Any, x: Tensor) -> Tensor:
    """Repeat keys or values [B, H_kv, L, d] for every query head of their group."""
    groups = attention.num_key_value_groups
    return x if groups == 1 else x.repeat_interleave(groups, 1)


def _finish(layer: Any, hidden: Tensor, mixed: Tensor) -> Tensor:
    """Output projection and feed-forward of a layer; mixed is [B, H, L, d]."""
    count, _, length, _ = mixed.shape
    hidden = hidden + layer.self_attn.o_proj(mixed.transpose(1, 2).reshape(count, length, -1))
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor) -> Tensor:
    """softmax(query key^T + mask) value, without the weights in memory if there are many."""
    if query.shape[2] * key.shape[2] > _MOST_WEIGHTS:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask.to(query.dtype), scale=1.0)
    return (query @ key.transpose(-1, -2) + mask).softmax(-1) @ value


def _branch_mask(prefix: Prefix, own: Tensor, count: int, branches: int, length: int) -> Tensor:
    """Mask of branches as separate sequences after their prefix, [1 or B * K, 1, S, P + T]."""
    if prefix.bias is None and own.ndim == 2:
        return torch.cat([own.new_zeros(own.shape[0], length), own], -1)[None, None]
    own = own.expand(count, 1, branches, -1, -1)
    bias = own.new_zeros(count, 1, 1, length) if prefix.bias is None else prefix.bias
    shared = bias[:, :, None].expand(-1, -1, branches, own.shape[3], -1)
    return torch.cat([shared, own], -1).transpose(1, 2).flatten(0, 1)


def _branch_attention(
    attention: Any, query: Tensor, prefix: Prefix, layer: int, key: Tensor, value: Tensor, own: Tensor, branches: int
) -> Tensor:
    """Attention of query [B, H, K * S, d] to the prefix and, causally, to its own branch: [B, H, K * S, d]."""
    count, heads, queries, size = query.shape
    prefix_key, prefix_value = (_grouped(attention, x) for x in (prefix.keys[layer], prefix.values[layer]))
    shape = (count, heads, branches, -1, size)
    key, value = (_grouped(attention, x).reshape(shape) for x in (key, value))
    if queries * (prefix_key.shape[2] + key.shape[3]) > _MOST_WEIGHTS:
        mask = _branch_mask(prefix, own, count, branches, prefix_key.shape[2])
        keys, values = (
            torch.cat([shared[:, :, None].expand(-1, -1, branches, -1, -1), each], 3).transpose(1, 2).flatten(0, 1)
            for shared, each in ((prefix_key, key), (prefix_value, value))
        )
        separate = query.reshape(shape).transpose(1, 2).flatten(0, 1)  # [B * K, H, S, d]
        mixed = F.scaled_dot_product_attention(separate, keys, values, attn_mask=mask.to(query.dtype), scale=1.0)
        return mixed.unflatten(0, (count, branches)).transpose(1, 2).reshape(query.shape)
    to_prefix = query @ prefix_key.transpose(-1, -2)
    if prefix.bias is not None:
        to_prefix = to_prefix + prefix.bias
    to_own = query.reshape(shape) @ key.transpose(-1, -2) + own
    length = prefix_key.shape[2]
    weights = torch.cat([to_prefix.view(count, heads, branches, -1, length), to_own], -1).softmax(-1)
    from_prefix = weights[..., :length].reshape(count, heads, queries, length) @ prefix_value
    return from_prefix + (weights[..., length:] @ value).reshape(count, heads, queries, size)
