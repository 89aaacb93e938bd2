"""Log-probabilities of the answers of groups, and the split of a step's answers between ranks.

An answer after looking around has several turns. Training treats it as one completion: the policy's tokens of all
turns concatenated, with the log-probabilities of each turn conditioned on the prompt of that turn.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Sequence

import torch
from torch import Tensor

from learner.policy.packed import PackedPolicy
from learner.policy.vision import ImageFeatures
from learner.rollouts.base import Rollout
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.transformers import batches_of_one_shape, grid_of, plain_inputs


def split_answers(groups: Sequence[Group], ranks: int) -> list[tuple[Sequence[Group], range]]:
    """Split the answers of a step evenly between ranks, in order, because TRL gathers them in the order of the ranks.

    Returns for each rank its groups and the range of its answers among all answers of these groups: a rank may own
    only some of the answers of its first and last group.
    """
    samples = groups[0].rows
    rows = len(groups) * samples // ranks
    assert rows * ranks == len(groups) * samples, "the answers cannot be split evenly"
    parts: list[tuple[Sequence[Group], range]] = []
    for start in range(0, rows * ranks, rows):
        first = start // samples
        own = groups[first : -(-(start + rows) // samples)]
        parts.append((own, range(start - first * samples, start - first * samples + rows)))
    return parts


class _Piece(NamedTuple):
    """Tokens of one turn, and the position of their log-probabilities in the output."""

    row: int
    start: int
    token_ids: tuple[int, ...]


def packed_log_probs(
    packed: PackedPolicy, groups: Sequence[Group], rows: Tensor, length: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the policy's tokens and entropies of their distributions, both float32 [R, length].

    `rows` int64 [R] indexes answers over all groups: row = group * answers per group + answer. Both outputs are 0
    after the end of an answer. Each image, prompt and distinct completion is computed once, whatever the number of
    rows. Gradients flow if enabled, but never into the vision tower.
    """
    read = _pieces_by_prompt(groups, rows)
    log_probs = torch.zeros(len(rows), length, device=rows.device)
    entropies = torch.zeros(len(rows), length, device=rows.device)
    # At most as many prompts at once as there are groups: looking around adds prompts.
    at_once = len({row // groups[0].rows for row in rows.tolist()})
    for batch in batches_of_one_shape([rollout.prompt for rollout, _ in read], at_once):
        members = [read[index] for index in batch]
        _fill(packed, members, temperature, log_probs, entropies)
    return log_probs, entropies


def plain_log_probs(
    model: Any,
    processor: Any,
    encoder: PromptEncoder,
    groups: Sequence[Group],
    rows: Tensor,
    length: int,
    temperature: float,
) -> tuple[Tensor, Tensor]:
    """Like `packed_log_probs`, by the model's own forward pass, prompt by prompt, for any model class."""
    log_probs = torch.zeros(len(rows), length, device=rows.device)
    entropies = torch.zeros(len(rows), length, device=rows.device)
    for rollout, pieces in _pieces_by_prompt(groups, rows):
        distinct = list(dict.fromkeys(ids for _, _, ids in pieces))
        longest = max(map(len, distinct))
        padded = [ids + (encoder.eos,) * (longest - len(ids)) for ids in distinct]
        inputs = plain_inputs(model, processor, encoder, [rollout.prompt] * len(distinct), padded)
        logits = model(**inputs).logits[:, -longest - 1 : -1].float() / temperature
        log_p = logits.log_softmax(-1)
        chosen = log_p.gather(-1, torch.tensor(padded, device=log_p.device)[..., None])[..., 0]
        with torch.no_grad():
            entropy = -(log_p.exp() * log_p).sum(-1)
        for row, start, ids in pieces:
            own = distinct.index(ids)
            log_probs[row, start : start + len(ids)] = chosen[own, : len(ids)]
            entropies[row, start : start + len(ids)] = entropy[own, : len(ids)]
    return log_probs, entropies


def _pieces_by_prompt(groups: Sequence[Group], rows: Tensor) -> list[tuple[Rollout, list[_Piece]]]:
    """Every prompt that these answers continue, with the tokens that continue it."""
    samples = groups[0].rows
    read: dict[int, tuple[Rollout, list[_Piece]]] = {}
    for place, row in enumerate(rows.tolist()):
        start = 0
        for turn in groups[row // samples].turns(row % samples):
            pieces = read.setdefault(id(turn.prompt), (turn, []))[1]
            pieces.append(_Piece(place, start, turn.completion.token_ids))
            start += len(turn.completion.token_ids)
    return list(read.values())


def _fill(
    packed: PackedPolicy,
    read: Sequence[tuple[Rollout, list[_Piece]]],
    temperature: float,
    log_probs: Tensor,
    entropies: Tensor,
) -> None:
    """Fill in the log-probabilities and entropies of completions of prompts whose views have one shape."""
    distinct: list[dict[tuple[int, ...], int]] = []
    owner: list[tuple[int, int, int, int, int]] = []  # row, start, prompt, distinct completion, tokens
    for number, (_, pieces) in enumerate(read):
        index: dict[tuple[int, ...], int] = {}
        for row, start, ids in pieces:
            owner.append((row, start, number, index.setdefault(ids, len(index)), len(ids)))
        distinct.append(index)
    most = max(map(len, distinct))
    longest = max(len(ids) for index in distinct for ids in index)
    branches = torch.zeros(len(read), most, longest, dtype=torch.int64)
    for number, index in enumerate(distinct):
        for ids, column in index.items():
            branches[number, column, : len(ids)] = torch.tensor(ids)
    branches = branches.to(log_probs.device)

    rollouts = [rollout for rollout, _ in read]
    images = _features(packed, rollouts)
    prefix = packed.prefill([rollout.prompt_ids for rollout in rollouts], images, grid_of(packed, rollouts[0].prompt))
    logits = packed.logits(prefix.last)[:, None, None].expand(-1, most, -1, -1)
    if longest > 1:
        logits = torch.cat([logits, packed.logits(packed.branch(prefix, branches[..., :-1]))], 2)
    log_p = (logits.float() / temperature).log_softmax(-1)
    with torch.no_grad():
        entropy = -(log_p.exp() * log_p).sum(-1)
    chosen = log_p.gather(-1, branches[..., None])[..., 0]
    row, start, number, column, tokens = (torch.tensor(part, device=log_probs.device) for part in zip(*owner))
    each = torch.arange(len(owner), device=log_probs.device).repeat_interleave(tokens)
    token = torch.arange(len(each), device=log_probs.device) - (tokens.cumsum(0) - tokens)[each]
    # In-place assignment to fresh zeros: autograd differentiates index_put.
    log_probs[row[each], start[each] + token] = chosen[number[each], column[each], token]
    entropies[row[each], start[each] + token] = entropy[number[each], column[each], token]


def _features(packed: PackedPolicy, rollouts: Sequence[Rollout]) -> Optional[ImageFeatures]:
    """Features of the views of all prompts."""
    if not rollouts[0].prompt.images:
        return None
    return packed.encode_once([image for rollout in rollouts for image in rollout.prompt.images])
