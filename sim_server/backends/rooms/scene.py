"""Open homes: rendered and walked through. RoomsScene generates one from its spec."""

from __future__ import annotations

import math
from typing import NamedTuple, Optional, Sequence

import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, Change, OrientedBox, Pose, SceneDescription, SceneObject, SceneSpec, Vec3
from sim_server.backends.base import BlockedPose, Frames, TopDown
from sim_server.backends.rooms.building.plan import FloorPlan, make_plan
from sim_server.backends.rooms.building.shell import ceiling_lamps, light_position, shell_parts
from sim_server.backends.rooms.building.style import make_style
from sim_server.backends.rooms.draw.color_words import object_word
from sim_server.backends.rooms.draw.drawing import Drawing
from sim_server.backends.rooms.draw.film import Film, film_of
from sim_server.backends.rooms.draw.materials import Material, natural_materials, painted_materials
from sim_server.backends.rooms.furnish.catalogue import CEILING_LAMP
from sim_server.backends.rooms.furnish.details import detail_parts
from sim_server.backends.rooms.furnish.place import free_floor, furnished
from sim_server.backends.rooms.furnish.placed import Placed, triangles
from sim_server.backends.rooms.geometry import Geometry, GeometryBuilder
from sim_server.backends.rooms.light.bake import light_scene
from sim_server.backends.rooms.light.baked import Light
from sim_server.backends.rooms.light.mood import BULB_GLOW, MOODS, blind_drops, ceilings_lit, lamp_color
from sim_server.backends.rooms.mesh import rotation_y
from sim_server.backends.rooms.walk.navigation import NavigationGrid
from sim_server.backends.rooms.walk.solids import in_wall, object_around

_BOX_SLACK_M = 1e-4  # boxes are enlarged by this, so that they contain their float32 meshes


def _yaw_quaternion(yaw_rad: float) -> tuple[float, float, float, float]:
    return (math.cos(yaw_rad / 2), 0.0, math.sin(yaw_rad / 2), 0.0)


class HomeScene:
    """An open home with baked light. `render` may be called from several threads at once."""

    def __init__(
        self, spec: SceneSpec, plan: FloorPlan, lamps_m: Sequence[Vec3], light_spec: SceneSpec, geometry: Geometry,
        navigation: NavigationGrid, description: SceneDescription,
    ) -> None:  # fmt: skip
        """lamps_m: the ceiling lamp of each space; light_spec: the spec from which the home was generated."""
        self.spec, self.plan, self.lamps_m, self.description = spec, plan, tuple(lamps_m), description
        self._navigation = navigation

        def bake() -> tuple[Light, Film]:
            light, metering = light_scene(geometry, plan, light_spec, list(lamps_m))
            low = np.array([(r.x_min, r.z_min) for r in plan.rects], np.float32)
            high = np.array([(r.x_max, r.z_max) for r in plan.rects], np.float32)
            return light, film_of(light_spec, low, high, metering.luminance[np.array(plan.room_of)], metering.light)

        self._drawing = Drawing(geometry, bake)

    @property
    def geometry(self) -> Geometry:
        """The scene's triangles, for exports."""
        return self._drawing.geometry

    @property
    def light(self) -> Light:
        """The scene's baked light."""
        return self._drawing.look.light

    @property
    def film(self) -> Film:
        """The home's camera."""
        return self._drawing.look.film

    def render(self, poses: Sequence[Pose], camera: Camera, sensors: Sequence[str]) -> Frames:
        """See backends/base.py. A camera outside the home is allowed and sees through the walls.

        Raises VantageError("bad_request") for an unknown sensor or a pose that is not finite, BlockedPose for a camera
        inside a wall or an object.
        """
        return self._drawing.render(poses, camera, sensors, self._refuse_solid)

    def top_down(self, width_px: int) -> TopDown:
        """See backends/base.py."""
        return self._drawing.top_down(self.description, width_px)

    def _refuse_solid(self, eye: NDArray[np.float32]) -> None:
        around = object_around(self.geometry, eye)
        at_m = (float(eye[0]), float(eye[1]), float(eye[2]))
        if around or in_wall(self.plan, at_m):
            names = {item.id: item.category for item in self.description.objects}
            solid = f"object {around} ({names[around]})" if around else "a wall"
            where = ", ".join(f"{v:.2f}" for v in at_m)
            raise BlockedPose(f"the camera at ({where}) m is inside {solid}: place it in free space of a room.")

    def is_navigable(self, point_m: Vec3) -> bool:
        """Whether an agent of 0.2 m radius can stand at the point's x and z."""
        return self._navigation.is_free(point_m[0], point_m[2])

    def sample_navigable(self, rng: np.random.Generator) -> Vec3:
        x, z = self._navigation.sample(rng)
        return (x, 0.0, z)

    def path(self, start_m: Vec3, goal_m: Vec3) -> list[Vec3]:
        return self._navigation.path(start_m, goal_m)

    def geodesic_m(self, start_m: Vec3, goal_m: Vec3) -> float:
        way = self.path(start_m, goal_m)
        if not way:
            return math.inf
        return float(sum(math.dist(a, b) for a, b in zip(way, way[1:])))

    def close(self) -> None:
        """Nothing to release: a scene is plain memory."""


class _Furnished(NamedTuple):
    plan: FloorPlan
    placed: list[Placed]
    navigation: NavigationGrid


