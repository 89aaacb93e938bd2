"""The simulator behind the studio: a scene, a camera that walks, questions, and programs. Not thread-safe."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Any, Optional, Sequence

import msgspec
import numpy as np

from protocol.answers.letters import lettered_options
from protocol.answers.prompt import read_answer
from protocol.answers.scoring import score
from protocol.errors import VantageError
from protocol.skills import CATALOGUE
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, SEED_END, Camera, Pose, SceneSpec
from protocol.tasks.task import Degradation, QuestionSpec, TaskSpec, degradation_label
from sim_server.backends.base import Frames, Mappable, Scene
from sim_server.backends.registry import make_backend
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, Realised, ViewEvidence, name_of
from sim_server.questions.language.checker import check
from sim_server.questions.language.evaluator import compiled, evaluate
from sim_server.questions.language.parser import ProgramFault
from sim_server.questions.realise import realise
from sim_server.sensing.contact_sheet import overview_poses
from sim_server.sensing.observe import move
from sim_server.sensing.visualise import colours, grey
from sim_server.service.scenes import WarmScenes
from sim_server.settings import SimSettings
from vantage.envs.questions import data_url

Json = dict[str, Any]
_WARM_SCENES = 3
_MOST_QUESTIONS = 64  # that wait for an answer; the oldest leave first
_ATTEMPTS = 16  # random specs until one is feasible
_MAP_PX = 240
_HFOV_RAD = math.radians(70.0)


class Studio:
    def __init__(self, settings: SimSettings, size_px: int = 384) -> None:
        """`size_px`: width of a view. Raises VantageError("backend_missing")."""
        self._backend = make_backend(settings.backend, settings)
        self._scenes = WarmScenes(self._backend, _WARM_SCENES)
        self._camera = Camera(size_px, 3 * size_px // 4, _HFOV_RAD)
        self._rng = np.random.default_rng()  # which questions a person is asked is not part of any result
        self._scene: Optional[Scene] = None
        self._pose: Optional[Pose] = None
        self._asked: OrderedDict[str, tuple[TaskSpec, Realised]] = OrderedDict()

    def close(self) -> None:
        self._scenes.close()
        self._backend.close()

    # ------------------------------------------------------------------------- scene

    def skills(self) -> Json:
        """The catalogue, and the names of scenes of a dataset."""
        rows = [
            {
                "name": name,
                "reasoning": skill.reasoning,
                "answer": skill.answer_type,
                "levels": list(skill.feasible_levels),
                "needs": list(skill.world_needs),
            }
            for name, skill in CATALOGUE.items()
        ]
        return {"skills": rows, "assets": list(self._backend.capabilities.assets)}

    def open(self, scene: Json) -> Json:
        """Open a scene from the fields of SceneSpec and go to its first pose. Raises VantageError("bad_request")."""
        spec = _spec(scene)
        self._scene = self._scenes.get(spec)
        self._pose = overview_poses(self._scene, self._camera, 1)[0]
        described = self._scene.description
        objects = [{"id": item.id, "name": name_of(item), "room": item.room_id} for item in described.objects]
        return {
            "id": described.scene_id,
            "rooms": [{"id": room.id, "name": room.category} for room in described.rooms],
            "objects": objects,
            "map": self._map(),
            **self.look(),
        }

    def look(self) -> Json:
        """The view from here, with the objects in it."""
        scene, pose = self._here()
        frames = scene.render((pose,), self._camera, ("rgb", *EVIDENCE_SENSORS))
        assert frames.rgb is not None
        view = Evidence.of(scene.description, frames).views[0]
        x, y, z = pose.position_m
        return {"image": data_url(frames.rgb[0]), "seen": _seen(view), "at": [round(x, 2), round(y, 2), round(z, 2)]}

    def move(self, action: str) -> Json:
        scene, pose = self._here()
        self._pose, blocked = move(scene, pose, action)
        return {"blocked": blocked, **self.look()}

    def _map(self) -> str:
        if not isinstance(self._scene, Mappable):
            return ""
        return data_url(self._scene.top_down(_MAP_PX).rgb)

    def _here(self) -> tuple[Scene, Pose]:
        if self._scene is None or self._pose is None:
            raise VantageError("bad_request", "open a scene first.")
        return self._scene, self._pose

    # ------------------------------------------------------------------------- questions

    def ask(self, skill: str, level: int, seed: int, degradations: Sequence[str] = ()) -> Json:
        """Ask a question about the open scene. Raises VantageError("infeasible") if the scene has none."""
        scene, _ = self._here()
        if skill not in CATALOGUE or level not in CATALOGUE[skill].feasible_levels:
            raise VantageError("bad_request", f"the skill catalogue has no {skill[:40]!r} at level {level}.")
        return self._realise(scene, skill, level, seed, degradations)

    def draw(self, skills: Sequence[str] = ()) -> Json:
        """A random question of one of these skills, or of any, in a held-out scene that is not shown."""
        names = [name for name in CATALOGUE if name in skills] if skills else list(CATALOGUE)
        if not names:
            raise VantageError("bad_request", "none of these skills is in the catalogue.")
        for _ in range(_ATTEMPTS):
            name = names[int(self._rng.integers(len(names)))]
            levels = CATALOGUE[name].feasible_levels
            level = levels[int(self._rng.integers(len(levels)))]
            seed = int(self._rng.integers(HELD_OUT_SEED_BORDER, SEED_END))
            rooms = 3 if "rooms" in CATALOGUE[name].world_needs else 1
            spec = _spec({"seed": seed, "rooms": rooms, "min_objects": 6, "max_objects": 14, "clutter": 0.3})
            try:
                return self._realise(self._scenes.get(spec), name, level, seed % 2**20, ())
            except VantageError as error:
                if error.code != "infeasible":
                    raise
        raise VantageError("infeasible", "no feasible question was found; try again, or choose other skills.")

    def _realise(self, scene: Scene, skill: str, level: int, seed: int, degradations: Sequence[str]) -> Json:
        try:
            degraded = tuple(map(Degradation.parse, degradations))
        except ValueError as error:
            raise VantageError("bad_request", f"{error}.") from None
        spec = TaskSpec(
            spec_id=f"{skill}-{level}-{seed}-{len(self._asked)}-{self._rng.integers(2**31)}",
            run_seed=seed,
            scene=scene.spec,
            question=QuestionSpec(skill, level),
            camera=self._camera,
            max_views=CATALOGUE[skill].view_budget,
            degradations=degraded,
        )
        realised = realise(scene, spec, ("rgb", *EVIDENCE_SENSORS))
        self._asked[spec.spec_id] = (spec, realised)
        while len(self._asked) > _MOST_QUESTIONS:
            self._asked.popitem(last=False)
        question = realised.question
        assert realised.frames.rgb is not None
        return {
            "id": spec.spec_id,
            "skill": skill,
            "level": level,
            "text": question.text,
            "rule": question.rule,
            "type": question.answer_type,
            "unit": question.unit,
            "options": list(lettered_options(question) or question.options),
            "images": [data_url(image) for image in realised.frames.rgb],
        }

    def answer(self, asked: str, reply: str) -> Json:
        """Score a reply, once, and tell the truth about the question."""
        if asked not in self._asked:
            raise VantageError("bad_request", "this question is answered already, or too old; ask another one.")
        spec, realised = self._asked.pop(asked)
        question = realised.question
        reward = score(question, read_answer(question, reply, "letters", "lenient"))
        return {
            "skill": spec.question.skill,
            "level": spec.question.level,
            "degradation": degradation_label(spec.degradations),
            "accuracy": reward.accuracy,
            "readable": reward.readable,
            "answer": question.answer,
            "program": question.program,
            "margin": round(question.margin, 4),
            "views": [_evidence(realised.frames, realised.evidence.views[index], index) for index in _shown(realised)],
            "spec": msgspec.to_builtins(spec),
        }

    # ------------------------------------------------------------------------- programs

    def run(self, program: str) -> Json:
        """The type and the value of a program in the open scene, with the view from here as view(0), or its fault."""
        try:
            node = compiled(program)
            kind = check(node)
        except ProgramFault as fault:
            return {"fault": fault.kind, "at": fault.at, "why": fault.why}
        if self._scene is None:
            return {"type": kind}
        scene, pose = self._here()
        frames = scene.render((pose,), self._camera, EVIDENCE_SENSORS)
        try:
            return {"type": kind, "value": evaluate(node, Evidence.of(scene.description, frames))}
        except ProgramFault as fault:
            return {"type": kind, "fault": fault.kind, "at": fault.at, "why": fault.why}


def _spec(fields: Json) -> SceneSpec:
    seed = fields.get("seed", 0)
    split = "val" if isinstance(seed, int) and seed >= HELD_OUT_SEED_BORDER else "train"
    given = {"palette": "natural", "min_objects": 6, "max_objects": 12, **fields, "split": split}
    try:
        return msgspec.convert(given, SceneSpec)
    except (msgspec.ValidationError, ValueError) as error:
        raise VantageError("bad_request", f"{error}.") from None


def _shown(realised: Realised) -> range:
    assert realised.frames.rgb is not None
    return range(len(realised.frames.rgb))


def _evidence(frames: Frames, view: ViewEvidence, index: int) -> Json:
    assert frames.ids is not None and frames.depth is not None
    return {
        "seen": _seen(view),
        "ids": data_url(colours(frames.ids[index])),
        "depth": data_url(grey(frames.depth[index])),
    }


def _seen(view: ViewEvidence) -> list[Json]:
    """The objects in a view, largest first."""
    return [
        {
            "id": truth.object_id,
            "name": f"{truth.color} {truth.category}".strip(),
            "pixels": truth.pixels,
            "depth_m": round(truth.depth_m, 2),
            "visible": round(truth.visible_fraction, 2),
            "uv": [round(truth.u, 2), round(truth.v, 2)],
        }
        for truth in sorted(view.seen.values(), key=lambda one: -one.pixels)
    ]
