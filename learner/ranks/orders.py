"""Orders between the ranks of one learner, one process per GPU: rank 0 leads, the others execute its orders.

    rank 0    owns leases, reports, evaluations and checkpoints; sends orders to the others    learner/train.py
    others    answer their part of the questions, train on their part of the answers           learner/ranks/follow.py

Orders and replies are MessagePack over torch's gloo. See learner/ranks/processes.py for how these processes are started
and what happens when one of them dies.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Mapping, Optional, Sequence, Union

import msgspec
import numpy as np

from learner.ranks.processes import STORE_FILE
from learner.rollouts.base import Completion, Prompt, Rollout, Sampling
from learner.rollouts.group import Group
from protocol.answers.scoring import Reward
from protocol.errors import VantageError

_JOIN_TIMEOUT = timedelta(minutes=30)  # for every rank to load its policy
_TIMEOUT = timedelta(days=7)  # practically none: the death of a rank is detected by watching its process


# ----------------------------------------------------------------------------- orders


class Resume(msgspec.Struct, tag=True):
    """Load the adapter of this checkpoint, if given, and, when training begins, the state of the optimizer."""

    checkpoint: Optional[str]


class Answer(msgspec.Struct, tag=True):
    """Answer these questions and reply; use the live weights if `live`, else the rollout engine."""

    prompts: tuple[Prompt, ...]
    n: int
    sampling: Sampling
    live: bool


class Score(msgspec.Struct, tag=True):
    """Score true answers with the live weights and reply: (index of the prompt, thought, truth) of each."""

    prompts: list[Prompt]
    truths: list[tuple[int, tuple[int, ...], tuple[int, ...]]]

    @staticmethod
    def of(prompts: Sequence[Prompt]) -> Score:
        distinct = {prompt.key: prompt for prompt in prompts}
        index = {key: number for number, key in enumerate(distinct)}
        bare = [replace(prompt, truth=(), thought=()) for prompt in distinct.values()]
        return Score(bare, [(index[prompt.key], prompt.thought, prompt.truth) for prompt in prompts])

    def unpack(self) -> list[Prompt]:
        return [replace(self.prompts[at], thought=thought, truth=truth) for at, thought, truth in self.truths]


class LoadAdapter(msgspec.Struct, tag=True):
    name: str
    path: str


class Gather(msgspec.Struct, tag=True):
    """Take part in collecting the adapter of a sharded model, which rank 0 publishes."""


class Train(msgspec.Struct, tag=True):
    """Start the trainer."""


class TrainStep(msgspec.Struct, tag=True):
    """Train on these answers; `used` is the fraction of the budget used up.

    `prompts` are rollouts without completions: answers refer to them by index, so that each prompt is sent once.
    """

    prompts: list[Rollout]
    groups: list[WireGroup]
    start: int
    stop: int
    used: float

    @staticmethod
    def of(groups: Sequence[Group], rows: range, used: float) -> TrainStep:
        turns = [turn for group in groups for own in group.later for turn in own]
        turns += [group.truth for group in groups if group.truth is not None]
        distinct = {rollout.prompt.key: rollout for rollout in (*(group.rollout for group in groups), *turns)}
        index = {key: number for number, key in enumerate(distinct)}
        packed = [
            WireGroup(
                index[group.prompt.key],
                group.rollout.completions,
                [[(index[turn.prompt.key], turn.completion) for turn in own] for own in group.later],
                group.rewards,
                _wire_truth(index, group.truth),
            )
            for group in groups
        ]
        prompts = [
            replace(rollout, completions=(), prompt=replace(rollout.prompt, thought=(), truth=()))
            for rollout in distinct.values()
        ]
        return TrainStep(prompts, packed, rows.start, rows.stop, used)

    def unpack(self) -> tuple[list[Group], range]:
        """Return the groups and the range of this rank's answers in them."""
        groups: list[Group] = []
        for group in self.groups:
            first = replace(self.prompts[group.first], completions=group.completions)
            later = tuple(
                tuple(replace(self.prompts[number], completions=(completion,)) for number, completion in own)
                for own in group.later
            )
            truth = None
            if group.truth is not None:
                number, thought, completion = group.truth
                base = self.prompts[number]
                truth = replace(base, prompt=replace(base.prompt, thought=thought), completions=(completion,))
            groups.append(Group(first, group.rewards, later, truth))
        return groups, range(self.start, self.stop)


