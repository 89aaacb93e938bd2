"""Check every skill and level twice: by its program on the stored episode, and by an independent oracle.

    python -m benchmarks.audit [--n 300] [--enough 220] [--processes 2] [--out FILE] [--questions FILE]

`sim-server audit` does the same for any config and simulator; this script adds the machine to its figures. Scenes are
those of configs/qwen3-vl-4b.toml. Times are processor time. Also reports what an image-blind baseline scores per skill.
Ctrl-C ends the run early and writes the figures of the scenes so far.
"""

from __future__ import annotations

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import msgspec

from benchmarks.machine import describe_machine
from protocol.run.config import load
from protocol.skills import CATALOGUE
from protocol.tasks.specs import world_of
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.audit.run import ROUND, Audit

TRAINED_IN = Path(__file__).parents[1] / "configs" / "qwen3-vl-4b.toml"
OUT = Path(__file__).parent / "results" / "audit.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=300, help="scenes at most; each skill is asked once in each")
    parser.add_argument("--enough", type=int, default=220, help="questions after which a skill is not asked again")
    parser.add_argument("--processes", type=int, default=2, help="processes to use")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file for the figures")
    parser.add_argument("--questions", type=Path, help="JSON-lines file for the questions, for reading")
    options = parser.parse_args()
    cells = [(name, level) for name, skill in CATALOGUE.items() for level in skill.feasible_levels]
    backend = RoomsBackend()
    backend.warm()  # before the processes start, so that they find the compiled kernels
    audit = Audit(world_of(load([TRAINED_IN], [])), cells, enough=options.enough)
    stop = 0
    with ProcessPoolExecutor(options.processes) as workers:
        try:
            while stop < options.n:
                start, stop = stop, min(stop + ROUND, options.n)
                more = audit.round(backend, range(start, stop), workers)
                print(f"scenes: {stop} of {options.n}", flush=True)
                if not more:
                    break
        except KeyboardInterrupt:
            workers.shutdown(cancel_futures=True)
    rows, scores, _ = audit.result()
    result = {"machine": describe_machine(), "renderer_digest": backend.digest, "n": stop, "seed": 0}
    measured = {"rows": msgspec.to_builtins(rows), "blind": msgspec.to_builtins(scores)}
    options.out.write_text(json.dumps({**result, **measured}, indent=1) + "\n")
    if options.questions:
        options.questions.write_bytes(b"".join(msgspec.json.encode(one) + b"\n" for one in audit.questions()))
    for score in scores:
        verdict = "leaks" if score.leaks() else ""
        print(f"{score.skill}: blind {score.blind:.2f}, {score.excess:+.2f} of {score.questions} {verdict}")
    refuted = sum(2 * row.realised - row.holds - row.agrees for row in rows)
    print(f"{sum(row.realised for row in rows)} of {sum(row.specs for row in rows)} specs realised, {refuted} refuted")


if __name__ == "__main__":
    main()
