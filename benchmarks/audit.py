"""Check every skill and level twice: by its program on the stored episode, and by an independent oracle.

    python -m benchmarks.audit [--n 220] [--out FILE]

`sim-server audit` does the same for any config and simulator; this script adds the machine to its figures. Scenes are
those of configs/qwen3-vl-4b.toml. Times are processor time. Also reports what an image-blind baseline scores per skill.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine
from protocol.run.config import load
from protocol.skills import CATALOGUE
from protocol.tasks.specs import world_of
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.audit.run import audit

TRAINED_IN = Path(__file__).parents[1] / "configs" / "qwen3-vl-4b.toml"
OUT = Path(__file__).parent / "results" / "audit.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=220, help="scenes; each skill is asked once in each")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file for the figures")
    options = parser.parse_args()
    cells = [(name, level) for name, skill in CATALOGUE.items() for level in skill.feasible_levels]
    backend = RoomsBackend()
    backend.warm()
    world = world_of(load([TRAINED_IN], []))
    rows, scores, _ = audit(backend, world, cells, options.n, progress=print)
    result = {"machine": describe_machine(), "renderer_digest": backend.digest, "n": options.n, "seed": 0}
    measured = {"rows": msgspec.to_builtins(rows), "blind": msgspec.to_builtins(scores)}
    options.out.write_text(json.dumps({**result, **measured}, indent=1) + "\n")
    for score in scores:
        verdict = "leaks" if score.leaks() else ""
        print(f"{score.skill}: blind {score.blind:.2f}, {score.excess:+.2f} of {score.questions} {verdict}")
    refuted = sum(2 * row.realised - row.holds - row.agrees for row in rows)
    print(f"{sum(row.realised for row in rows)} of {sum(row.specs for row in rows)} specs realised, {refuted} refuted")


if __name__ == "__main__":
    main()
