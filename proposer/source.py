"""The interface of sources: what writes questions for a proposal request."""

from __future__ import annotations

from typing import Protocol, Sequence

import msgspec
import numpy as np

from proposer.composer.looks import Look
from protocol.tasks.kinds import Kind
from protocol.tasks.task import Proposal
from protocol.wire.proposals import ProposalRequest


class Draft(msgspec.Struct, frozen=True):
    """A question that was written for a look at a scene, and its kind."""

    kind: Kind
    proposal: Proposal
    look: Look


class Source(Protocol):
    """Writes questions. A source keeps nothing that a restart would lose."""

    def write(self, request: ProposalRequest, looks: Sequence[Look], rng: np.random.Generator) -> list[Draft]:
        """Questions for the request, about these looks at its scenes; fewer than wanted if few are possible."""
        ...

    @property
    def figures(self) -> dict[str, float]:
        """Counters for the status of the process."""
        ...