class RoomsScene(HomeScene):
    """A procedural home, generated from its spec."""

    def __init__(self, spec: SceneSpec, changes: Sequence[Change] = (), unchanged: Optional[_Furnished] = None) -> None:
        """`unchanged`: plan, furniture and free floor of the spec's home, if they are known."""
        self._changes = tuple(changes)
        seed = spec.seed
        if unchanged is None:
            plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
            unchanged = _Furnished(plan, *furnished(spec, plan))
        self._unchanged = unchanged
        plan, placed, navigation = unchanged.plan, list(unchanged.placed), unchanged.navigation
        fixed = spec.palette == "named" or bool(spec.categories)  # the ceiling lamps are parts of the building
        gone: set[int] = set()
        if changes:
            gone = _change(placed, 0 if fixed else len(plan.rects), changes)
            stay = [triangles(item) for index, item in enumerate(placed) if index not in gone]
            navigation = free_floor(plan, stay)
        look = rng_for(seed, "rooms", "look")
        lamps = [light_position(plan, k, look) for k in range(len(plan.rects))]
        looks = [_materials(spec, item, look) for item in placed]
        lamp_rooms = {item.room for item, own in zip(placed, looks) if any(m.glow > BULB_GLOW for m in own.values())}
        lit = ceilings_lit(spec, plan, lamp_rooms)
        style = make_style(spec, [room.category for room in plan.rooms], lit, lamp_color(spec))
        builder = GeometryBuilder()
        fixtures = ceiling_lamps(plan, lamps, style)
        for parts, fixture in zip(shell_parts(plan, style, blind_drops(spec, plan)), fixtures):
            builder.add(0, parts + fixture if fixed else parts)
        if details := detail_parts(spec, plan, placed, rng_for(seed, "rooms", "details")):
            builder.add(0, details)
        objects = []
        for index, (item, materials) in enumerate(zip(placed, looks)):
            if index in gone:
                continue
            parts = [(part, materials[slot]) for part, slot in item.model.parts]
            builder.add(index + 1, parts, rotation_y(item.yaw_rad), (item.x_m, item.y_m, item.z_m))
            color = item.color or object_word(item.model.parts, materials)
            objects.append(_describe(index + 1, item, color))
        for space, fixture in enumerate(() if fixed else fixtures):
            key = len(placed) + 1 + space
            if key - 1 in gone:
                continue
            objects.append(_describe_lamp(key, plan.room_of[space] + 1, builder.add(key, fixture)))
        description = SceneDescription(
            scene_id="+".join((f"rooms-{seed}", *(wish.kind for wish in spec.wishes))),
            backend="rooms",
            rooms=plan.rooms,
            openings=plan.openings,
            objects=tuple(objects),
            navigable_area_m2=navigation.area_m2,
        )
        super().__init__(spec, plan, lamps, spec, builder.build(), navigation, description)

    def edited(self, changes: Sequence[Change]) -> RoomsScene:
        """See backends/base.py. Keeps the furniture; geometry and light are made again."""
        return RoomsScene(self.spec, (*self._changes, *changes), self._unchanged)


def _materials(spec: SceneSpec, item: Placed, look: np.random.Generator) -> dict[str, Material]:
    """The materials of an object's slots; `look`: the stream of objects without their own."""
    if item.color:
        return painted_materials(item.model.kinds, item.color)
    source = look if item.look < 0 else rng_for(spec.seed, "rooms", "look", item.look)
    return natural_materials(item.model.kinds, MOODS[spec.light].lamp_on, lamp_color(spec), source)


def _change(placed: list[Placed], ceiling_lamps: int, changes: Sequence[Change]) -> set[int]:
    """Move objects in `placed`; return the indices of the removed ones, among them ceiling lamps, which come last."""
    gone: set[int] = set()
    for change in changes:
        index = change.object_id - 1
        if not 0 <= index < len(placed) + ceiling_lamps or index in gone:
            raise VantageError("bad_request", f"this scene has no object {change.object_id} to change.")
        if any(item.support == index for item in placed):
            raise VantageError("bad_request", f"object {change.object_id} carries others: change those first.")
        if change.moved_to_m is None:
            gone.add(index)
            continue
        if index >= len(placed):
            raise VantageError("bad_request", f"object {change.object_id} is a ceiling lamp, which cannot be moved.")
        item = placed[index]
        x, y, z = np.subtract(change.moved_to_m, _describe(index + 1, item).box.centre_m).tolist()
        placed[index] = item._replace(x_m=item.x_m + x, y_m=item.y_m + y, z_m=item.z_m + z)
    return gone


def _describe_lamp(object_id: int, room_id: int, corners: NDArray[np.float32]) -> SceneObject:
    """A ceiling lamp with these vertices, which can be removed, but not moved."""
    low, high = corners.min(0).astype(float), corners.max(0).astype(float)
    centre, half = (low + high) / 2, (high - low) / 2 + _BOX_SLACK_M
    box = OrientedBox((float(centre[0]), float(centre[1]), float(centre[2])),
                      (float(half[0]), float(half[1]), float(half[2])))  # fmt: skip
    return SceneObject(object_id, CEILING_LAMP, box, room_id=room_id, support_id=-1)


def _describe(object_id: int, item: Placed, color: str = "") -> SceneObject:
    middle, half = (item.low + item.high) / 2, (item.high - item.low) / 2 + _BOX_SLACK_M
    centre = rotation_y(item.yaw_rad) @ middle + np.array([item.x_m, item.y_m, item.z_m])
    front = (math.sin(item.yaw_rad), 0.0, math.cos(item.yaw_rad)) if item.category.has_front else None
    return SceneObject(
        id=object_id,
        category=item.category.name,
        box=OrientedBox(
            (float(centre[0]), float(centre[1]), float(centre[2])),
            (float(half[0]), float(half[1]), float(half[2])),
            _yaw_quaternion(item.yaw_rad),
        ),
        color=color,
        room_id=item.room + 1,
        support_id=item.support + 1,
        front=front,
    )
