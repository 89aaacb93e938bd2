"""Overview images of a scene for people: informative poses, and contact sheets of several views."""

from __future__ import annotations

import math
from typing import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, Pose
from protocol.tasks.task import DEGRADATIONS, SEVERITIES, Degradation
from sim_server.backends.base import Frames, Scene
from sim_server.sensing.degradations import DegradedScene
from sim_server.sensing.observe import look_at, rotate

EYE_HEIGHT_M = 1.55
CANDIDATES = 48
DRAFT_WIDTH_PX = 96  # candidates are rendered at this width
PLAIN_FRACTION = 0.004  # an object counts as shown from this fraction of the image
CROWDING_M = 0.7  # nearer surfaces fill the image without showing much
SAME_PLACE_M = 1.5  # views are similar if their positions are nearer than this
SAME_HEADING = 0.5  # and their directions differ by less than 60 degrees (1 - cos)
AHEAD = (0.0, 0.0, -1.0)
GAP_PX = 4


def overview_poses(scene: Scene, camera: Camera, count: int) -> tuple[Pose, ...]:
    """Poses in navigable space, chosen greedily: each adds the most to what earlier ones show.

    Deterministic for a scene.
    """
    rng = rng_for(scene.spec.seed, "overview")
    draft = Camera(DRAFT_WIDTH_PX, max(1, round(DRAFT_WIDTH_PX * camera.height_px / camera.width_px)), camera.hfov_rad)
    poses = [_candidate(scene, rng) for _ in range(CANDIDATES)]
    frames = scene.render(poses, draft, ("depth", "ids"))
    left = list(range(len(poses)))
    seen: dict[int, float] = {}
    chosen: list[Pose] = []
    for _ in range(min(count, len(poses))):
        worth = {index: _worth(frames, index, seen) * _novelty(poses[index], chosen) for index in left}
        best = max(left, key=lambda index: worth[index])
        left.remove(best)
        for object_id, fraction in _fractions(frames, best).items():
            seen[object_id] = max(fraction, seen.get(object_id, 0.0))
        chosen.append(poses[best])
    return tuple(chosen)


def contact_sheet(images: Sequence[NDArray[np.uint8]]) -> Image.Image:
    """Arrange images uint8 [H, W, 3] of equal size row by row in a roughly square grid on white."""
    height_px, width_px = images[0].shape[:2]
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    size = (columns * (width_px + GAP_PX) - GAP_PX, rows * (height_px + GAP_PX) - GAP_PX)
    sheet = Image.new("RGB", size, "white")
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        sheet.paste(Image.fromarray(image), (column * (width_px + GAP_PX), row * (height_px + GAP_PX)))
    return sheet


def degradation_sheet(scene: Scene, pose: Pose, camera: Camera) -> Image.Image:
    """One view under every degradation (one row each): the undegraded image, then all severities from the mildest."""
    rows = len(DEGRADATIONS)
    step_x, step_y = camera.width_px + GAP_PX, camera.height_px + GAP_PX
    font = ImageFont.load_default(max(10, camera.height_px // 9))
    sheet = Image.new("RGB", ((1 + SEVERITIES) * step_x - GAP_PX, rows * step_y - GAP_PX), "white")
    draw = ImageDraw.Draw(sheet)
    for row, name in enumerate(DEGRADATIONS):
        for column in range(1 + SEVERITIES):
            degradations = (Degradation(name, column - 1),) if column else ()
            frames = DegradedScene(scene, degradations, scene.spec.seed, 0).render((pose,), camera, ("rgb",))
            assert frames.rgb is not None
            sheet.paste(Image.fromarray(frames.rgb[0]), (column * step_x, row * step_y))
            text = f"{name.replace('_', ' ')} {column - 1}" if column else "undegraded"
            place = (column * step_x + 4, row * step_y + 3)
            draw.text(place, text, font=font, fill="white", stroke_width=2, stroke_fill="black")
    return sheet


def _candidate(scene: Scene, rng: np.random.Generator) -> Pose:
    """A view from a random standing point towards a random point among the objects of the room."""
    x_m, floor_m, z_m = scene.sample_navigable(rng)
    eye = (x_m, floor_m + EYE_HEIGHT_M, z_m)
    objects = scene.description.objects
    if not objects:
        yaw_rad = rng.uniform(0, 2 * math.pi)
        return look_at(eye, (x_m + math.sin(yaw_rad), eye[1] - 0.2, z_m + math.cos(yaw_rad)))
    picked = rng.choice(len(objects), size=min(3, len(objects)), replace=False)
    target = np.mean([objects[index].box.centre_m for index in picked], axis=0)
    distance_m = math.hypot(target[0] - x_m, target[2] - z_m)
    drop_m = min(distance_m * 0.45, max(0.12 * distance_m, eye[1] - float(target[1])))  # 7 to 24 degrees down
    return look_at(eye, (float(target[0]), eye[1] - drop_m, float(target[2])))


def _worth(frames: Frames, index: int, seen: dict[int, float]) -> float:
    """The score of a view: the sum over objects, mainly new ones, of log image fraction; crowded views score less."""
    assert frames.depth is not None
    depth = frames.depth[index]
    crowded = float(np.mean((depth > 0) & (depth < CROWDING_M)))
    gain = sum(
        math.log(fraction / PLAIN_FRACTION + 1.0) * (1.0 if object_id not in seen else 0.15)
        for object_id, fraction in _fractions(frames, index).items()
    )
    return gain * (1.0 - crowded) ** 3


def _novelty(pose: Pose, chosen: Sequence[Pose]) -> float:
    """0 for a chosen pose, near 1 for a pose whose position or direction differs from all chosen ones."""
    novelty = 1.0
    for other in chosen:
        apart_m = math.dist(pose.position_m, other.position_m)
        cosine = float(np.dot(rotate(pose.rotation_wxyz, AHEAD), rotate(other.rotation_wxyz, AHEAD)))
        novelty *= 1.0 - math.exp(-((apart_m / SAME_PLACE_M) ** 2) - (1.0 - cosine) / SAME_HEADING)
    return novelty


def _fractions(frames: Frames, index: int) -> dict[int, float]:
    """Object id -> fraction of the image, for objects above PLAIN_FRACTION."""
    assert frames.ids is not None
    ids = frames.ids[index]
    values, counts = np.unique(ids[ids != 0], return_counts=True)
    fractions = {int(value): float(count) / ids.size for value, count in zip(values, counts)}
    return {object_id: fraction for object_id, fraction in fractions.items() if fraction >= PLAIN_FRACTION}
