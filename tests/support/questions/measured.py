"""Measures of a candidate, computed independently of the rules that test_margins.py checks with them."""

from __future__ import annotations

import math

import numpy as np

from protocol.skills.small import SMALL_LOCATION
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
from tests.support.questions.pools import CAMERA

AREA = CAMERA.width_px * CAMERA.height_px


def _clock_deg(evidence: Evidence, point: tuple[float, float, float], view: int) -> float:
    """Bearing in degrees of a point from a camera on the floor plan, left positive, by complex numbers."""
    pose = evidence.views[view].pose
    w, x, y, z = pose.rotation_wxyz
    ahead = complex(-2 * (x * z + w * y), 1 - 2 * (x * x + y * y))  # (x, -z) of the camera's -z axis
    to = complex(point[0] - pose.position_m[0], pose.position_m[2] - point[2])
    return math.degrees(np.angle(to / ahead))


def _border_deg(angle_deg: float, candidate: Candidate) -> float:
    borders = {"side": (0, 180), "side_or_behind": (0, 135), "quadrant": (0, 90, 180)}[candidate.form]
    return min(abs(abs(angle_deg) - border) for border in borders)


def position(evidence: Evidence, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(evidence, evidence.views[1].pose.position_m, 0), candidate)


def placed(evidence: Evidence, candidate: Candidate) -> float:
    return _border_deg(_clock_deg(evidence, evidence.objects[candidate.objects[0]].box.centre_m, 1), candidate)


def room_placed(evidence: Evidence, candidate: Candidate) -> float:
    room = evidence.description.rooms[evidence.objects[candidate.objects[0]].room_id - 1]
    x, z = np.mean(room.polygon_xz_m, axis=0)
    return _border_deg(_clock_deg(evidence, (float(x), 0.0, float(z)), 1), candidate)


def room_fraction(evidence: Evidence, candidate: Candidate) -> float:
    """Fraction of the room's floor, sampled at random, that is in the sector of the answer."""
    room = evidence.description.rooms[evidence.objects[candidate.objects[0]].room_id - 1]
    low, high = np.min(room.polygon_xz_m, axis=0), np.max(room.polygon_xz_m, axis=0)
    points = np.random.default_rng(0).uniform(low, high, (300, 2))
    words = [sectors.word(candidate.form, _clock_deg(evidence, (float(x), 0.0, float(z)), 1)) for x, z in points]
    return words.count(candidate.key) / len(words)


def shown_gap(evidence: Evidence, candidate: Candidate) -> float:
    (key,) = candidate.objects
    one, two = (view.seen[key].visible_fraction for view in evidence.views)
    return abs(one - two) if candidate.key != "the same" else 1.0


def turned(evidence: Evidence, candidate: Candidate) -> float:
    x, _, z = evidence.objects[candidate.objects[0]].box.centre_m
    one, two = (complex(x - v.pose.position_m[0], z - v.pose.position_m[2]) for v in evidence.views)
    return abs(math.degrees(np.angle(one / two)))


def cell_margin(evidence: Evidence, candidate: Candidate) -> float:
    truths = [view.seen[candidate.objects[0]] for view in evidence.views]
    return min(abs(value - border) for truth in truths for value in (truth.u, truth.v) for border in (1 / 3, 2 / 3))


def views_without_one(evidence: Evidence, candidate: Candidate) -> float:
    """1 if no view clearly shows all of the candidate's objects, else 0."""

    return float(not any(all(_clear(key, view) for key in candidate.objects) for view in evidence.views))


def most_alone(evidence: Evidence, candidate: Candidate) -> float:
    """The difference between the count and the largest number of counted objects in one view; of a single object, the
    number of further views of it."""
    keys = candidate.objects
    shown = [sum(key in view.seen for key in keys) for view in evidence.views]
    return float(sum(shown) - 1 if len(keys) == 1 else len(keys) - max(shown))


def least_shown(evidence: Evidence, candidate: Candidate) -> float:
    """Least visible fraction of the objects in any view that shows them."""
    return min(
        view.seen[key].visible_fraction for view in evidence.views for key in candidate.objects if key in view.seen
    )


