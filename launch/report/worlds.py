"""The worlds of a run in its report: the table over time, the shares, and the heat map skill × world."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Optional

from launch.report import charts
from launch.report.records import Records, WorldChange, world_of_cell

_AREA_POINTS = 80


def world_names(records: Records) -> list[str]:
    """Every world of the run that has a name, in the order in which they were added."""
    return list(dict.fromkeys(change.name for change in records.worlds))


def world_rows(records: Records) -> list[dict[str, str]]:
    """One row of the table for each world."""
    asked: Counter[str] = Counter()
    for lease in records.leases:
        for cell, number in lease.cells.items():
            asked[world_of_cell(cell)] += number
    retired = {change.name: change for change in records.worlds if change.event == "world_retired"}
    return [_row(change, retired.get(change.name), asked[change.name]) for change in records.worlds if _is_new(change)]


def _is_new(change: WorldChange) -> bool:
    return change.event == "world_added"


def _row(added: WorldChange, retired: Optional[WorldChange], asked: int) -> dict[str, str]:
    return {
        "name": added.name,
        "origin": f"{added.parent}: {added.change}" if added.parent else "",
        "reason": added.reason,
        "from": f"{added.issued:,}",
        "until": f"{retired.issued:,}" if retired else "",
        "retired": retired.reason if retired else "",
        "issued": f"{asked:,}",
    }


def world_heatmap(records: Records, skills: Sequence[str]) -> str:
    """Held-out accuracy per skill and world of the last evaluation that has all questions, "before → after"."""
    last = records.after or records.before
    worlds = list(dict.fromkeys(score.world for score in last.scores)) if last else []
    if last is None or len(worlds) < 2:
        return ""
    before = records.before if last is not records.before else None

    def cell(skill: str, world: str) -> Optional[charts.Shade]:
        was = before.greedy(skill, world=world) if before else (0.0, 0)
        return charts.before_after(was, last.greedy(skill, world=world), f"{skill} in {world}")

    rows = [skill for skill in skills if last.greedy(skill)[1]]
    return charts.heatmap(rows, worlds, [[cell(skill, world) for world in worlds] for skill in rows])


def world_shares(records: Records) -> str:
    """Proportion of each world among the specs issued."""
    names = world_names(records)
    return issued_chart(records, names, world_of_cell) if names else ""


def issued_chart(records: Records, names: Sequence[str], name_of: Callable[[str], str]) -> str:
    """Proportion of each name among the cells of the specs issued; batches merge into at most _AREA_POINTS points."""
    if not records.leases:
        return ""
    size = -(-len(records.leases) // _AREA_POINTS)
    columns, xs, seen = [], [], 0
    for start in range(0, len(records.leases), size):
        count: Counter[str] = Counter()
        for lease in records.leases[start : start + size]:
            for cell, number in lease.cells.items():
                count[name_of(cell)] += number
        total = sum(count.values())
        if total:
            seen += total
            xs.append(float(seen))
            columns.append([count[name] / total for name in names])
    return charts.area_chart(names, xs, list(zip(*columns)), "questions issued")
