"""Check every skill and level twice: by its program on the stored episode, and by an independent oracle.

    python -m benchmarks.audit [--n 200] [--out FILE]

`sim-server audit` does the same for any config and simulator; this script adds the machine to its figures. Scenes are
furnished homes of two rooms with 12 to 20 objects and clutter. Times are processor time.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine
from protocol.skills import CATALOGUE
from protocol.tasks.specs import World
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.audit.run import HOME, audit

OUT = Path(__file__).parent / "results" / "audit.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=200, help="scenes; each skill is asked once in each")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file for the figures")
    options = parser.parse_args()
    cells = [(name, level) for name, skill in CATALOGUE.items() for level in skill.feasible_levels]
    backend = RoomsBackend()
    backend.warm()
    rows, _ = audit(backend, World.model_validate(HOME), cells, options.n, progress=print)
    result = {"machine": describe_machine(), "renderer_digest": backend.digest, "n": options.n, "seed": 0}
    options.out.write_text(json.dumps({**result, "rows": msgspec.to_builtins(rows)}, indent=1) + "\n")
    refuted = sum(2 * row.realised - row.holds - row.agrees for row in rows)
    print(f"{sum(row.realised for row in rows)} of {sum(row.specs for row in rows)} specs realised, {refuted} refuted")


if __name__ == "__main__":
    main()