def camera_gap(evidence: Evidence, candidate: Candidate) -> float:
    box = evidence.objects[candidate.objects[0]].box
    eyes = [type(box)(view.pose.position_m, (0.0, 0.0, 0.0)) for view in evidence.views]
    nearest, second = sorted(projected_distance_m(eye, box) for eye in eyes)[:2]
    return second - nearest


def in_all(evidence: Evidence, candidate: Candidate) -> float:
    """Least fraction of the image that the shared object covers in any view."""
    return min(view.seen[candidate.objects[0]].pixels for view in evidence.views) / AREA


def option_gap(evidence: Evidence, candidate: Candidate) -> float:
    anchor, *options = (evidence.objects[key].box for key in candidate.objects)
    return float(np.diff(sorted(projected_distance_m(anchor, box) for box in options)).min())


def side_gap(evidence: Evidence, candidate: Candidate) -> float:
    one, two = (evidence.views[0].seen[key].u for key in candidate.objects)
    return abs(one - two)


def image_fraction(evidence: Evidence, candidate: Candidate) -> float:
    """Least fraction of the image that any object of the candidate covers in the view that shows it best."""
    if candidate.key == "no":
        return 1.0
    best = [max(view.seen[key].pixels for view in evidence.views if key in view.seen) for key in candidate.objects]
    return min(best) / AREA


def apart_m(evidence: Evidence, candidate: Candidate) -> float:
    a, b = (evidence.objects[key].box for key in candidate.objects)
    return projected_distance_m(a, b)


def rise(evidence: Evidence, candidate: Candidate) -> float:
    return abs(evidence.views[1].pose.position_m[1] - evidence.views[0].pose.position_m[1])


def same_depth(evidence: Evidence, candidate: Candidate) -> float:
    """Distance of two depths from the border between "the same" and different, 0.15 m."""
    a, b = (evidence.views[0].seen[key].depth_m for key in candidate.objects)
    return 0.15 - abs(a - b) if candidate.key == "the same" else abs(a - b) - 0.15


def same_depth_margin(evidence: Evidence, candidate: Candidate) -> float:
    return same_depth(evidence, candidate) if candidate.key == "the same" else 1.0


def named_rightly(evidence: Evidence, candidate: Candidate) -> float:
    """1 if the class of a distance is right, else 0."""
    away_m = apart_m(evidence, candidate)
    return float(candidate.key == ("near" if away_m < 1 else "middle" if away_m < 2 else "far"))


def neighbour_gap(evidence: Evidence, candidate: Candidate) -> float:
    item, _ = (evidence.objects[key] for key in candidate.objects)
    asked = SMALL_LOCATION.levels[1]
    clear = small._clear_with_small(evidence, evidence.views[0], asked, Findings())
    others = [evidence.objects[key] for key in clear if key not in (item.id, item.support_id)]
    away = sorted(projected_distance_m(item.box, other.box) for other in others if other.support_id != item.id)
    return away[1] - away[0] if len(away) > 1 else 9.0


def neighbour_near(evidence: Evidence, candidate: Candidate) -> float:
    return -apart_m(evidence, candidate)


def wrong_by(evidence: Evidence, candidate: Candidate) -> float:
    """The least ratio of a wrong distance among the options and the right one, or the other way round."""
    draft = small.SmallLocation().draft(evidence, candidate, 3, np.random.default_rng(len(candidate.objects)))
    away = {float(option.split(", ")[2].split()[0]) for option in draft.options}
    right = min(away, key=lambda one: abs(one - apart_m(evidence, candidate)))
    return min(max(one / right, right / one) for one in away if one != right)


def shared(evidence: Evidence, candidate: Candidate) -> float:
    first, second = evidence.views[:2]
    return float(sum(_clear(key, first) and _clear(key, second) for key in evidence.objects))


def _clear(key: int, view: ViewEvidence, visible_fraction: float = 0.5, image_fraction: float = 0.004) -> bool:
    truth = view.seen.get(key)
    if truth is None:
        return False
    return truth.visible_fraction >= visible_fraction and truth.pixels >= image_fraction * AREA


