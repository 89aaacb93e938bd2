"""Runs the habitat backend against `rooms` on exported homes, wherever habitat_sim can be imported.

    python -m tests.conformance.run_habitat                     everything; about 20 minutes on two cores without a GPU
    python -m tests.conformance.run_habitat --short --stand-in  a short form over the stand-in, for CI
    python -m tests.conformance.run_habitat --only skills,cost

Checks the conformance and unit tests, the agreement of descriptions, images and paths, every skill at every level, bad
datasets, swaps of workers under load, frames per CPU-second, and memory over 50 scenes. Prints one table, and writes
all figures with --out. Exits with 1 if a check failed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, NamedTuple, Optional

from benchmarks.machine import describe_load, describe_machine
from protocol.tasks.scene import Pose, SceneSpec
from sim_server.backends.base import Backend, Scene, Warmable
from sim_server.backends.habitat import HabitatBackend
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.files.export import CONFIG_NAME, export_scenes
from tests.conformance.habitat_run.agreement import compare, poses_in
from tests.conformance.habitat_run.cost import SIZES, frames_per_cpu_s, opening
from tests.conformance.habitat_run.defects import make_dataset, open_each
from tests.conformance.habitat_run.skills import every_skill
from tests.conformance.habitat_run.swaps import swap

ROOT = Path(__file__).parents[2]
STAND_IN = ROOT / "tests" / "support" / "habitat_stand_in"
HOME = {"min_objects": 14, "max_objects": 20, "clutter": 0.5}
PARTS = ("tests", "agreement", "skills", "defects", "swaps", "cost")


class Size(NamedTuple):
    """How much a run does."""

    homes: tuple[SceneSpec, ...]
    views: int
    points: int
    specs_each: int
    skills: tuple[str, ...]
    swap_rounds: int
    least_cpu_s: float
    loads: int


FULL = Size(
    tuple(SceneSpec(seed=seed, rooms=3, **HOME) for seed in (5, 6, 7)),  # type: ignore[arg-type]
    views=12, points=400, specs_each=2, skills=(), swap_rounds=3, least_cpu_s=6.0, loads=50,
)  # fmt: skip
SHORT = Size(
    (SceneSpec(seed=5, rooms=2, **HOME),),  # type: ignore[arg-type]
    views=2, points=60, specs_each=1, skills=("depth_order", "perspective", "object_color"), swap_rounds=1,
    least_cpu_s=0.1, loads=4,
)  # fmt: skip


class Run:
    """One run over a folder of exported homes."""

    def __init__(self, size: Size, folder: Path, stand_in: bool) -> None:
        self.size, self.folder, self.stand_in = size, folder, stand_in
        self.dataset = folder / "homes" / CONFIG_NAME
        made = RoomsBackend()
        self.assets = export_scenes((made.open(home) for home in size.homes), self.dataset.parent, made.digest)
        self.habitat: Optional[HabitatBackend] = None
        self.start_cpu_s = 0.0  # of the renderer

    def backends(self) -> tuple[Backend, Backend]:
        """habitat and `rooms` on the homes."""
        if self.habitat is None:
            self.habitat = HabitatBackend(self.dataset, gpu=-1, software=True)
            started_s = time.process_time()
            self.habitat.warm()
            self.start_cpu_s = round(time.process_time() - started_s, 1)
        return self.habitat, RoomsBackend(str(self.dataset))

    def close(self) -> None:
        if self.habitat is not None:
            self.habitat.close()
            self.habitat = None

    def environment(self) -> dict[str, str]:
        """Of child processes: they import this checkout, and the stand-in if it is used here."""
        paths = [str(ROOT), *([str(STAND_IN)] if self.stand_in else [])]
        return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "XDG_CACHE_HOME": str(self.folder / "cache")}

    # ------------------------------------------------------------------ the parts

    def tests(self) -> dict[str, Any]:
        """The conformance tests of habitat, and the unit tests of the backend."""
        found: dict[str, Any] = {}
        for name, where in (
            ("conformance", ["tests/conformance/test_backends.py", "-k", "habitat"]),
            ("unit", ["tests/unit/sim_server/habitat"]),
        ):
            command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", "--timeout", "900", *where]
            done = subprocess.run(command, env=self.environment(), cwd=ROOT, capture_output=True, text=True)
            found[name] = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr[-200:]
            found[f"{name}_passed"] = done.returncode == 0
        return found

    def agreement(self) -> dict[str, Any]:
        return compare(*self.backends(), self.assets, self.size.views, self.size.points)

    def skills(self) -> dict[str, Any]:
        return every_skill(*self.backends(), self.assets, self.size.specs_each, self.size.skills)

    def defects(self) -> dict[str, Any]:
        self.close()
        config, defects = make_dataset(self.dataset, self.assets[0], self.folder / "bad")
        backend = HabitatBackend(config, gpu=-1, software=True)
        outcomes = open_each(backend, self.assets[0], defects)
        backend.close()
        bad = [f"{o.defect}: {o.code} {o.sentence}" for o in outcomes if o.code != "corrupt" or not o.good]
        return {"bad_scenes": len(outcomes), "with_a_sentence": len(outcomes) - len(bad), "others": bad}

    def swaps(self) -> dict[str, Any]:
        views = []
        backends = self.backends()
        for asset in self.assets:
            scenes = [backend.open(SceneSpec(asset=asset)) for backend in backends]
            free = [pose for pose in poses_in(scenes[1], 12) if _above_floor(scenes[0], pose)]
            views += [(asset, pose) for pose in free[:4]]
        self.close()
        return swap(self.folder, self.dataset, views, self.environment(), self.size.swap_rounds)

    def cost(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        sizes = SIZES if self.size.loads == FULL.loads else SIZES[:1]
        for name, backend in zip(("habitat", "rooms"), self.backends()):
            if isinstance(backend, Warmable):
                backend.warm()
            scene = backend.open(SceneSpec(asset=self.assets[0]))
            found[name] = {
                "frames_per_cpu_s": frames_per_cpu_s(scene, sizes, self.size.least_cpu_s),
                **opening(backend, self.assets, self.size.loads),
            }
        return found


def _above_floor(scene: Scene, pose: Pose) -> bool:
    """Whether a service accepts the pose: it must be above free floor in both simulators."""
    x, _, z = pose.position_m
    return scene.is_navigable((x, scene.description.rooms[0].floor_y_m, z))


CHECKS: dict[str, Callable[[dict[str, Any]], bool]] = {
    "tests": lambda found: found["conformance_passed"] and found["unit_passed"],
    "agreement": lambda found: (
        found["objects_with_other_facts"] == 0 and found["rooms_and_openings_equal"]
        and found["ids_equal_percent"] > 99.9 and found["changed_ids_equal_percent"] > 99.9
        and found["visible_fraction_max_difference"] < 0.05 and found["navigable_equal_percent"] > 90
    ),
    "skills": lambda found: (
        found["habitat_same_answer"] >= 0.97 * found["habitat_realised"]
        and found["rooms_same_answer"] >= 0.97 * found["rooms_realised"]
    ),
    "defects": lambda found: not found["others"],
    "swaps": lambda found: not found["failed"] and not found["requests_with_different_images_of_one_renderer"],
    "cost": lambda found: found["habitat"]["memory_mib_last"] < 2 * found["habitat"]["memory_mib_first"] + 256,
}  # fmt: skip


def table(found: dict[str, Any], failed: list[str]) -> str:
    """One line per figure; lists only as their length."""
    lines = []
    for part, figures in found.items():
        if part in CHECKS:
            lines.append(f"{part:<12} {'FAILED' if part in failed else 'passed'}")
        for key, value in _flat(figures):
            if not key.startswith("by_skill"):
                shown = f"{len(value)} (see --out)" if isinstance(value, list) and len(value) > 2 else value
                lines.append(f"  {key:<52} {shown}")
    return "\n".join(lines)


def _flat(figures: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(figures, dict):
        return [(prefix.rstrip("."), figures)]
    return [pair for key, value in figures.items() for pair in _flat(value, f"{prefix}{key}.")]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="one home, few views and skills")
    parser.add_argument("--stand-in", action="store_true", help="use the stand-in of tests/support for habitat_sim")
    parser.add_argument("--only", default="", help=f"parts, separated by commas: {', '.join(PARTS)}")
    parser.add_argument("--each", type=int, help="specs per skill and level in every home")
    parser.add_argument("--out", type=Path, help="JSON file for all figures; other parts in it are kept")
    options = parser.parse_args()
    if options.stand_in:
        sys.path.insert(0, str(STAND_IN))
    elif importlib.util.find_spec("habitat_sim") is None:
        parser.error("habitat_sim is not installed: see docs/guides/habitat.md, or use --stand-in")
    parts = [part for part in PARTS if part in (options.only.split(",") if options.only else PARTS)]
    if options.short and not options.only:
        parts.remove("tests")  # CI runs them anyway
    with tempfile.TemporaryDirectory(prefix="vantage-habitat-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        size = SHORT if options.short else FULL
        run = Run(size._replace(specs_each=options.each or size.specs_each), Path(folder), options.stand_in)
        run.backends()
        found: dict[str, Any] = {
            "machine": {**describe_machine(), **describe_load()},
            "library": {
                "habitat_sim": "stand-in" if options.stand_in else run.habitat._simulator.version,  # type: ignore[union-attr]
                "renderer": run.habitat._simulator.renderer,  # type: ignore[union-attr]
                "start_cpu_s": run.start_cpu_s,
            },
        }
        for part in parts:
            print(f"{part} …", file=sys.stderr, flush=True)
            found[part] = getattr(run, part)()
        run.close()
    failed = [part for part in parts if not CHECKS[part](found[part])]
    print(table(found, failed))
    if options.out:
        if options.out.exists():
            found = {**json.loads(options.out.read_text()), **found}
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
