"""Leases and reports: repeated requests, restarts, expired leases and late reports."""

from __future__ import annotations

import msgspec
import pytest

from curriculum.ability.rasch import MOST_TRIALS
from curriculum.core import CurriculumCore
from curriculum.record.state import group_statistics
from curriculum.settings import CurriculumSettings, ReservedShares
from protocol.errors import VantageError
from protocol.run.directory import read_jsonl
from protocol.run.stall import stalls_in
from protocol.tasks.scene import HELD_OUT_SEED_BORDER
from protocol.tasks.specs import SkillSettings, default_skills
from protocol.wire.messages import (
    CurriculumStatus,
    GetCurriculumStatus,
    LeaseSpecs,
    ReportsCounted,
    SendReports,
    SpecBatch,
)
from tests.support.curriculum import failure_on, report_on, screened_on
from tests.support.wire import wait_for
from tests.unit.curriculum.conftest import Clock

ONE_SKILL = (SkillSettings(name="depth_order", levels=(0, 1)),)


def lease(core: CurriculumCore, count: int = 8, request_id: bytes = b"lease", lease_s: float = 600.0) -> SpecBatch:
    batch = core.handle(LeaseSpecs("learner", count, policy_version=1, lease_s=lease_s), request_id)
    assert isinstance(batch, SpecBatch)
    return batch


def send(core: CurriculumCore, *reports, request_id: bytes = b"reports") -> ReportsCounted:
    counted = core.handle(SendReports(reports), request_id)
    assert isinstance(counted, ReportsCounted)
    return counted


def status(core: CurriculumCore) -> CurriculumStatus:
    answer = core.handle(GetCurriculumStatus(), b"status")
    assert isinstance(answer, CurriculumStatus)
    return answer


def test_a_lease_returns_the_requested_number_of_new_specs(start):
    core = start()
    batches = [lease(core, 16, bytes([index])) for index in range(4)]
    specs = [leased for batch in batches for leased in batch.specs]
    assert [len(batch.specs) for batch in batches] == [16] * 4
    for field in ("spec_id", "seq"):
        assert len({getattr(leased.spec, field) for leased in specs}) == 64
    assert len({leased.lease_id for leased in specs}) == 64
    assert all(leased.spec.run_seed == 5 for leased in specs)
    assert batches[0].reason.startswith("asking ")


def test_specs_of_a_scene_are_consecutive(start):
    specs = [leased.spec for leased in lease(start(), 32).specs]
    changes = sum(before.scene != after.scene for before, after in zip(specs, specs[1:]))
    assert changes + 1 == len({spec.scene.seed for spec in specs}) == 8


def test_held_out_scenes_are_never_issued(start):
    core = start()
    for index in range(20):
        for leased in lease(core, 64, bytes([index])).specs:
            assert leased.spec.scene.seed < HELD_OUT_SEED_BORDER
            assert leased.spec.scene.split == "train"


def test_a_repeated_request_gets_the_same_leases(start):
    core = start()
    first = lease(core, request_id=b"same")
    assert lease(core, request_id=b"same") == first
    assert status(core).issued == len(first.specs)


def test_a_repeated_request_gets_the_same_leases_after_a_restart(start):
    core = start()
    first = lease(core, request_id=b"same")
    core.close()
    core = start()
    assert lease(core, request_id=b"same") == first
    assert lease(core, request_id=b"other").specs[0] not in first.specs
    assert status(core).issued == 2 * len(first.specs)


def test_the_same_seed_and_reports_give_the_same_specs(run, tmp_path, clock):
    from protocol.run.directory import RunDir

    def history(directory: RunDir) -> list[SpecBatch]:
        with CurriculumCore(directory, CurriculumSettings(), clock) as core:
            batches = []
            for index in range(5):
                batches.append(lease(core, 16, b"lease %d" % index))
                send(core, *(report_on(leased) for leased in batches[-1].specs), request_id=b"reports %d" % index)
            return batches

    assert history(run) == history(RunDir.create(tmp_path / "another", {"run": {"seed": 5}}))
    other = history(RunDir.create(tmp_path / "seed", {"run": {"seed": 6}}))
    assert other[0].specs[0].spec.scene.seed != lease_seed(run)


