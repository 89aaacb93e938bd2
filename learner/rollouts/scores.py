"""Log-probabilities of tokens that continue prompts, in parts of bounded size.

pieces      tokens that continue a prompt, and where their log-probabilities go in the output
parts       pieces whose tokens, with those of their prompts, fit in `most_tokens`
checkpoint  with gradients and several parts, the activations of a part are computed again in the backward pass, so
            that memory holds one part at a time
logits      computed for the tokens that are scored only, in slices
shared      prompts about the same views are computed once up to where they differ; the rest of each is a continuation
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from functools import partial
from typing import Any, Iterator, NamedTuple, Optional, Sequence

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from learner.policy.packed import PackedPolicy
from learner.policy.shards import same_count
from learner.policy.vision import ImageFeatures
from learner.rollouts.base import Prompt, Rollout
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.inputs import batches_of_one_shape, grid_of, plain_inputs

_MOST_LOGITS = 2**26  # at once

MOST_TOKENS = 16384
_PROMPTS_AT_ONCE = 64
_MOST_PADDING = 1.25  # tokens of a batch with padding, as a multiple of those without


class Piece(NamedTuple):
    """Tokens that continue a prompt, and the position of their log-probabilities in the output.

    The first `given` tokens, such as reasoning before a true answer, have no place in the output.
    """

    row: int
    start: int
    token_ids: tuple[int, ...]
    given: int = 0


Read = tuple[
    Rollout, list[Piece]
]  # a prompt and the pieces that continue it; the completions of the rollout are unused


class _Size(NamedTuple):
    """The number of distinct continuations of a prompt, and tokens of the longest one and of the prompt."""

    branches: int
    longest: int
    prompt: int

    @property
    def tokens(self) -> int:
        return self.prompt + self.branches * self.longest


class _Output(NamedTuple):
    log_probs: Tensor  # float32 [R, length]; 0 where no token is
    entropies: Tensor  # float32 [R, length], without gradient


def packed_scores(
    packed: PackedPolicy,
    read: Sequence[Read],
    shape: tuple[int, int],
    temperature: float,
    most_tokens: int,
    prompts_at_once: int = _PROMPTS_AT_ONCE,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the tokens of all pieces and entropies of their distributions, float32 [R, length].

    Each image, prompt and distinct continuation is computed once, unless the continuations of a prompt are split.
    Gradients flow if enabled, but never into the vision tower.
    """
    output = _empty(shape, packed.device)
    batches = batches_of_one_shape([rollout.prompt for rollout, _ in read], prompts_at_once)
    parts = [part for batch in batches for part in _parts([read[index] for index in batch], most_tokens)]
    for part in parts:

        def score(part: Sequence[Read] = part) -> tuple[Tensor, Tensor]:
            return _packed_part(packed, part, temperature)

        _fill(part, output, *_bounded(score, len(parts) > 1))
    return output


def plain_scores(
    model: Any,
    processor: Any,
    encoder: PromptEncoder,
    read: Sequence[Read],
    shape: tuple[int, int],
    temperature: float,
    most_tokens: int,
) -> tuple[Tensor, Tensor]:
    """Like `packed_scores`, by the model's own forward pass, prompt by prompt, for any model class.

    Collective if the model is sharded: ranks with fewer parts repeat their last one, whose result is not used.
    """
    output = _empty(shape, model.device)
    parts = [part for one in read for part in _parts([one], most_tokens, prompt_per_branch=True)]
    passes = same_count(model, len(parts))
    for part in parts:

        def score(part: Sequence[Read] = part) -> tuple[Tensor, Tensor]:
            return _plain_part(model, processor, encoder, part[0], temperature)

        _fill(part, output, *_bounded(score, passes > 1))
    for _ in range(passes - len(parts)):
        unused, _ = _bounded(partial(_plain_part, model, processor, encoder, parts[-1][0], temperature), True)
        output.log_probs[:1] += 0 * unused.sum()  # its backward pass gathers weights too
    return output


