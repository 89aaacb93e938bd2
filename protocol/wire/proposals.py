"""Messages about proposals, and the status of the cells and kinds that they concern."""

from __future__ import annotations

from typing import Optional

import msgspec

from protocol.tasks.kinds import Kind
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import TaskSpec


class CellStatus(msgspec.Struct, frozen=True):
    skill: str
    level: int
    asked: int
    success_rate: float  # posterior mean with forgetting
    predicted: float  # of the ability model
    share: float  # fraction of upcoming specs
    infeasible: int = 0
    no_gradient: int = 0
    blind_success: Optional[float] = None
    calibration_error: Optional[float] = None  # ECE of the skill
    brier: Optional[float] = None  # of the skill
    degradation: str = ""  # of the images, like "fog:3"; "" if undegraded
    screened: int = 0
    world: str = ""


class KindStatus(msgspec.Struct, frozen=True):
    """What is known about a kind of composed questions."""

    kind: Kind
    accepted: int = 0  # questions that the simulator accepted
    rejected: dict[str, int] = {}  # code of the first reason -> questions
    asked: int = 0  # questions that gave evidence about the policy
    waiting: int = 0  # accepted questions that were not asked yet
    wanted: int = 0  # further questions that the curriculum asks for
    success_rate: float = 0.0  # posterior mean
    predicted: float = 0.0  # of the ability model, from the functions that the kind uses
    signal: float = 0.0  # expected variance of rewards within a group
    share: float = 0.0  # fraction of the upcoming composed questions
    first_success: float = 0.0  # mean over its first questions
    last_success: float = 0.0  # mean over its last questions
    blind_success: Optional[float] = None
    retired: str = ""  # why it is not asked any more
    example: str = ""  # text of an accepted question
    program: str = ""  # its program


class Refusal(msgspec.Struct, frozen=True):
    """A question that the simulator rejected: its kind, the code of the first reason, its text and that reason."""

    kind: str
    code: str
    text: str = ""
    message: str = ""


class AddProposals(msgspec.Struct, frozen=True):
    """Proposals that a simulator accepted, to be leased among the other specs.

    A proposer also sends the number of the request that it answers, with or without accepted questions, the kinds of
    its proposals that are new, and what was rejected. A second answer to the same request adds nothing.
    """

    proposals: tuple[TaskSpec, ...]
    request: int = -1
    kinds: tuple[Kind, ...] = ()
    refusals: tuple[Refusal, ...] = ()


class ProposalsKept(msgspec.Struct, frozen=True):
    """Sent after the commit: the spec ids of the new proposals, and of those that the run had before (unchanged)."""

    kept: tuple[str, ...]
    duplicates: tuple[str, ...] = ()


class GetProposalRequest(msgspec.Struct, frozen=True):
    """Ask what the curriculum wants to be proposed. Answered by ProposalRequest."""

    proposer: str


class ProposalRequest(msgspec.Struct, frozen=True):
    """What a proposer is to write: `wanted` further questions of each kind, and `new_kinds`; nothing if both are 0.

    The same until an answer with this `number` is added. Scenes are training scenes that no other request names.
    """

    number: int
    run_seed: int
    scenes: tuple[SceneSpec, ...]
    camera: Camera
    kinds: tuple[KindStatus, ...] = ()  # that are asked
    new_kinds: int = 0
    known: tuple[str, ...] = ()  # names of retired kinds, which are not proposed again
    cells: tuple[CellStatus, ...] = ()  # skills and their confidence
    refusals: tuple[Refusal, ...] = ()  # the last ones