def lease_seed(run) -> int:
    with CurriculumCore(run, CurriculumSettings()) as core:
        return lease(core, 16, b"lease 0").specs[0].spec.scene.seed


def test_a_report_counts_once(start):
    core = start()
    one, two = (report_on(leased) for leased in lease(core, 2).specs)
    assert send(core, one, request_id=b"1") == ReportsCounted((one.report_id,))
    assert send(core, one, two, two, request_id=b"2") == ReportsCounted(
        (two.report_id,), (one.report_id, two.report_id)
    )
    assert status(core).counted == 2


def test_a_report_counts_once_after_a_restart(start):
    core = start()
    report = report_on(lease(core, 1).specs[0])
    first = send(core, report, request_id=b"1")
    core.close()
    core = start()
    assert send(core, report, request_id=b"1") == first, "the same request gets the same answer"
    assert send(core, report, request_id=b"2") == ReportsCounted((), (report.report_id,))
    assert status(core).counted == 1


def test_infeasible_and_broken_specs_are_not_wrong_answers(start):
    core = start(skills=ONE_SKILL)
    specs = lease(core, 60).specs
    send(core, *(report_on(leased, (1.0,) * 8, blind=False) for leased in specs[:20]), request_id=b"1")
    before = {cell.level: cell.success_rate for cell in status(core).cells}
    failed = [failure_on(leased, "infeasible") for leased in specs[20:40]]
    failed += [failure_on(leased, "broken") for leased in specs[40:]]
    send(core, *failed, request_id=b"2")
    after = status(core)
    assert {cell.level: cell.success_rate for cell in after.cells} == before
    assert (after.infeasible, after.broken, sum(cell.asked for cell in after.cells)) == (20, 20, 20)


def test_a_screened_spec_is_evidence_but_neither_asked_nor_wrong(start):
    core = start(skills=ONE_SKILL)
    specs = [leased for leased in lease(core, 60).specs if not leased.blind]
    send(core, *(screened_on(leased, 0.25) for leased in specs[:20]), request_id=b"1")
    low = status(core)
    assert low.screened == low.counted == sum(cell.screened for cell in low.cells) == 20
    assert sum(cell.asked + cell.no_gradient for cell in low.cells) == low.infeasible + low.broken == 0
    send(core, *(screened_on(leased, 0.99) for leased in specs[20:]), request_id=b"2")
    for before, after in zip(low.cells, status(core).cells):
        assert before.success_rate < 0.5 < after.success_rate


def test_the_mean_of_all_candidates_about_the_views_is_the_success_of_the_spec(start):
    """Answering the most uncertain of several questions does not draw the estimate to 1/2."""
    core = start(skills=ONE_SKILL)
    specs = [leased for leased in lease(core, 80).specs if not leased.blind]
    several = {"candidates": (0.99, 0.97, 0.5, 0.94), "candidate_variance": 0.085}
    answered = [report_on(leased, (1.0, 0.0), truth_likelihood=0.5, **several) for leased in specs[::2]]
    screened = [msgspec.structs.replace(screened_on(leased, 0.85), **several) for leased in specs[1::2]]
    send(core, *answered, *screened)
    for cell in status(core).cells:
        assert cell.success_rate > 0.75
        assert cell.calibration_error == pytest.approx(0.0), "the likelihood is that of the question that was answered"
    assert group_statistics(answered[0]) == group_statistics(screened[0]) == (pytest.approx(0.85), MOST_TRIALS, 0.085)


@pytest.mark.parametrize("candidates", [(float("nan"),), (0.5,) * 65])
def test_candidates_that_cannot_be_stored_are_refused(start, candidates):
    core = start(skills=ONE_SKILL)
    with pytest.raises(VantageError, match="not finite|65 candidates"):
        send(core, report_on(lease(core).specs[0], candidates=candidates))


