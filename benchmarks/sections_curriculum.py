"""Sections about the cost of the curriculum and about composed questions; see sections.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from benchmarks.sections import table

_SHOWN = (("lease", "p50"), ("lease", "p99"), ("report", "p50"), ("report", "p99"), ("status", "p50"))


def evolving(result: Any) -> Iterable[str]:
    names = {"furnished": "hardest listed", "hard": "far harder, never asked"}
    rows = [
        (
            *(f"{row['cost']:g}", names[row["world"]]),
            *(f"{100 * row[key]:.0f}" for key in ("before", "fixed", "evolving")),
            " to ".join(f"{100 * gain:+.1f}" for gain in row["gains"]),
        )
        for row in result["summary"]
    ]
    yield table(("logits lost per property", "world", "before", "fixed list", "evolving", "gain, points"), rows)


def scale(result: Any) -> Iterable[str]:
    rows = [
        (
            *(f"{found['cells']:,}", version),
            *(f"{found[what + '_processor_ms'][at]:,.1f}" for what, at in _SHOWN),
        )
        for version, listed in (("before", result["before"]["requests"]), ("now", result["requests"]))
        for found in listed
    ]
    yield table(("cells", "version", *(f"{what}, {at}, ms" for what, at in _SHOWN)), rows)
    rows = [
        (
            *(f"{log['cells']:,}", f"{log['events']:,}", log["start_processor_s"], log["rebuild_processor_s"]),
            max(log["start_peak_mb"], log["rebuild_peak_mb"]),
        )
        for log in result["logs"]
    ]
    yield table(("cells", "events", "start, s", "rebuild, s", "peak memory, MB"), rows)


def composed(result: Any) -> Iterable[str]:
    rows = [
        (
            *(row["depth"], row["examined"], row["accepted"], row["kinds"]),
            ", ".join(f"{count} {code}" for code, count in row["rejected"].items()),
            f"{row['agree']} of {row['accepted']}",
            f"{1000 * row['cpu_s'] / row['examined']:.0f}",
        )
        for row in result["rows"]
    ]
    head = ("depth", "examined", "accepted", "kinds", "rejected", "oracle agrees", "processor ms per question")
    yield table(head, rows)
    yield "Examples:\n\n" + "\n".join(
        f"- {example['text']} *{example['answer']}*\n  `{example['program']}`"
        for row in result["rows"]
        for example in row["examples"][:3]
    )
