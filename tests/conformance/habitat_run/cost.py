"""What rendering and opening scenes costs: frames per CPU-second, processor time, memory."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Sequence

from protocol.tasks.scene import Camera, SceneSpec
from sim_server.backends.base import Backend, Scene
from tests.conformance.habitat_run.agreement import poses_in

SIZES = ((128, 128), (256, 256), (640, 480))
SENSORS = {"rgb_depth_ids": ("rgb", "depth", "ids"), "depth_ids": ("depth", "ids")}


def frames_per_cpu_s(scene: Scene, sizes: Sequence[tuple[int, int]], least_s: float) -> dict[str, float]:
    """For each size and set of sensors, over at least `least_s` of processor time."""
    poses = poses_in(scene, 12)
    rates = {}
    for width, height in sizes:
        camera = Camera(width, height)
        for name, sensors in SENSORS.items():
            scene.render(poses[:2], camera, sensors)
            frames, started_s = 0, time.process_time()
            while time.process_time() - started_s < least_s:
                scene.render([poses[frames % len(poses)]], camera, sensors)
                frames += 1
            rates[f"{name}_{width}x{height}"] = round(frames / (time.process_time() - started_s), 1)
    return rates


def opening(backend: Backend, assets: Sequence[str], loads: int) -> dict[str, Any]:
    """Processor time of opening scenes in turn, and the memory of the process over them."""
    spent_s, memory_mib = [], []
    for number in range(loads):
        started_s = time.process_time()
        scene = backend.open(SceneSpec(asset=assets[number % len(assets)]))
        scene.render(poses_in(scene, 1), Camera(64, 48), ("rgb", "ids"))
        scene.close()
        spent_s.append(time.process_time() - started_s)
        memory_mib.append(_resident_mib())
    later = sorted(spent_s[len(assets) :]) or spent_s
    return {
        "loads": loads,
        "first_open_cpu_s": round(spent_s[0], 3),
        "open_cpu_s_median": round(later[len(later) // 2], 3),
        "memory_mib_first": memory_mib[0],
        "memory_mib_last": memory_mib[-1],
    }


def _resident_mib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 2**20
