"""The processes of one learner, one to a GPU: rank 0 leads, the others do as they are told.

    rank 0    owns leases, reports, evaluations, checkpoints; tells the others what is next    learner/train.py
    others    answer their share of the questions, train on their share of the answers         learner/ranks/follow.py

Orders and replies are MessagePack over torch's gloo. Who starts these processes, and what happens when one of them
dies, stands in learner/ranks/processes.py.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Optional, Sequence, Union

import msgspec
import numpy as np

from learner.ranks.processes import MEETING_FILE
from learner.rollouts.base import Prompt, Rollout, Sampling
from learner.rollouts.group import Group, Turn
from protocol.answers.scoring import Reward
from protocol.errors import VantageError

_MEET = timedelta(minutes=30)  # for every rank to load its policy
_WAIT = timedelta(days=7)  # nobody waits so long: a rank that dies is noticed by its end, not by a time limit


# ----------------------------------------------------------------------------- orders


class Resume(msgspec.Struct, tag=True):
    """Take up the adapter of this checkpoint (None: none) and, when training begins, the optimizer's state."""

    checkpoint: Optional[str]


class Answer(msgspec.Struct, tag=True):
    """Answer these questions and reply; with `live` by the weights as they stand, else by the engine of rollouts."""

    prompts: tuple[Prompt, ...]
    n: int
    sampling: Sampling
    live: bool


class LoadAdapter(msgspec.Struct, tag=True):
    name: str
    path: str


class Train(msgspec.Struct, tag=True):
    """Begin the trainer's loop."""


class TrainStep(msgspec.Struct, tag=True):
    """Train on this share; `used` is how much of the budget is used up, 0 to 1.

    Turns name their rollout by its index: answers of one group share it, with its views.
    """

    rollouts: list[Rollout]
    groups: list[WireGroup]
    start: int
    stop: int
    used: float

    @staticmethod
    def of(groups: Sequence[Group], rows: range, used: float) -> TrainStep:
        turns = [turn for group in groups for own in group.later for turn in own]
        rollouts = [*(group.rollout for group in groups), *(turn.rollout for turn in turns)]
        distinct = list({id(rollout): rollout for rollout in rollouts}.values())
        index = {id(rollout): number for number, rollout in enumerate(distinct)}
        packed = [
            WireGroup(
                index[id(group.rollout)],
                [[(index[id(turn.rollout)], turn.index) for turn in own] for own in group.later],
                group.rewards,
            )
            for group in groups
        ]
        return TrainStep([_without_features(rollout) for rollout in distinct], packed, rows.start, rows.stop, used)

    @property
    def share(self) -> tuple[list[Group], range]:
        groups: list[Group] = []
        for group in self.groups:
            later = tuple(tuple(Turn(self.rollouts[number], at) for number, at in own) for own in group.later)
            groups.append(Group(self.rollouts[group.first], group.rewards, later))
        return groups, range(self.start, self.stop)


class WireGroup(msgspec.Struct):
    first: int
    later: list[list[tuple[int, int]]]  # per answer its further turns: rollout, completion
    rewards: tuple[Reward, ...]


class Leave(msgspec.Struct, tag=True):
    """The run is done, or stops."""


Order = Union[Resume, Answer, LoadAdapter, Train, TrainStep, Leave]


# ----------------------------------------------------------------------------- the ranks


@dataclass(frozen=True)
class Ranks:
    """One learner's processes, as one of them sees them; a learner of one process has nobody to talk to."""

    rank: int = 0
    size: int = 1

    def tell(self, orders: Sequence[Order]) -> None:
        """Rank 0: one order to each of the others, in the order of their ranks."""
        for rank, order in enumerate(orders, start=1):
            _send(order, rank)

    def tell_all(self, order: Order) -> None:
        self.tell([order] * (self.size - 1))

    def hear(self) -> Order:
        """The others: wait for the next order."""
        return _receive(Order, 0)

    def reply(self, rollouts: Sequence[Rollout]) -> None:
        """The others: answers to rank 0; encoded views stay here."""
        _send([_without_features(rollout) for rollout in rollouts], 0)

    def replies(self) -> list[list[Rollout]]:
        """Rank 0: the answers of each of the others."""
        return [_receive(list[Rollout], rank) for rank in range(1, self.size)]

    def agree(self, value: bool) -> bool:
        """What rank 0 says; every rank asks at the same place of its work."""
        if self.size == 1:
            return value
        import torch
        import torch.distributed as dist

        said = torch.tensor([value], dtype=torch.uint8)
        dist.broadcast(said, src=0)
        return bool(said.item())

    def part(self) -> None:
        """Close the connections, when all are done."""
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


def _without_features(rollout: Rollout) -> Rollout:
    return replace(rollout, features=None)


def _encode_array(array: Any) -> Any:
    assert isinstance(array, np.ndarray) and array.dtype == np.uint8, type(array)
    return {"shape": array.shape, "data": np.ascontiguousarray(array).data}


def _decode_array(_: Any, value: Any) -> Any:
    return np.frombuffer(bytearray(value["data"]), np.uint8).reshape(value["shape"])


def join(on_gpu: bool) -> Ranks:
    """Meet the others; returns when all are there. Alone where nobody started any.

    Raises VantageError("unavailable") if they are not there in time, as those are not whose launcher is gone.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Ranks()
    import torch.distributed as dist
    from torch.distributed.rendezvous import rendezvous

    rank, meeting = int(os.environ["RANK"]), os.environ.get(MEETING_FILE)
    backend = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
    try:
        store, _, _ = next(rendezvous(f"file://{meeting}" if meeting else "env://", rank, size, timeout=_MEET))
        store.set_timeout(_MEET)
        dist.init_process_group(backend, store=store, timeout=_WAIT, world_size=size, rank=rank)
    except (dist.DistNetworkError, dist.DistStoreError) as error:
        place = meeting or f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        raise VantageError(
            "unavailable",
            f"rank {rank} did not meet the {size - 1} others at {place} within {_MEET.total_seconds() / 60:g} min.",
        ) from error
    return Ranks(rank, size)
