"""Measures how fast the embedded simulator renders and opens scenes, in CPU time on one core.

    python -m benchmarks.render

Prints tables and writes benchmarks/results/render.json. CPU time is independent of other load. Scenes: "demo" has one
room with three to six objects in plain colours; "furnished" has three rooms with at least forty pieces of furniture
and clutter; "large" has six rooms with at least sixty and is only opened. Start-up is that of a fresh process that has
to compile the kernels (cold) or finds them on disk (warm). Every other installed renderer (render_peers.py) draws the
triangles of a furnished scene from the same poses, each in a separate process, one after the other.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Sequence

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from benchmarks.machine import describe_load, describe_machine
from benchmarks.render_peers import MODULES, PEERS, Draw
from protocol.errors import Infeasible
from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.backends.base import Scene
from sim_server.backends.rooms import RoomsBackend

DEMO = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
SIZES = ((96, 96), (128, 128), (256, 256), (640, 480))
PEER_SIZES = SIZES[1:]
VIEWS_PER_SCENE = 2


def specs(kind: str, count: int) -> list[SceneSpec]:
    if kind == "demo":
        return [SceneSpec(seed=k, categories=DEMO) for k in range(count)]
    if kind == "large":
        return [
            SceneSpec(seed=k, rooms=6, min_objects=60, max_objects=80, clutter=1.0, palette="natural")
            for k in range(count)
        ]
    return [
        SceneSpec(seed=k, rooms=3, min_objects=40, max_objects=46, clutter=1.0, palette="natural") for k in range(count)
    ]


def views(scene: Scene, seed: int) -> list[Pose]:
    """Poses of a standing agent looking at an object, slightly downwards."""
    rng = np.random.default_rng(seed)
    poses = []
    for _ in range(VIEWS_PER_SCENE):
        x, _, z = scene.sample_navigable(rng)
        target = scene.description.objects[int(rng.integers(len(scene.description.objects)))].box.centre_m
        yaw, pitch = math.atan2(x - target[0], z - target[2]) / 2, -0.1
        rotation = (math.cos(yaw) * math.cos(pitch), math.cos(yaw) * math.sin(pitch))
        rotation += (math.sin(yaw) * math.cos(pitch), -math.sin(yaw) * math.sin(pitch))
        poses.append(Pose((x, 1.5, z), rotation))
    return poses


def rate(work: Callable[[], int], seconds: float) -> float:
    """Frames per CPU-second of `work`, which returns the number of frames it rendered."""
    work()
    start, frames = time.process_time(), 0
    while time.process_time() - start < seconds:
        frames += work()
    return frames / (time.process_time() - start)


def measure(kind: str, count: int, seconds: float) -> dict[str, object]:
    backend = RoomsBackend()
    scenes = [backend.open(spec) for spec in specs(kind, count)]
    poses = [views(scene, k) for k, scene in enumerate(scenes)]

    def frames(camera: Camera, sensors: Sequence[str]) -> Callable[[], int]:
        return lambda: sum(len(scene.render(p, camera, sensors).poses) for scene, p in zip(scenes, poses))

    rows = []
    for width, height in SIZES:
        camera = Camera(width, height)
        rows.append(
            {
                "width_px": width,
                "height_px": height,
                "rgb_depth_ids_per_s": round(rate(frames(camera, ("rgb", "depth", "ids")), seconds), 1),
                "depth_ids_per_s": round(rate(frames(camera, ("depth", "ids")), seconds), 1),
                "amodal_per_s": round(rate(frames(camera, ("amodal",)), seconds), 1),
            }
        )
    return {
        "kind": kind,
        "scenes": count,
        "objects_mean": float(np.mean([len(s.description.objects) for s in scenes])),
        "rates": rows,
    }


def opening(kind: str, count: int) -> dict[str, object]:
    """CPU time to open scenes, light baking included."""
    backend, open_s, objects = RoomsBackend(), [], []
    for spec in specs(kind, count):
        start = time.process_time()
        try:
            scene = backend.open(spec)
        except Infeasible:  # not every home has room for that many objects
            continue
        open_s.append(time.process_time() - start)
        objects.append(len(scene.description.objects))
    return {
        "kind": kind,
        "scenes": len(open_s),
        "objects_mean": round(float(np.mean(objects)), 1),
        **{f"p{p}_ms": round(1e3 * float(np.percentile(open_s, p)), 1) for p in (50, 90, 95, 100)},
    }


def start_up() -> dict[str, object]:
    """CPU time until a fresh process is ready for its first scene, interpreter start and imports included."""
    command = [sys.executable, "-c", "from sim_server.backends.rooms import RoomsBackend; RoomsBackend().warm()"]
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
        for name in ("cold_cpu_s", "warm_cpu_s"):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(command, check=True, env=environment)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            found[name] = round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2)
    return found


def measure_peer(name: str, seconds: float) -> dict[str, object]:
    """Frames per CPU-second of one renderer on a furnished scene by image size, and the agreement of its ids."""
    from sim_server.backends.rooms.draw.drawing import view_axes
    from sim_server.backends.rooms.scene import RoomsScene

    scene = RoomsBackend().open(specs("furnished", 1)[0])
    assert isinstance(scene, RoomsScene)
    geometry, poses = scene.geometry, views(scene, 0) + views(scene, 1)
    rates, same = {}, 1.0
    eyes = [view_axes(pose) for pose in poses]
    for width, height in PEER_SIZES:
        camera = Camera(width, height)
        if name == "rooms":
            work = functools.partial(_draw_ours, scene, poses, camera)
        else:
            draw = PEERS[name](geometry.positions, geometry.faces, geometry.face_object, width, height)
            ours = scene.render(poses, camera, ("ids",)).ids
            assert ours is not None
            same = min(same, *(float((draw(*eye)[2] == ids).mean()) for eye, ids in zip(eyes, ours)))
            work = functools.partial(_draw_theirs, draw, eyes)
        rates[f"{width}x{height}"] = round(rate(work, seconds), 1)
    return {"name": name, "triangles": len(geometry.faces), "rates": rates, "ids_same_at_least": round(same, 4)}


def _draw_ours(scene: Scene, poses: list[Pose], camera: Camera) -> int:
    return len(scene.render(poses, camera, ("rgb", "depth", "ids")).poses)


def _draw_theirs(draw: Draw, eyes: list) -> int:
    return len([draw(*eye) for eye in eyes])


def peers(seconds: float) -> list[dict]:
    """Measures `rooms` and every installed peer, each in a separate process."""
    found = []
    for name in ("rooms", *PEERS):
        if name != "rooms" and importlib.util.find_spec(MODULES.get(name, name)) is None:
            print(f"{name} is not installed: skipped")
            continue
        command = [sys.executable, __file__, "--peer", name, "--seconds", str(seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        if lines:
            found.append(json.loads(lines[-1]))
        else:
            print(f"{name} failed and is skipped: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
    return found


def scaling(seconds: float) -> dict[str, object]:
    """Rate at 256 x 256 with one process per core, relative to a single process; below 1 if they compete for caches."""
    command = [sys.executable, __file__, "--peer", "rooms", "--seconds", str(seconds)]
    cores = len(os.sched_getaffinity(0))
    per_process = []
    for count in (1, cores):
        running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
        answers = [json.loads(process.communicate(timeout=900)[0]) for process in running]
        per_process.append(float(np.mean([answer["rates"]["256x256"] for answer in answers])))
    return {"workers": cores, "efficiency": round(per_process[1] / per_process[0], 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time per figure")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "render.json")
    parser.add_argument("--peer", choices=("rooms", *PEERS), help="measure only this renderer and print JSON")
    arguments = parser.parse_args()
    if arguments.peer:
        print(json.dumps(measure_peer(arguments.peer, arguments.seconds)), flush=True)
        return
    RoomsBackend().warm()
    result: dict[str, object] = {
        "machine": describe_machine(),
        "load": describe_load(),
        "digest": RoomsBackend().digest,
        "kinds": [measure(kind, arguments.scenes, arguments.seconds) for kind in ("demo", "furnished")],
    }
    result["openings"] = [opening(kind, n) for kind, n in (("demo", 60), ("furnished", 24), ("large", 24))]
    result["max_rss_mib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 0)
    result["start_up"] = start_up()
    result["scaling"] = scaling(arguments.seconds)
    result["peers"] = peers(arguments.seconds)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n")
    _print(result)


def _print(result: dict) -> None:
    print(f"{'scene':10} {'size':>9} {'rgb+depth+ids':>14} {'depth+ids':>10} {'amodal':>8}   (frames per CPU-second)")
    for kind in result["kinds"]:
        for row in kind["rates"]:
            size = f"{row['width_px']}x{row['height_px']}"
            print(
                f"{kind['kind']:10} {size:>9} {row['rgb_depth_ids_per_s']:>14} {row['depth_ids_per_s']:>10}"
                f" {row['amodal_per_s']:>8}"
            )
    for one in result["openings"]:
        print(
            f"{one['kind']}: {one['objects_mean']:.1f} objects, opening takes {one['p50_ms']} ms (median), "
            f"{one['p90_ms']} ms (90 %), {one['p95_ms']} ms (95 %), {one['p100_ms']} ms at most"
        )
    ours = next((p["rates"] for p in result["peers"] if p["name"] == "rooms"), {})
    for peer in result["peers"]:
        row = "  ".join(f"{size}: {fps} ({ours[size] / fps:.1f}x)" for size, fps in peer["rates"].items())
        print(f"{peer['name']:9} {row}  equal ids: {peer['ids_same_at_least']}")
    print(f"{result['scaling']['workers']} processes at once: {result['scaling']['efficiency']} of the single rate")
    print(f"start-up {result['start_up']}, peak memory {result['max_rss_mib']} MiB")


if __name__ == "__main__":
    main()
