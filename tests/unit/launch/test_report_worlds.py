"""The worlds of a run in its report and for trackers."""

from __future__ import annotations

from pathlib import Path

from launch.report.page import render
from launch.report.records import Records
from launch.report.worlds import world_heatmap, world_rows
from launch.trackers.points import Reader, Written
from protocol.run.directory import RunDir


def made(path: Path) -> RunDir:
    run = RunDir.create(path, {"run": {"seed": 3}})
    for name in ("sparse", "night"):
        run.append_metrics(
            "curriculum", {"event": "world_added", "issued": 0, "name": name, "reason": "listed", "parent": ""}
        )
    grown = {"event": "world_added", "issued": 640, "name": "sparse-1", "parent": "sparse", "change": "rooms 1 to 2"}
    run.append_metrics("curriculum", {**grown, "reason": "depth_order L0 is mastered in every world"})
    for _ in range(2):
        cells = {"depth_order L0 @sparse": 6, "depth_order L0 @night fog:3": 3, "depth_order L0 @sparse-1": 1}
        run.append_metrics("curriculum", {"event": "leased", "cells": cells, "reason": "because"})
    gone = {"event": "world_retired", "issued": 900, "name": "sparse-1", "reason": "nothing left to learn from it"}
    run.append_metrics("curriculum", gone)
    for label, lift in (("before", 0.0), ("after", 0.2)):
        rows = [
            {"skill": "depth_order", "level": level, "asked": 50, "greedy": start + lift, "world": world}
            for world, start in (("sparse", 0.7), ("night", 0.5))
            for level in (0, 1)
        ]
        run.append_metrics("learner", {"event": "evaluated", "step": int(9 * lift), "label": label, "rows": rows})
    return run


def test_the_report_shows_the_worlds_over_time(tmp_path: Path) -> None:
    records = Records(made(tmp_path / "run")).update()
    rows = {row["name"]: row for row in world_rows(records)}
    assert list(rows) == ["sparse", "night", "sparse-1"]
    grown = rows["sparse-1"]
    assert (grown["origin"], grown["from"], grown["until"], grown["issued"]) == (
        "sparse: rooms 1 to 2",
        "640",
        "900",
        "2",
    )
    assert "mastered" in grown["reason"] and "nothing left" in grown["retired"] and rows["night"]["issued"] == "6"
    heatmap = world_heatmap(records, ["depth_order"])
    assert "70 → 90" in heatmap and "50 → 70" in heatmap and "depth_order in night" in heatmap
    page = render(records)
    for part in ("Skill × world", "Worlds of the questions issued", "rooms 1 to 2", "nothing left to learn from it"):
        assert part in page
    assert "60 → 80" in page, "skill × level is over all worlds"


def test_a_run_with_one_world_has_no_such_sections(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", {"run": {"seed": 3}})
    run.append_metrics("curriculum", {"event": "leased", "cells": {"depth_order L0": 6}, "reason": "because"})
    page = render(Records(run).update())
    assert "world</h2>" not in page and ">Worlds" not in page


def test_trackers_receive_a_mean_for_each_world(tmp_path: Path) -> None:
    points = Reader(made(tmp_path / "run"), Written()).read()
    last = points[-1]
    assert round(last.scalars["held_out/world/night"], 3) == 0.7
    assert last.table is not None and last.table.rows == (("depth_order", 0.8, 0.8),)
