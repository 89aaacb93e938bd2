"""Sections about the cost of the curriculum; see sections.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.sections import table


def scale(result: Any) -> Iterable[str]:
    def row(version: str, found: Any) -> tuple[object, ...]:
        times = (
            *(found["lease_ms"]["p50"], found["lease_processor_ms"]["p50"]),
            *(found["report_ms"]["p99"], found["report_processor_ms"]["p99"]),
            *(found["status_ms"]["p50"], found["status_processor_ms"]["p50"]),
        )
        return f"{found['cells']:,}", version, *(f"{time:,.1f}" for time in times)

    versions = (("before", result["before"]["requests"]), ("now", result["requests"]))
    rows = [row(version, found) for version, listed in versions for found in listed]
    head = (
        *("cells", "version", "lease of 64, p50", "processor", "report of 64, p99", "processor"),
        *("status, p50", "processor"),
    )
    yield table(head, rows)
    rows = [
        (
            *(f"{log['cells']:,}", f"{log['events']:,}"),
            *(f"{log[key]:,.1f}" for key in ("start_s", "start_processor_s", "rebuild_s", "rebuild_processor_s")),
            max(log["start_peak_mb"], log["rebuild_peak_mb"]),
        )
        for log in result["logs"]
    ]
    yield table(("cells", "events", "start, s", "processor", "rebuild, s", "processor", "peak MB"), rows)
