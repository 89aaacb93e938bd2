"""Measures the agreement of `rooms` with scenes recorded from habitat-sim, and of an export with its original.

    python -m benchmarks.conformance

Prints a table and writes benchmarks/results/conformance.json. tests/conformance/test_reference.py checks the bounds.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.sensing.contact_sheet import overview_poses

REFERENCE = Path(__file__).parents[1] / "tests" / "data" / "reference"
OUT = Path(__file__).parent / "results" / "conformance.json"
HOME = SceneSpec(seed=5, rooms=2, min_objects=14, max_objects=20, clutter=0.5, palette="natural")


def recorded(name: str) -> dict[str, Any]:
    """Agreement over all views; depth only at pixels whose ids agree and whose neighbours have the same id."""
    config = REFERENCE / name / "dataset" / f"{name}.scene_dataset_config.json"
    scene = RoomsBackend(str(config)).open(SceneSpec(asset=name))
    ids, depth = np.load(REFERENCE / name / "ids.npz"), np.load(REFERENCE / name / "depth.npz")
    equal, total, errors = 0, 0, []
    for view in json.loads((REFERENCE / name / "views.json").read_text()):
        pose = Pose(tuple(view["position"]), tuple(view["rotation_wxyz"]))
        frames = scene.render([pose], Camera(320, 240, math.radians(view["hfov_deg"])), ("ids", "depth"))
        assert frames.ids is not None and frames.depth is not None
        want = ids[view["view"]]
        same = frames.ids[0] == want
        equal, total = equal + int(same.sum()), total + same.size
        if view["view"] in depth.files:
            wide = np.pad(want, 1, mode="edge")
            shifted = [wide[dy : dy + want.shape[0], dx : dx + want.shape[1]] for dy in range(3) for dx in range(3)]
            plain = same & np.all([s == want for s in shifted], axis=0)
            errors.append(np.abs(frames.depth[0] - depth[view["view"]])[plain] * 1e3)
    error = np.concatenate(errors)
    return {
        "ids_equal_percent": round(100 * equal / total, 4),
        "depth_median_mm": round(float(np.median(error)), 4),
        "depth_p99_mm": round(float(np.percentile(error, 99)), 3),
    }


def exported() -> dict[str, Any]:
    """Compare a generated home with the same home read back from its export."""
    from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes

    backend = RoomsBackend()
    made = backend.open(HOME)
    with tempfile.TemporaryDirectory() as folder:
        (name,) = export_scenes([made], Path(folder), backend.digest)
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
        back = RoomsBackend(str(Path(folder) / CONFIG_NAME)).open(SceneSpec(asset=name))
    camera = Camera(320, 240, math.radians(75))
    poses = overview_poses(made, camera, 6)
    a, b = (scene.render(poses, camera, ("rgb", "depth", "ids")) for scene in (made, back))
    assert a.ids is not None and b.ids is not None and a.depth is not None and b.depth is not None
    assert a.rgb is not None and b.rgb is not None
    same = a.ids == b.ids
    error = np.abs(a.depth - b.depth)[same] * 1e3
    colour = np.abs(a.rgb.astype(np.int32) - b.rgb)
    return {
        "objects": len(made.description.objects),
        "files": len(files),
        "megabytes": round(size / 1e6, 2),
        "ids_equal_percent": round(100 * float(same.mean()), 4),
        "depth_median_mm": round(float(np.median(error)), 4),
        "depth_p99_mm": round(float(np.percentile(error, 99)), 4),
        "colour_mean_difference_of_255": round(float(colour.mean()), 1),
    }


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    figures = {"recorded": {name: recorded(name) for name in ("boxes", "flat", "apartment")}, "exported": exported()}
    for name, row in [*figures["recorded"].items(), ("export", figures["exported"])]:
        print(f"{name:10}", "  ".join(f"{key} {value}" for key, value in row.items()))
    OUT.write_text(json.dumps({"machine": describe_machine(), **figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