def shared_above(evidence: Evidence, candidate: Candidate) -> float:
    above, view = evidence.views
    return float(sum(_clear(key, above, 0.5, 0.002) and _clear(key, view) for key in evidence.objects))


def level(evidence: Evidence, candidate: Candidate) -> float:
    return -rise(evidence, candidate) if candidate.key == "the same" else 0.0


def floor_apart(evidence: Evidence, candidate: Candidate) -> float:
    (x0, _, z0), (x1, _, z1) = (view.pose.position_m for view in evidence.views)
    return math.hypot(x1 - x0, z1 - z0)


def same_shown(evidence: Evidence, candidate: Candidate) -> float:
    (key,) = candidate.objects
    one, two = (view.seen[key].visible_fraction for view in evidence.views)
    return -abs(one - two) if candidate.key == "the same" else 0.0


def counted(evidence: Evidence, candidate: Candidate) -> float:
    return float(len(candidate.objects))


def joint(evidence: Evidence, candidate: Candidate) -> float:
    shown = [voxels_shown(evidence.description, view.pose, view.camera, view.depth_m) for view in evidence.views]
    return overlap(*shown)


def seen_twice(evidence: Evidence, candidate: Candidate) -> float:
    return float(sum(sum(key in view.seen for view in evidence.views) > 1 for key in candidate.objects))


def camera_away(evidence: Evidence, candidate: Candidate) -> float:
    eye = OrientedBox(evidence.views[0].pose.position_m, (0.0, 0.0, 0.0))
    return projected_distance_m(eye, evidence.objects[candidate.objects[0]].box)


def first_image_fraction(evidence: Evidence, candidate: Candidate) -> float:
    return min(evidence.views[0].seen[key].pixels for key in candidate.objects) / AREA


def turn(evidence: Evidence, candidate: Candidate) -> float:
    first, second = (view.pose.rotation_wxyz for view in evidence.views)
    headings = [np.angle(complex(1 - 2 * (x * x + y * y), 2 * (x * z + w * y))) for w, x, y, z in (first, second)]
    return abs(math.degrees((headings[1] - headings[0] + math.pi) % (2 * math.pi) - math.pi))


def dominance(evidence: Evidence, candidate: Candidate) -> float:
    """Ratio of the longer to the shorter component of a move, along and across the first camera's heading."""
    angle = math.radians(_clock_deg(evidence, evidence.views[1].pose.position_m, 0))
    parts = sorted((abs(math.cos(angle)), abs(math.sin(angle))))
    return parts[1] / max(parts[0], 1e-9)


def front_seen(evidence: Evidence, candidate: Candidate) -> float:
    """Minus the least angle between the object's front and the direction of a camera that shows it."""
    stand = evidence.objects[candidate.objects[0]]
    assert stand.front is not None
    x, _, z = stand.box.centre_m
    ahead = complex(stand.front[0], -stand.front[2])
    eyes = [view.pose.position_m for view in evidence.views if _clear(stand.id, view)]
    return -min(abs(math.degrees(np.angle(complex(ex - x, z - ez) / ahead))) for ex, _, ez in eyes)


def floor_shown(evidence: Evidence, candidate: Candidate) -> float:
    between = gap(*(evidence.objects[key].box for key in candidate.objects))
    assert between is not None
    return room_for.floor_seen(evidence, between, candidate.numbers[0]) if candidate.key == "yes" else 1.0


def _above_spots(evidence: Evidence) -> list[tuple[float, float]]:
    """Image positions, in the view from above, of the other camera and of the floor below it."""
    above = evidence.views[0].pose
    x, y, z = evidence.views[1].pose.position_m
    half = 2 * math.tan(CAMERA.hfov_rad / 2)
    spots: list[tuple[float, float]] = []
    for height in (y, 0.0):
        right, up, back = rotation_matrix(above.rotation_wxyz).T @ np.subtract((x, height, z), above.position_m)
        spots.append((0.5 - right / back / half, 0.5 + up / back / half))
    return spots


