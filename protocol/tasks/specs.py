"""Task specs as a function of (world, seed, seq, scene, cell).

The curriculum builds training specs here and the learner held-out specs, from the same worlds. Both use the same kind
of scenes and can never share one: seeds of training scenes are below HELD_OUT_SEED_BORDER, those of held-out scenes are
not, and scenes of a dataset are in two lists that share no name.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Annotated, Any, Callable, Hashable, Mapping, Optional, Sequence, TypeVar, Union

import msgspec
import pydantic

from protocol.errors import VantageError
from protocol.run.config import Section, did_you_mean, section
from protocol.seeds import pick, rng_for
from protocol.skills import CATALOGUE
from protocol.tasks.cameras import PRESETS, draw_camera
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, LIGHTS, SEED_END, Camera, SceneSpec, Wish
from protocol.tasks.task import HIDING, Degradation, QuestionSpec, TaskSpec

Item = TypeVar("Item")

_HELD_OUT_SEQ = 2**40  # held-out specs draw from sequence numbers that no training run reaches


class SkillSettings(Section):
    """One skill to train, at these levels; `weight` scales its share relative to the other skills."""

    name: str
    levels: tuple[int, ...] = (0,)
    weight: float = pydantic.Field(default=1.0, gt=0, le=100)

    @pydantic.model_validator(mode="after")
    def _in_catalogue(self) -> SkillSettings:
        if self.name not in CATALOGUE:
            close = did_you_mean(self.name, CATALOGUE)
            raise ValueError(f"there is no skill {self.name}{close}; the catalogue has {', '.join(CATALOGUE)}")
        feasible = CATALOGUE[self.name].feasible_levels
        if not self.levels or len(set(self.levels)) < len(self.levels) or not set(self.levels) <= set(feasible):
            raise ValueError(f"{self.name} has the levels {', '.join(map(str, feasible))}; list one or more, each once")
        return self


def default_skills() -> tuple[SkillSettings, ...]:
    """The skills that a run trains without a table of skills: all that need neither clutter nor several rooms."""
    return tuple(
        SkillSettings(name=name, levels=(0, 1, 2)) for name, skill in CATALOGUE.items() if not skill.world_needs
    )


class _Skills(Section):
    skills: tuple[SkillSettings, ...] = pydantic.Field(default_factory=default_skills)


_Rooms = Annotated[int, pydantic.Field(ge=1, le=12)]
_Objects = Annotated[int, pydantic.Field(ge=1, le=200)]
_Fraction = Annotated[float, pydantic.Field(ge=0, le=1)]
MOST_OBJECTS = 200


class World(Section):
    """A distribution of scenes and cameras: the [curriculum.world] table, or one of [[curriculum.worlds]].

    A pair of values is a range, from which every scene draws its own.
    """

    name: str = ""  # of a world in [[curriculum.worlds]]: up to 32 of a-z, 0-9, _ and -
    backend: str = ""  # that makes the scenes; empty: any worker of the run
    rooms: Union[_Rooms, tuple[_Rooms, _Rooms]] = 1
    min_objects: int = pydantic.Field(default=3, ge=1, le=200)
    max_objects: int = pydantic.Field(default=6, ge=1, le=200)
    objects_per_room: Optional[tuple[_Objects, _Objects]] = None  # in place of min_objects and max_objects
    clutter: Union[_Fraction, tuple[_Fraction, _Fraction]] = 0.0
    palette: str = pydantic.Field(default="named", pattern="^(named|natural)$")
    lights: tuple[str, ...] = pydantic.Field(default=("day",), min_length=1)  # of LIGHTS; one per scene
    ceiling_m: float = pydantic.Field(default=2.6, ge=2.2, le=4.0)
    categories: tuple[str, ...] = ()  # empty: every category of the backend
    assets: tuple[str, ...] = ()  # scenes of the backend's dataset to train on; empty: generated scenes
    held_out_assets: tuple[str, ...] = ()
    width_px: int = pydantic.Field(default=96, ge=1, le=4096)
    height_px: int = pydantic.Field(default=96, ge=1, le=4096)
    hfov_deg: float = pydantic.Field(default=70.0, ge=6, le=160)
    cameras: tuple[str, ...] = ()  # presets, one per spec; empty: the camera above, placed as each skill prefers
    degradations: tuple[str, ...] = ()  # like "fog:3": an image may have one of these
    degraded_share: float = pydantic.Field(default=0.5, ge=0, le=1)  # fraction of the specs, if degradations are listed
    look_around: int = pydantic.Field(default=0, ge=0, le=12)  # moves before the answer, for skills that look around
    specs_per_scene: int = pydantic.Field(default=4, ge=1, le=256)  # reusing an open scene saves loading time
    same_cell_per_scene: int = pydantic.Field(default=2, ge=1, le=256)  # more would give near-duplicates

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> World:
        if self.min_objects > self.max_objects:
            raise ValueError("min_objects may not exceed max_objects")
        for name, pair in (
            ("rooms", self.rooms),
            ("objects_per_room", self.objects_per_room),
            ("clutter", self.clutter),
        ):
            if isinstance(pair, tuple) and pair[0] > pair[1]:
                raise ValueError(f"the first value of {name} may not exceed the second")
        if self.objects_per_room is not None:
            fields = {"min_objects": self.min_objects, "max_objects": self.max_objects}
            # A resolved configuration lists the defaults too.
            if given := sorted(key for key, value in fields.items() if value != World.model_fields[key].default):
                raise ValueError(f"objects_per_room replaces {given[0]}; set one of them")
            most = (self.rooms if isinstance(self.rooms, int) else self.rooms[1]) * self.objects_per_room[1]
            if most > MOST_OBJECTS:
                raise ValueError(f"rooms x objects_per_room may not exceed {MOST_OBJECTS}, but is up to {most}")
        if unknown := sorted(set(self.cameras) - set(PRESETS)):
            raise ValueError(
                f"there is no camera {unknown[0]}{did_you_mean(unknown[0], PRESETS)}; choose among {', '.join(PRESETS)}"
            )
        if unknown := sorted(set(self.lights) - set(LIGHTS)):
            raise ValueError(f"lights are {', '.join(LIGHTS)}, not {unknown[0]}")
        for text in self.degradations:
            Degradation.parse(text)  # raises with the reason
        if len(set(self.degradations)) < len(self.degradations):
            raise ValueError("a degradation is listed twice; list each once")
        if bool(self.assets) != bool(self.held_out_assets):
            raise ValueError("set both assets and held_out_assets, or neither")
        if not re.fullmatch(r"([a-z0-9][a-z0-9_-]{0,31})?", self.name):
            raise ValueError(f"the name of a world has up to 32 of a-z, 0-9, _ and -, unlike {self.name[:40]!r}")
        if shared := sorted(set(self.assets) & set(self.held_out_assets)):
            raise ValueError(f"scene {shared[0]} is in both assets and held_out_assets; remove it from one")
        return self

    @property
    def image_shapes(self) -> frozenset[tuple[int, int]]:
        """Every (height, width) in pixels that an image of this world may have."""
        sides = sorted((self.width_px, self.height_px))
        if not self.cameras:
            return frozenset({(self.height_px, self.width_px)})
        return frozenset(
            (sides[1], sides[0]) if PRESETS[name].upright else (sides[0], sides[1]) for name in self.cameras
        )


class Worlds(Section):
    """The worlds of a run: those listed, or the one of the [curriculum.world] table, which has no name.

    A listed world gives only the keys in which it differs from [curriculum.world].
    """

    world: World = World()
    worlds: tuple[World, ...] = ()

    @pydantic.field_validator("worlds", mode="before")
    @classmethod
    def _completed(cls, entries: Any, info: pydantic.ValidationInfo) -> Any:
        base = info.data.get("world")
        if not isinstance(entries, list) or base is None or not all(isinstance(entry, dict) for entry in entries):
            return entries
        common = base.model_dump(mode="json", exclude_unset=True, exclude_none=True)
        return tuple(World.model_validate_json(json.dumps({**common, **entry})) for entry in entries)

    @pydantic.model_validator(mode="after")
    def _named(self) -> Worlds:
        names = [world.name for world in self.worlds]
        if self.world.name:
            raise ValueError("only a world in [[curriculum.worlds]] has a name; remove it from [curriculum.world]")
        if not all(names):
            raise ValueError(f"world {names.index('') + 1} of [[curriculum.worlds]] has no name; give it one")
        if twice := [name for name, count in Counter(names).items() if count > 1]:
            raise ValueError(f"[[curriculum.worlds]] lists two worlds {twice[0]}; give each its own name")
        anywhere = [world.name for world in self.worlds if not world.backend]
        if 0 < len(anywhere) < len(names):
            raise ValueError(f"other worlds name a backend, so world {anywhere[0]} must name one, too")
        return self

    @property
    def by_name(self) -> dict[str, World]:
        return {world.name: world for world in self.worlds or (self.world,)}


def worlds_of(tree: Mapping[str, Any]) -> dict[str, World]:
    """The worlds of a run's configuration by name. Raises VantageError("bad_config")."""
    table = tree.get("curriculum", {})
    given = {key: table[key] for key in ("world", "worlds") if key in table}
    return section({"curriculum": given}, "curriculum", Worlds).by_name


