"""The same program elsewhere: about other objects of these views, and over other scenes.

What it answers there says how much its answer depends on what is seen: a guesser who sees nothing does best with the
most common answer.
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

SCENES = 8  # other scenes with the same knobs
PLACES = 4  # times the views are placed anew in each
ASSIGNMENTS = 3  # times other objects are put into the program for each of those
SWAPS = 24  # times they are, for the views of the question itself
WIDEST_PX = 96
KEPT = 2  # sets of worlds that are kept for the next proposal


class Elsewhere:
    """Worlds of other scenes to try programs in, drawn once per kind of scene, camera and number of views."""

    def __init__(self, backend: Backend, loading: Callable[[], ContextManager[None]] = nullcontext) -> None:
        self._backend = backend
        self._loading = loading
        self._kept: OrderedDict[tuple[SceneSpec, Camera, int], list[Evidence]] = OrderedDict()

    @property
    def categories(self) -> tuple[str, ...]:
        """The category words of the backend."""
        return self._backend.capabilities.categories

    def worlds(self, spec: SceneSpec, camera: Camera, views: int) -> list[Evidence]:
        """Up to SCENES x PLACES worlds; fewer where scenes cannot be made or show nothing. Of data-set scenes the
        backend's other ones serve."""
        key = (msgspec.structs.replace(spec, seed=_first_seed(spec)), narrowed(camera, WIDEST_PX), views)
        worlds = self._kept.pop(key, None)
        if worlds is None:
            worlds = []
            for other in self._others(spec):
                try:
                    with self._loading():
                        scene = self._backend.open(other)
                except Infeasible:
                    continue
                worlds += _views_of(scene, key[1], views)
                scene.close()
        self._kept[key] = worlds
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return worlds

    def _others(self, spec: SceneSpec) -> list[SceneSpec]:
        if spec.asset:
            assets = [asset for asset in self._backend.capabilities.assets if asset != spec.asset][:SCENES]
            return [msgspec.structs.replace(spec, asset=asset) for asset in assets or [spec.asset]]
        first, end = _first_seed(spec), HELD_OUT_SEED_BORDER if spec.split == "train" else SEED_END
        rng = rng_for(0, "elsewhere", first)
        return [msgspec.structs.replace(spec, seed=int(rng.integers(first, end))) for _ in range(SCENES)]


def answers_over(
    node: Node, options: Sequence[int], kinds: Sequence[Named], worlds: Sequence[Evidence], rng: np.random.Generator
) -> Counter[str]:
    """How often the program, about objects drawn anew in each world, gives which answer.

    `options` are the ids that options name: an answer that names one counts as its place among them. Words for the
    `kinds` that the text names become those of a kind that the world shows. Where it has no answer nothing is counted.
    """
    found: Counter[str] = Counter()
    for world in worlds:
        for _ in range(ASSIGNMENTS):
            answer = _about_others(node, options, kinds, world, rng)
            if answer is not None:
                found[answer] += 1
    return found


def answers_here(node: Node, options: Sequence[int], world: Evidence, rng: np.random.Generator) -> Counter[str]:
    """The same for the question's own views, whose other clear objects take the places of those asked about."""
    return answers_over(node, options, (), [world] * (SWAPS // ASSIGNMENTS), rng) if object_ids(node) else Counter()


def _about_others(
    node: Node, options: Sequence[int], kinds: Sequence[Named], world: Evidence, rng: np.random.Generator
) -> Optional[str]:
    clear = sorted(key for view in world.views for key in view.seen if shows(view, key, PERCEIVE[4]))
    clear = list(dict.fromkeys(clear))
    asked = list(dict.fromkeys((*object_ids(node), *options)))
    if len(clear) < len(asked) or (kinds and not clear):
        return None
    drawn = [clear[int(index)] for index in rng.permutation(len(clear))]
    ids = dict(zip(asked, drawn))
    texts: dict[str, str] = {}
    for kind in kinds:
        item = world.objects[pick(drawn, rng)]
        texts.update(
            {old: new for old, new in ((kind.category, item.category), (kind.color, item.color)) if old and new}
        )
    try:
        answer = evaluate(about(node, ids, texts), world)
    except ProgramFault:
        return None
    places = [name_of(world.objects[ids[key]]) for key in options]
    if not places:
        return answer
    return f"option {places.index(answer)}" if places.count(answer) == 1 else None


def _views_of(scene: Scene, camera: Camera, views: int) -> list[Evidence]:
    objects = scene.description.objects
    worlds: list[Evidence] = []
    rng = rng_for(scene.spec.seed, "elsewhere", "views", views)
    for _ in range(PLACES if objects else 0):
        poses = []
        for _ in range(views):
            focus = [objects[int(index)] for index in rng.permutation(len(objects))[:2]]
            pose = draw_populated_pose(scene, camera, focus, rng, (0.5, 0.5))
            poses += [pose] if pose is not None else []
        if len(poses) == views:
            worlds.append(Evidence.of(scene.description, scene.render(poses, camera, EVIDENCE_SENSORS)))
    return worlds


def _first_seed(spec: SceneSpec) -> int:
    return HELD_OUT_SEED_BORDER if spec.split == "val" else 0
