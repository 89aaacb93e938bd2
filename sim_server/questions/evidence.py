"""The evidence that questions are judged on: the scene's description, and per view the visible part of every object."""

from __future__ import annotations

import math
from typing import Optional

import msgspec
import numpy as np
from numpy.typing import NDArray

from protocol.errors import VantageError
from protocol.tasks.scene import Camera, Pose, Room, SceneDescription, SceneObject, Vec3
from protocol.tasks.task import ObjectTruth, Question
from sim_server.backends.base import Frames
from sim_server.questions.geometry import inside_polygon, project, rotation_matrix
from sim_server.questions.nouns import Naming
from sim_server.questions.staging import Changes, Staging
from sim_server.sensing.lens import bend

EVIDENCE_SENSORS = ("depth", "ids", "amodal")


class ViewEvidence(msgspec.Struct):
    """One rendered view, with the truth about every object that owns at least one pixel.

    `cut` holds the ids of objects whose pixels touch the border of the image, `centres` the box centre of each seen
    object in the image as (u, v, z-depth). `ids` int32 [H, W] and `depth_m` float32 [H, W] are the rendered images;
    programs read a bounded number of their pixels. The last two fields are filled in when first needed: `voxels` int64
    [V] by views/coverage.py, `surfaces_m` by `surface_m`.
    """

    pose: Pose
    camera: Camera
    seen: dict[int, ObjectTruth]
    cut: frozenset[int]
    centres: dict[int, tuple[float, float, float]]
    ids: NDArray[np.int32]
    depth_m: NDArray[np.float32]
    voxels: Optional[NDArray[np.int64]] = None
    surfaces_m: Optional[dict[int, Vec3]] = None

    def surface_m(self, key: int) -> Vec3:
        """The mean of the visible points of a seen object, in the world. That of every object is computed at once, so
        that a program which asks often costs no more."""
        if self.surfaces_m is None:
            self.surfaces_m = _surface_means(self.pose, self.camera, self.ids, self.depth_m)
        return self.surfaces_m[key]


class Evidence(msgspec.Struct):
    """Everything that a program may read: the scene and the views.

    Only the rules of a family read the `hidden` views, `about` and `numbers`; see Staging.
    """

    description: SceneDescription
    views: tuple[ViewEvidence, ...]
    objects: dict[int, SceneObject]
    hidden: tuple[ViewEvidence, ...] = ()
    about: tuple[int, ...] = ()
    numbers: tuple[float, ...] = ()

    @classmethod
    def of(cls, description: SceneDescription, frames: Optional[Frames] = None) -> Evidence:
        """The evidence of a description and optionally of frames with depth and ids; occlusion needs amodal."""
        objects = {item.id: item for item in description.objects}
        views = () if frames is None else view_evidence(objects, frames)
        return cls(description=description, views=views, objects=objects)

    @classmethod
    def staged(cls, description: SceneDescription, frames: Frames, staging: Staging) -> Evidence:
        """The evidence of a staging; the frames are of its shown and then its hidden poses."""
        every = cls.of(description, frames)
        shown = len(staging.poses)
        return cls(description, every.views[:shown], every.objects, every.views[shown:], staging.about, staging.numbers)

    def only_view(self, index: int) -> Evidence:
        """The evidence of one of the views, which becomes view 0."""
        return Evidence(description=self.description, views=(self.views[index],), objects=self.objects)

    def with_hidden(self) -> Evidence:
        """The same evidence with the hidden views appended to the others, as if all were shown."""
        return Evidence(self.description, (*self.views, *self.hidden), self.objects, (), self.about, self.numbers)

    def seen(self) -> list[int]:
        """Ids of the objects that own at least one pixel of any view, in the scene's order."""
        return [key for key in self.objects if any(key in view.seen for view in self.views)]


class Realised(msgspec.Struct):
    """A question with its views.

    `frames` hold the requested sensors, `evidence` what the question was judged on, `attempts` counts camera
    placements. `changes` holds the changes to the scene for each view; it is empty if there are none. `others` are
    further questions about the views.
    """

    question: Question
    frames: Frames
    attempts: int
    evidence: Evidence
    changes: tuple[Changes, ...] = ()
    others: tuple[Question, ...] = ()


def name_of(item: SceneObject) -> str:
    """The phrase that names an object: "red chair", or "chair" if the scene gives no colour."""
    return f"{item.color} {item.category}" if item.color else item.category


def room_at(description: SceneDescription, point_m: Vec3) -> Optional[Room]:
    """The room that contains a point, None if there is none."""
    x, y, z = point_m
    here = np.array([[x, z]])
    for room in description.rooms:
        if room.floor_y_m - 0.1 <= y < room.ceiling_y_m and inside_polygon(here, room.polygon_xz_m)[0]:
            return room
    return None


