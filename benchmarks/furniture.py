"""Counts the furniture of generated homes: categories, sizes, kinds of rooms, triangles.

    python -m benchmarks.furniture [--homes 300]

Homes have one to eight rooms and ten pieces of furniture per room. Prints a table and writes
benchmarks/results/furniture.json. Nothing is rendered.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec
from sim_server.backends.rooms.building.plan import make_plan
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.furnish.place import furnished

OUT = Path(__file__).parent / "results" / "furniture.json"
CLUTTER = (0.5, 0.8, 1.0)
PER_ROOM, MOST_ROOMS = 10, 8


def measure(homes: int) -> dict[str, Any]:
    longest: dict[str, list[float]] = defaultdict(list)
    kinds: dict[int, Counter[str]] = defaultdict(Counter)
    triangles = objects = rooms = 0
    for seed in range(homes):
        count = 1 + seed % MOST_ROOMS
        spec = SceneSpec(seed=seed, rooms=count, min_objects=PER_ROOM * count, max_objects=PER_ROOM * count + 8,
                         palette="natural", clutter=CLUTTER[seed % len(CLUTTER)])  # fmt: skip
        plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
        kinds[count].update(room.category for room in plan.rooms)
        rooms += count
        for item in furnished(spec, plan)[0]:
            longest[item.category.name].append(float((item.high - item.low).max()))
            triangles += sum(len(part.faces) for part, _ in item.model.parts)
            objects += 1
    sizes = {}
    for name in CATEGORIES:
        values = np.array(longest.get(name, [np.nan]))
        low, high = np.percentile(values, [5, 95]).tolist()
        sizes[name] = {
            "objects": len(longest.get(name, [])),
            "shapes": len({*CATEGORIES[name].shapes, *CATEGORIES[name].grouped}),
            "mean_m": round(float(values.mean()), 3),
            "variation": round(float(values.std() / values.mean()), 3),
            "p05_m": round(low, 3),
            "p95_m": round(high, 3),
        }
    return {
        "homes": homes,
        "objects_per_room": round(objects / rooms, 1),
        "triangles_per_room": round(triangles / rooms),
        "longest_side": sizes,
        "kinds_of_rooms": {str(count): dict(sorted(found.items())) for count, found in sorted(kinds.items())},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--homes", type=int, default=300)
    found = measure(parser.parse_args().homes)
    print("category            objects  shapes  mean of the longest side  coefficient of variation  5-95 %")
    for name, row in found["longest_side"].items():
        spread = f"{row['variation']:24.3f}    {row['p05_m']:.2f}-{row['p95_m']:.2f} m"
        print(f"{name:20}{row['objects']:7}{row['shapes']:8}{row['mean_m']:24.2f} m{spread}")
    print(f"{found['objects_per_room']} objects and {found['triangles_per_room']} triangles per room")
    OUT.write_text(json.dumps({"machine": describe_machine(), **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
