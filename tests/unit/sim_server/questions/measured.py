"""What a candidate measures, by other routes than the rules that are held to it: see test_margins.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from pools import CAMERA

from protocol.tasks.scene import OrientedBox
from sim_server.questions.audit.oracles_views import projected_distance_m
from sim_server.questions.evidence import Evidence, ViewEvidence
from sim_server.questions.families import sectors
from sim_server.questions.families.single import small
from sim_server.questions.families.walk import fits as room_for
from sim_server.questions.family import Candidate, Findings
from sim_server.questions.floor import gap
from sim_server.questions.geometry import rotation_matrix, unproject
from sim_server.questions.language.functions.places import hidden_by
from sim_server.questions.views.coverage import overlap, voxels_shown

AREA = CAMERA.width_px * CAMERA.height_px


def _clock_deg(world: Evidence, point: tuple[float, float, float], view: int) -> float:
    """Degrees from where a camera looks to a point on the floor plan, left positive, by complex numbers."""
    pose = world.views[view].pose
    w, x, y, z = pose.rotation_wxyz
    ahead = complex(-2 * (x * z + w * y), 1 - 2 * (x * x + y * y))  # (x, -z) of the camera's -z axis
    to = complex(point[0] - pose.position_m[0], pose.position_m[2] - point[2])
    return math.degrees(np.angle(to / ahead))


def _border_deg(angle_deg: float, candidate: Candidate) -> float:
    borders = {"side": (0, 180), "side_or_behind": (0, 135), "quadrant": (0, 90, 180)}[candidate.form]
    return min(abs(abs(angle_deg) - border) for border in borders)


def position(world: Evidence, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(world, world.views[1].pose.position_m, 0), candidate)


def placed(world: Evidence, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(world, world.objects[candidate.objects[0]].box.centre_m, 1), candidate)


def room_placed(world: Evidence, candidate: Candidate) -> float:
    room = world.description.rooms[world.objects[candidate.objects[0]].room_id - 1]
    x, z = np.mean(room.polygon_xz_m, axis=0)
    return _border_deg(_clock_deg(world, (float(x), 0.0, float(z)), 1), candidate)


def room_share(world: Evidence, candidate: Candidate) -> float:
    """Share of the room's floor, sampled at random, that lies in the sector of the answer."""
    room = world.description.rooms[world.objects[candidate.objects[0]].room_id - 1]
    low, high = np.min(room.polygon_xz_m, axis=0), np.max(room.polygon_xz_m, axis=0)
    points = np.random.default_rng(0).uniform(low, high, (300, 2))
    words = [sectors.word(candidate.form, _clock_deg(world, (float(x), 0.0, float(z)), 1)) for x, z in points]
    return words.count(candidate.key) / len(words)


def shown_gap(world: Evidence, candidate: Candidate) -> float:
    (key,) = candidate.objects
    one, two = (view.seen[key].visible_fraction for view in world.views)
    return abs(one - two) if candidate.key != "the same" else 1.0


def turned(world: Evidence, candidate: Candidate) -> float:
    x, _, z = world.objects[candidate.objects[0]].box.centre_m
    one, two = (complex(x - v.pose.position_m[0], z - v.pose.position_m[2]) for v in world.views)
    return abs(math.degrees(np.angle(one / two)))


def cell_margin(world: Evidence, candidate: Candidate) -> float:
    truths = [view.seen[candidate.objects[0]] for view in world.views]
    return min(abs(value - border) for truth in truths for value in (truth.u, truth.v) for border in (1 / 3, 2 / 3))


def views_without_one(world: Evidence, candidate: Candidate) -> float:
    """1 where no view clearly shows all of the candidate's objects, else 0."""

    def clear(view: Any, key: int) -> bool:
        truth = view.seen.get(key)
        return truth is not None and truth.visible_fraction >= 0.5 and truth.pixels >= 0.004 * AREA

    return float(not any(all(clear(view, key) for key in candidate.objects) for view in world.views))


def most_alone(world: Evidence, candidate: Candidate) -> float:
    """By how much the count exceeds what any one view shows of it."""
    keys = candidate.objects
    return float(len(keys) - max(sum(key in view.seen for key in keys) for view in world.views))


def camera_gap(world: Evidence, candidate: Candidate) -> float:
    box = world.objects[candidate.objects[0]].box
    eyes = [type(box)(view.pose.position_m, (0.0, 0.0, 0.0)) for view in world.views]
    nearest, second = sorted(projected_distance_m(eye, box) for eye in eyes)[:2]
    return second - nearest


def in_all(world: Evidence, candidate: Candidate) -> float:
    """Least share of the picture that the shared thing covers in any view."""
    return min(view.seen[candidate.objects[0]].pixels for view in world.views) / AREA


def option_gap(world: Evidence, candidate: Candidate) -> float:
    anchor, *options = (world.objects[key].box for key in candidate.objects)
    return float(np.diff(sorted(projected_distance_m(anchor, box) for box in options)).min())