def packed_truths(
    packed: PackedPolicy, encoder: PromptEncoder, prompts: Sequence[Prompt], most_tokens: int = MOST_TOKENS
) -> list[float]:
    """Mean log-probability of the true answer of each prompt, after its `thought`, under the live weights.

    Prompts that show the same image objects share the computation of their common tokens.
    """
    read = []
    for prompt, pieces in _truths(prompts):
        ids = list(encoder.prompt(prompt.text, len(prompt.images)))
        if prompt.images:
            ids = packed.expand(ids, *prompt.images[0].shape[:2])
        read.append((Rollout(prompt, tuple(ids), ()), pieces))
    log_probs = torch.zeros(_truth_shape(prompts), device=packed.device)
    with torch.no_grad():
        for batch in _of_one_size(_shared(read, packed.image_token_id)):
            log_probs += packed_scores(packed, batch, _truth_shape(prompts), 1.0, most_tokens)[0]
    return _means(prompts, log_probs)


def plain_truths(
    model: Any, processor: Any, encoder: PromptEncoder, prompts: Sequence[Prompt], most_tokens: int = MOST_TOKENS
) -> list[float]:
    """Like `packed_truths`, by the model's own forward pass, for any model class."""
    read = [(Rollout(p, encoder.prompt(p.text, len(p.images)), ()), pieces) for p, pieces in _truths(prompts)]
    with torch.no_grad():
        log_probs, _ = plain_scores(model, processor, encoder, read, _truth_shape(prompts), 1.0, most_tokens)
    return _means(prompts, log_probs)


def _truths(prompts: Sequence[Prompt]) -> list[tuple[Prompt, list[Piece]]]:
    found: dict[tuple[object, ...], tuple[Prompt, list[Piece]]] = {}
    for row, prompt in enumerate(prompts):
        assert prompt.truth, "the prompt has no true answer"
        piece = Piece(row, 0, prompt.thought + prompt.truth, len(prompt.thought))
        found.setdefault(prompt.key, (prompt, []))[1].append(piece)
    return list(found.values())


def _shared(read: Sequence[Read], image_token: int) -> list[Read]:
    """Join prompts about the same views into their common tokens, if these contain all images."""
    by_views: dict[tuple[int, ...], list[Read]] = {}
    for one in read:
        by_views.setdefault(tuple(map(id, one[0].prompt.images)), []).append(one)
    found: list[Read] = []
    for views, own in by_views.items():
        first = own[0][0]
        common = _common([rollout.prompt_ids for rollout, _ in own])
        if len(own) == 1 or not views or image_token in first.prompt_ids[common:]:
            found += own
            continue
        pieces = [
            piece._replace(token_ids=rest + piece.token_ids, given=len(rest) + piece.given)
            for rollout, own_pieces in own
            for rest in [rollout.prompt_ids[common:]]
            for piece in own_pieces
        ]
        found.append((replace(first, prompt_ids=first.prompt_ids[:common]), pieces))
    return found


def _common(rows: Sequence[tuple[int, ...]]) -> int:
    """The number of first tokens that all rows have in common."""
    low, high = min(rows), max(rows)
    return next((at for at, (one, other) in enumerate(zip(low, high)) if one != other), min(len(low), len(high)))


def _of_one_size(read: Sequence[Read]) -> Iterator[list[Read]]:
    """Batches of prompts with about as many and as long continuations, so that there is little padding."""
    sizes = {id(rollout): _size(rollout, pieces) for rollout, pieces in read}
    batch: list[Read] = []
    most, tokens = _Size(0, 0, 0), 0  # of the batch, the latter without padding
    for one in sorted(read, key=lambda one: sizes[id(one[0])], reverse=True):
        own = sizes[id(one[0])]
        joined = _Size(*map(max, most, own))
        if batch and (len(batch) + 1) * joined.tokens > _MOST_PADDING * (tokens + own.tokens):
            yield batch
            batch, joined, tokens = [], own, 0
        batch.append(one)
        most, tokens = joined, tokens + own.tokens
    if batch:
        yield batch


def _truth_shape(prompts: Sequence[Prompt]) -> tuple[int, int]:
    return len(prompts), max((len(prompt.truth) for prompt in prompts), default=0)


