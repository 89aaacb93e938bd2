"""The events that are the truth of a curriculum; every other figure is a projection of them."""

from __future__ import annotations

from typing import Optional, Union

import msgspec

from curriculum.ability.rasch import Cell
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import ConfidenceReport


class Issue(msgspec.Struct, frozen=True, array_like=True):
    """One spec handed out under one lease; the numbers from which the TaskSpec is built again.

    `number` counts the specs ever made and names the spec. `seq` is the stream that its content is drawn from:
    the same as `number`, except where a policy repeats an earlier spec.
    """

    number: int
    seq: int
    scene: int
    skill: str
    level: int
    purpose: str
    blind: bool = False
    reissue: int = 0
    degradation: Optional[str] = None  # like "fog:3", "" for clear pictures; None: drawn (older stores)
    proposal: str = ""  # key of the question from outside that this asks; "" for one of the catalogue

    @property
    def cell(self) -> Cell:
        return Cell(self.skill, self.level, self.degradation or "")

    @property
    def spec_id(self) -> str:
        return f"s{self.number:08d}"

    @property
    def lease_id(self) -> str:
        return f"{self.spec_id}.{self.reissue}"


class LeasedEvent(msgspec.Struct, frozen=True, tag="leased"):
    request_id: bytes
    learner: str
    policy_version: int
    expires_s: float  # epoch seconds
    issues: tuple[Issue, ...]
    reason: str = ""


class ProposedEvent(msgspec.Struct, frozen=True, tag="proposed"):
    """Questions from outside, each to be asked `passes` times, and the ids of those that had been added before."""

    request_id: bytes
    proposals: tuple[TaskSpec, ...]
    passes: int
    duplicates: tuple[str, ...] = ()


class LeaseExpiredEvent(msgspec.Struct, frozen=True, tag="lease_expired"):
    """Leases that ran out: these specs are to be issued again, those were issued too often and are given up."""

    returned: tuple[str, ...]  # lease ids
    given_up: tuple[str, ...] = ()


class ReportedEvent(msgspec.Struct, frozen=True, tag="reported"):
    """Reports counted by this event, and the ids of those in the same message that had been counted before."""

    request_id: bytes
    reports: tuple[ConfidenceReport, ...]
    duplicates: tuple[str, ...] = ()


Event = Union[LeasedEvent, LeaseExpiredEvent, ReportedEvent, ProposedEvent]

_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    return msgspec.json.encode(event)


def decode_event(body: bytes) -> Event:
    """Raises msgspec.DecodeError (and its ValidationError) for anything that is no event."""
    return _decoder.decode(body)
