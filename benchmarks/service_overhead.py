"""Overhead of the simulator service over the raw backend. Aims at 256 x 256: 5 % of throughput, 1 ms of latency.

Compares a broker with one worker on ipc to the same backend in this process, in alternating rounds. Needs two idle
cores: the broker and the client use the second one. On a shared machine, run it with `chrt -r 1`.

    python -m benchmarks.service_overhead
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benchmarks.machine import describe_load, describe_machine
from protocol.tasks.scene import Camera, SceneSpec
from sim_server.bench import run_bench
from sim_server.settings import SimSettings

RESULT = Path(__file__).parent / "results" / "service_overhead.json"
SIZES_PX = (128, 256, 512)


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    spec = SceneSpec(seed=3, min_objects=8, max_objects=12, clutter=0.3, palette="natural")
    results = [run_bench(SimSettings(), spec, Camera(size, size), rounds=5, frames=60) for size in SIZES_PX]
    columns = (
        "width_px",
        "raw_frames_per_s",
        "service_frames_per_s",
        "quietest_overhead_percent",
        "quietest_added_p50_ms",
        "quietest_added_p50_at_once_ms",
    )
    print("".join(f"{name:>31}" for name in columns))
    for figures in results:
        print("".join(f"{figures[name]:>31}" for name in columns))
    RESULT.parent.mkdir(exist_ok=True)
    result = {"machine": describe_machine(), "load": describe_load(), "figures": results}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
