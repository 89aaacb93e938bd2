"""Every skill at every level in habitat and in `rooms` over the same files, each question checked in the other one."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Sequence

from protocol.errors import Infeasible, VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import SceneSpec
from protocol.tasks.specs import World, task_spec
from sim_server.backends.base import Backend, Scene
from sim_server.questions.audit.oracles import ORACLES, agrees
from sim_server.questions.evidence import EVIDENCE_SENSORS, Realised
from sim_server.questions.families import FAMILIES
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise
from sim_server.questions.staging import Staging, staged

_WORLD = World(width_px=160, height_px=120, hfov_deg=80.0)
_SIDES = ("habitat", "rooms")


def every_skill(
    habitat: Backend, rooms: Backend, assets: Sequence[str], each: int, skills: Sequence[str] = ()
) -> dict[str, Any]:
    """`each` specs per skill and level in every asset, realised on both sides; all skills if `skills` is empty."""
    counts: Counter[str] = Counter()
    by_skill: dict[str, Counter[str]] = {}
    spent_s = dict.fromkeys(_SIDES, 0.0)
    differing: list[str] = []
    names = [name for name in FAMILIES if name in ORACLES and (not skills or name in skills)]
    for asset in assets:
        scenes = {side: backend.open(SceneSpec(asset=asset)) for side, backend in zip(_SIDES, (habitat, rooms))}
        seq = 0
        for name in names:
            for level in CATALOGUE[name].feasible_levels:
                for _ in range(each):
                    seq += 1
                    counts["specs"] += 1
                    for side, other in (_SIDES, _SIDES[::-1]):
                        spec = task_spec(
                            _WORLD, 7, SceneSpec(asset=asset), spec_id=f"{side}-{seq}", seq=seq, skill=name, level=level
                        )
                        started_s = time.process_time()
                        try:
                            found = realise(scenes[side], spec, ("rgb", *EVIDENCE_SENSORS))
                        except Infeasible:
                            continue
                        finally:
                            spent_s[side] += time.process_time() - started_s
                        tally = by_skill.setdefault(name, Counter())
                        counts[f"{side}_realised"] += 1
                        tally[side] += 1
                        counts[f"{side}_oracle_agrees"] += agrees(
                            found.question, scenes[side].description, found.frames
                        )
                        if _holds_in(scenes[other], found):
                            counts[f"{side}_same_answer"] += 1
                        else:
                            differing.append(f"{side} {name} L{level}: {found.question.text} {found.question.answer}")
    never = sorted(name for name in names if not by_skill.get(name, Counter())["habitat"])
    per_question = {f"{side}_cpu_s_per_spec": round(spent_s[side] / max(counts["specs"], 1), 4) for side in _SIDES}
    return {
        **counts, **per_question, "never_feasible_in_habitat": never,
        "by_skill": {name: dict(tally) for name, tally in sorted(by_skill.items())}, "differing": differing,
    }  # fmt: skip


def _holds_in(scene: Scene, found: Realised) -> bool:
    """Whether the question's program gives the same answer on views of this scene at the same poses."""
    shown = staged(scene, Staging(found.frames.poses, changes=found.changes))
    frames = shown.render(found.frames.poses, found.frames.camera, EVIDENCE_SENSORS)
    try:
        return verify(found.question, scene.description, frames)
    except VantageError:
        return False