def view_evidence(objects: dict[int, SceneObject], frames: Frames) -> tuple[ViewEvidence, ...]:
    """The evidence of every view, from its id image and depth image.

    Raises VantageError("bad_request") if the frames lack ids or depth.
    """
    if frames.ids is None or frames.depth is None:
        raise VantageError("bad_request", "render the frames with the sensors depth and ids, which questions need")
    return tuple(_one_view(objects, frames, index) for index in range(len(frames.poses)))


def _one_view(objects: dict[int, SceneObject], frames: Frames, index: int) -> ViewEvidence:
    assert frames.ids is not None and frames.depth is not None
    ids, depth = frames.ids[index], frames.depth[index].ravel()
    height, width = ids.shape
    order, starts, owners = _by_owner(ids)
    ends = np.append(starts[1:], len(owners))
    amodal = frames.amodal[index] if frames.amodal is not None else {}
    seen: dict[int, ObjectTruth] = {}
    for start, end in zip(starts.tolist(), ends.tolist()):
        item = objects.get(int(owners[start]))
        if item is None:  # an id without a description, such as a wall of a dataset
            continue
        pixels = order[start:end]
        count = end - start
        rows = pixels // width
        u_px = float(pixels.sum() - width * rows.sum()) / count
        depths = depth[pixels]
        middle = count // 2
        seen[item.id] = ObjectTruth(
            object_id=item.id,
            category=item.category,
            color=item.color,
            pixels=count,
            u=(u_px + 0.5) / width,
            v=(float(rows.sum()) / count + 0.5) / height,
            depth_m=float(np.partition(depths, middle)[middle]),
            visible_fraction=min(1.0, count / max(amodal.get(item.id, count), count)),
        )
    border = np.concatenate([ids[0], ids[-1], ids[:, 0], ids[:, -1]])
    cut = frozenset(np.unique(border).tolist()) & seen.keys()
    centres: dict[int, tuple[float, float, float]] = {}
    if seen:
        points = np.array([objects[key].box.centre_m for key in seen])
        u, v, z = project(frames.poses[index], frames.camera, points)
        if frames.lens:
            u, v = bend(u, v, frames.lens, frames.camera.width_px, frames.camera.height_px)
        centres = {key: (float(u[i]), float(v[i]), float(z[i])) for i, key in enumerate(seen)}
    return ViewEvidence(
        pose=frames.poses[index],
        camera=frames.camera,
        seen=seen,
        cut=frozenset(cut),
        centres=centres,
        ids=ids,
        depth_m=frames.depth[index],
    )


def _by_owner(ids: NDArray[np.int32]) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]:
    """The pixels [N] of all objects, by ascending id; the first of each object [O]; and the id of each pixel [N]."""
    flat = ids.ravel()
    where = np.flatnonzero(flat > 0)
    keys = flat[where]
    small = bool(len(keys)) and int(keys.max()) < 2**16  # numpy sorts 16 bits in linear time
    order = where[np.argsort(keys.astype(np.uint16) if small else keys, kind="stable")]
    owners = flat[order]
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return order, starts, owners


def _surface_means(pose: Pose, camera: Camera, ids: NDArray[np.int32], depth_m: NDArray[np.float32]) -> dict[int, Vec3]:
    """By object id, the mean world point of its pixels; ids int32 [H, W], depth float32 [H, W] m."""
    order, starts, owners = _by_owner(ids)
    if not len(order):
        return {}
    rows, columns = np.divmod(order, camera.width_px)
    z = depth_m.ravel()[order].astype(np.float64)
    right, up = columns + (0.5 - camera.width_px / 2), camera.height_px / 2 - 0.5 - rows
    sums = [np.add.reduceat(values, starts) for values in (right * z, up * z, z)]
    focal_px = 0.5 * camera.width_px / math.tan(camera.hfov_rad / 2)
    local = np.stack([sums[0] / focal_px, sums[1] / focal_px, -sums[2]], -1)
    local /= np.diff(starts, append=len(order))[:, None]
    means = local @ rotation_matrix(pose.rotation_wxyz).T + np.asarray(pose.position_m)
    return {int(owners[at]): (x, y, z) for at, (x, y, z) in zip(starts.tolist(), means.tolist())}


def unique_names(evidence: Evidence, view: Optional[ViewEvidence] = None) -> dict[int, str]:
    """Names of the objects seen in this view, or in any view, that fit no other seen object (see nouns.py).

    A single visible pixel of another object that the name fits excludes the name.
    """
    items = [evidence.objects[key] for key in (evidence.seen() if view is None else view.seen)]
    naming = Naming(items)
    return {item.id: name_of(item) for item in items if naming.unique(item)}
