"""Write the files of a finished run without running it, for tests of the live view, the report and the API."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from PIL import Image

from protocol.run.directory import RunDir
from protocol.seeds import rng_for

RELATIONAL = ("depth_order", "relative_direction", "relative_distance", "view_direction")
PERCEPTION = ("object_category", "object_color", "object_location")


def make_run(path: Path, steps: int = 100, finished: bool = True) -> RunDir:
    run = RunDir.create(path, {"run": {"name": path.name, "seed": 3}, "learner": {"grpo": {"groups": 32}}})
    rng = rng_for(3, "synthetic")
    for step in range(1, steps + 1):
        gain = 1 - math.exp(-step / 40)
        learner = {
            "event": "step",
            "step": step,
            "version": step,
            "reward": 0.55 + 0.2 * gain + 0.03 * rng.normal(),
            "groups": 32,
            "candidates": 64,
            "screened": 56,
            "left_out": {"less informative": 50, "near-duplicate": 6},
            "kept": 32,
            "replayed": 24 if step > 4 else 0,
            "before_replay": 12.0 if step > 4 else 0.0,
            "after_replay": 15.0 if step > 4 else 0.0,
            "no_gradient": int(rng.integers(4, 12)),
            "seconds": {"wait": 0.1, "rollout": 1.1 + 0.1 * rng.random(), "train": 1.6, "report": 0.02},
        }
        run.append_metrics("learner", learner)
        cells = {f"{skill} L{level}": int(rng.integers(1, 6)) for skill in RELATIONAL for level in (0, 1)}
        cells |= {f"{skill} L0": 1 for skill in PERCEPTION}
        cells["depth_order L0"] = max(0, 10 - step // 8)
        run.append_metrics(
            "curriculum",
            {
                "event": "leased",
                "batch": step,
                "selector": "frontier",
                "cells": cells,
                "purposes": {"frontier": 24, "coverage": 3, "retest": 4, "blind": 1},
                "success": {"depth_order L1": 0.5},
                "reason": "asking depth_order L1 (p≈0.55, rising) 38 %",
            },
        )
        if step % 20 == 0:
            _evaluate(run, step, "during", gain, 64)
    _evaluate(run, steps, "after", 1 - math.exp(-steps / 40), 256)
    run.write_status("learner", {"state": "done", "step": steps, "steps": steps})
    run.write_status("curriculum", {"selector": "frontier", "issued": 32 * steps, "counted": 32 * steps})
    run.write_status("sim", {"state": "serving", "workers": 1, "served_per_s": 88.0})
    _episodes(run, rng)
    if finished:
        run.mark_done("learner", {"steps": steps})
    return run


def _evaluate(run: RunDir, step: int, label: str, gain: float, asked: int) -> None:
    if label == "during" and step == 20:
        _evaluate(run, 0, "before", 0.0, 256)
    rows = []
    for index, skill in enumerate((*RELATIONAL, *PERCEPTION)):
        start, lift = (0.48 + 0.03 * index, 0.28) if skill in RELATIONAL else (0.94, -0.01)
        rows += [
            {
                "skill": skill,
                "level": level,
                "asked": asked // 2,
                "greedy": round(start + lift * gain - 0.04 * level, 3),
                "sampled": round(start + lift * gain - 0.05 * level - 0.02, 3),
            }
            for level in (0, 1)
        ]
    run.append_metrics("learner", {"event": "evaluated", "step": step, "label": label, "rows": rows})


def _episodes(run: RunDir, rng: np.random.Generator) -> None:
    lines = []
    for index in range(12):
        image = np.full((96, 96, 3), 205, np.uint8)
        image[60:] = (170, 150, 120)
        for _ in range(3):
            x, y = rng.integers(5, 70, 2)
            image[y : y + 22, x : x + 18] = rng.integers(30, 230, 3)
        (run.episodes / "images").mkdir(exist_ok=True)
        Image.fromarray(image).save(run.episodes / "images" / f"e{index}.png")
        lines.append(
            {
                "step": index,
                "skill": "view_direction",
                "level": 1,
                "images": [f"images/e{index}.png"],
                "question": "is the <red> chair left or right of the blue lamp ?",
                "options": ["left", "right"],
                "answers": ["left"] * 11 + ["right"] * 5,
                "truth": "left" if index % 2 else "right",
            }
        )
    (run.episodes / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