def world_of(tree: Mapping[str, Any]) -> World:
    """The [curriculum.world] table of a configuration, for commands that use one world.

    Raises VantageError("bad_config"), also for a configuration that lists worlds.
    """
    if listed := worlds_of(tree).keys() - {""}:
        raise VantageError(
            "bad_config",
            f"this command uses one world, and the configuration lists {len(listed)}: add --set curriculum.worlds=[] "
            "to use the one of [curriculum.world].",
        )
    return section({"curriculum.world": tree.get("curriculum", {}).get("world", {})}, "curriculum.world", World)


def cells_of(tree: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Every (skill, level) that a configuration trains, in its order. Raises VantageError("bad_config")."""
    listed = {"skills": tree["curriculum"]["skills"]} if "skills" in tree.get("curriculum", {}) else {}
    skills = section({"curriculum": listed}, "curriculum", _Skills).skills
    return [(skill.name, level) for skill in skills for level in skill.levels]


def training_scene(world: World, run_seed: int, index: int) -> SceneSpec:
    """Training scene number `index` of a run."""
    return _scene(world, run_seed, index, held_out=False)


def held_out_scene(world: World, seed: int, index: int) -> SceneSpec:
    """Held-out scene number `index` for this seed."""
    return _scene(world, seed, index, held_out=True)


def task_spec(
    world: World,
    run_seed: int,
    scene: SceneSpec,
    *,
    spec_id: str,
    seq: int,
    skill: str,
    level: int,
    degradation: Optional[str] = None,
) -> TaskSpec:
    """The spec of one episode in this scene, with the wishes of the skill. What it leaves open is drawn from (run_seed,
    seq) when it is realised.

    `degradation` is one like "fog:3" or "" for undegraded images; None draws it here, with probability
    `degraded_share` for a degraded image.
    """
    return TaskSpec(
        spec_id=spec_id,
        run_seed=run_seed,
        seq=seq,
        scene=wishing(scene, wishes_for(world, skill)),
        question=QuestionSpec(skill, level),
        camera=camera_for(world, run_seed, seq),
        max_views=CATALOGUE[skill].view_budget,
        degradations=_drawn(world, run_seed, seq, skill) if degradation is None else _parsed(degradation),
        look_around=world.look_around if CATALOGUE[skill].looks_around else 0,
        world=world.name,
    )


def wishes_for(world: World, skill: str) -> tuple[Wish, ...]:
    """What a generated home contains for the skill; nothing in plain paints, where objects are placed at random, in
    worlds that list their categories, and for an unknown skill, whose specs fail one by one when they are realised."""
    wish = CATALOGUE[skill].scene_wish if skill in CATALOGUE else ""
    generated = world.palette == "natural" and not world.assets and not world.categories
    return (Wish(wish),) if wish and generated else ()


def wishing(scene: SceneSpec, wishes: tuple[Wish, ...]) -> SceneSpec:
    return msgspec.structs.replace(scene, wishes=wishes) if wishes else scene


def camera_for(world: World, run_seed: int, seq: int) -> Camera:
    """The camera of spec number `seq` of a run."""
    if not world.cameras:
        return Camera(world.width_px, world.height_px, math.radians(world.hfov_deg))
    rng = rng_for(run_seed, "camera", seq)
    return draw_camera(pick(world.cameras, rng), world.width_px, world.height_px, rng)


def degradations_for(world: World, skill: str) -> tuple[str, ...]:
    """The degradations of the world that the skill can be asked with, like "fog:3"."""
    if not world.degraded_share:
        return ()
    as_seen = CATALOGUE[skill].judged_as_seen
    return tuple(text for text in world.degradations if as_seen or Degradation.parse(text).name not in HIDING)


def _parsed(degradation: str) -> tuple[Degradation, ...]:
    return (Degradation.parse(degradation),) if degradation else ()


def _drawn(world: World, run_seed: int, seq: int, skill: str) -> tuple[Degradation, ...]:
    fitting = degradations_for(world, skill)
    rng = rng_for(run_seed, "degradation", seq)
    if not fitting or rng.uniform() >= world.degraded_share:
        return ()
    return _parsed(pick(fitting, rng))


def held_out_specs(world: World, seed: int, wanted: Mapping[tuple[str, int], int]) -> list[TaskSpec]:
    """The number of specs in `wanted` for each (skill, level), in held-out scenes, ordered by scene.

    The same arguments give the same specs, so that two runs, or one run before and after, answer the same questions.
    Raises VantageError("bad_request") for a skill or level that the catalogue lacks.
    """
    for skill, level in wanted:
        if skill not in CATALOGUE or level not in CATALOGUE[skill].feasible_levels:
            raise VantageError("bad_request", f"the skill catalogue has no {skill} at level {level}.")
    cells = [cell for cell, count in wanted.items() for _ in range(count)]
    dealt = deal(world, cells, lambda cell: cell, lambda cell: cell[0])
    scenes = {index: held_out_scene(world, seed, index) for index in {index for index, _ in dealt}}
    return [
        task_spec(
            world,
            seed,
            scenes[scene],
            spec_id=f"h{seed}-{number:06d}" if not world.name else f"h{seed}-{world.name}-{number:06d}",
            seq=_HELD_OUT_SEQ + number,
            skill=skill,
            level=level,
        )
        for number, (scene, (skill, level)) in enumerate(dealt)
    ]


def deal(
    world: World,
    items: Sequence[Item],
    cell: Callable[[Item], Hashable],
    skill: Optional[Callable[[Item], str]] = None,
) -> list[tuple[int, Item]]:
    """Deal items to scenes 0, 1, …: about `specs_per_scene` to each, with items of one cell spread as far as possible.

    With `skill`, items share a scene only if their skills have the same wishes. Returns (scene, item) ordered by scene,
    so that a simulator handles one scene after the other.
    """
    return deal_among({world.name: world}, items, lambda _: world.name, cell, skill)


def deal_among(
    worlds: Mapping[str, World],
    items: Sequence[Item],
    world: Callable[[Item], str],
    cell: Callable[[Item], Hashable],
    skill: Optional[Callable[[Item], str]] = None,
) -> list[tuple[int, Item]]:
    """Deal items of several worlds as `deal` does those of one; the scenes of all worlds and wishes alternate."""
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        name = world(item)
        wished = (wish.kind for wish in wishes_for(worlds[name], skill(item))) if skill else ()
        groups.setdefault((name, *wished), []).append(item)
    placed: list[tuple[float, tuple[str, ...], Item]] = []
    for group, own in groups.items():
        dealt = _dealt(worlds[group[0]], own, cell)
        placed += (((scene + 0.5) / (dealt[-1][0] + 1), group, item) for scene, item in dealt)
    numbers: dict[tuple[float, tuple[str, ...]], int] = {}
    return [
        (numbers.setdefault((place, group), len(numbers)), item)
        for place, group, item in sorted(placed, key=lambda one: one[:2])
    ]


def _dealt(world: World, items: Sequence[Item], cell: Callable[[Item], Hashable]) -> list[tuple[int, Item]]:
    """Deal items that may share scenes."""
    counts = Counter(map(cell, items))
    rank = {key: place for place, (key, _) in enumerate(counts.most_common())}
    scenes = max(
        math.ceil(len(items) / world.specs_per_scene), math.ceil(max(counts.values()) / world.same_cell_per_scene)
    )
    ordered = sorted(items, key=lambda item: rank[cell(item)])
    return sorted(((index % scenes, item) for index, item in enumerate(ordered)), key=lambda pair: pair[0])


def _scene(world: World, seed: int, scene: int, held_out: bool) -> SceneSpec:
    rng = rng_for(seed, "held-out scene" if held_out else "scene", scene)
    low, high = (HELD_OUT_SEED_BORDER, SEED_END) if held_out else (0, HELD_OUT_SEED_BORDER)
    scene_seed = int(rng.integers(low, high))
    assets = world.held_out_assets if held_out else world.assets
    asset, light = pick(assets, rng) if assets else "", pick(world.lights, rng)
    rooms = world.rooms if isinstance(world.rooms, int) else int(rng.integers(world.rooms[0], world.rooms[1] + 1))
    clutter = float(rng.uniform(*world.clutter)) if isinstance(world.clutter, tuple) else world.clutter
    low, high = world.min_objects, world.max_objects
    if world.objects_per_room is not None:
        low, high = (rooms * count for count in world.objects_per_room)
    return SceneSpec(
        seed=scene_seed,
        split="val" if held_out else "train",
        asset=asset,
        rooms=rooms,
        min_objects=low,
        max_objects=high,
        clutter=clutter,
        palette=world.palette,
        light=light,
        ceiling_m=world.ceiling_m,
        categories=world.categories,
        backend=world.backend,
    )