class WireGroup(msgspec.Struct):
    first: int  # index of the prompt of the first turn
    completions: tuple[Completion, ...]
    later: list[list[tuple[int, Completion]]]  # further turns of each answer: (index of the prompt, completion)
    rewards: tuple[Reward, ...]
    truth: Optional[tuple[int, tuple[int, ...], Completion]] = None  # index of the prompt, thought, the true answer


def _wire_truth(
    index: Mapping[tuple[object, ...], int], truth: Optional[Rollout]
) -> Optional[tuple[int, tuple[int, ...], Completion]]:
    return None if truth is None else (index[truth.prompt.key], truth.prompt.thought, truth.completion)


class Leave(msgspec.Struct, tag=True):
    """Exit: the run is done or stops."""


Order = Union[Resume, Answer, Score, LoadAdapter, Gather, Train, TrainStep, Leave]


# ----------------------------------------------------------------------------- the ranks


@dataclass(frozen=True)
class Ranks:
    """The ranks of one learner, as seen by one of them. A learner of one process sends nothing."""

    rank: int = 0
    size: int = 1

    def send(self, orders: Sequence[Order]) -> None:
        """On rank 0: send one order to each of the others, in the order of their ranks."""
        for rank, order in enumerate(orders, start=1):
            _send(order, rank)

    def send_all(self, order: Order) -> None:
        """On rank 0: send the same order to all others."""
        self.send([order] * (self.size - 1))

    def receive(self) -> Order:
        """On the others: wait for the next order."""
        return _receive(Order, 0)

    def reply(self, rollouts: Sequence[Rollout]) -> None:
        """On the others: send answers to rank 0."""
        _send(list(rollouts), 0)

    def replies(self) -> list[list[Rollout]]:
        """On rank 0: receive the answers of each of the others."""
        return [_receive(list[Rollout], rank) for rank in range(1, self.size)]

    def reply_scores(self, scores: Sequence[float]) -> None:
        """On the others: send scores to rank 0."""
        _send(list(scores), 0)

    def scores(self) -> list[list[float]]:
        """On rank 0: receive the scores of each of the others."""
        return [_receive(list[float], rank) for rank in range(1, self.size)]

    def broadcast(self, value: bool) -> bool:
        """Return the value of rank 0. Collective: every rank must call it."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        flag = torch.tensor([value], dtype=torch.uint8)
        dist.broadcast(flag, src=0)
        return bool(flag.item())

    def close(self) -> None:
        """Close the connections. Collective."""
        if self.size > 1:
            import torch.distributed as dist

            dist.destroy_process_group()


def _send(message: Any, rank: int) -> None:
    import torch
    import torch.distributed as dist

    data = torch.frombuffer(bytearray(msgspec.msgpack.encode(message, enc_hook=_encode_array)), dtype=torch.uint8)
    dist.send(torch.tensor([len(data)]), rank)
    dist.send(data, rank)


def _receive(kind: Any, rank: int) -> Any:
    import torch
    import torch.distributed as dist

    length = torch.empty(1, dtype=torch.int64)
    dist.recv(length, rank)
    data = torch.empty(int(length.item()), dtype=torch.uint8)
    dist.recv(data, rank)
    return msgspec.msgpack.decode(data.numpy().tobytes(), type=kind, dec_hook=_decode_array)


def _encode_array(array: Any) -> Any:
    assert isinstance(array, np.ndarray) and array.dtype == np.uint8, type(array)
    return {"shape": array.shape, "data": np.ascontiguousarray(array).data}


def _decode_array(_: Any, value: Any) -> Any:
    return np.frombuffer(bytearray(value["data"]), np.uint8).reshape(value["shape"])


def join(on_gpu: bool) -> Ranks:
    """Join the process group and return when all ranks have joined; a learner of one process returns at once.

    Raises VantageError("unavailable") if the other ranks do not join in time, for instance because they were killed.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Ranks()
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    rank, store_file = int(os.environ["RANK"]), os.environ.get(STORE_FILE)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    url = f"file://{store_file}" if store_file else "env://"
    try:
        store, _, _ = next(rendezvous(url, rank, size, timeout=_JOIN_TIMEOUT))
        store.set_timeout(_JOIN_TIMEOUT)
        dist.init_process_group(backend, store=store, timeout=_TIMEOUT, world_size=size, rank=rank)
    except (dist.DistNetworkError, dist.DistStoreError) as error:
        address = store_file or f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        minutes = _JOIN_TIMEOUT.total_seconds() / 60
        raise VantageError(
            "unavailable",
            f"rank {rank} could not join the {size - 1} others at {address} within {minutes:g} min; start all again.",
        ) from error
    return Ranks(rank, size)