def _means(prompts: Sequence[Prompt], log_probs: Tensor) -> list[float]:
    return [sum(row[: len(prompt.truth)]) / len(prompt.truth) for prompt, row in zip(prompts, log_probs.tolist())]


def _empty(shape: tuple[int, int], device: torch.device) -> _Output:
    return _Output(torch.zeros(shape, device=device), torch.zeros(shape, device=device))


# ----------------------------------------------------------------------------- parts


def _parts(read: Sequence[Read], most_tokens: int, prompt_per_branch: bool = False) -> Iterator[list[Read]]:
    """Split prompts and their pieces into parts of at most `most_tokens` padded tokens, or one continuation each."""
    if _tokens(read, prompt_per_branch) <= most_tokens:
        yield list(read)
        return
    part: list[Read] = []
    for rollout, pieces in read:
        for own in _split(rollout, pieces, most_tokens, prompt_per_branch):
            if part and _tokens([*part, (rollout, own)], prompt_per_branch) > most_tokens:
                yield part
                part = []
            part.append((rollout, own))
    yield part


def _split(rollout: Rollout, pieces: list[Piece], most_tokens: int, prompt_per_branch: bool) -> Iterator[list[Piece]]:
    """Split the pieces of one prompt, short ones first so that padding is short; equal ones stay together."""
    own: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: (len(piece.token_ids), piece.token_ids)):
        if own and _tokens([(rollout, [*own, piece])], prompt_per_branch) > most_tokens:
            yield own
            own = []
        own.append(piece)
    yield own


def _tokens(read: Sequence[Read], prompt_per_branch: bool) -> int:
    """Tokens that are computed for these pieces, padding included."""
    branches, longest, prompt = map(max, zip(*(_size(*one) for one in read)))
    return len(read) * (branches * (prompt + longest) if prompt_per_branch else prompt + branches * longest)


def _size(rollout: Rollout, pieces: Sequence[Piece]) -> _Size:
    branches = {piece.token_ids for piece in pieces}
    return _Size(len(branches), max(map(len, branches)), len(rollout.prompt_ids))


def _bounded(score: Any, several: bool) -> tuple[Tensor, Tensor]:
    if several and torch.is_grad_enabled():
        found: Any = checkpoint(score, use_reentrant=False)
        return found
    return score()


class _Layout(NamedTuple):
    """The distinct continuations of each prompt of a part, and their scored tokens in one flat list."""

    branches: list[list[tuple[int, ...]]]
    tokens: Tensor  # int64 [3, M]: prompt, branch and token of each scored token
    starts: list[list[int]]  # the first scored token of each branch
    offsets: list[dict[tuple[int, ...], int]]  # where the scored tokens of each branch begin in the flat list


def _layout(part: Sequence[Read]) -> _Layout:
    branches: list[list[tuple[int, ...]]] = []
    starts: list[list[int]] = []
    offsets: list[dict[tuple[int, ...], int]] = []
    columns: list[Tensor] = []
    at = 0
    for number, (_, pieces) in enumerate(part):
        least: dict[tuple[int, ...], int] = {}  # first scored token
        for piece in pieces:
            least[piece.token_ids] = min(piece.given, least.get(piece.token_ids, piece.given))
        offsets.append({})
        for column, (ids, start) in enumerate(least.items()):
            offsets[-1][ids] = at - start
            token = torch.arange(start, len(ids))
            columns.append(torch.stack([torch.full_like(token, number), torch.full_like(token, column), token]))
            at += len(token)
        branches.append(list(least))
        starts.append(list(least.values()))
    return _Layout(branches, torch.cat(columns, 1), starts, offsets)


def _fill(part: Sequence[Read], output: _Output, log_p: Tensor, entropy: Tensor) -> None:
    """Copy the scores [M] of a part to their places; autograd differentiates in-place assignment to zeros."""
    offsets = _layout(part).offsets
    spans = [
        (piece.row, piece.start, offsets[number][piece.token_ids] + piece.given, len(piece.token_ids) - piece.given)
        for number, (_, pieces) in enumerate(part)
        for piece in pieces
    ]
    row, start, source, count = (torch.tensor(values, device=log_p.device) for values in zip(*spans))
    each = torch.arange(len(spans), device=log_p.device).repeat_interleave(count)
    token = torch.arange(len(each), device=log_p.device) - (count.cumsum(0) - count)[each]
    output.log_probs[row[each], start[each] + token] = log_p[source[each] + token]
    output.entropies[row[each], start[each] + token] = entropy[source[each] + token]