def half_above(evidence: Evidence, candidate: Candidate) -> float:
    sides = [u - 0.5 for u, _ in _above_spots(evidence)]
    return min(map(abs, sides)) if sides[0] * sides[1] > 0 else -1.0


def cell_above(evidence: Evidence, candidate: Candidate) -> float:
    spots = _above_spots(evidence)
    if len({tuple(min(max(math.floor(3 * value), 0), 2) for value in spot) for spot in spots}) > 1:
        return -1.0  # the camera is in another cell than the floor below it
    return min(abs(value - border) for spot in spots for value in spot for border in (1 / 3, 2 / 3))


def heading_above(evidence: Evidence, candidate: Candidate) -> float:
    above, view = (rotation_matrix(item.pose.rotation_wxyz) for item in evidence.views)
    right, up, _ = above.T @ -view[:, 2]
    return abs(abs(math.degrees(math.atan2(right, up))) % 90 - 45)


def others_still(evidence: Evidence, candidate: Candidate) -> float:
    """Minus the shift of another option's visible surface, as a fraction of the changed object's shift."""
    middles = [[_middle(key, view) for view in evidence.views] for key in candidate.objects]
    shifts = [float(np.linalg.norm(after - before)) for before, after in middles]
    return -max(shifts[1:]) / shifts[0]


def _middle(key: int, view: ViewEvidence) -> np.ndarray:
    return unproject(view.pose, view.camera, view.depth_m)[(view.ids == key).ravel()].mean(0)


def untouched(evidence: Evidence, candidate: Candidate) -> float:
    """Minus the largest fraction of a wrong option that the object hides."""
    taken, _, *others = candidate.objects
    return -max(hidden_by(evidence.objects[key], evidence.objects[taken], evidence.views[0]) for key in others)


def other_room(evidence: Evidence, candidate: Candidate) -> float:
    """Fraction of pixels beyond x = 0, where the two rooms of the fake scene meet, if all cameras are in one room."""
    east = {view.pose.position_m[0] > 0 for view in evidence.views}
    if len(east) > 1:
        return 0.0
    x = np.concatenate([unproject(view.pose, view.camera, view.depth_m)[:, 0] for view in evidence.views])
    return float(np.mean(x < -0.06 if east.pop() else x > 0.06))


def walls_shown(evidence: Evidence, candidate: Candidate) -> float:
    """Fraction of places along the walls, 0.3 m apart, that some image shows at any height."""
    steps = np.arange(-2.85, 3.0, 0.3)
    sides = [(steps, 3.0 + 0 * steps), (steps, -3.0 + 0 * steps), (3.0 + 0 * steps, steps), (-3.0 + 0 * steps, steps)]
    surface = np.concatenate([unproject(view.pose, view.camera, view.depth_m) for view in evidence.views])
    walls = np.concatenate([np.stack(side, -1) for side in sides])
    near = [float(np.min(np.abs(surface[:, ::2] - wall).max(1))) < 0.3 for wall in walls]
    return float(np.mean(near))


def hidden_shown(evidence: Evidence, candidate: Candidate) -> float:
    """Visible fraction of the partly hidden object."""
    return evidence.views[0].seen[candidate.objects[1]].visible_fraction


def map_edge(evidence: Evidence, candidate: Candidate) -> float:
    """Distance in cells of an object from the lines of a map with cells of 0.6 m from the room's corner at -3 m."""
    places = [value for key in candidate.objects for value in evidence.objects[key].box.centre_m[::2]]
    return min(abs((value + 3.0) / 0.6 - round((value + 3.0) / 0.6)) for value in places)


def direction(evidence: Evidence, candidate: Candidate) -> float:
    """Distance in degrees of the target's direction from a sector border, standing at one object and facing another."""
    points = [evidence.objects[key].box.centre_m for key in candidate.objects]
    stand, face, target = (complex(x, -z) for x, _, z in points)
    return _border_deg(math.degrees(np.angle((target - stand) / (face - stand))), candidate)