def side_gap(world: Evidence, candidate: Candidate) -> float:
    one, two = (world.views[0].seen[key].u for key in candidate.objects)
    return abs(one - two)


def small_share(world: Evidence, candidate: Candidate) -> float:
    if candidate.key == "no":
        return 1.0
    return world.views[0].seen[candidate.objects[0]].pixels / AREA


def apart_m(world: Evidence, candidate: Candidate) -> float:
    a, b = (world.objects[key].box for key in candidate.objects)
    return projected_distance_m(a, b)


def rise(world: Evidence, candidate: Candidate) -> float:
    return abs(world.views[1].pose.position_m[1] - world.views[0].pose.position_m[1])


def same_depth(world: Evidence, candidate: Candidate) -> float:
    """How far two depths are from being called the other way, 0.15 m apart."""
    a, b = (world.views[0].seen[key].depth_m for key in candidate.objects)
    return 0.15 - abs(a - b) if candidate.key == "the same" else abs(a - b) - 0.15


def same_depth_margin(world: Evidence, candidate: Candidate) -> float:
    return same_depth(world, candidate) if candidate.key == "the same" else 1.0


def named_rightly(world: Evidence, candidate: Candidate) -> float:
    """1 where the class of a distance is that of the halves and doubles of a metre."""
    away_m = apart_m(world, candidate)
    return float(candidate.key == ("near" if away_m < 1 else "middle" if away_m < 2 else "far"))


def neighbour_gap(world: Evidence, candidate: Candidate) -> float:
    item, _ = (world.objects[key] for key in candidate.objects)
    clear = small._clear_with_small(world, world.views[0], 1, Findings())
    others = [world.objects[key] for key in clear if key not in (item.id, item.support_id)]
    away = sorted(projected_distance_m(item.box, other.box) for other in others if other.support_id != item.id)
    return away[1] - away[0] if len(away) > 1 else 9.0


def neighbour_near(world: Evidence, candidate: Candidate) -> float:
    return -apart_m(world, candidate)


def wrong_by(world: Evidence, candidate: Candidate) -> float:
    """By how much the least wrong distance of the options is wrong."""
    draft = small.SmallLocation().draft(world, candidate, np.random.default_rng(len(candidate.objects)))
    away = {float(option.split(" , ")[2].split()[0]) for option in draft.options}
    right = min(away, key=lambda one: abs(one - apart_m(world, candidate)))
    return min((abs(one - right) for one in away if one != right), default=9.0)


def shared(world: Evidence, candidate: Candidate) -> float:
    first, second = world.views[:2]
    return float(sum(_plain(key, first) and _plain(key, second) for key in world.objects))


def _plain(key: int, view: ViewEvidence, fraction: float = 0.5, share: float = 0.004) -> bool:
    truth = view.seen.get(key)
    return truth is not None and truth.visible_fraction >= fraction and truth.pixels >= share * AREA


def shared_above(world: Evidence, candidate: Candidate) -> float:
    above, view = world.views
    return float(sum(_plain(key, above, 0.5, 0.002) and _plain(key, view) for key in world.objects))


def level(world: Evidence, candidate: Candidate) -> float:
    return -rise(world, candidate) if candidate.key == "the same" else 0.0


def floor_apart(world: Evidence, candidate: Candidate) -> float:
    (x0, _, z0), (x1, _, z1) = (view.pose.position_m for view in world.views)
    return math.hypot(x1 - x0, z1 - z0)


def same_shown(world: Evidence, candidate: Candidate) -> float:
    (key,) = candidate.objects
    one, two = (view.seen[key].visible_fraction for view in world.views)
    return -abs(one - two) if candidate.key == "the same" else 0.0


def counted(world: Evidence, candidate: Candidate) -> float:
    return float(len(candidate.objects))


def joint(world: Evidence, candidate: Candidate) -> float:
    shown = [voxels_shown(world.description, view.pose, view.camera, view.depth_m) for view in world.views]
    return overlap(*shown)


def seen_twice(world: Evidence, candidate: Candidate) -> float:
    return float(sum(sum(key in view.seen for view in world.views) > 1 for key in candidate.objects))


def camera_away(world: Evidence, candidate: Candidate) -> float:
    eye = OrientedBox(world.views[0].pose.position_m, (0.0, 0.0, 0.0))
    return projected_distance_m(eye, world.objects[candidate.objects[0]].box)


def plain_share(world: Evidence, candidate: Candidate) -> float:
    return min(world.views[0].seen[key].pixels for key in candidate.objects) / AREA


def turn(world: Evidence, candidate: Candidate) -> float:
    first, second = (view.pose.rotation_wxyz for view in world.views)
    headings = [np.angle(complex(1 - 2 * (x * x + y * y), 2 * (x * z + w * y))) for w, x, y, z in (first, second)]
    return abs(math.degrees((headings[1] - headings[0] + math.pi) % (2 * math.pi) - math.pi))


def dominance(world: Evidence, candidate: Candidate) -> float:
    """How many times as long the longer part of a move is, ahead or aside of where the first camera looks."""
    angle = math.radians(_clock_deg(world, world.views[1].pose.position_m, 0))
    parts = sorted((abs(math.cos(angle)), abs(math.sin(angle))))
    return parts[1] / max(parts[0], 1e-9)


