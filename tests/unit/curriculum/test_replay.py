"""Replaying the events reproduces the live state, from any snapshot."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curriculum.core import CurriculumCore
from curriculum.record.load import load_state
from curriculum.record.snapshot import read_snapshot, save_snapshot
from curriculum.record.state import STATE_VERSION, encode_state
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import CurriculumSettings, Estimation
from protocol.run.directory import RunDir
from protocol.tasks.specs import SkillSettings
from protocol.wire.messages import Leased, LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import failure_on, report_on

SKILLS = tuple(SkillSettings(name=name, levels=(0, 1)) for name in ("depth_order", "object_count", "cognitive_map"))
REWARDS = st.lists(st.sampled_from([0.0, 0.3, 1.0]), min_size=1, max_size=8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("lease"), st.integers(1, 12), st.sampled_from([5.0, 50.0])),
        st.tuples(st.just("answer"), st.integers(0, 1000), REWARDS),
        st.tuples(st.just("fail"), st.integers(0, 1000), st.sampled_from(["infeasible", "broken"])),
        st.tuples(st.just("repeat"), st.integers(0, 1000), st.none()),
        st.tuples(st.just("wait"), st.integers(1, 100), st.none()),
        st.tuples(st.just("restart"), st.none(), st.none()),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, max_reissues=st.integers(0, 2))
def test_replay_gives_the_same_state(steps, max_reissues):
    configured = CurriculumSettings(max_reissues=max_reissues, skills=SKILLS)
    now = [0.0]
    with tempfile.TemporaryDirectory() as folder:
        run = RunDir.create(Path(folder) / "run", {})
        core = CurriculumCore(run, configured, lambda: now[0], lambda: now[0])
        try:
            issued: list[Leased] = []
            sent: set[str] = set()
            for number, (kind, value, detail) in enumerate(steps):
                request_id = b"%d" % number
                if kind == "wait":
                    now[0] += value
                elif kind == "restart":
                    core.close()
                    core = CurriculumCore(run, configured, lambda: now[0], lambda: now[0])
                elif kind == "lease":
                    batch = core.handle(LeaseSpecs("l", value, 1, detail), request_id)
                    assert isinstance(batch, SpecBatch)
                    issued += batch.specs
                elif issued:
                    leased = issued[value % len(issued)]
                    report = failure_on(leased, detail) if kind == "fail" else report_on(leased, detail or (1.0,))
                    core.handle(SendReports((report,)), request_id)
                    sent.add(report.spec_id)
            assert core.status.counted == len(sent), "each spec counts once"
            live = encode_state(core._state)
        finally:
            core.close()
        if snapshot := read_snapshot(run.path):
            assert snapshot.body == live
        store = Store(run.path / FILE_NAME, run.seed, read_only=True)
        estimation = configured.estimation
        assert encode_state(load_state(store, estimation, from_snapshot=False)[0]) == live
        assert encode_state(load_state(store, estimation)[0]) == live
        store.close()


def test_other_estimation_settings_ignore_the_old_snapshot(run, clock):
    with CurriculumCore(run, CurriculumSettings(), clock) as core:
        batch = core.handle(LeaseSpecs("l", 32, 1), b"1")
        assert isinstance(batch, SpecBatch)
        core.handle(SendReports(tuple(report_on(leased) for leased in batch.specs)), b"2")
    other = Estimation(window_groups=3.0)
    with CurriculumCore(run, CurriculumSettings(estimation=other), clock) as core:
        store = Store(run.path / FILE_NAME, run.seed, read_only=True)
        assert encode_state(core._state) == encode_state(load_state(store, other, from_snapshot=False)[0])
        store.close()


def test_the_snapshot_of_a_newer_version_is_ignored_with_a_warning(run, clock, caplog):
    with CurriculumCore(run, CurriculumSettings(), clock) as core:
        core.handle(LeaseSpecs("l", 8, 1), b"1")
        live = encode_state(core._state)
    save_snapshot(run.path, 1, f"{STATE_VERSION + 1}-abc", b"another form")
    with CurriculumCore(run, CurriculumSettings(), clock) as core:
        assert encode_state(core._state) == live
    assert f"a newer version (state {STATE_VERSION + 1}, this one reads {STATE_VERSION})" in caplog.text
