"""Commands on the history of a run: `curriculum replay` and `curriculum export`."""

from __future__ import annotations

import sqlite3
from collections import Counter

import pytest
from typer.testing import CliRunner

from curriculum.cli import app
from curriculum.core import CurriculumCore
from curriculum.record.store import FILE_NAME, Store
from curriculum.replay import replay
from curriculum.settings import CurriculumSettings
from protocol.errors import VantageError
from protocol.run.directory import RunDir
from protocol.tasks.specs import SkillSettings
from protocol.wire.messages import LeaseSpecs, SendReports, SpecBatch
from tests.support.curriculum import failure_on, report_on

SETTINGS = CurriculumSettings(
    skills=tuple(SkillSettings(name=name, levels=(0, 1)) for name in ("depth_order", "object_color", "object_count")),
    selector="uniform",
)
BATCHES = 12


@pytest.fixture
def finished(tmp_path) -> RunDir:
    """A run under `uniform` whose policy is always right about colours, never about counts, else half right."""
    tree = {"run": {"seed": 5}, "curriculum": SETTINGS.model_dump(mode="json", include={"skills", "selector"})}
    run = RunDir.create(tmp_path / "run", tree)
    rewards = {"depth_order": (1.0, 0.0) * 4, "object_color": (1.0,) * 8, "object_count": (0.0,) * 8}
    with CurriculumCore(run, SETTINGS) as core:
        for number in range(BATCHES):
            batch = core.handle(LeaseSpecs("l", 24, number), b"lease %d" % number)
            assert isinstance(batch, SpecBatch)
            first, *others = batch.specs
            reports = [failure_on(first, "infeasible")]
            reports += [report_on(one, rewards[one.spec.question.skill]) for one in others[:-1]]
            core.handle(SendReports(tuple(reports)), b"reports %d" % number)
    return run


def invoke(*arguments: str):
    return CliRunner().invoke(app, arguments)


def spans_of(run: RunDir, selector: str):
    store = Store(run.path / FILE_NAME, run.seed, read_only=True)
    try:
        return replay(store, SETTINGS, selector)
    finally:
        store.close()


def test_replay_under_the_own_selector_gives_what_was_asked(finished):
    spans = spans_of(finished, "uniform")
    assert [(span.first, span.last) for span in spans] == [(1, 3), (4, 6), (7, 9), (10, 12)]
    for span in spans:
        assert span.other == pytest.approx(dict.fromkeys(span.asked, 1 / 3))
        assert span.asked == pytest.approx(span.other, abs=0.05)
        assert span.asked_signal == pytest.approx(span.other_signal, abs=0.02)


def test_replay_under_frontier_asks_what_teaches(finished):
    first, *_, last = spans_of(finished, "frontier")
    assert last.other["depth_order"] > 0.55 > first.other["depth_order"] > last.asked["depth_order"] - 0.05
    assert last.other_signal > last.asked_signal + 0.05
    assert sum(last.other.values()) == pytest.approx(1.0)


def test_the_command_prints_shares_differences_and_signal(finished):
    shown = invoke("replay", str(finished.path), "--selector", "frontier")
    assert shown.exit_code == 0, shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    assert "as asked → frontier" in shown.output and "difference" in shown.output and "signal" in shown.output
    rows = [line for line in shown.output.splitlines() if "depth_order" in line]
    assert len(rows) == 1 and "+" in rows[0]


def test_replay_changes_nothing(finished):
    before = {path.name: path.read_bytes() for path in finished.path.iterdir() if path.is_file()}
    invoke("replay", str(finished.path), "--selector", "learning_progress")
    assert {path.name: path.read_bytes() for path in finished.path.iterdir() if path.is_file()} == before


def test_an_exported_run_has_all_events_and_cells(finished, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    shown = invoke("export", str(finished.path), "--out", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    events = pq.read_table(tmp_path / "events.parquet").to_pylist()
    assert Counter(row["kind"] for row in events) == {"leased": 24 * BATCHES, "reported": 23 * BATCHES}
    assert [row["event"] for row in events] == sorted(row["event"] for row in events)
    assert Counter(row["outcome"] for row in events if row["kind"] == "reported")["infeasible"] == BATCHES
    leased = {row["lease_id"]: row for row in events if row["kind"] == "leased"}
    for row in events:
        if row["kind"] == "reported":
            assert row["skill"] == leased[row["lease_id"]]["skill"]
            assert (row["time_s"], row["policy_version"]) > (1.6e9, 0)
    assert events[0]["rewards"] is None and any(row["rewards"] == [1.0] * 8 for row in events)
    estimates = pq.read_table(tmp_path / "estimates.parquet").to_pylist()
    with CurriculumCore(finished, SETTINGS) as core:
        for row, status in zip(estimates, core.status.cells, strict=True):
            assert (row["skill"], row["level"], row["degradation"]) == (status.skill, status.level, "")
            assert row["mean"] == pytest.approx(status.success_rate, abs=1e-9)
            assert row["share"] == pytest.approx(status.share, abs=1e-9)
    assert not list(tmp_path.glob(".*.tmp"))


def test_export_writes_into_the_run_by_default(finished):
    pytest.importorskip("pyarrow")
    assert invoke("export", str(finished.path)).exit_code == 0
    assert (finished.path / "events.parquet").exists() and (finished.path / "estimates.parquet").exists()


@pytest.mark.parametrize("command", [("replay", "--selector", "uniform"), ("export",)], ids=["replay", "export"])
def test_bad_input_is_one_sentence(finished, tmp_path, command):
    verb, *options = command

    def sentence(run) -> str:
        error = invoke(verb, str(run), *options).exception
        assert isinstance(error, VantageError)
        return error.message

    assert "is not a run directory" in sentence(tmp_path / "nowhere")
    assert "never started" in sentence(RunDir.create(tmp_path / "new", {}).path)
    db = sqlite3.connect(finished.path / FILE_NAME)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "has schema 99, this version reads 1" in sentence(finished.path)


def test_an_unknown_selector_and_a_missing_folder_are_one_sentence(finished, tmp_path):
    unknown = invoke("replay", str(finished.path), "--selector", "fronteir").exception
    assert isinstance(unknown, VantageError)
    assert "selector 'fronteir' is not installed" in unknown.message and "did you mean" in unknown.message
    pytest.importorskip("pyarrow")
    missing = invoke("export", str(finished.path), "--out", str(tmp_path / "missing")).exception
    assert isinstance(missing, VantageError) and "cannot be written" in missing.message


def test_a_run_without_batches_cannot_be_replayed(tmp_path):
    run = RunDir.create(tmp_path / "run", {})
    with CurriculumCore(run, CurriculumSettings()):
        pass
    error = invoke("replay", str(run.path), "--selector", "uniform").exception
    assert isinstance(error, VantageError) and "no batch of the configured cells" in error.message
