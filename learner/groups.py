"""A group: the answers to one question with their rewards, and the log-probabilities that training needs of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence

import numpy as np
import torch
from torch import Tensor

from learner.policy.packed import PackedPolicy
from learner.policy.vision import ImageFeatures
from learner.rewards import Reward
from learner.rollouts.base import Rollout
from learner.rollouts.transformers import batches_of_one_shape, grid_of, join_features


@dataclass(frozen=True)
class Group:
    rollout: Rollout
    rewards: tuple[Reward, ...]  # one per completion


def packed_log_probs(
    packed: PackedPolicy, groups: Sequence[Group], rows: Tensor, length: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of completion tokens and entropies of their distributions, both float32 [R, length].

    `rows` int64 [R] numbers completions over all groups: row = group * answers per group + answer. Behind a
    completion's end both are 0. Each image and each prompt is computed once, each distinct completion once, whatever
    the number of rows; gradients flow where they are enabled, never into the vision tower.
    """
    samples = len(groups[0].rollout.completions)
    wanted: dict[int, list[int]] = {}
    for place, row in enumerate(rows.tolist()):
        wanted.setdefault(row // samples, []).append(place)
    asked = list(wanted)
    prompts = [groups[index].rollout.prompt for index in asked]
    log_probs = torch.zeros(len(rows), length, device=rows.device)
    entropies = torch.zeros(len(rows), length, device=rows.device)
    for batch in batches_of_one_shape(prompts, len(prompts)):
        members = [groups[asked[index]] for index in batch]
        places = [wanted[asked[index]] for index in batch]
        _fill(packed, members, places, rows.tolist(), samples, temperature, log_probs, entropies)
    return log_probs, entropies


def _fill(
    packed: PackedPolicy,
    groups: Sequence[Group],
    places: Sequence[Sequence[int]],
    rows: Sequence[int],
    samples: int,
    temperature: float,
    log_probs: Tensor,
    entropies: Tensor,
) -> None:
    """The rows of groups whose views have one shape; `places` are each group's row places in the outputs."""
    distinct: list[dict[tuple[int, ...], int]] = []
    owner: list[tuple[int, int, int]] = []  # (row place, group, distinct completion)
    for number, (group, own) in enumerate(zip(groups, places)):
        index: dict[tuple[int, ...], int] = {}
        for place in own:
            ids = group.rollout.completions[rows[place] % samples].token_ids
            owner.append((place, number, index.setdefault(ids, len(index))))
        distinct.append(index)
    most = max(map(len, distinct))
    longest = max(len(ids) for index in distinct for ids in index)
    branches = torch.zeros(len(groups), most, longest, dtype=torch.int64)
    mask = torch.zeros(len(groups), most, longest)
    for number, index in enumerate(distinct):
        for ids, column in index.items():
            branches[number, column, : len(ids)] = torch.tensor(ids)
            mask[number, column, : len(ids)] = 1
    branches, mask = branches.to(log_probs.device), mask.to(log_probs.device)

    images = _features(packed, groups)
    prefix = packed.prefill(
        [group.rollout.prompt_ids for group in groups], images, grid_of(packed, groups[0].rollout.prompt)
    )
    logits = packed.logits(prefix.last)[:, None, None].expand(-1, most, -1, -1)
    if longest > 1:
        logits = torch.cat([logits, packed.logits(packed.branch(prefix, branches[..., :-1]))], 2)
    log_p = (logits.float() / temperature).log_softmax(-1)
    with torch.no_grad():
        entropy = -(log_p.exp() * log_p).sum(-1) * mask
    chosen = log_p.gather(-1, branches[..., None])[..., 0] * mask
    place, number, column = (torch.tensor(part, device=log_probs.device) for part in zip(*owner))
    # Written in place into fresh zeros: autograd follows index_put.
    log_probs[place, :longest] = chosen[number, column]
    entropies[place, :longest] = entropy[number, column]


def _features(packed: PackedPolicy, groups: Sequence[Group]) -> Optional[ImageFeatures]:
    """Encoded views of all groups: kept from the rollout where the engine shares them, else encoded once here."""
    if not groups[0].rollout.prompt.images:
        return None
    kept = [group.rollout.features for group in groups]
    if all(features is not None for features in kept):
        return join_features(kept)
    images = [image for group in groups for image in group.rollout.prompt.images]
    with torch.no_grad():
        return packed.encode(np.stack(images))