# ----------------------------------------------------------------------------- forward passes


def _packed_part(packed: PackedPolicy, part: Sequence[Read], temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities and entropies [M] of the scored tokens of a part whose views have one shape."""
    layout = _layout(part)
    most = max(map(len, layout.branches))
    longest = max(len(ids) for own in layout.branches for ids in own)
    ids = torch.zeros(len(part), most, longest, dtype=torch.int64)
    starts = torch.ones(len(part), most, dtype=torch.int64)
    for number, own in enumerate(layout.branches):
        for column, branch in enumerate(own):
            ids[number, column, : len(branch)] = torch.tensor(branch)
            starts[number, column] = max(1, layout.starts[number][column])
    ids, starts = ids.to(packed.device), starts.to(packed.device)
    number, column, token = layout.tokens.to(packed.device)
    rollouts = [rollout for rollout, _ in part]
    images = _features(packed, rollouts)
    prefix = packed.prefill([rollout.prompt_ids for rollout in rollouts], images, grid_of(packed, rollouts[0].prompt))
    hidden = prefix.last[:, None, None].expand(-1, most, -1, -1)  # before the first token
    state = token  # of the states, the one before each scored token
    if longest > 1:
        at = None
        if starts.max() > 1:  # the last layer need not compute the states between given tokens
            state = torch.where(token == 0, 0, token - starts[number, column] + 1)
            at = (starts[..., None] - 1 + torch.arange(int(state.max()), device=ids.device)).clamp(max=longest - 2)
        hidden = torch.cat([hidden, packed.branch(prefix, ids[..., :-1], at)], 2)
    head = packed.logits
    return _score_tokens(head, hidden[number, column, state], ids[number, column, token], temperature)


def _plain_part(
    model: Any, processor: Any, encoder: PromptEncoder, read: Read, temperature: float
) -> tuple[Tensor, Tensor]:
    layout = _layout([read])
    (branches,) = layout.branches
    longest = max(map(len, branches))
    padded = [ids + (encoder.eos,) * (longest - len(ids)) for ids in branches]
    inputs = plain_inputs(model, processor, encoder, [read[0].prompt] * len(branches), padded)
    _, column, token = layout.tokens.to(model.device)
    options = {"logits_to_keep": longest + 1} if _keeps_logits(model) else {}
    logits = model(**inputs, **options).logits[:, -longest - 1 : -1][column, token]
    ids = torch.tensor(padded, device=logits.device)[column, token]
    return _score_tokens(lambda own: own, logits, ids, temperature)


def _keeps_logits(model: Any) -> bool:
    """Whether the model can compute logits for the last tokens only."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters


def _score_tokens(head: Any, states: Tensor, ids: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """Log-probabilities of tokens ids [M] and entropies, from the states [M, D] before them, slice by slice."""

    def score(states: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        log_p = (head(states).float() / temperature).log_softmax(-1)
        with torch.no_grad():
            entropy = -(log_p.exp() * log_p).sum(-1)
        return log_p.gather(-1, ids[:, None])[:, 0], entropy

    width = head(states[:1]).shape[-1]
    size = max(1, _MOST_LOGITS // width)
    if len(ids) <= size:
        return score(states, ids)
    found = []
    for start in range(0, len(ids), size):
        own = states[start : start + size], ids[start : start + size]
        found.append(checkpoint(score, *own, use_reentrant=False) if torch.is_grad_enabled() else score(*own))
    log_p, entropy = (torch.cat(values) for values in zip(*found))
    return log_p, entropy


def _features(packed: PackedPolicy, rollouts: Sequence[Rollout]) -> Optional[ImageFeatures]:
    """Features of the views of all prompts."""
    if not rollouts[0].prompt.images:
        return None
    return packed.encode_once([image for rollout in rollouts for image in rollout.prompt.images])
