"""Kinds of composed questions: cells with their own ability, shares by signal, retirement with a reason."""

from __future__ import annotations

import io
import os
from contextlib import closing
from typing import Any

import msgspec
import pytest
from rich.console import Console

from curriculum.ability.rasch import Cell, Rasch
from curriculum.core import CurriculumCore
from curriculum.issues import BLIND_EVERY
from curriculum.record.load import load_state
from curriculum.record.state import encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import Proposals
from curriculum.tables import print_kinds
from protocol.errors import VantageError
from protocol.tasks.kinds import Kind, functions_of, kind_name
from protocol.tasks.scene import SceneSpec
from protocol.tasks.task import Proposal, TaskSpec
from protocol.wire.messages import Leased, LeaseSpecs, SendReports
from protocol.wire.proposals import AddProposals, GetProposalRequest, ProposalRequest, ProposalsKept, Refusal
from tests.support.curriculum import report_on

PROGRAM = "image_x(object(1), view(0)) < image_x(object(2), view(0))"
HALF = Proposals(share=0.5, ahead=64, kinds=3)


def kind(number: int, program: str = PROGRAM) -> Kind:
    return Kind(kind_name("composed", program, 0.5, f"{number:06x}"), "{}")


def question(of: Kind, number: int) -> TaskSpec:
    asked = Proposal("Is it left of it?", PROGRAM, "choice", options=("yes", "no"), kind=of.name)
    return TaskSpec(f"p{number}", run_seed=5, seq=number, scene=SceneSpec(seed=number), proposal=asked)


def wish(core: CurriculumCore) -> ProposalRequest:
    request = core.handle(GetProposalRequest("p"), b"")
    assert isinstance(request, ProposalRequest)
    return request


def add(core: CurriculumCore, specs: list[TaskSpec], kinds: list[Kind], **changes: Any) -> ProposalsKept:
    number = changes.pop("request", wish(core).number)
    message = AddProposals(tuple(specs), number, tuple(kinds), **changes)
    kept = core.handle(message, os.urandom(8))
    assert isinstance(kept, ProposalsKept)
    return kept


def lease(core: CurriculumCore, count: int, request_id: bytes) -> list[Leased]:
    return list(core.handle(LeaseSpecs("l", count, 0), request_id).specs)  # type: ignore[attr-defined]


def answer(
    core: CurriculumCore, leased: list[Leased], rewards: dict[str, tuple[float, ...]], request_id: bytes
) -> None:
    reports = [report_on(one, rewards[one.spec.question.skill]) for one in leased if one.spec.proposal]
    core.handle(SendReports(tuple(reports)), request_id)


def test_a_request_is_repeated_until_it_is_answered_once(start) -> None:
    core = start(proposals=HALF)
    first = wish(core)
    assert first == wish(core) and first.new_kinds == 3 and first.number == 0
    assert first.scenes and all(scene.split == "train" for scene in first.scenes)
    a = kind(1)
    assert add(core, [question(a, 1)], [a]).kept == ("p1",)
    assert add(core, [question(a, 2)], [a], request=0).kept == ()  # by a proposer that was killed before the reply
    second = wish(core)
    assert second.number == 1 and core.status.proposals == 1
    assert not {scene.seed for scene in first.scenes} & {scene.seed for scene in second.scenes}
    assert add(core, [], [], refusals=(Refusal(a.name, "unstable", "Is it?", "it moves"),)).kept == ()
    third = wish(core)
    assert third.number == 2 and third.refusals[-1].code == "unstable"
    assert core.status.kinds[0].rejected == {"unstable": 1}


def test_a_composed_question_is_a_cell_and_leaves_once_it_was_asked(start, run) -> None:
    core = start(proposals=HALF)
    a = kind(1)
    add(core, [question(a, number) for number in range(4)], [a])
    leased = [one for one in lease(core, 16, b"1") if one.spec.proposal]
    assert len(leased) == 4 and {one.spec.question.skill for one in leased} == {a.name}
    answer(core, leased, {a.name: (1.0, 0.0)}, b"2")
    status = core.status
    assert (status.kinds[0].asked, status.kinds[0].waiting) == (4 - sum(one.blind for one in leased), 0)
    assert len(core._state.proposals) == 0 and status.proposals == 4
    assert not any(row.skill == "proposed" for row in status.cells)
    core.close()
    with closing(Store(run.path / FILE_NAME, run.seed, read_only=True)) as store:
        rebuilt, _ = load_state(store, core._settings.estimation, from_snapshot=False)
    assert encode_state(rebuilt) == encode_state(core._state)


