"""Sections about the images and the furniture of `rooms`; see sections.py."""

from __future__ import annotations

from typing import Any, Iterable

from benchmarks.sections import percent, table


def images(result: Any) -> Iterable[str]:
    def spread(row: Any, key: str) -> str:
        low, high = row[key]
        return f"{low:.0f} to {high:.0f} ({high - low:.0f})"

    rows = [
        (
            label,
            row["images"],
            f"{row['luminance_mean']:.0f}",
            *(spread(row, key) for key in ("pixels_10_90", "image_means_10_90")),
            row["hue_entropy_bits"],
            *(percent(row[key]) for key in ("hue_15_60", "flat_blocks", "edges")),
            *(row.get(key, "") for key in ("objects", "coverage", "size_spread_log2")),
        )
        for label, row in result["rows"].items()
    ]
    head = (
        "images of", "number", "mean luminance", "10 to 90 % of pixels", "10 to 90 % of image means",
        "hue entropy, bits", "hue 15 to 60°", "flat blocks", "edges", "objects", "coverage", "size spread, log2",
    )  # fmt: skip
    yield table(head, rows)


def furniture(result: Any) -> Iterable[str]:
    yield (
        f"{result['homes']} homes: {result['objects_per_room']} objects and {result['triangles_per_room']:,} triangles "
        "per room. Variation is the standard deviation of the longest side over its mean."
    )
    rows = [
        (name, row["objects"], row["shapes"], row["mean_m"], row["variation"], f"{row['p05_m']} to {row['p95_m']}")
        for name, row in result["longest_side"].items()
    ]
    yield table(("category", "objects", "shapes", "longest side, m", "variation", "5 to 95 %, m"), rows)
