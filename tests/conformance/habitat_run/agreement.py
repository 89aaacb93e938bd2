"""How closely habitat and `rooms` agree on the same files: descriptions, images, paths, and changed scenes."""

from __future__ import annotations

import math
from typing import Any, Sequence

import numpy as np

from protocol.tasks.scene import Camera, Change, OrientedBox, Pose, SceneDescription, SceneSpec
from sim_server.backends.base import Backend, Editable, Scene
from sim_server.questions.geometry import corners, pose_from_yaw_pitch

CAMERA = Camera(320, 240, math.radians(90))
_EYE_M = 1.4


def compare(habitat: Backend, rooms: Backend, assets: Sequence[str], views: int, points: int) -> dict[str, Any]:
    """Figures over all assets, with `views` views and `points` navigable points in each."""
    total: dict[str, list[Any]] = {}
    for asset in assets:
        ours, right = (backend.open(SceneSpec(asset=asset)) for backend in (habitat, rooms))
        for found in (
            _descriptions(ours.description, right.description),
            _images(ours, right, views),
            _changes(ours, right, views),
            _walking(ours, right, points),
        ):
            for key, values in found.items():
                total.setdefault(key, []).append(values)
    joined = {key: np.concatenate([np.atleast_1d(part) for part in parts]) for key, parts in total.items()}
    return {
        "objects": int(joined["objects"].sum()),
        "objects_with_other_facts": int(joined["facts_differ"].sum()),
        "rooms_and_openings_equal": bool(joined["rooms_equal"].all()),
        "box_corners_max_mm": round(1e3 * float(joined["corners_m"].max()), 2),
        "ids_equal_percent": round(100 * float(joined["ids"].mean()), 4),
        "depth_median_mm": round(1e3 * float(np.median(joined["depth_m"])), 4),
        "depth_p99_mm": round(1e3 * float(np.percentile(joined["depth_m"], 99)), 3),
        "unoccluded_max_difference_px": int(joined["amodal_px"].max()),
        "visible_fraction_max_difference": round(float(joined["fraction"].max()), 4),
        "colour_median_of_255": round(float(np.median(joined["colour"])), 2),
        "colour_mean_of_255": round(float(joined["colour"].mean()), 2),
        "changed_ids_equal_percent": round(100 * float(joined["changed_ids"].mean()), 4),
        "navigable_equal_percent": round(100 * float(joined["navigable"].mean()), 2),
        "geodesic_ratio_median": round(float(np.median(joined["geodesic"])), 4),
        "geodesic_ratio_range": [round(float(v), 3) for v in (joined["geodesic"].min(), joined["geodesic"].max())],
    }


def poses_in(scene: Scene, count: int, seed: int = 1) -> list[Pose]:
    """Poses at eye height all over the floor."""
    rng = np.random.default_rng(seed)
    poses = []
    for number in range(count):
        x, y, z = scene.sample_navigable(rng)
        poses.append(pose_from_yaw_pitch((x, y + _EYE_M, z), 2.4 * number, -0.2))
    return poses


def _corners(box: OrientedBox) -> np.ndarray:
    return np.sort(corners(box), axis=0)


def _descriptions(ours: SceneDescription, right: SceneDescription) -> dict[str, Any]:
    theirs = {item.id: item for item in right.objects}
    differ, distances = len({item.id for item in ours.objects} ^ set(theirs)), [0.0]
    for item in ours.objects:
        other = theirs.get(item.id)
        if other is None:
            continue
        facts = [(one.category, one.color, one.room_id, one.support_id) for one in (item, other)]
        fronts = [(0.0, 0.0, 0.0) if one.front is None else one.front for one in (item, other)]
        differ += facts[0] != facts[1] or math.dist(*fronts) > 1e-4
        distances.append(float(np.abs(_corners(item.box) - _corners(other.box)).max()))
    equal = ours.rooms == right.rooms and ours.openings == right.openings
    return {"objects": len(ours.objects), "facts_differ": differ, "rooms_equal": equal, "corners_m": max(distances)}


def _images(ours: Scene, right: Scene, views: int) -> dict[str, Any]:
    """Differences per pixel; colours only where both hit something, since only `rooms` draws the view outside."""
    poses = poses_in(ours, views)
    a, b = (scene.render(poses, CAMERA, ("rgb", "depth", "ids", "amodal")) for scene in (ours, right))
    assert a.ids is not None and b.ids is not None and a.depth is not None and b.depth is not None
    assert a.rgb is not None and b.rgb is not None and a.amodal is not None and b.amodal is not None
    same = a.ids == b.ids
    pixels, fractions = [0], [0.0]
    for k in range(len(poses)):
        for key in a.amodal[k]:  # visible ones
            counts = [frames.amodal[k].get(key, 0) for frames in (a, b)]  # type: ignore[index]
            pixels.append(abs(counts[0] - counts[1]))
            if min(counts) > 50:
                seen = [int((frames.ids[k] == key).sum()) for frames in (a, b)]  # type: ignore[index]
                fractions.append(abs(seen[0] / counts[0] - seen[1] / counts[1]))
    hit = same & (a.depth > 0) & (b.depth > 0)
    return {
        "ids": same.ravel(),
        "depth_m": np.abs(a.depth - b.depth)[same],
        "colour": np.abs(a.rgb.astype(np.int32) - b.rgb)[hit].ravel(),
        "amodal_px": max(pixels),
        "fraction": max(fractions),
    }


def _changes(ours: Scene, right: Scene, views: int) -> dict[str, Any]:
    """Ids after an object was removed, and after it was moved."""
    carrying = {item.support_id for item in ours.description.objects}
    item = next(item for item in ours.description.objects if item.support_id == 0 and item.id not in carrying)
    x, y, z = item.box.centre_m
    poses = [
        pose_from_yaw_pitch((x + 1.5 * math.sin(yaw), y + 1.0, z + 1.5 * math.cos(yaw)), yaw, -0.5)
        for yaw in np.linspace(0, 2 * math.pi, views, endpoint=False).tolist()
    ]
    equal = []
    for change in (Change(item.id), Change(item.id, (x + 0.2, y, z + 0.2))):
        assert isinstance(ours, Editable) and isinstance(right, Editable)
        a, b = (scene.edited([change]).render(poses, CAMERA, ("ids",)).ids for scene in (ours, right))
        assert a is not None and b is not None
        equal.append((a == b).ravel())
    return {"changed_ids": np.concatenate(equal)}


def _walking(ours: Scene, right: Scene, points: int) -> dict[str, Any]:
    outline = np.array([corner for room in right.description.rooms for corner in room.polygon_xz_m])
    rng = np.random.default_rng(4)
    places = [(float(x), 0.0, float(z)) for x, z in rng.uniform(outline.min(0), outline.max(0), (points, 2))]
    equal = [ours.is_navigable(place) == right.is_navigable(place) for place in places]
    ratios = []
    for _ in range(max(points // 20, 5)):
        start, goal = (right.sample_navigable(rng) for _ in range(2))
        lengths = ours.geodesic_m(start, goal), right.geodesic_m(start, goal)
        if all(map(math.isfinite, lengths)) and lengths[1] > 1.0:
            ratios.append(lengths[0] / lengths[1])
    return {"navigable": np.array(equal), "geodesic": np.array(ratios or [1.0])}
