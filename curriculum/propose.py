"""Add proposals to a live run: its simulator examines them, its curriculum stores them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Callable, Sequence

from protocol.run.directory import RunDir
from protocol.tasks.proposals import read_proposals
from protocol.tasks.task import Episode, TaskSpec
from protocol.wire.client import Client
from protocol.wire.endpoint import lookup
from protocol.wire.messages import AddProposals, ProposalsKept, Rejected, RenderTask

_AT_ONCE = 32  # proposals examined at a time
_TEST_DEADLINE_S = 300.0  # the first examination opens other scenes for comparison


def propose(run: RunDir, files: Sequence[Path], say: Callable[[str], None]) -> int:
    """Add the accepted proposals of the files to the run; returns how many were rejected.

    A question that the run already has is not added again. Raises VantageError: "bad_request" for a file that is not a
    proposal file or a question about a held-out scene, "unavailable" if the run's processes do not answer.
    """
    proposals = iter([item for path in files for item in read_proposals(path)])
    asked = rejected = kept = known = 0
    with (
        Client(lambda: lookup(run.path, "sim"), "propose") as simulator,
        Client(lambda: lookup(run.path, "curriculum"), "propose") as curriculum,
    ):
        while portion := list(islice(proposals, _AT_ONCE)):
            accepted = _accepted(simulator, portion, say)
            asked, rejected = asked + len(portion), rejected + len(portion) - len(accepted)
            if accepted:
                answer = curriculum.request(AddProposals(tuple(accepted)), deadline_s=60.0).message
                assert isinstance(answer, ProposalsKept), answer
                kept, known = kept + len(answer.kept), known + len(answer.duplicates)
    say(f"{kept} of {asked} will be asked, {rejected} rejected, {known} were there before")
    return rejected


def _accepted(simulator: Client, proposals: Sequence[TaskSpec], say: Callable[[str], None]) -> list[TaskSpec]:
    accepted = []
    replies = [(one, simulator.submit(RenderTask(one, examine=True), deadline_s=_TEST_DEADLINE_S)) for one in proposals]
    for proposal, future in replies:
        reply = future.result().message
        if isinstance(reply, Rejected):
            say(f"{proposal.spec_id}: rejected")
            for one in reply.rejections:
                where = f" ({one.part}, character {one.at})" if one.at >= 0 else ""
                say(f"   {one.code}: {one.message}{where}")
        else:
            assert isinstance(reply, Episode), reply
            question = reply.question
            say(f"{proposal.spec_id}: accepted, {question.answer[:80]}{' ' * bool(question.unit)}{question.unit}")
            accepted.append(proposal)
    return accepted
