"""Proposals: stored as events, leased with other specs, asked a fixed number of times, never duplicated."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from curriculum.core import CurriculumCore
from curriculum.record.load import load_state
from curriculum.record.state import encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import CurriculumSettings, Proposals
from protocol.errors import VantageError
from protocol.tasks.proposals import proposal_key
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, SceneSpec
from protocol.tasks.task import Proposal, TaskSpec
from protocol.wire.messages import AddProposals, Leased, LeaseSpecs, ProposalsKept, SendReports, SpecBatch
from tests.support.curriculum import failure_on, report_on

HALF = Proposals(share=0.5)


def proposal(number: int, **changes) -> TaskSpec:
    asked = Proposal(
        f"is the lamp number {number} left of the bed ?",
        "image_x(object(1), view(0)) < image_x(object(2), view(0))",
        "choice",
        options=("yes", "no"),
    )
    own = {key: changes.pop(key) for key in list(changes) if key in Proposal.__struct_fields__}
    spec = TaskSpec(
        f"mine:{number}",
        run_seed=3,
        seq=number,
        scene=SceneSpec(seed=number),
        proposal=msgspec.structs.replace(asked, **own),
    )
    return msgspec.structs.replace(spec, **changes)


def original(leased: list[Leased]) -> list[TaskSpec]:
    """The specs with their original ids instead of those of the curriculum."""
    return [msgspec.structs.replace(one.spec, spec_id=f"mine:{one.spec.seq}") for one in leased]


def add(core: CurriculumCore, *proposals: TaskSpec, request_id: bytes = b"add") -> ProposalsKept:
    answer = core.handle(AddProposals(proposals), request_id)
    assert isinstance(answer, ProposalsKept)
    return answer


def lease(core: CurriculumCore, count: int, request_id: bytes, lease_s: float = 600.0) -> list[Leased]:
    batch = core.handle(LeaseSpecs("l", count, 0, lease_s), request_id)
    assert isinstance(batch, SpecBatch) and len(batch.specs) == count
    return list(batch.specs)


def proposed(leased: list[Leased]) -> list[Leased]:
    return [one for one in leased if one.spec.proposal]


def test_proposals_get_their_share_and_are_asked_once(start) -> None:
    core = start(proposals=HALF)
    proposals = [proposal(number) for number in range(6)]
    assert add(core, *proposals).kept == tuple(one.spec_id for one in proposals)
    first = proposed(lease(core, 8, b"1"))
    assert original(first) == proposals[:4]
    assert all((one.purpose, one.spec.question.skill) == ("proposed", "proposed") for one in first)
    second = proposed(lease(core, 8, b"2"))
    assert original(second) == proposals[4:]
    assert not proposed(lease(core, 8, b"3"))
    ids = [one.spec.spec_id for one in first + second]
    assert len(set(ids)) == 6


def test_small_batches_have_the_share_on_average(start) -> None:
    core = start(proposals=Proposals(share=0.25))
    add(core, *(proposal(number) for number in range(100)))
    counts = [len(proposed(lease(core, 2, b"%d" % number))) for number in range(120)]
    assert 35 <= sum(counts) <= 85 and set(counts) == {0, 1}


def test_a_pass_asks_all_proposals_before_the_next_pass(start) -> None:
    core = start(proposals=Proposals(share=0.5, passes=2))
    add(core, proposal(0), proposal(1), proposal(2))
    seeds = [one.spec.scene.seed for number in range(3) for one in proposed(lease(core, 4, b"%d" % number))]
    assert seeds == [0, 1, 2, 0, 1, 2] or Counter(seeds[:3]).keys() == {0, 1, 2} == Counter(seeds[3:]).keys()
    assert core.status.proposals_waiting == 0


def test_duplicates_are_detected_whatever_their_id(start) -> None:
    core = start()
    assert add(core, proposal(1), proposal(1, spec_id="twin")).duplicates == ("twin",)
    again = add(core, proposal(1, spec_id="later"), proposal(2), request_id=b"again")
    assert (again.kept, again.duplicates) == (("mine:2",), ("later",))
    assert add(core, proposal(3), request_id=b"again") == again, "a repeated request gets its first answer"
    assert core.status.proposals == 2


def test_reports_count_in_their_own_row_and_do_not_change_other_skills(start) -> None:
    core = start(proposals=HALF)
    before = [row.predicted for row in core.status.cells]
    add(core, *(proposal(number) for number in range(4)))
    leased = proposed(lease(core, 8, b"1"))
    reports = (*(report_on(one) for one in leased[:3]), failure_on(leased[3], "infeasible"))
    core.handle(SendReports(reports), b"2")
    core.handle(SendReports(reports), b"3")
    *rows, row = core.status.cells
    assert (row.skill, row.asked, row.infeasible, row.success_rate) == ("proposed", 3, 1, pytest.approx(0.5, abs=0.1))
    assert [row.predicted for row in rows] == before
    assert (core.status.proposals, core.status.proposals_waiting) == (4, 0)


def test_a_proposal_of_a_lost_lease_is_leased_again(start, clock) -> None:
    core = start(proposals=HALF)
    add(core, proposal(7))
    (one,) = proposed(lease(core, 2, b"1", lease_s=5.0))
    clock.now_s += 10
    (again,) = proposed(lease(core, 2, b"2"))
    assert again.spec == one.spec and again.lease_id != one.lease_id
    assert not proposed(lease(core, 8, b"3"))


def test_proposals_survive_restart_and_replay(run, clock) -> None:
    settings = CurriculumSettings(proposals=HALF)
    with CurriculumCore(run, settings, clock) as core:
        add(core, *(proposal(number) for number in range(5)))
        first = lease(core, 4, b"1")
        core.handle(SendReports(tuple(map(report_on, first))), b"2")
        live = encode_state(core._state)
    store = Store(run.path / FILE_NAME, run.seed, read_only=True)
    assert encode_state(load_state(store, settings.estimation, from_snapshot=False)[0]) == live
    store.close()
    with CurriculumCore(run, settings, clock) as core:
        assert lease(core, 4, b"1") == first, "a repeated request gets its first answer"
        assert len(proposed(lease(core, 8, b"3"))) == 3
        assert add(core, proposal(9), request_id=b"add").kept == tuple(f"mine:{number}" for number in range(5))


def test_held_out_scenes_and_too_many_views_are_rejected(start) -> None:
    core = start()
    held_out = proposal(0, scene=SceneSpec(seed=HELD_OUT_SEED_BORDER + 1, split="val"))
    with pytest.raises(VantageError, match="held-out scene"):
        add(core, proposal(1), held_out)
    with pytest.raises(VantageError, match="more than 8 views"):
        add(core, proposal(1, max_views=9), request_id=b"b")
    assert core.status.proposals == 0


def test_the_key_covers_all_fields_but_the_id() -> None:
    keys = {
        proposal_key(proposal(1, **change))
        for change in ({}, {"text": "else ?"}, {"program": "1"}, {"max_views": 2}, {"options": ("no", "yes")})
    }
    assert len(keys) == 5
    assert proposal_key(proposal(1)) == proposal_key(proposal(1, spec_id="x"))


def test_the_number_of_proposals_is_bounded(start) -> None:
    core = start(proposals=Proposals(most=3))
    add(core, proposal(0), proposal(1))
    with pytest.raises(VantageError, match="the run has 2 of at most 3 proposals") as caught:
        add(core, proposal(2), proposal(3), request_id=b"more")
    assert caught.value.code == "bad_request" and core.status.proposals == 2
    assert add(core, proposal(2), request_id=b"one more").kept == ("mine:2",)


def test_a_proposal_that_fails_is_not_asked_again(start) -> None:
    core = start(proposals=Proposals(share=0.5, passes=3))
    add(core, proposal(0), proposal(1))
    fails, works = proposed(lease(core, 4, b"1"))
    core.handle(SendReports((failure_on(fails, "broken"), report_on(works))), b"2")
    assert core.status.proposals_waiting == 2
    assert {one.spec.scene.seed for one in proposed(lease(core, 8, b"3"))} == {works.spec.scene.seed}
