"""The answers of a program about other objects of the same views, and over views of other scenes.

They show how much the answer depends on the image: the best that an image-blind baseline can do is to give the most
common answer.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from contextlib import nullcontext
from typing import Callable, ContextManager, Optional, Sequence

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick, rng_for
from protocol.skills.levels import PERCEIVE
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, SEED_END, Camera, SceneSpec
from sim_server.backends.base import Backend, Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, name_of
from sim_server.questions.families.rules import shows
from sim_server.questions.language.evaluator import evaluate
from sim_server.questions.language.parser import Node, ProgramFault
from sim_server.questions.propose.names import Named
from sim_server.questions.propose.programs import about, object_ids
from sim_server.questions.propose.steady import narrowed
from sim_server.questions.views.viewpoints import draw_populated_pose

SCENES = 8  # other scenes with the same settings
PLACES = 4  # placements of the views in each
ASSIGNMENTS = 3  # assignments of other objects to the program for each placement
SWAPS = 24  # assignments for the views of the question itself
WIDEST_PX = 96
CACHED = 2  # sets of views that are cached for the next proposals


class Elsewhere:
    """Views of other scenes to run programs on, drawn once per kind of scene, camera and number of views."""

    def __init__(self, backend: Backend, loading: Callable[[], ContextManager[None]] = nullcontext) -> None:
        self._backend = backend
        self._loading = loading
        self._cache: OrderedDict[tuple[SceneSpec, Camera, int], list[Evidence]] = OrderedDict()

    @property
    def categories(self) -> tuple[str, ...]:
        """The category words of the backend."""
        return self._backend.capabilities.categories

    def views(self, spec: SceneSpec, camera: Camera, count: int) -> list[Evidence]:
        """Up to SCENES x PLACES sets of `count` views; fewer if scenes cannot be made or show no object.

        If the spec names a scene of a dataset, they show other scenes of the backend's dataset.
        """
        key = (msgspec.structs.replace(spec, seed=_first_seed(spec)), narrowed(camera, WIDEST_PX), count)
        found = self._cache.pop(key, None)
        if found is None:
            found = []
            for other in self._others(spec):
                try:
                    with self._loading():
                        scene = self._backend.open(other)
                except Infeasible:
                    continue
                found += _views_of(scene, key[1], count)
                scene.close()
        self._cache[key] = found
        while len(self._cache) > CACHED:
            self._cache.popitem(last=False)
        return found

    def _others(self, spec: SceneSpec) -> list[SceneSpec]:
        if spec.asset:
            assets = [asset for asset in self._backend.capabilities.assets if asset != spec.asset][:SCENES]
            return [msgspec.structs.replace(spec, asset=asset) for asset in assets or [spec.asset]]
        first, end = _first_seed(spec), HELD_OUT_SEED_BORDER if spec.split == "train" else SEED_END
        rng = rng_for(0, "elsewhere", first)
        return [msgspec.structs.replace(spec, seed=int(rng.integers(first, end))) for _ in range(SCENES)]


def answers_over(
    node: Node, options: Sequence[int], kinds: Sequence[Named], views: Sequence[Evidence], rng: np.random.Generator
) -> Counter[str]:
    """How often the program gives each answer, about objects drawn for each set of views.

    `options` are the ids of the objects that the options name; an answer that names one counts as its position among
    them. Words for the `kinds` that the text names are replaced by those of a visible kind. Runs without an answer are
    not counted.
    """
    found: Counter[str] = Counter()
    for evidence in views:
        for _ in range(ASSIGNMENTS):
            answer = _about_others(node, options, kinds, evidence, rng)
            if answer is not None:
                found[answer] += 1
    return found


def answers_here(node: Node, options: Sequence[int], evidence: Evidence, rng: np.random.Generator) -> Counter[str]:
    """`answers_over` for the question's own views, with other clearly shown objects in place of those in question."""
    return answers_over(node, options, (), [evidence] * (SWAPS // ASSIGNMENTS), rng) if object_ids(node) else Counter()


def _about_others(
    node: Node, options: Sequence[int], kinds: Sequence[Named], evidence: Evidence, rng: np.random.Generator
) -> Optional[str]:
    clear = sorted(key for view in evidence.views for key in view.seen if shows(view, key, PERCEIVE[4]))
    clear = list(dict.fromkeys(clear))
    asked = list(dict.fromkeys((*object_ids(node), *options)))
    if len(clear) < len(asked) or (kinds and not clear):
        return None
    drawn = [clear[int(index)] for index in rng.permutation(len(clear))]
    ids = dict(zip(asked, drawn))
    texts: dict[str, str] = {}
    for kind in kinds:
        item = evidence.objects[pick(drawn, rng)]
        texts.update(
            {old: new for old, new in ((kind.category, item.category), (kind.color, item.color)) if old and new}
        )
    try:
        answer = evaluate(about(node, ids, texts), evidence)
    except ProgramFault:
        return None
    places = [name_of(evidence.objects[ids[key]]) for key in options]
    if not places:
        return answer
    return f"option {places.index(answer)}" if places.count(answer) == 1 else None


def _views_of(scene: Scene, camera: Camera, count: int) -> list[Evidence]:
    objects = scene.description.objects
    found: list[Evidence] = []
    rng = rng_for(scene.spec.seed, "elsewhere", "views", count)
    for _ in range(PLACES if objects else 0):
        poses = []
        for _ in range(count):
            focus = [objects[int(index)] for index in rng.permutation(len(objects))[:2]]
            pose = draw_populated_pose(scene, camera, focus, rng, (0.5, 0.5))
            poses += [pose] if pose is not None else []
        if len(poses) == count:
            found.append(Evidence.of(scene.description, scene.render(poses, camera, EVIDENCE_SENSORS)))
    return found


def _first_seed(spec: SceneSpec) -> int:
    return HELD_OUT_SEED_BORDER if spec.split == "val" else 0
