"""Cost of the curriculum for menus of 200 to 100,000 cells and for a log of 1,000,000 events.

    python -m benchmarks.curriculum_scale                  measure everything and write the result file
    python -m benchmarks.curriculum_scale --cells 200      one menu; prints its figures and writes nothing

Aims with 100,000 cells: a lease of 64 specs takes at most 10 ms (median), a report of 64 at most 10 ms (99th
percentile, commit included), the status at most 100 ms. Aims with 1,000,000 events: a start takes at most 2 s,
`curriculum rebuild` at most 60 s, neither more than 1 GB of memory.

The menu consists of copies of one skill under other names, each at five levels, undegraded and under nine
degradations. Before the measurement every cell has one answer and a tenth of the cells have nine, so that some are
learned and some hopeless. Processor times are those of the thread that answers; they depend little on other load.
The figures of `before` in the result file come from the same script and an earlier version of the curriculum.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import typer

from benchmarks.machine import describe_load, describe_machine
from curriculum.cli import rebuild
from curriculum.core import CurriculumCore
from curriculum.record.events import Event, Issue, LeasedEvent, ReportedEvent
from curriculum.record.store import FILE_NAME, Store
from curriculum.settings import CurriculumSettings
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.skills import CATALOGUE
from protocol.wire.messages import ConfidenceReport, GetCurriculumStatus, LeaseSpecs, SendReports, SpecBatch

RESULT = Path(__file__).parent / "results" / "curriculum_scale.json"
SIZES = (200, 4_850, 100_000)
EVENTS = 1_000_000
BATCH = 64
GROUP = 8
LEVELS = (0, 1, 2, 3, 4)
DEGRADATIONS = tuple(f"{name}:{severity}" for name in ("fog", "noise", "low_light") for severity in (0, 2, 4))
_PER_SKILL = len(LEVELS) * (1 + len(DEGRADATIONS))
_SEED = 7
_AT_ONCE = 20_000  # events per transaction of the generated log


# ----------------------------------------------------------------------------- a menu and a log of any size


def menu(cells: int) -> dict[str, Any]:
    """The configuration of a run with this many cells, a multiple of 50; adds the skills to the catalogue."""
    names = [f"object_location_{index:04d}" for index in range(cells // _PER_SKILL)]
    original = CATALOGUE["object_location"]
    CATALOGUE._found = {**CATALOGUE, **{name: msgspec.structs.replace(original, name=name) for name in names}}
    return {
        "run": {"seed": _SEED},
        "curriculum": {
            "skills": [{"name": name, "levels": list(LEVELS)} for name in names],
            "world": {"degradations": list(DEGRADATIONS)},
        },
    }


def choices(cells: int, count: int) -> Iterator[tuple[str, int, str]]:
    """`count` (skill, level, degradation): every cell in turn, then a tenth of the cells eight times each, repeated."""
    every = [
        (f"object_location_{skill:04d}", level, degradation)
        for skill in range(cells // _PER_SKILL)
        for level in LEVELS
        for degradation in ("", *DEGRADATIONS)
    ]
    often = [one for one in every[::10] for _ in range(8)]
    listed = [*every, *often]
    return (listed[index % len(listed)] for index in range(count))


def log(cells: int, specs: int, per_event: int) -> Iterator[Event]:
    """Leases and reports of `specs` specs, alternating, each with `per_event` of them."""
    rng, asked = np.random.default_rng(_SEED), choices(cells, specs)
    for first in range(0, specs, per_event):
        issues = tuple(
            Issue(number, number, number // 4, skill, level, "frontier", degradation=degradation)
            for number, (skill, level, degradation) in zip(range(first, min(first + per_event, specs)), asked)
        )
        yield LeasedEvent(b"l%d" % first, "bench", first // 64, 1e12, issues, "asking")
        rewards = rng.random((len(issues), GROUP))
        yield ReportedEvent(b"r%d" % first, tuple(report(one, row) for one, row in zip(issues, rewards)))


def report(issue: Issue, luck: np.ndarray) -> ConfidenceReport:
    """A report whose success depends on the name of the skill and on the level."""
    probability = (0.98, 0.8, 0.5, 0.2, 0.0)[(int(issue.skill[-4:]) + issue.level) % 5]
    rewards = tuple((luck < probability).astype(float).tolist())
    return ConfidenceReport(
        report_id=issue.lease_id,
        spec_id=issue.spec_id,
        lease_id=issue.lease_id,
        policy_version=0,
        outcome="answered",
        skill=issue.skill,
        level=issue.level,
        blind=issue.blind,
        rewards=rewards,
        success_rate=sum(rewards) / len(rewards),
        truth_likelihood=probability,
        had_gradient=len(set(rewards)) > 1,
        degradation="" if issue.blind else issue.degradation or "",
    )


def write_log(run: RunDir, events: Iterator[Event]) -> None:
    store = Store(run.path / FILE_NAME, run.seed)
    portion: list[Event] = []
    for event in events:
        portion.append(event)
        if len(portion) == _AT_ONCE:
            store.append(portion, 0.0)
            portion.clear()
    if portion:
        store.append(portion, 0.0)
    store.close()


# ----------------------------------------------------------------------------- requests


def measure_requests(cells: int, rounds: int, folder: Path) -> dict[str, Any]:
    """Times of leases, reports and the status with a menu of this size, in milliseconds."""
    tree = menu(cells)
    run = RunDir.create(folder / f"cells-{cells}", tree)
    write_log(run, log(cells, cells + cells // 10 * 8, BATCH))
    start = time.perf_counter()
    core = CurriculumCore(run, section(tree, "curriculum", CurriculumSettings))
    start_s = time.perf_counter() - start
    rng = np.random.default_rng(_SEED)
    times: dict[str, list[float]] = {"lease": [], "report": [], "status": []}
    processor: dict[str, list[float]] = {what: [] for what in times}

    def timed(what: str, message: Any, request_id: bytes) -> Any:
        began, used = time.perf_counter(), time.thread_time()
        answer = core.handle(message, request_id)
        times[what].append(1e3 * (time.perf_counter() - began))
        processor[what].append(1e3 * (time.thread_time() - used))
        return answer

    with core:
        for number in range(rounds):
            batch = timed("lease", LeaseSpecs("bench", BATCH, 0), b"lease %d" % number)
            assert isinstance(batch, SpecBatch)
            issues = [core._state.leases[one.spec.spec_id].issue for one in batch.specs]
            reports = tuple(report(issue, rng.random(GROUP)) for issue in issues)
            timed("report", SendReports(reports), b"report %d" % number)
        for number in range(max(1, rounds // 20)):
            timed("status", GetCurriculumStatus(), b"status %d" % number)
    row: dict[str, Any] = {"cells": cells, "rounds": rounds, "first_start_s": round(start_s, 2)}
    for what in times:
        for name, found in (("ms", times[what]), ("processor_ms", processor[what])):
            row[f"{what}_{name}"] = {key: _ms(found, at) for key, at in (("p50", 50), ("p99", 99), ("most", 100))}
    return row


def _ms(values: Sequence[float], percentile: float) -> float:
    return round(float(np.percentile(values, percentile)), 2)


# ----------------------------------------------------------------------------- a long log


def measure_log(cells: int, events: int, folder: Path) -> dict[str, Any]:
    """Times and memory of a rebuild and then of a start, each in a fresh process, with a log of this many events."""
    tree = menu(cells)
    run = RunDir.create(folder / f"events-{cells}-{events}", tree)
    began = time.perf_counter()
    write_log(run, log(cells, events // 2, 1))
    row: dict[str, Any] = {"cells": cells, "events": events, "write_s": round(time.perf_counter() - began, 1)}
    row["database_mb"] = round((run.path / FILE_NAME).stat().st_size / 1e6)
    for what in ("rebuild", "start"):
        command = [sys.executable, "-m", "benchmarks.curriculum_scale", "--probe", what, str(run.path), str(cells)]
        out = subprocess.run(command, check=True, capture_output=True, text=True, timeout=3000).stdout
        row |= {f"{what}_{key}": value for key, value in json.loads(out.splitlines()[-1]).items()}
    return row


def probe(what: str, path: Path, cells: int) -> dict[str, float]:
    """Time and peak memory of this process for one rebuild or start."""
    menu(cells)
    began, used = time.perf_counter(), time.process_time()
    if what == "rebuild":
        with contextlib.suppress(typer.Exit):  # code 1: there was no snapshot to agree with
            rebuild(path)
    else:
        run = RunDir.open(path)
        CurriculumCore(run, section(run.config, "curriculum", CurriculumSettings))
    seconds, processor_s = time.perf_counter() - began, time.process_time() - used
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"s": round(seconds, 2), "processor_s": round(processor_s, 2), "peak_mb": round(peak_mb)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, help="measure the requests of one menu size and write nothing")
    parser.add_argument("--events", type=int, help="measure one log length and write nothing")
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--probe", nargs=3, metavar=("WHAT", "RUN", "CELLS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.probe:
        what, path, cells = arguments.probe
        print(json.dumps(probe(what, Path(path), int(cells))))
        os._exit(0)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.events:
            print(json.dumps(measure_log(arguments.cells or SIZES[-1], arguments.events, Path(folder)), indent=1))
        elif arguments.cells:
            print(json.dumps(measure_requests(arguments.cells, arguments.rounds, Path(folder)), indent=1))
        else:
            requests = [measure_requests(cells, arguments.rounds, Path(folder)) for cells in SIZES]
            result = {
                "machine": describe_machine(),
                "load": describe_load(),
                "requests": requests,
                "logs": [measure_log(cells, EVENTS, Path(folder)) for cells in SIZES[-1:]],
            }
            if RESULT.exists():
                result["before"] = json.loads(RESULT.read_text())["before"]
            RESULT.write_text(json.dumps(result, indent=1) + "\n")
            print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
