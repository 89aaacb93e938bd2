"""Log-probabilities of the answers of groups, and the split of a step's answers between ranks.

An answer after looking around has several turns. Training treats it as one completion: the policy's tokens of all
turns concatenated, with the log-probabilities of each turn conditioned on the prompt of that turn.
"""

from __future__ import annotations

from typing import Any, Sequence

from torch import Tensor

from learner.policy.packed import PackedPolicy
from learner.rollouts.encoder import PromptEncoder
from learner.rollouts.group import Group
from learner.rollouts.scores import MOST_TOKENS, Piece, Read, packed_scores, plain_scores
from protocol.errors import VantageError


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


def packed_log_probs(
    packed: PackedPolicy,
    groups: Sequence[Group],
    rows: Tensor,
    length: int,
    temperature: float,
    most_tokens: int = MOST_TOKENS,
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the policy's tokens and entropies of their distributions, both float32 [R, length].

    `rows` int64 [R] indexes answers over all groups: row = group * answers per group + answer. Both outputs are 0
    after the end of an answer. At most `most_tokens` tokens are computed at once, or one answer.
    """
    # At most as many prompts at once as there are groups: looking around adds prompts.
    at_once = len({row // groups[0].rows for row in rows.tolist()})
    read = _pieces_by_prompt(groups, rows)
    return packed_scores(packed, read, (len(rows), length), temperature, most_tokens, at_once)


def plain_log_probs(
    model: Any,
    processor: Any,
    encoder: PromptEncoder,
    groups: Sequence[Group],
    rows: Tensor,
    length: int,
    temperature: float,
    most_tokens: int = MOST_TOKENS,
) -> tuple[Tensor, Tensor]:
    """Like `packed_log_probs`, by the model's own forward pass, prompt by prompt, for any model class."""
    read = _pieces_by_prompt(groups, rows)
    return plain_scores(model, processor, encoder, read, (len(rows), length), temperature, most_tokens)


def check_loss(loss: Tensor, step: int, groups: Sequence[Group], rows: Tensor) -> None:
    """Raise VantageError("unsupported") if the loss of these answers is not a number, before an optimizer uses it."""
    if bool(loss.isfinite()):
        return
    prompts = {groups[row // groups[0].rows].rollout.prompt.text[:60] for row in rows.tolist()}
    raise VantageError(
        "unsupported",
        f"the loss of step {step} is not a number (questions: {'; '.join(sorted(prompts)[:3])} …): lower "
        "learner.grpo.learning_rate; the run resumes at its last checkpoint.",
    )


def _pieces_by_prompt(groups: Sequence[Group], rows: Tensor) -> list[Read]:
    """Every prompt that these answers continue, with the tokens that continue it."""
    samples = groups[0].rows
    read: dict[tuple[object, ...], Read] = {}
    for place, row in enumerate(rows.tolist()):
        start = 0
        for turn in groups[row // samples].turns(row % samples):
            pieces = read.setdefault(turn.prompt.key, (turn, []))[1]
            thought, written = turn.prompt.thought, turn.completion.token_ids
            pieces.append(Piece(place, start, thought + written, len(thought)))
            start += len(written)
    return list(read.values())
