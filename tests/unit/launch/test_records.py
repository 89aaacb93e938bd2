from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from launch.report.live import LiveView, print_results, sparkline
from launch.report.records import Records, move_damaged_lines, split_cell, world_of_cell
from protocol.run.directory import RunDir, read_jsonl
from tests.support.synthetic_run import PERCEPTION, RELATIONAL, make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    return make_run(tmp_path_factory.mktemp("runs") / "made")


def test_changes_compare_before_with_after_relations_first(run: RunDir) -> None:
    changes = Records(run).update().changes()
    assert [row.skill for row in changes] == [*RELATIONAL, *sorted(PERCEPTION)]
    first = changes[0]
    assert first.asked == 256
    assert first.before == pytest.approx(0.46, abs=0.001)
    assert first.after > first.before
    assert first.change_interval[0] > 0
    low, high = changes[-1].change_interval
    assert low < 0 < high


def test_records_are_read_once_as_they_grow(run: RunDir, tmp_path: Path) -> None:
    run = make_run(tmp_path / "grows", steps=3)
    records = Records(run).update()
    assert len(records.steps) == 3
    run.append_metrics("learner", {"event": "step", "step": 4, "reward": 0.5})
    run.append_metrics("learner", {"event": "of a later version"})
    assert [step.step for step in records.update().steps] == [1, 2, 3, 4]


def test_lines_that_lack_a_value_or_have_another_type_are_left_out(tmp_path: Path) -> None:
    run = make_run(tmp_path / "damaged", steps=3)
    bad: dict[str, list[dict[str, object]]] = {
        "learner": [
            {"event": "step"},
            {"event": "step", "step": "four"},
            {"event": "step", "step": 4, "reward": "high"},
            {"event": "step", "step": 4, "reward": 0.5, "groups": [1], "no_gradient": {}},
            {"event": "evaluated", "step": 4, "rows": 3},
            {"event": "step", "step": 4, "seconds": [1]},
            {"event": "evaluated", "step": 4, "rows": [{"skill": "depth_order"}]},
        ],
        "curriculum": [{"event": "leased", "cells": []}, {"event": "reported", "count": None, "outcomes": 1}],
    }
    records = Records(run).update()
    counts = [len(each) for each in (records.steps, records.evaluations, records.leases, records.reports)]
    for process, lines in bad.items():
        for line in lines:
            run.append_metrics(process, line)
    records.update()
    assert counts == [len(each) for each in (records.steps, records.evaluations, records.leases, records.reports)]
    move_damaged_lines(run)
    refused = [run.metrics / f"{process}.jsonl.refused" for process in bad]
    assert [len(read_jsonl(file)[0]) for file in refused] == [len(lines) for lines in bad.values()]
    again = Records(run).update()
    assert counts == [len(each) for each in (again.steps, again.evaluations, again.leases, again.reports)]
    print_results(run, run.path / "report.html", Console(file=io.StringIO(), width=80))


def test_a_cell_names_its_world() -> None:
    assert [world_of_cell(cell) for cell in ("a L0", "a L0 @night", "a L1 @night fog:3", "a L1 fog:3")] == [
        *("", "night", "night", "")
    ]
    assert split_cell("depth_order L2 @night fog:3") == ("depth_order", 2)


def test_cells_split_into_skill_and_level() -> None:
    assert split_cell("camera_object_distance L3") == ("camera_object_distance", 3)


def test_table_has_every_skill_with_intervals_at_80_columns(run: RunDir) -> None:
    text = io.StringIO()
    print_results(run, run.path / "report.html", Console(file=text, width=80))
    shown = text.getvalue()
    for skill in (*RELATIONAL, *PERCEPTION):
        assert skill in shown
    assert "46.0 (40–52)" in shown
    assert "mean, relational" in shown
    assert str(run.path / "report.html") in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 80


def test_a_run_without_evaluations_still_prints_the_path_of_its_report(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "empty", {})
    text = io.StringIO()
    print_results(run, run.path / "report.html", Console(file=text, width=80))
    assert "report.html" in text.getvalue()


def test_plain_lines_show_what_each_process_does_and_what_is_asked(run: RunDir) -> None:
    text = io.StringIO()
    view = LiveView(run, Console(file=text, width=80))
    with view:
        view.refresh({"sim": 1, "curriculum": 2, "learner": 3})
    line = text.getvalue()
    assert len(line.splitlines()) == 1
    for part in ("step 100 of 100", "reward 0.", "on relations", "asking depth_order L1", "88 requests/s"):
        assert part in line


@pytest.mark.parametrize(
    ("workers", "expected"), [(0, "no worker has joined: sim-server worker --join "), (2, "first start compiles")]
)
def test_a_wait_for_workers_names_its_cause(tmp_path: Path, workers: int, expected: str) -> None:
    run = RunDir.create(tmp_path / "waits", {"sim": {"workers": workers}})
    run.write_status("sim", {"state": "waiting for workers"})
    text = io.StringIO()
    with LiveView(run, Console(file=text, width=80)) as view:
        view.refresh({"sim": 1})
    assert expected in text.getvalue().replace("\n", " ")


def test_the_panel_fits_a_terminal(run: RunDir) -> None:
    text = io.StringIO()
    console = Console(file=text, width=100, force_terminal=True, color_system=None)
    with LiveView(run, console) as view:
        view.note("learner died (killed by SIGKILL); restarting in 0.5 s")
        view.refresh({"sim": 11, "curriculum": 12, "learner": 0})
    shown = text.getvalue()
    for part in ("vantage · made", "frontier, ", "restarting in 0.5 s", "asking depth_order"):
        assert part in shown


def test_a_sparkline_spans_minimum_to_maximum() -> None:
    assert sparkline([0.0, 1.0]) == "▁█"
    assert sparkline([3.0, 3.0]) == "▁▁"
    assert sparkline([1.0]) == ""
