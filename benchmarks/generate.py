"""Measures the cost of writing a dataset: rows per second and core, and the time of each stage.

    python -m benchmarks.generate [--n 600] [--size 256] [--out FILE]

Runs the code of `sim-server generate` for single-view questions of every skill at levels 0 to 2, with Parquet if
pyarrow is installed, into a temporary folder. Times are processor time of this process; opening scenes and rendering
(of every camera placement that was tried) are measured separately. WebP is then measured on some of the renders.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Callable

import numpy as np

from benchmarks.machine import describe_machine
from protocol.skills import CATALOGUE
from protocol.tasks.scene import SceneSpec
from protocol.tasks.specs import World
from sim_server.backends.rooms import RoomsBackend
from sim_server.dataset import generate as generating
from sim_server.dataset import parquet
from sim_server.dataset.generate import generate
from sim_server.dataset.plan import DEFAULT_WORLD, Plan
from sim_server.dataset.rows import from_webp, to_webp

OUT = Path(__file__).parent / "results" / "generate.json"
QUALITIES = (80, 90, 95, 100)
IMAGES = 100


class Clock:
    """Processor seconds inside wrapped methods, by name; a wrapped call inside another one is not counted."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._inside = False

    def wrap(self, owner: Any, method: str, name: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)

        def timed(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return original(*arguments, **named)
            self._inside = True
            started_s = time.process_time()
            try:
                return original(*arguments, **named)
            finally:
                self.seconds[name] += time.process_time() - started_s
                self.calls[name] += 1
                self._inside = False

        setattr(owner, method, timed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=600)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cells = [
        (name, level)
        for name, skill in CATALOGUE.items()
        if skill.views == "single"
        for level in skill.feasible_levels
        if level < 3
    ]
    world = World(**DEFAULT_WORLD | {"width_px": options.size, "height_px": options.size})
    plan = Plan(
        n=options.n,
        seed=1,
        split="train",
        cells=tuple(cells),
        world=world.model_dump(mode="json"),
        shard_size=200,
        parquet=parquet.installed(),
    )
    backend = RoomsBackend()
    backend.warm()
    from sim_server.backends.rooms.scene import RoomsScene

    scene = backend.open(SceneSpec(seed=1))
    assert isinstance(scene, RoomsScene)
    images: list[np.ndarray] = []
    encode = generating.to_webp

    def encode_and_keep(rgb: np.ndarray, quality: int) -> bytes:
        if len(images) < IMAGES:
            images.append(rgb)
        return encode(rgb, quality)

    generating.to_webp = encode_and_keep
    clock = Clock()
    clock.wrap(RoomsBackend, "open", "opening scenes")
    clock.wrap(RoomsScene, "render", "rendering")
    clock.wrap(generating, "to_webp", "encoding WebP")
    clock.wrap(generating, "write_parquet", "writing Parquet")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "set"
        started_s = time.process_time()
        record = generate(path, plan, (), 1, print)
        total_s = time.process_time() - started_s
        bytes_on_disk = sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    apart_s = clock.seconds["opening scenes"] + clock.seconds["rendering"]
    clock.seconds["the rest: placing cameras, evidence, rules, rows, files"] = total_s - sum(clock.seconds.values())
    rows = record.rows
    result = {
        "machine": describe_machine(),
        "renderer_digest": backend.digest,
        "size_px": options.size,
        "specs": options.n,
        "rows": rows,
        "parquet": plan.parquet,
        "kib_per_row": round(bytes_on_disk / rows / 1024, 1),
        "renders_per_row": round(clock.calls["rendering"] / rows, 2),
        "ms_per_row": {name: round(1e3 * seconds / rows, 2) for name, seconds in clock.seconds.items()},
        "rows_per_s_and_core": round(rows / total_s, 1),
        "rows_per_s_and_core_net": round(rows / (total_s - apart_s), 1),
        "webp": [_webp(images, quality) for quality in QUALITIES],
    }
    print(json.dumps(result, indent=1))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")


def _webp(images: list[np.ndarray], quality: int) -> dict[str, float]:
    """Encoding time in milliseconds, size in KiB and mean absolute difference in levels, each per image."""
    started_s = time.process_time()
    files = [to_webp(rgb, quality) for rgb in images]
    spent_s = time.process_time() - started_s
    height, width, _ = images[0].shape
    errors = [np.abs(from_webp(file, width, height).astype(int) - rgb).mean() for file, rgb in zip(files, images)]
    return {
        "quality": quality,
        "ms": round(1e3 * spent_s / len(files), 2),
        "kib": round(sum(map(len, files)) / len(files) / 1024, 1),
        "error_levels": round(float(np.mean(errors)), 2),
    }


if __name__ == "__main__":
    main()
