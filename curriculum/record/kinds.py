"""What a run knows about each kind of composed questions, and when a kind is retired."""

from __future__ import annotations

from collections import Counter
from typing import Optional

import msgspec

from protocol.tasks.kinds import Kind

_FIRST = 8  # questions whose mean success is where a kind started
_LEAST_EXAMINED, _LEAST_ACCEPTED = 16, 0.15  # questions, and the fraction of them that must pass
_LEAST_SEEN = 24  # questions before a kind is called trivial
_TRIVIAL = 0.95
_LEAST_BLIND = 8  # questions asked blind
_SHORTCUT = 0.2  # blind success may exceed chance by this much
_LEAST_ANSWERED = 48  # questions that were answered, not only screened, before a kind is given up
_NO_SIGNAL = 0.03  # variance of rewards within groups


class KindRecord(msgspec.Struct):
    """The record of one kind; success is in the record of its cell."""

    kind: Kind
    accepted: int = 0
    rejected: dict[str, int] = {}  # code of the first reason -> questions
    first_sum: float = 0.0  # success over the first questions
    first_count: int = 0
    example: str = ""
    program: str = ""
    retired: str = ""

    def answered(self, success: float) -> None:
        if self.first_count < _FIRST:
            self.first_sum += success
            self.first_count += 1

    @property
    def first_success(self) -> float:
        return self.first_sum / self.first_count if self.first_count else 0.0

    @property
    def examined(self) -> int:
        return self.accepted + sum(self.rejected.values())


def rejected_too_often(record: KindRecord) -> str:
    """Why the simulator's tests speak against the kind; "" if they do not."""
    if record.examined < _LEAST_EXAMINED or record.accepted >= _LEAST_ACCEPTED * record.examined:
        return ""
    code, times = Counter(record.rejected).most_common(1)[0]
    return f"{code}: {times} of {record.examined} questions"


def reason_to_retire(
    seen: int,
    answered: int,
    mean: float,
    signal: float,
    chance: float,
    stale: bool,
    blind: Optional[tuple[int, float]],
) -> str:
    """Why a kind teaches nothing, from its figures; "" if it may.

    `mean` is the posterior mean of success over `seen` questions, `answered` of which were not only screened, `signal`
    the expected variance of rewards within a group, `stale` whether success has not risen for long, `blind` the number
    and success of blind questions.
    """
    if seen >= _LEAST_SEEN and mean >= _TRIVIAL:
        return f"trivial: {mean:.0%} right"
    if blind is not None and blind[0] >= _LEAST_BLIND and blind[1] > min(chance + _SHORTCUT, 0.95):
        return f"answerable blind: {blind[1]:.0%} right without images, chance is {chance:.0%}"
    if answered >= _LEAST_ANSWERED and stale and mean <= chance + 0.05:
        return f"unlearnable: {mean:.0%} right after {answered} answers, chance is {chance:.0%}"
    if answered >= _LEAST_ANSWERED and stale and signal < _NO_SIGNAL:
        return f"without signal: {mean:.0%} right, and answers to a question agree"
    return ""