def test_blind_reports_do_not_change_the_success_rate(start):
    core = start(skills=ONE_SKILL, shares=ReservedShares(coverage=0.05, retest=0.0, blind=0.9))
    specs = [leased for leased in lease(core, 40).specs if leased.blind]
    before = status(core).cells
    send(core, *(report_on(leased, (1.0,) * 8) for leased in specs))
    after = status(core).cells
    assert [cell.success_rate for cell in after] == [cell.success_rate for cell in before]
    assert all(cell.blind_success is not None and cell.blind_success > 0.99 for cell in after)


def test_specs_of_an_expired_lease_are_issued_again(start, clock):
    core = start(max_reissues=2)
    lost = lease(core, 4, b"1", lease_s=60.0)
    clock.now_s += 59
    assert not {leased.spec.spec_id for leased in lease(core, 4, b"2").specs} & ids(lost)
    clock.now_s += 2
    again = lease(core, 6, b"3", lease_s=60.0)
    assert ids(again) > ids(lost)
    by_id = {leased.spec.spec_id: leased for leased in again.specs}
    for leased in lost.specs:
        assert by_id[leased.spec.spec_id].spec == leased.spec
        assert by_id[leased.spec.spec_id].lease_id != leased.lease_id
    assert "again after a lost lease" in again.reason


def test_reissues_are_limited(start, clock):
    core = start(max_reissues=1)
    lost = lease(core, 2, b"1", lease_s=1.0)
    clock.now_s += 2
    assert ids(lease(core, 2, b"2", lease_s=1.0)) == ids(lost)
    clock.now_s += 2
    assert not ids(lease(core, 2, b"3", lease_s=1.0)) & ids(lost)


def test_a_report_after_the_expiry_counts_once(start, clock):
    core = start()
    lost = lease(core, 3, b"1", lease_s=1.0)
    clock.now_s += 2
    lease(core, 1, b"2")  # notices the expiry and reissues one spec
    late = report_on(lost.specs[2])
    assert send(core, late, request_id=b"3").counted == (late.report_id,)
    assert send(core, late, request_id=b"4").duplicates == (late.report_id,)
    assert lost.specs[2].spec.spec_id not in ids(lease(core, 8, b"5")), "its report was counted"


def test_a_spec_is_counted_under_one_of_its_leases(start, clock):
    core = start()
    (lost,) = lease(core, 1, b"1", lease_s=1.0).specs
    clock.now_s += 2
    (again,) = lease(core, 1, b"2").specs
    assert again.spec == lost.spec
    assert send(core, report_on(again), request_id=b"3").counted
    assert send(core, report_on(lost), request_id=b"4") == ReportsCounted((), (report_on(lost).report_id,))
    twice = (report_on(leased, report_id=name) for leased in lease(core, 1, b"5").specs for name in ("one", "two"))
    assert send(core, *twice, request_id=b"6") == ReportsCounted(("one",), ("two",))


def test_the_late_report_of_a_given_up_spec_is_counted(start, clock):
    core = start(max_reissues=0)
    (lost,) = lease(core, 1, b"1", lease_s=1.0).specs
    clock.now_s += 2
    lease(core, 1, b"2")
    assert send(core, report_on(lost), request_id=b"3").counted


@pytest.mark.parametrize("jump_s", [-86_400.0, 86_400.0])
def test_setting_the_clock_changes_neither_leases_nor_the_status(run, clock, jump_s):
    wall = Clock()
    with CurriculumCore(run, CurriculumSettings(), wall, clock) as core:
        first = lease(core, 4, b"1", lease_s=60.0)
        wall.now_s += jump_s
        clock.now_s += 30
        assert not ids(lease(core, 4, b"2", lease_s=600.0)) & ids(first)
        wait_for(lambda: (run.read_status("curriculum") or {})["issued"] == 8)
        clock.now_s += 31
        assert ids(lease(core, 4, b"3")) == ids(first)
    with CurriculumCore(run, CurriculumSettings(max_lease_s=1000.0), wall, clock) as core:
        clock.now_s += 1001
        assert ids(lease(core, 4, b"4")) <= ids(first) | {"s00000004", "s00000005", "s00000006", "s00000007"}


