"""Measures the time of one step of the expression language, and hence of the longest accepted program.

    python -m benchmarks.language [--out FILE]

Every function runs in the largest world that the language allows: 256 objects, each visible in all of 16 views of
4096 x 4096 pixels, in 12 rooms. Its processor time is divided by the steps that the checker counts for it; a program of
MAX_COST steps takes at most MAX_COST times the worst of these figures. The cache of box distances is cleared before
every run.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import describe_machine
from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, OrientedBox, Room, SceneDescription, SceneObject
from sim_server.backends.base import Frames
from sim_server.questions import geometry
from sim_server.questions.evidence import Evidence, view_evidence
from sim_server.questions.language.checker import MAX_COST, cost_of
from sim_server.questions.language.evaluator import compiled, run
from sim_server.questions.language.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    POSE,
    TEXT,
    VECTOR,
    VIEW,
    Fault,
    Function,
)
from sim_server.questions.language.parser import ProgramFault

OUT = Path(__file__).parent / "results" / "language.json"
VIEWS = 16
ROOMS = 12
RUNS = 20
CAMERA = Camera(4096, 4096)


def largest_evidence() -> Evidence:
    """256 objects of different names in 12 rooms, each with a front and a support, all visible in each of 16 views.

    The views have the largest size; all share one id image, in which every object is a square.
    """
    rng = rng_for(1, "language benchmark")
    rooms = tuple(
        Room(i + 1, "room", ((4.0 * i, 0.0), (4.0 * i + 4, 0.0), (4.0 * i + 4, 4.0), (4.0 * i, 4.0)), 0.0, 2.6)
        for i in range(ROOMS)
    )
    objects = []
    for key in range(1, MAX_OBJECTS + 1):
        room = key % ROOMS
        x, y, z = (float(v) for v in rng.uniform((4.0 * room, 0.2, 0.0), (4.0 * room + 4, 1.0, 4.0)))
        if key in _AHEAD:  # of view 3, so that it has a place in its image
            x, y, z = 11.2, 1.2, 0.9
        yaw, (a, b, c) = float(rng.uniform(-3, 3)), rng.uniform(0.1, 0.6, 3).tolist()
        box = OrientedBox((x, y, z), (a, b, c), (math.cos(yaw / 2), 0.0, math.sin(yaw / 2), 0.0))
        color, category = ("red", "blue")[key % 2], f"chair {key}"
        objects.append(SceneObject(key, category, box, color, room + 1, max(1, key - 1), (0.0, 0.0, -1.0)))
    side = CAMERA.width_px // 16
    ids = np.kron(np.arange(1, MAX_OBJECTS + 1, dtype=np.int32).reshape(16, 16), np.ones((side, side), np.int32))
    depth = np.full(ids.shape, 2.0, np.float32)
    description = SceneDescription("largest", "none", rooms, (), tuple(objects), 192.0)
    known = {item.id: item for item in objects}
    views = []
    for index in range(VIEWS):
        eye = (4.0 * (index % ROOMS) + 2, 1.5, 2.0)
        frames = Frames((geometry.pose_from_yaw_pitch(eye, 0.4 * index, -0.1),), CAMERA)
        frames.ids, frames.depth = ids[None], depth[None]
        views += view_evidence(known, frames)
    return Evidence(description=description, views=tuple(views), objects=known)


_AHEAD = (7, 9)
_ARGUMENTS = {
    NUMBER: ("0.4", "0.7", "0.2"),
    BOOL: ("true",),
    TEXT: ('"red"', '"chair 3"'),
    OBJECT: ("object(200)", "object(37)", "object(111)"),
    OBJECTS: ("objects()",),
    VIEW: ("view(3)", "view(11)"),
    VECTOR: ("centre(object(7))", "centre(object(9))"),
    POSE: ("place(object(7))", "camera(view(11))"),
}


_NAMED = {"id": "3", "index": "3", "share": "0.001"}  # by the parameter's name


def call(function: Function) -> str:
    """A call of the function with one argument per parameter."""
    used: dict[str, int] = {}
    parts = []
    for parameter in function.parameters:
        if parameter.name in _NAMED:
            parts.append(f"{parameter.name}={_NAMED[parameter.name]}")
            continue
        choices = _ARGUMENTS.get(parameter.type) or tuple(
            call(other) for other in FUNCTIONS.values() if other.result == parameter.type
        )
        count = used.get(parameter.type, 0)
        used[parameter.type] = count + 1
        parts.append(f"{parameter.name}={choices[count % len(choices)]}")
    return f"{function.name}({', '.join(parts)})"


def programs() -> dict[str, str]:
    """A program for every function and binder, each with one call of it."""
    found = {}
    for name, function in FUNCTIONS.items():
        text = call(function)
        wrap = {
            OBJECT: "longest_side({})",
            OBJECTS: "count({})",
            VECTOR: "x({})",
            VIEW: "x(position({}))",
            POSE: "bearing_at({}, position(view(0)))",
        }
        found[name] = wrap.get(function.result, "{}").format(text)
    for name, (body, result) in BINDERS.items():
        inner = "longest_side(o) > 0.5" if body == BOOL else "longest_side(o)"
        wrap = "count({})" if result == OBJECTS else "longest_side({})"
        found[name] = wrap.format(f"{name}(objects(), o: {inner})")
    far = "filter(objects(), o: closest_distance(o, object(1)) < closest_distance(o, object(2)))"
    found["nested"] = f"count({far})"
    return found


def microseconds(program: str, evidence: Evidence) -> float:
    """Median processor time of a run, with the geometry cache cleared before each."""
    compiled(program)
    spent_s = []
    for _ in range(RUNS):
        geometry.box_distance_m.cache_clear()
        started_s = time.process_time()
        run(program, evidence)
        spent_s.append(time.process_time() - started_s)
    return 1e6 * statistics.median(spent_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    evidence = largest_evidence()
    rows, left_out = [], {}
    for name, program in programs().items():
        try:
            spent_us = microseconds(program, evidence)
        except (ProgramFault, Fault) as fault:  # this world lacks something that the function needs
            left_out[name] = str(fault)
            continue
        steps = cost_of(compiled(program))
        rows.append({"name": name, "steps": steps, "us": round(spent_us, 2), "us_per_step": round(spent_us / steps, 3)})
    rows.sort(key=lambda row: -float(row["us_per_step"]))
    for row in rows:
        print(f"{row['name']:24}{row['steps']:8}{row['us']:12.2f} us{row['us_per_step']:9.3f} us/step")
    for name, why in left_out.items():
        print(f"{name:24} not measured: {why}")
    worst_s = MAX_COST * float(rows[0]["us_per_step"]) / 1e6
    print(f"the longest accepted program: {MAX_COST} steps, at most {worst_s:.2f} s")
    result = {"machine": describe_machine(), "max_cost": MAX_COST, "longest_s": round(worst_s, 3)}
    options.out.write_text(json.dumps({**result, "rows": rows, "not_measured": left_out}, indent=1) + "\n")


if __name__ == "__main__":
    main()
