"""What the curriculum accepts: reports on its own leases, and proposals about training scenes."""

from __future__ import annotations

import math
import re
from collections.abc import Collection

from curriculum.record.events import Issue
from curriculum.record.state import State
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.skills.skill import MOST_VIEWS
from protocol.tasks.check import check_proposal
from protocol.tasks.kinds import parse_kind
from protocol.tasks.task import PROPOSED, Degradation, TaskSpec
from protocol.wire.messages import MOST_QUESTIONS, OUTCOMES, ConfidenceReport
from protocol.wire.proposals import AddProposals

MOST_TEXT = 4096  # characters of an id or a reason in a report
MOST_REWARDS = 4096

_LEASE_ID = re.compile(r"(s(\d{8,18}))\.(\d{1,9})")


def check_report(report: ConfidenceReport, state: State) -> None:
    """Raises VantageError("bad_request") for a report that cannot be stored, or on a lease that was never given."""
    figures = (
        report.success_rate,
        report.truth_likelihood,
        report.truth_probability,
        report.answer_entropy,
        *report.rewards,
        *report.candidates,
        report.candidate_variance,
    )
    skill = CATALOGUE.get(report.skill)
    if not report.report_id:
        problem = "has no report_id"
    elif len(report.candidates) > MOST_QUESTIONS:
        problem = f"has {len(report.candidates)} candidates, and the limit is {MOST_QUESTIONS}"
    elif max(len(report.report_id), len(report.reason)) > MOST_TEXT or len(report.rewards) > MOST_REWARDS:
        problem = f"has more than {MOST_TEXT} characters of text or {MOST_REWARDS} rewards"
    elif report.outcome not in OUTCOMES:
        problem = f"has outcome {report.outcome!r}, which is not one of {', '.join(OUTCOMES)}"
    elif report.level not in (skill.feasible_levels if skill else (0,) if _is_proposed(report.skill) else ()):
        problem = f"names {report.skill!r} at level {report.level}, which the skill catalogue lacks"
    elif not _is_label(report.degradation):
        problem = f"was answered under {report.degradation[:40]!r}, which is not a degradation like fog:3"
    elif not all(math.isfinite(figure) for figure in figures):
        problem = "holds a number that is not finite"
    elif not _was_given(report, state):
        problem = f"is about lease {report.lease_id!r} of spec {report.spec_id!r}, which was never given"
    elif (issue := state.issue_of(report.spec_id)) and not _is_about(report, issue):
        problem = f"is about another skill, level, world or kind of question than lease {report.lease_id!r}"
    else:
        return
    raise VantageError("bad_request", f"report {report.report_id[:200]!r} {problem}; correct it and send it again.")


def _is_proposed(skill: str) -> bool:
    """Whether the name of a skill is that of proposals, or of a kind of composed questions."""
    if skill == PROPOSED:
        return True
    try:
        return bool(parse_kind(skill))
    except ValueError:
        return False


def check_training_proposal(spec: TaskSpec, held_out: Collection[str]) -> None:
    """Raises VantageError("bad_request") for a proposal that is not fit for a policy, about a held-out scene, or with
    more views than any skill. `held_out` are the held-out assets of all worlds."""
    check_proposal(spec)
    scene, proposal = spec.scene, spec.proposal
    assert proposal is not None
    if scene.split != "train" or scene.asset in held_out:
        problem = "is about a held-out scene: use scenes of the training split"
    elif max(len(proposal.poses), spec.max_views) > MOST_VIEWS:
        problem = f"has more than {MOST_VIEWS} views"
    elif proposal.kind and not _is_proposed(proposal.kind):
        problem = "has a kind with a name of another form"
    else:
        return
    raise VantageError("bad_request", f"proposal {spec.spec_id!r} {problem}; leave it out or change it.")


def check_kinds(message: AddProposals, state: State) -> None:
    """Raises VantageError("bad_request") for kinds or refusals that cannot be stored, or proposals of unknown kinds."""
    names = {kind.name for kind in message.kinds}
    used = {spec.proposal.kind for spec in message.proposals if spec.proposal} - {""}
    texts = [*(text for one in message.refusals for text in (one.kind, one.code, one.text, one.message))]
    if bad := sorted(name for name in names if not _is_proposed(name)):
        problem = f"the kind {bad[0][:60]!r} has a name of another form"
    elif missing := sorted(used - names - state.kinds.keys()):
        problem = f"the kind {missing[0]} is not described"
    elif max(len(message.kinds), len(message.refusals)) > MOST_QUESTIONS * 8:
        problem = f"they have more than {MOST_QUESTIONS * 8} kinds or refusals"
    elif any(max(len(kind.form), len(kind.parent)) > MOST_TEXT for kind in message.kinds) or any(
        len(text) > MOST_TEXT for text in texts
    ):
        problem = f"a text has more than {MOST_TEXT} characters"
    else:
        return
    raise VantageError("bad_request", f"these proposals cannot be added: {problem}.")


def _was_given(report: ConfidenceReport, state: State) -> bool:
    match = _LEASE_ID.fullmatch(report.lease_id)
    if match is None or match[1] != report.spec_id or int(match[2]) >= state.next_number:
        return False
    issue = state.issue_of(report.spec_id)
    return issue is None or int(match[3]) <= issue.reissue


def _is_about(report: ConfidenceReport, issue: Issue) -> bool:
    found = (report.skill, report.level, report.blind, report.world)
    return found == (issue.skill, issue.level, issue.blind, issue.world)


def _is_label(text: str) -> bool:
    try:
        return all(Degradation.parse(part) for part in text.split("+")) if text else True
    except ValueError:
        return False