def front_seen(world: Evidence, candidate: Candidate) -> float:
    """Minus the least angle, seen from the object, between its front and a camera that shows it."""
    stand = world.objects[candidate.objects[0]]
    assert stand.front is not None
    x, _, z = stand.box.centre_m
    ahead = complex(stand.front[0], -stand.front[2])
    eyes = [view.pose.position_m for view in world.views if _plain(stand.id, view)]
    return -min(abs(math.degrees(np.angle(complex(ex - x, z - ez) / ahead))) for ex, _, ez in eyes)


def floor_shown(world: Evidence, candidate: Candidate) -> float:
    between = gap(*(world.objects[key].box for key in candidate.objects))
    assert between is not None
    return room_for.floor_seen(world, between, candidate.numbers[0]) if candidate.key == "yes" else 1.0


def _above_spots(world: Evidence) -> list[tuple[float, float]]:
    """Where the view from above has the camera of the other view, and the floor below it."""
    above = world.views[0].pose
    x, y, z = world.views[1].pose.position_m
    half = 2 * math.tan(CAMERA.hfov_rad / 2)
    spots: list[tuple[float, float]] = []
    for height in (y, 0.0):
        right, up, back = rotation_matrix(above.rotation_wxyz).T @ np.subtract((x, height, z), above.position_m)
        spots.append((0.5 - right / back / half, 0.5 + up / back / half))
    return spots


def half_above(world: Evidence, candidate: Candidate) -> float:
    sides = [u - 0.5 for u, _ in _above_spots(world)]
    return min(map(abs, sides)) if sides[0] * sides[1] > 0 else -1.0


def cell_above(world: Evidence, candidate: Candidate) -> float:
    spots = _above_spots(world)
    if len({tuple(min(max(math.floor(3 * value), 0), 2) for value in spot) for spot in spots}) > 1:
        return -1.0  # the camera lies in another cell than the floor that it stands over
    return min(abs(value - border) for spot in spots for value in spot for border in (1 / 3, 2 / 3))


def heading_above(world: Evidence, candidate: Candidate) -> float:
    above, view = (rotation_matrix(item.pose.rotation_wxyz) for item in world.views)
    right, up, _ = above.T @ -view[:, 2]
    return abs(abs(math.degrees(math.atan2(right, up))) % 90 - 45)


def others_still(world: Evidence, candidate: Candidate) -> float:
    """Minus the share of the changed object's shift that another option's visible surface is shifted by."""
    middles = [[_middle(key, view) for view in world.views] for key in candidate.objects]
    shifts = [float(np.linalg.norm(after - before)) for before, after in middles]
    return -max(shifts[1:]) / shifts[0]


def _middle(key: int, view: ViewEvidence) -> np.ndarray:
    return unproject(view.pose, view.camera, view.depth_m)[(view.ids == key).ravel()].mean(0)


def untouched(world: Evidence, candidate: Candidate) -> float:
    """Minus the most that the object hides of a wrong option."""
    taken, _, *others = candidate.objects
    return -max(hidden_by(world.objects[key], world.objects[taken], world.views[0]) for key in others)


def other_room(world: Evidence, candidate: Candidate) -> float:
    """The share of pixels beyond x = 0, where the fake scene's two rooms meet, of cameras that stand in one."""
    east = {view.pose.position_m[0] > 0 for view in world.views}
    if len(east) > 1:
        return 0.0
    x = np.concatenate([unproject(view.pose, view.camera, view.depth_m)[:, 0] for view in world.views])
    return float(np.mean(x < -0.06 if east.pop() else x > 0.06))


def walls_shown(world: Evidence, candidate: Candidate) -> float:
    """Share of places along the walls, 0.3 m apart, that some picture shows at one of three heights."""
    steps = np.arange(-2.85, 3.0, 0.3)
    sides = [(steps, 3.0 + 0 * steps), (steps, -3.0 + 0 * steps), (3.0 + 0 * steps, steps), (-3.0 + 0 * steps, steps)]
    surface = np.concatenate([unproject(view.pose, view.camera, view.depth_m) for view in world.views])
    walls = np.concatenate([np.stack(side, -1) for side in sides])
    near = [float(np.min(np.abs(surface[:, ::2] - wall).max(1))) < 0.3 for wall in walls]
    return float(np.mean(near))


def hidden_shown(world: Evidence, candidate: Candidate) -> float:
    """What still shows of the partly hidden object."""
    return world.views[0].seen[candidate.objects[1]].visible_fraction


def map_edge(world: Evidence, candidate: Candidate) -> float:
    """How near an object is to the lines of a map that has cells of 0.6 m from the fake room's corner at -3 m, in
    cells."""
    places = [value for key in candidate.objects for value in world.objects[key].box.centre_m[::2]]
    return min(abs((value + 3.0) / 0.6 - round((value + 3.0) / 0.6)) for value in places)
