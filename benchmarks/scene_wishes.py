"""Measures how many specs cannot be realised in homes, without and with the wishes of their scenes.

    python -m benchmarks.scene_wishes [--n 100] [--levels 4] [--skills NAME,...] [--arms without,with] [--out FILE]

Specs are held-out specs of the world of configs/qwen3-vl-4b.toml, `n` for each skill and level. The arm "without"
removes the wishes from the same specs. Rows of other skills, levels and arms in the result file stay.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Sequence

import msgspec

from benchmarks.machine import describe_machine
from protocol.errors import Infeasible
from protocol.run.config import load
from protocol.skills import CATALOGUE
from protocol.tasks.specs import held_out_specs, world_of
from protocol.tasks.task import Question, TaskSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.realise import realise
from sim_server.service.scenes import WarmScenes

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs" / "qwen3-vl-4b.toml"
OUT = Path(__file__).parent / "results" / "scene_wishes.json"
SKILLS = (
    *("object_count", "scene_count", "cameras_count"),
    *("small_presence", "small_nearest", "small_location", "occlusion_removal"),
)
ARMS = ("without", "with")
_SEED = 15
_REASONS = 3  # of those that reject most, in the result


def answer_class(question: Question) -> str:
    """The answer, or its position among the options if they differ from question to question."""
    varies = question.option_objects or CATALOGUE[question.skill].options_vary
    return str(question.options.index(question.answer)) if varies else question.answer


def measure(specs: Sequence[TaskSpec], arm: str) -> list[dict[str, Any]]:
    """A row for every skill and level of these specs."""
    scenes = WarmScenes(RoomsBackend(), 2)
    cells: dict[tuple[str, int], list[TaskSpec]] = {}
    failed: dict[tuple[str, int], Counter[str]] = {}
    answers: dict[tuple[str, int], Counter[str]] = {}
    attempts: Counter[tuple[str, int]] = Counter()
    spent_s: Counter[tuple[str, int]] = Counter()
    for number, spec in enumerate(specs):
        cell = (spec.question.skill, spec.question.level)
        cells.setdefault(cell, []).append(spec)
        started_s = time.process_time()
        try:
            found = realise(scenes.get(spec.scene), spec, ())
            answers.setdefault(cell, Counter())[answer_class(found.question)] += 1
            attempts[cell] += found.attempts
        except Infeasible as error:
            failed.setdefault(cell, Counter())[error.message.split("rejected most: ")[-1]] += 1
        spent_s[cell] += time.process_time() - started_s
        if (number + 1) % 50 == 0:
            print(f"{arm}: {number + 1} of {len(specs)}, {scenes.loads} scenes", flush=True)
    scenes.close()
    return [
        {
            "skill": skill,
            "level": level,
            "arm": arm,
            "specs": len(own),
            "infeasible": sum(failed.get((skill, level), Counter()).values()),
            "attempts": round(attempts[skill, level] / max(sum(answers.get((skill, level), Counter()).values()), 1), 2),
            "cpu_ms": round(1e3 * spent_s[skill, level] / len(own)),
            "answers": dict(sorted(answers.get((skill, level), Counter()).items())),
            "reasons": dict(failed.get((skill, level), Counter()).most_common(_REASONS)),
        }
        for (skill, level), own in sorted(cells.items())
    ]


def without_wishes(spec: TaskSpec) -> TaskSpec:
    return msgspec.structs.replace(spec, scene=msgspec.structs.replace(spec.scene, wishes=()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100)
    parser.add_argument("--levels", default="4")
    parser.add_argument("--skills", default=",".join(SKILLS))
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    cells = [(name, int(level)) for name in options.skills.split(",") for level in options.levels.split(",")]
    world = world_of(load([CONFIG]))
    specs = held_out_specs(world, _SEED, dict.fromkeys(cells, options.n))
    rows = json.loads(options.out.read_text())["rows"] if options.out.exists() else []
    for arm in options.arms.split(","):
        asked = specs if arm == "with" else [without_wishes(spec) for spec in specs]
        for row in measure(asked, arm):
            print(json.dumps(row), flush=True)
            rows = [old for old in rows if any(old[key] != row[key] for key in ("skill", "level", "arm"))] + [row]
            rows.sort(key=lambda one: (one["skill"], one["level"], one["arm"]))
    result = {"machine": describe_machine(), "config": CONFIG.name, "seed": _SEED, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