def test_shares_follow_the_signal_and_useless_kinds_retire(start) -> None:
    core = start(proposals=Proposals(share=0.9, ahead=512, kinds=3))
    easy, good = kind(1), kind(2)
    rewards = {easy.name: (1.0, 1.0, 1.0, 1.0), good.name: (1.0, 0.0, 1.0, 0.0)}
    number = 0
    for round in range(12):
        fresh = [question(one, number + place) for place, one in enumerate((easy, good) * 8)]
        number += len(fresh)
        add(core, fresh, [easy, good])
        answer(core, lease(core, 20, f"l{round}".encode()), rewards, f"r{round}".encode())
        found = {one.kind.name: one for one in core.status.kinds}
        if found[easy.name].retired:
            break
    assert found[easy.name].retired.startswith("trivial") and found[easy.name].share == 0
    assert not found[good.name].retired and found[good.name].share == 1
    assert found[easy.name].waiting == 0  # its questions were dropped
    assert easy.name in wish(core).known and wish(core).new_kinds == 2
    assert found[good.name].first_success == pytest.approx(0.5)


def test_kinds_that_are_answered_blind_or_rejected_retire(start) -> None:
    core = start(proposals=Proposals(share=0.9, ahead=512, kinds=3))
    a, b = kind(1), kind(2)
    refusals = tuple(Refusal(b.name, "ambiguous") for _ in range(20))
    add(core, [], [b], refusals=refusals)
    assert core.status.kinds[0].retired == "ambiguous: 20 of 20 questions"
    number, asked_blind = 0, 0
    while asked_blind < 8:
        add(core, [question(a, number + place) for place in range(48)], [a])
        number += 48
        for one in lease(core, 53, f"l{number}".encode()):
            if one.spec.proposal:
                asked_blind += one.blind
                right = (1.0, 1.0) if one.blind else (1.0, 1.0, 1.0, 0.0)
                core.handle(SendReports((report_on(one, right),)), one.lease_id.encode())
    found = {one.kind.name: one for one in core.status.kinds}[a.name]
    assert found.retired.startswith("answerable blind") and BLIND_EVERY == 12


def test_kinds_are_listed_with_what_they_taught_and_why_they_left(start) -> None:
    core = start(proposals=HALF)
    a, b = kind(1), kind(2)
    add(core, [question(a, 1)], [a, b], refusals=tuple(Refusal(b.name, "ambiguous") for _ in range(20)))
    text = io.StringIO()
    print_kinds(Console(file=text, width=160), core.status.kinds)
    shown = " ".join(text.getvalue().split())
    assert "Is it left of it?" in shown and "ambiguous" in shown
    assert (
        "1 kinds are asked, 1 were retired (1 ambiguous); 21 questions were examined, 1 accepted, 20 rejected" in shown
    )


def test_confidence_in_functions_predicts_their_composition() -> None:
    rasch = Rasch()
    programs = (
        "name(argmin([object(1)], a: closest_distance(a, object(2))))",
        "image_x(object(1), view(0)) < 1",
        "image_x(argmin([object(1)], a: closest_distance(a, a)), view(0)) < 1",
        "longest_side(object(1)) > 1",
    )
    nearest, leftmost, both, other = (Cell(kind_name("composed", text, 0.5, "000001"), 0) for text in programs)
    before = rasch.predict(both)
    for _ in range(20):
        rasch.update(nearest, 1.0, 3.0)
        rasch.update(leftmost, 1.0, 3.0)
    assert rasch.predict(both) > before + 0.1
    assert rasch.predict(both) > rasch.predict(other)
    assert functions_of(PROGRAM) == ("image_x",)


def test_proposals_of_unknown_or_misnamed_kinds_are_refused(start) -> None:
    core = start(proposals=HALF)
    with pytest.raises(VantageError, match="is not described"):
        add(core, [question(kind(1), 1)], [])
    with pytest.raises(VantageError, match="name of another form"):
        add(core, [], [Kind("depth_order", "{}")])
    with pytest.raises(VantageError, match="more than 4096 characters"):
        add(core, [], [msgspec.structs.replace(kind(1), form="x" * 5000)])
    assert core.status.proposals == 0 and wish(core).number == 0
