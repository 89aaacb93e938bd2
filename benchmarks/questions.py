"""How the question families fare on a backend: what is realised, why not, at what cost, and how well answers balance.

    python benchmarks/questions.py [--scenes 500] [--levels 0 2 4] [--families ...] [--out FILE]

The measuring is that of `sim-server audit`, which also checks every answer.

Times are processor time of this process, scenes already open, pictures of 96 px, colour rendered at the end.
`majority` is the accuracy of always giving the most frequent answer, `blind` that of giving the most frequent answer
to questions with the same options or about the same word ("chair"): about what a model could learn without pictures.
For options that differ from question to question `majority` counts the place of the answer among the options.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import msgspec

from protocol.messages import Annotate
from protocol.scene import Camera, SceneSpec
from protocol.specs import World
from protocol.tasks import QuestionSpec, TaskSpec
from sim_server.annotate import annotate
from sim_server.backends.base import Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.audit.run import audit
from sim_server.questions.families import FAMILIES
from sim_server.questions.family import takes_any_view
from sim_server.realise import realise

DEMO_CATEGORIES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
KNOBS = World(categories=DEMO_CATEGORIES)
OUT = Path(__file__).parent / "results" / "questions.json"
ANNOTATED_SCENES = 100


def annotated_views_per_s(scenes: list[Scene], camera: Camera) -> float:
    """Annotated views per second of processor time, 8 questions each, rendering included."""
    families = tuple((name, level, 1.0) for name, item in FAMILIES.items() if takes_any_view(item) for level in (0, 2))
    annotate(scenes[0], Annotate(scenes[0].spec, camera, 1, 8, families))
    started_s = time.process_time()
    for seq, scene in enumerate(scenes):
        annotate(scene, Annotate(scene.spec, camera, 4, 8, families, seq=seq))
    return 4 * len(scenes) / (time.process_time() - started_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--scenes", type=int, default=500, help="each family gets a question in each, its levels by turns"
    )
    parser.add_argument("--levels", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    backend = RoomsBackend()
    scenes = [backend.open(SceneSpec(seed=seed, categories=DEMO_CATEGORIES)) for seed in range(ANNOTATED_SCENES)]
    realise(scenes[0], TaskSpec("warm", 0, 0, scenes[0].spec, QuestionSpec("object_color", 4)))
    views_per_s = annotated_views_per_s(scenes, Camera())
    print(f"annotated views/s: {views_per_s:.0f}")
    print(f"{'family':24}{'L':>2}{'realised':>10}{'tries':>7}{'ms':>7}{'bits':>7}{'majority':>10}{'blind':>8}")
    rows: list[dict[str, Any]] = []
    cells = [(family, level) for family in options.families for level in options.levels]
    measured, _ = audit(backend, KNOBS, cells, options.scenes)
    for row in measured:
        rows.append({**msgspec.to_builtins(row), "realised": row.realised / row.specs})
        print(
            f"{row.family:24}{row.level:2}{row.realised / row.specs:10.1%}{row.attempts:7.1f}{row.ms:7.1f}"
            f"{row.entropy_bits:7.2f}{row.majority:10.2f}{row.blind:8.2f}  {next(iter(row.reasons), '')[:70]}"
        )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"renderer_digest": backend.digest, "annotated_views_per_s": views_per_s, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
