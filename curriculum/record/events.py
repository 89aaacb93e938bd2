"""The events of a curriculum: the source of truth, of which everything else is a projection."""

from __future__ import annotations

from typing import Optional, Union

import msgspec

from curriculum.ability.rasch import Cell
from protocol.tasks.kinds import Kind
from protocol.tasks.task import TaskSpec
from protocol.wire.messages import ConfidenceReport
from protocol.wire.proposals import Refusal


class Issue(msgspec.Struct, frozen=True, array_like=True):
    """One spec issued under one lease: the numbers from which its TaskSpec is rebuilt.

    `number` counts all specs and names the spec. `seq` selects the random stream of its content; it equals `number`
    unless a selector repeats an earlier spec.
    """

    number: int
    seq: int
    scene: int
    skill: str
    level: int
    purpose: str
    blind: bool = False
    reissue: int = 0
    degradation: Optional[str] = None  # like "fog:3"; "" for undegraded images; None: drawn when the spec is built
    proposal: str = ""  # key of the proposal; "" for a question of the catalogue
    world: str = ""  # name of the world; "" if the run has one

    @property
    def cell(self) -> Cell:
        return Cell(self.skill, self.level, self.degradation or "", self.world)

    @property
    def spec_id(self) -> str:
        return f"s{self.number:08d}"

    @property
    def lease_id(self) -> str:
        return f"{self.spec_id}.{self.reissue}"


def spec_of(lease_id: str) -> str:
    """The id of the spec under a lease."""
    return lease_id.partition(".")[0]


class LeasedEvent(msgspec.Struct, frozen=True, tag="leased"):
    request_id: bytes
    learner: str
    policy_version: int
    expires_s: float  # epoch seconds
    issues: tuple[Issue, ...]
    reason: str = ""


class ProposedEvent(msgspec.Struct, frozen=True, tag="proposed"):
    """Proposals, each to be asked `passes` times, and the ids of those that were added before.

    `request` is the number of the proposal request that is answered, -1 for proposals of a person.
    """

    request_id: bytes
    proposals: tuple[TaskSpec, ...]
    passes: int
    duplicates: tuple[str, ...] = ()
    request: int = -1
    kinds: tuple[Kind, ...] = ()  # new ones
    refusals: tuple[Refusal, ...] = ()


class LeaseExpiredEvent(msgspec.Struct, frozen=True, tag="lease_expired"):
    """Expired leases: `returned` specs are issued again, `given_up` ones were issued too often."""

    returned: tuple[str, ...]  # lease ids
    given_up: tuple[str, ...] = ()


class WorldAddedEvent(msgspec.Struct, frozen=True, tag="world_added"):
    """A world from the configuration, or derived from a parent by one change."""

    name: str
    settings: str  # the World as JSON
    parent: str = ""
    change: str = ""
    reason: str = ""


class WorldRetiredEvent(msgspec.Struct, frozen=True, tag="world_retired"):
    """A derived world is not asked any more."""

    name: str
    reason: str


class ReportedEvent(msgspec.Struct, frozen=True, tag="reported"):
    """Reports counted by this event, and the ids of those in the same message that were counted before."""

    request_id: bytes
    reports: tuple[ConfidenceReport, ...]
    duplicates: tuple[str, ...] = ()


Event = Union[LeasedEvent, LeaseExpiredEvent, ReportedEvent, ProposedEvent, WorldAddedEvent, WorldRetiredEvent]

_decoder = msgspec.json.Decoder(Event)


def encode_event(event: Event) -> bytes:
    return msgspec.json.encode(event)


def decode_event(body: bytes) -> Event:
    """Raises msgspec.DecodeError (or its ValidationError) if the body is not an event."""
    return _decoder.decode(body)
