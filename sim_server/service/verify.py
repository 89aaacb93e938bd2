"""Answers of several workers to one request, compared: the sample that the broker verifies (sim.verify_share).

    first answer ─▶ held ─▶ second worker, same renderer ─▶ they agree: the first is used
                                                        └─▶ they differ: a third worker decides, or the worker that the
                                                            broker started itself; without a judge neither is used

Headers must be equal apart from measured times. Images must be equal, too: between processors of different types, which
round differently, all but 1 % of the pixels within 2 levels.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Optional

import msgspec
import numpy as np

from protocol.errors import VantageError
from protocol.tasks.task import Episode
from protocol.wire.codec import Blob, Packet
from protocol.wire.messages import Failure
from sim_server.service.jobs import WorkerState

DECIMALS = 4  # of numbers in headers
LEVELS = 2  # of 255
FEW = 0.01  # fraction of the pixels
DEPTH_M = 0.01


class Answer(NamedTuple):
    """One worker's answer to a request."""

    worker: WorkerState
    packet: Packet
    frames: Sequence[Blob]


@dataclass
class Verdict:
    """The answer to use, if any, and the workers whose answers differ from it."""

    answer: Optional[Answer] = None
    liars: list[WorkerState] = field(default_factory=list)


class Verifier:
    """Chooses the requests to verify, holds their answers and compares them."""

    def __init__(self, share: float) -> None:
        self._share = share
        self._secret = os.urandom(16)  # so that a worker cannot know which of its answers are verified
        self._held: dict[bytes, list[Answer]] = {}

    def wants(self, spec_id: str) -> bool:
        """Whether the request for this spec is in the sample: always the same while this process lives."""
        digest = hashlib.blake2b(spec_id.encode(), digest_size=8, key=self._secret).digest()
        return int.from_bytes(digest, "big") < self._share * 2.0**64

    def held(self, job_id: bytes) -> list[Answer]:
        return self._held.get(job_id, [])

    @property
    def jobs(self) -> list[bytes]:
        """Ids of the jobs with a held answer."""
        return list(self._held)

    def hold(self, job_id: bytes, answer: Answer) -> list[Answer]:
        """Hold an answer; returns all that are held for the job."""
        answers = self._held.setdefault(job_id, [])
        answers.append(answer)
        return answers

    def release(self, job_id: bytes) -> None:
        """Forget the answers to a job."""
        self._held.pop(job_id, None)

    def discard(self, worker_id: str) -> list[bytes]:
        """Forget the answers of a worker; returns the jobs that have none left."""
        bare = []
        for job_id, answers in list(self._held.items()):
            answers[:] = [answer for answer in answers if answer.worker.worker_id != worker_id]
            if not answers:
                del self._held[job_id]
                bare.append(job_id)
        return bare


def judge(answers: Sequence[Answer]) -> Optional[Verdict]:
    """The verdict on the answers if two of them agree; None if another worker must decide."""
    for index, first in enumerate(answers):
        same = [other for other in answers[index + 1 :] if agree(first.packet, other.packet)]
        if same:
            rest = [other for other in answers if other is not first and other not in same]
            return Verdict(first, [other.worker for other in rest])
    return None


def judge_without(answers: Sequence[Answer], own: Sequence[str]) -> Verdict:
    """The verdict if no other worker can decide: the only answer, that of the broker's own worker (`own`), or none."""
    if len(answers) == 1:
        return Verdict(answers[0])
    trusted = [answer for answer in answers if answer.worker.worker_id in own]
    if len(trusted) != 1:
        return Verdict()
    return Verdict(trusted[0], [other.worker for other in answers if other is not trusted[0]])


def agree(first: Packet, second: Packet) -> bool:
    """Whether two answers to one request are the same."""
    one, other = first.message, second.message
    if type(one) is not type(other):
        return False
    if isinstance(one, Failure):
        return one.code == other.code
    if _canonical(one) != _canonical(other):
        return False
    if not isinstance(one, Episode):
        return True
    for view, counterpart in zip(one.views, other.views):
        for ref, same in ((view.rgb, counterpart.rgb), (view.depth, counterpart.depth), (view.ids, counterpart.ids)):
            if ref is not None and not _same_pixels(first, ref, second, same):
                return False
    return True


def _canonical(message: msgspec.Struct) -> Any:
    if isinstance(message, Episode):
        # Margins are computed from pixels.
        question, *others = (msgspec.structs.replace(one, margin=0.0) for one in (message.question, *message.others))
        message = msgspec.structs.replace(message, render_s=0.0, question=question, others=tuple(others))
    return _rounded(msgspec.to_builtins(message))


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items() if key != "index"}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def _same_pixels(first: Packet, ref: Any, second: Packet, other: Any) -> bool:
    try:
        one, two = first.array(ref), second.array(other)
    except VantageError:  # a broken image file
        return False
    if one.shape != two.shape or one.size == 0 or np.array_equal(one, two):
        return one.shape == two.shape
    tolerance = {"uint8": LEVELS, "float32": DEPTH_M}.get(ref.dtype, 0)
    same = np.abs(one.astype(np.float64) - two) <= tolerance  # False for NaN
    return bool(same.mean() >= 1 - FEW)
