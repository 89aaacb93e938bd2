"""Digests of images, prompts and answers: one question per skill and level in two worlds.

    python -m tests.golden.record [FILE.json]     writes the digests of this checkout

A refactoring must not change them. A change that alters images or questions on purpose records tests/golden/golden.json
again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from protocol.answers.prompt import write_answer, write_prompt
from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.tasks.specs import World, task_spec, training_scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.realise import realise
from sim_server.service.scenes import WarmScenes

RUN_SEED = 11
WORLDS = {
    "bare": World(),
    "furnished": World(
        rooms=3, min_objects=24, max_objects=40, clutter=0.7, palette="natural", lights=("evening",), width_px=128
    ),
}
SCENES = 4  # per world


def digest(*parts: bytes) -> str:
    total = hashlib.blake2b(digest_size=10)
    for part in parts:
        total.update(len(part).to_bytes(8, "big") + part)
    return total.hexdigest()


def record() -> dict[str, dict[str, str]]:
    """Return digests of pixels, prompt and answers for each world, skill and level."""
    scenes = WarmScenes(RoomsBackend(), bound=SCENES)
    found: dict[str, dict[str, str]] = {}
    for name, world in WORLDS.items():
        for number, (skill, level) in enumerate(
            (one.name, level) for one in CATALOGUE.values() for level in one.feasible_levels
        ):
            scene = training_scene(world, RUN_SEED, number % SCENES)
            spec = task_spec(world, RUN_SEED, scene, spec_id=f"g{number}", seq=number, skill=skill, level=level)
            key = f"{name} {skill} L{level}"
            try:
                made = realise(scenes.get(scene), spec, ("rgb", "depth", "ids"))
            except Infeasible:
                found[key] = {"infeasible": "yes"}  # the reason is prose
                continue
            asked = made.question
            texts = [write_prompt(asked, style) for style in ("words", "letters")]
            answers = [write_answer(asked, style) for style in ("words", "letters")]
            arrays = [made.frames.rgb, made.frames.depth, made.frames.ids]
            found[key] = {
                "images": digest(*[np.ascontiguousarray(array).tobytes() for array in arrays if array is not None]),
                "prompts": digest(*[text.encode() for text in texts]),
                "answer": digest(asked.answer.encode(), asked.program.encode(), *[text.encode() for text in answers]),
            }
    return found


def processor() -> str:
    """The processor's name, family and model, and whether it has AVX-512; "" if the system does not tell."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return ""
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    parts = [facts.get(key, "") for key in ("model name", "cpu family", "model")]
    return " ".join([*parts, "AVX-512" if "avx512f" in facts.get("flags", "") else ""]).strip()


if __name__ == "__main__":
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("golden.json")
    path.write_text(json.dumps({"processor": processor(), "specs": record()}, indent=1) + "\n")
