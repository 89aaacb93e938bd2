"""Worlds that evolve: derive a harder world once a skill is mastered everywhere, retire derived worlds without signal.

After ACCEL (Parker-Holder et al. 2022, arXiv 2203.01302): one property of a world at the frontier is edited, and the
new world stays while the policy can learn from it. One world is on trial at a time.

    a skill at a level is mastered in every world ─▶ edit one property of the world with the most signal ─▶ WorldAdded
    a derived world after its trial, below the least signal ──────────────────────────────────────────────▶ WorldRetired

Decisions follow from the estimates and the seed of the run.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from typing import Any, Optional, Union

import numpy as np

from curriculum.ability.estimates import Estimates
from curriculum.ability.world_figures import Figures, figures_of
from curriculum.record.events import WorldAddedEvent, WorldRetiredEvent
from curriculum.record.state import State
from curriculum.settings import CurriculumSettings, Evolve
from curriculum.worlds import all_worlds, asked_worlds
from protocol.seeds import rng_for
from protocol.tasks.scene import LIGHTS
from protocol.tasks.specs import World

_LEAST_SEEN = 8  # questions of a cell before it counts as mastered
_MORE_OBJECTS = 1.5
_MORE_CLUTTER = 0.25
_WIDER_DEG = 15.0
_FEWER_CATEGORIES = 2 / 3
_LOW_CAMERA = ("robot",)

Changes = dict[str, Any]  # keys of a World with their new values


def next_event(
    state: State, settings: CurriculumSettings, estimates: Estimates, run_seed: int
) -> Optional[Union[WorldAddedEvent, WorldRetiredEvent]]:
    """The next world to add or to retire, or None."""
    bounds = settings.evolve
    if not bounds.most:
        return None
    figures = figures_of(state, estimates)
    derived = {name: record for name, record in state.worlds.items() if record.parent}
    alive = [name for name, record in derived.items() if not record.retired and name in figures]
    for name in alive:
        if figures[name].tried >= bounds.trial_questions and figures[name].signal < bounds.least_signal:
            return WorldRetiredEvent(name, _why_retired(figures[name]))
    on_trial = [name for name in alive if figures[name].tried < bounds.trial_questions]
    if on_trial or len(alive) >= bounds.most:
        return None
    reachable = {name: one for name, one in figures.items() if not state.waiting(name)}
    reason = _mastered(estimates, reachable, bounds.mastered)
    if not reason:
        return None
    worlds = asked_worlds(state, settings)
    known = all_worlds(state, settings)
    rng = rng_for(run_seed, "evolve", len(derived))
    for parent in sorted(reachable, key=lambda name: -reachable[name].signal):
        name = _new_name(parent, state, known)
        found = harder(worlds[parent], name, bounds, known.values(), rng)
        if found is not None:
            world, change = found
            return WorldAddedEvent(name, world.model_dump_json(), parent, change, reason)
    return None


def describe(event: Union[WorldAddedEvent, WorldRetiredEvent]) -> str:
    """The event as one line."""
    if isinstance(event, WorldRetiredEvent):
        return f"world {event.name} is retired: {event.reason}"
    if not event.parent:
        return f"world {event.name}: {event.reason}"
    return f"world {event.name} is derived from {event.parent} ({event.change}): {event.reason}"


def harder(
    parent: World, name: str, bounds: Evolve, known: Collection[World], rng: np.random.Generator
) -> Optional[tuple[World, str]]:
    """A world that is not among the known ones, and its difference from its parent; None if the bounds allow none."""
    others = [world.model_dump(exclude={"name"}) for world in known]
    for edit in rng.permutation(np.array(bounds.edits, dtype=object)).tolist():
        found = _EDITS[edit](parent, bounds, rng)
        if found is None:
            continue
        changes, change = found
        world = World.model_validate({**parent.model_dump(), **changes, "name": name})
        if world.model_dump(exclude={"name"}) not in others:
            return world, change
    return None


def _mastered(estimates: Estimates, reachable: Collection[str], success: float) -> str:
    """The sentence about the first skill that is mastered in all these worlds; "" if there is none."""
    good = (estimates.mean >= success) & (estimates.seen >= _LEAST_SEEN)
    mastered: dict[tuple[str, int], bool] = {}
    for row, cell in enumerate(estimates.cells):
        if cell.world in reachable and not cell.degradation:
            key = (cell.skill, cell.level)
            mastered[key] = mastered.get(key, True) and bool(good[row])
    for skill, level in (key for key, everywhere in mastered.items() if everywhere):
        return f"{skill} L{level} is mastered in every world (success at least {success:g})"
    return ""


def _why_retired(figures: Figures) -> str:
    found = f"signal {figures.signal:.3f}, success {figures.success:.2f} after {figures.tried} specs"
    if figures.feasible < 0.5:
        return f"{100 * (1 - figures.feasible):.0f} % infeasible ({found})"
    return f"nothing left to learn from it ({found})" if figures.success > 0.5 else f"too hard ({found})"


def _new_name(parent: str, state: State, known: Collection[str]) -> str:
    """The name of the listed ancestor and a number."""
    while state.worlds[parent].parent:
        parent = state.worlds[parent].parent
    number = 1 + sum(1 for record in state.worlds.values() if record.parent)
    while f"{parent[:27]}-{number}" in known:
        number += 1
    return f"{parent[:27]}-{number}"


# ----------------------------------------------------------------------------- edits
#
# Each returns the keys to change and a description, or None if the bounds do not allow the edit.

_Edit = Callable[[World, Evolve, np.random.Generator], Optional[tuple[Changes, str]]]


def _rooms(world: World, bounds: Evolve, _: np.random.Generator) -> Optional[tuple[Changes, str]]:
    more = world.rooms + 1 if isinstance(world.rooms, int) else (world.rooms[0] + 1, world.rooms[1] + 1)
    most = more if isinstance(more, int) else more[1]
    objects = world.max_objects if world.objects_per_room is None else most * world.objects_per_room[1]
    if world.assets or most > bounds.most_rooms or objects > bounds.most_objects:
        return None
    return {"rooms": more}, f"rooms {_text(world.rooms)} to {_text(more)}"


def _objects(world: World, bounds: Evolve, _: np.random.Generator) -> Optional[tuple[Changes, str]]:
    per_room = world.objects_per_room
    low, high = per_room or (world.min_objects, world.max_objects)
    more = (math.ceil(_MORE_OBJECTS * low), math.ceil(_MORE_OBJECTS * high))
    rooms = world.rooms if isinstance(world.rooms, int) else world.rooms[1]
    if world.assets or more[1] * (rooms if per_room else 1) > bounds.most_objects:
        return None
    keys: Changes = {"objects_per_room": more} if per_room else {"min_objects": more[0], "max_objects": more[1]}
    return keys, f"objects{' per room' if per_room else ''} {_text((low, high))} to {_text(more)}"


def _clutter(world: World, bounds: Evolve, _: np.random.Generator) -> Optional[tuple[Changes, str]]:
    before = world.clutter if isinstance(world.clutter, tuple) else (world.clutter, world.clutter)
    after = tuple(min(round(value + _MORE_CLUTTER, 3), bounds.most_clutter) for value in before)
    if world.assets or after[1] <= before[1]:
        return None
    value = after if isinstance(world.clutter, tuple) else after[0]
    return {"clutter": value}, f"clutter {_text(world.clutter)} to {_text(value)}"


def _light(world: World, _: Evolve, __: np.random.Generator) -> Optional[tuple[Changes, str]]:
    places = [min(LIGHTS.index(light) + 1, len(LIGHTS) - 1) for light in world.lights]
    darker = tuple(dict.fromkeys(LIGHTS[place] for place in places))
    if world.assets or darker == world.lights:
        return None
    return {"lights": darker}, f"light {' or '.join(world.lights)} to {' or '.join(darker)}"


def _lens(world: World, bounds: Evolve, _: np.random.Generator) -> Optional[tuple[Changes, str]]:
    wider = world.hfov_deg + _WIDER_DEG
    if world.cameras or wider > bounds.widest_deg:
        return None
    return {"hfov_deg": wider}, f"field of view {world.hfov_deg:g} to {wider:g} degrees"


def _camera(world: World, _: Evolve, __: np.random.Generator) -> Optional[tuple[Changes, str]]:
    lower = world.model_copy(update={"cameras": _LOW_CAMERA})
    if world.cameras == _LOW_CAMERA or lower.image_shapes != world.image_shapes:
        return None
    return {"cameras": _LOW_CAMERA}, "camera lowered to that of a robot"


def _look_alikes(world: World, bounds: Evolve, rng: np.random.Generator) -> Optional[tuple[Changes, str]]:
    count = int(_FEWER_CATEGORIES * len(world.categories))
    if world.assets or count < bounds.fewest_categories:
        return None
    places = sorted(rng.choice(len(world.categories), count, replace=False).tolist())
    fewer = tuple(world.categories[place] for place in places)
    return {"categories": fewer}, f"categories {len(world.categories)} to {count}, for more look-alikes"


_EDITS: Mapping[str, _Edit] = {
    "rooms": _rooms,
    "objects": _objects,
    "clutter": _clutter,
    "light": _light,
    "lens": _lens,
    "camera": _camera,
    "look-alikes": _look_alikes,
}


def _text(value: Union[float, tuple[float, ...]]) -> str:
    return "–".join(f"{part:g}" for part in value) if isinstance(value, tuple) else f"{value:g}"