def test_a_run_whose_specs_all_fail_says_so(start, run):
    core = start()
    for number in range(3):
        batch = lease(core, 2, b"lease %d" % number)
        send(core, *(failure_on(leased, "infeasible") for leased in batch.specs), request_id=b"%d" % number)
    (stall,) = core.stalls.current
    assert (stall.missing, stall.attempts) == ("answered questions", 3) and "is infeasible (a test)" in stall.error
    core.close()
    assert stalls_in(run.read_status("curriculum") or {}) == [stall]
    send_one = start()
    send(send_one, report_on(lease(send_one, 1, b"last").specs[0]))
    assert not send_one.stalls.current


def test_the_duration_of_leases_is_limited(start, clock):
    core = start(max_lease_s=10.0)
    lost = lease(core, 2, b"1", lease_s=1e9)
    clock.now_s += 11
    assert ids(lease(core, 2, b"2")) == ids(lost)


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "wrong"},
        {"skill": "juggling"},
        {"level": 9},
        {"report_id": ""},
        {"success_rate": float("nan")},
        {"answer_entropy": float("inf")},
        {"lease_id": "s00000001.1"},
        {"lease_id": "s00000000.0"},
        {"spec_id": "s00000099", "lease_id": "s00000099.0"},
        {"lease_id": "mine"},
        {"level": 0, "skill": "object_color"},
        {"blind": True},
        {"reason": "x" * 5000},
    ],
    ids=str,
)
def test_an_invalid_report_rejects_its_batch(start, changes):
    core = start()
    good, bad = lease(core, 2).specs
    with pytest.raises(VantageError, match="report") as caught:
        send(core, report_on(good), report_on(bad, **changes))
    assert caught.value.code == "bad_request"
    assert status(core).counted == 0


@pytest.mark.parametrize("message", [LeaseSpecs("l", 0, 1), LeaseSpecs("l", 10**6, 1), LeaseSpecs("l", 4, 1, -1.0)])
def test_invalid_lease_requests_are_rejected(start, message):
    with pytest.raises(VantageError, match="ask for 1 to"):
        start().handle(message, b"1")


def test_a_second_curriculum_of_a_run_is_rejected(start):
    start()
    with pytest.raises(VantageError, match="another curriculum") as caught:
        start()
    assert caught.value.code == "conflict"


def test_mostly_infeasible_cells_get_a_smaller_share(start):
    core = start(skills=ONE_SKILL)
    for index in range(4):
        batch = lease(core, 32, b"lease %d" % index)
        reports = [
            failure_on(leased, "infeasible")
            if leased.spec.question.level == 1
            else report_on(leased, (1.0, 0.0, 1.0, 0.0))
            for leased in batch.specs
        ]
        send(core, *reports, request_id=b"reports %d" % index)
    share = {cell.level: cell.share for cell in status(core).cells}
    assert share[1] < share[0] / 3


def test_each_batch_writes_a_line_of_metrics(start, run):
    core = start()
    batch = lease(core, 16)
    send(core, *(report_on(leased) for leased in batch.specs))
    leased, reported = read_jsonl(run.metrics / "curriculum.jsonl")[0]
    assert sum(leased["cells"].values()) == sum(leased["purposes"].values()) == 16
    assert leased["reason"] == batch.reason
    assert reported["count"] == 16


def test_the_status_file_has_all_cells_and_shares_add_up(start, run):
    core = start()
    lease(core, 16)
    assert sum(cell.share for cell in status(core).cells) == pytest.approx(0.97)
    core.close()
    file = run.read_status("curriculum")
    assert file is not None and file["issued"] == 16 and len(file["cells"]) == 3 * len(default_skills())


def ids(batch: SpecBatch) -> set[str]:
    return {leased.spec.spec_id for leased in batch.specs}
