"""How the question families fare on a backend: what is realised, why not, at what cost, and how well answers balance.

    python benchmarks/questions.py [--specs 500] [--levels 0 2 4] [--families ...] [--out FILE]

Times are processor time of this process, scenes already open, pictures of 96 px, colour rendered at the end.
`majority` is the accuracy of always giving the most frequent answer, `blind` that of giving the most frequent answer
to questions with the same options or about the same word ("chair"): about what a model could learn without pictures.
For options that differ from question to question `majority` counts the place of the answer among the options.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from protocol.errors import Infeasible
from protocol.messages import Annotate
from protocol.scene import Camera, SceneSpec
from protocol.skills import CATALOGUE
from protocol.specs import view_budget
from protocol.tasks import Question, QuestionSpec, TaskSpec
from sim_server.annotate import annotate
from sim_server.backends.base import Scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.families import FAMILIES
from sim_server.realise import realise

DEMO_CATEGORIES = ("chair", "table", "sofa", "bed", "lamp", "plant", "bookshelf", "cabinet", "ball", "box")
OPTIONS_VARY = ("object_match", "small_location")  # as those that name objects do
OUT = Path(__file__).parent / "results" / "questions.json"


def measure(scenes: list[Scene], family: str, level: int, specs: int) -> dict[str, Any]:
    """Realise `specs` specs of one family and level, spread over the scenes."""
    answers: Counter[str] = Counter()
    by_text: dict[str, Counter[str]] = defaultdict(Counter)
    reasons: Counter[str] = Counter()
    attempts = 0
    started_s = time.process_time()
    for seq in range(specs):
        scene = scenes[seq % len(scenes)]
        question = QuestionSpec(family, level)
        try:
            found = realise(scene, TaskSpec("b", 11, seq, scene.spec, question, max_views=view_budget(family)))
        except Infeasible as error:
            reasons[error.message.split("refused most: ")[-1]] += 1
            continue
        question = found.question
        attempts += found.attempts
        placed = question.option_objects or family in OPTIONS_VARY
        place = str(question.options.index(question.answer)) if placed else question.answer
        answers[place] += 1
        by_text[told_by_words(question)][place] += 1
    spent_s = time.process_time() - started_s
    total = sum(answers.values())
    return {
        "family": family,
        "level": level,
        "specs": specs,
        "realised": total / specs,
        "attempts": attempts / max(total, 1),
        "ms": 1e3 * spent_s / specs,
        "answers": len(answers),
        "entropy_bits": sum(-n / total * math.log2(n / total) for n in answers.values()) if total else 0.0,
        "majority": max(answers.values()) / total if total else 0.0,
        "blind": sum(max(group.values()) for group in by_text.values()) / total if total else 0.0,
        "reasons": dict(reasons.most_common(3)),
    }


def told_by_words(question: Question) -> str:
    """What of a question could give its answer away without the picture: the options' words, or what it names."""
    if question.family in OPTIONS_VARY:
        return str(len(question.options))
    if question.options and not question.option_objects:
        return " ".join(sorted(question.options))
    if question.option_objects:
        return str(len(question.options))
    if question.mentions:
        first = question.mentions[0]
        color_or_noun = question.text[first.start : first.end].split()
        return color_or_noun[0] if color_or_noun[-1] == "thing" else color_or_noun[-1]
    if "things" not in question.text:
        return "category"
    return "thing" if " of things " in question.text or "many things " in question.text else "color"


def annotated_views_per_s(scenes: list[Scene], camera: Camera) -> float:
    """Annotated views per second of processor time, 8 questions each, rendering included."""
    families = tuple((name, level, 1.0) for name, item in FAMILIES.items() if item.views == 1 for level in (0, 2))
    annotate(scenes[0], Annotate(scenes[0].spec, camera, 1, 8, families))
    started_s = time.process_time()
    for seq, scene in enumerate(scenes):
        annotate(scene, Annotate(scene.spec, camera, 4, 8, families, seq=seq))
    return 4 * len(scenes) / (time.process_time() - started_s)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--specs", type=int, default=500)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--levels", type=int, nargs="*", default=[0, 1, 2, 3, 4])
    parser.add_argument("--families", nargs="*", default=list(FAMILIES))
    parser.add_argument("--out", type=Path, default=OUT)
    options = parser.parse_args()
    backend = RoomsBackend()
    scenes = [backend.open(SceneSpec(seed=seed, categories=DEMO_CATEGORIES)) for seed in range(options.scenes)]
    special: dict[str, dict[str, Any]] = {
        "clutter": [
            SceneSpec(seed=seed, clutter=1.0, min_objects=6, max_objects=9, rooms=2) for seed in range(options.scenes)
        ],
        "rooms": [SceneSpec(seed=seed, rooms=3, min_objects=8, max_objects=14) for seed in range(options.scenes)],
    }
    opened: dict[str, list[Scene]] = {}
    realise(scenes[0], TaskSpec("warm", 0, 0, scenes[0].spec, QuestionSpec("object_color", 4)))
    views_per_s = annotated_views_per_s(scenes, Camera())
    print(f"annotated views/s: {views_per_s:.0f}")
    print(f"{'family':24}{'L':>2}{'realised':>10}{'tries':>7}{'ms':>7}{'bits':>7}{'majority':>10}{'blind':>8}")
    rows: list[dict[str, Any]] = []
    for family in options.families:
        for level in options.levels:
            (need,) = CATALOGUE[family].needs or ("",)
            if need and need not in opened:
                opened[need] = [backend.open(SceneSpec(seed=seed, **special[need])) for seed in range(options.scenes)]
            row = measure(opened.get(need, scenes), family, level, options.specs)
            rows.append(row)
            reason = next(iter(row["reasons"]), "")
            print(
                f"{family:24}{level:2}{row['realised']:10.1%}{row['attempts']:7.1f}{row['ms']:7.1f}"
                f"{row['entropy_bits']:7.2f}{row['majority']:10.2f}{row['blind']:8.2f}  {reason[:70]}",
                flush=True,
            )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    result = {"renderer_digest": backend.digest, "annotated_views_per_s": views_per_s, "rows": rows}
    options.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
