"""Writes an episode as a recording for the viewer of rerun (`rerun FILE.rrd`).

It holds the scene in 3D, cameras with their images and depth, boxes of the objects, the path of the camera, the
question and the answers.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from launch.report.records import read_jsonl
from protocol.answers.letters import lettered_options
from protocol.errors import VantageError
from protocol.run.config import section
from protocol.run.directory import RunDir
from protocol.skills import CATALOGUE
from protocol.tasks.scene import HELD_OUT_SEED_BORDER, Camera, SceneDescription, SceneSpec
from protocol.tasks.task import Question, QuestionSpec, TaskSpec, degradation_label
from sim_server.backends.registry import make_backend
from sim_server.questions.evidence import EVIDENCE_SENSORS, Realised, ViewEvidence, name_of
from sim_server.settings import SimSettings

if TYPE_CHECKING:
    import rerun

_SENSORS = ("rgb", *EVIDENCE_SENSORS)
_SHOWN_IN_2D = 4  # views beside the scene
_POINTS_EVERY = 2  # pixels
_OBJECT = re.compile(r"\bobject\((\d+)\)")  # in a program
_ASKED_RGB, _OTHER_RGB, _PATH_RGB = (230, 90, 40), (120, 150, 190), (240, 200, 40)


class Episode(NamedTuple):
    """A spec to realise again, with the policy's answers if a run recorded them. `number`: of the question, among
    those about the same views."""

    spec: TaskSpec
    settings: SimSettings
    number: int = 0
    answers: tuple[str, ...] = ()


class _Line(msgspec.Struct):
    spec: TaskSpec
    index: int = 0
    answers: tuple[str, ...] = ()


def from_run(run: Path, spec_id: str = "") -> Episode:
    """The episode of a run with this spec id, or the newest. Raises VantageError("bad_request") if there is none."""
    opened = RunDir.open(run)
    lines, _ = read_jsonl(opened.episodes / "episodes.jsonl")
    chosen = [line for line in lines if not spec_id or line.get("spec_id") == spec_id]
    if not chosen:
        wanted = f"no episode {spec_id}" if spec_id else "no episode yet"
        raise VantageError("bad_request", f"{run} has {wanted}; episodes/episodes.jsonl lists them.")
    try:
        line = msgspec.convert(chosen[-1], _Line)
    except msgspec.ValidationError as error:
        raise VantageError("corrupt", f"the episode in {run} is invalid: {error}.") from None
    return Episode(line.spec, section(opened.config, "sim", SimSettings), line.index, line.answers)


def from_seed(seed: int, skill: str, level: int, question: int, rooms: int, size_px: int) -> Episode:
    """A question about a generated scene. Raises VantageError("bad_request") for an unknown skill, level or seed."""
    if skill not in CATALOGUE or level not in CATALOGUE[skill].feasible_levels:
        raise VantageError("bad_request", f"the skill catalogue has no {skill[:40]!r} at level {level}.")
    try:
        scene = SceneSpec(
            seed=seed,
            split="val" if seed >= HELD_OUT_SEED_BORDER else "train",
            rooms=rooms,
            min_objects=6 * rooms,
            max_objects=12 * rooms,
            clutter=0.3,
            palette="natural",
        )
        camera = Camera(size_px, 3 * size_px // 4)
    except ValueError as error:
        raise VantageError("bad_request", f"{error}.") from None
    budget = CATALOGUE[skill].view_budget
    spec = TaskSpec(f"{skill}-{level}-{question}", question, 0, scene, QuestionSpec(skill, level), camera, budget)
    return Episode(spec, SimSettings())


def write_recording(episode: Episode, out: Path) -> Question:
    """Realise an episode and write it to an .rrd file; return its question.

    Raises VantageError: "unsupported" without rerun, "infeasible" if the spec is, "bad_request" for a file that cannot
    be written.
    """
    try:
        import rerun
    except ImportError:
        raise VantageError(
            "unsupported", "a recording needs rerun: install it with pip install 'vantage-loop[rerun]'."
        ) from None
    from sim_server.questions.realise import realise  # brings numba

    backend = make_backend(episode.settings.backend, episode.settings)
    try:
        scene = backend.open(episode.spec.scene)
        realised = realise(scene, episode.spec, _SENSORS, questions=episode.number + 1)
        description = scene.description
        scene.close()
    finally:
        backend.close()
    question = (realised.question, *realised.others)[min(episode.number, len(realised.others))]
    recording = rerun.RecordingStream("vantage", recording_id=episode.spec.spec_id)
    try:
        recording.save(out, default_blueprint=_blueprint(len(realised.frames.poses)))
    except (OSError, RuntimeError) as error:
        raise VantageError("bad_request", f"{out} cannot be written: {error}.") from None
    asked = {int(number) for number in _OBJECT.findall(question.program)}
    recording.log("question", rerun.TextDocument(_document(episode, question), media_type="text/markdown"), static=True)
    _log_scene(recording, description, asked)
    _log_views(recording, realised, asked)
    recording.flush()
    recording.disconnect()
    return question


def _blueprint(views: int) -> Any:
    from rerun import blueprint

    def flat(title: str, name: str, *contents: str) -> Any:
        shown = [f"scene/view_{index}/image" for index in range(min(views, _SHOWN_IN_2D))]
        return blueprint.Vertical(
            *(
                blueprint.Spatial2DView(
                    origin=origin, contents=[f"$origin/{one}" for one in contents], name=f"{name} {index}"
                )
                for index, origin in enumerate(shown, start=1)
            ),
            name=title,
        )

    depth = [f"- $origin/view_{index}/image/depth" for index in range(views)]  # the points show it, in colour
    solid = blueprint.Spatial3DView(origin="scene", contents=["$origin/**", *depth], name="Scene")
    return blueprint.Blueprint(
        blueprint.Horizontal(
            solid,
            blueprint.Vertical(
                blueprint.TextDocumentView(origin="question", name="Question"),
                blueprint.Tabs(
                    flat("Images", "Image", "rgb", "seen"), flat("Depth", "Depth", "depth", "seen"), active_tab=0
                ),
                row_shares=[2, 3],
            ),
            column_shares=[3, 2],
        ),
        collapse_panels=True,
    )


def _document(episode: Episode, question: Question) -> str:
    spec = episode.spec
    cell = f"{question.skill} L{question.level} {degradation_label(spec.degradations)}".strip()
    lines = [f"## {question.text}", "", question.rule, ""]
    lines += [f"- {option}" for option in lettered_options(question) or question.options]
    lines += ["", f"**Answer:** {question.answer} {question.unit}".rstrip(), "", f"`{question.program}`", ""]
    if episode.answers:
        lines += ["**Answers of the policy:** " + " · ".join(episode.answers), ""]
    return "\n".join([*lines, f"{cell}, spec {spec.spec_id}, scene {spec.scene.asset or spec.scene.seed}"])


def _log_scene(recording: rerun.RecordingStream, description: SceneDescription, asked: set[int]) -> None:
    import rerun

    recording.log("scene", rerun.ViewCoordinates.RIGHT_HAND_Y_UP, static=True)
    outlines = [
        [(x, room.floor_y_m, z) for x, z in (*room.polygon_xz_m, room.polygon_xz_m[0])] for room in description.rooms
    ]
    names = [room.category for room in description.rooms]
    recording.log("scene/rooms", rerun.LineStrips3D(outlines, labels=names, colors=[(160, 160, 160)]), static=True)
    objects = description.objects
    recording.log(
        "scene/objects",
        rerun.Boxes3D(
            centers=[item.box.centre_m for item in objects],
            half_sizes=[item.box.half_extents_m for item in objects],
            quaternions=[_xyzw(item.box.rotation_wxyz) for item in objects],
            labels=[name_of(item) for item in objects],
            colors=[_ASKED_RGB if item.id in asked else _OTHER_RGB for item in objects],
            show_labels=len(objects) <= 20,
        ),
        static=True,
    )


def _log_views(recording: rerun.RecordingStream, realised: Realised, asked: set[int]) -> None:
    import rerun

    frames = realised.frames
    assert frames.rgb is not None and frames.depth is not None and frames.ids is not None
    for index, (pose, view) in enumerate(zip(frames.poses, realised.evidence.views)):
        place, camera = f"scene/view_{index}", view.camera
        recording.set_time("view", sequence=index)
        rotation = rerun.Quaternion(xyzw=_xyzw(pose.rotation_wxyz))
        recording.log(place, rerun.Transform3D(translation=pose.position_m, quaternion=rotation))
        focal = camera.width_px / 2 / math.tan(camera.hfov_rad / 2)
        recording.log(
            f"{place}/image",
            rerun.Pinhole(
                focal_length=focal,
                width=camera.width_px,
                height=camera.height_px,
                camera_xyz=rerun.ViewCoordinates.RUB,
                image_plane_distance=0.6,
            ),
        )
        recording.log(f"{place}/image/rgb", rerun.Image(frames.rgb[index]))
        recording.log(f"{place}/image/depth", rerun.DepthImage(frames.depth[index], meter=1.0))
        recording.log(f"{place}/image/seen", _boxes(view, frames.ids[index], asked))
        points, colors = _points(frames.rgb[index], frames.depth[index], focal)
        recording.log(f"{place}/points", rerun.Points3D(points, colors=colors, radii=0.012))
        path = [before.position_m for before in frames.poses[: index + 1]]
        recording.log("scene/path", rerun.LineStrips3D([path], colors=[_PATH_RGB], radii=0.02))


def _points(
    rgb: NDArray[np.uint8], depth_m: NDArray[np.float32], focal_px: float
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Visible surface points in the frame of the camera, [N, 3] metres, and their colours, [N, 3]."""
    height, width = depth_m.shape
    v, u = np.mgrid[0:height:_POINTS_EVERY, 0:width:_POINTS_EVERY]
    z, colors = depth_m[v, u], rgb[v, u]
    points = np.stack([(u + 0.5 - width / 2) * z / focal_px, (height / 2 - v - 0.5) * z / focal_px, -z], -1)
    hit = z > 0
    return points[hit].astype(np.float32), colors[hit]


def _boxes(view: ViewEvidence, ids: NDArray[np.int32], asked: set[int]) -> Any:
    """The visible pixels of every object of the question in a view, as boxes."""
    import rerun

    corners: list[tuple[tuple[int, int], tuple[int, int]]] = []
    labels: list[str] = []
    for key in sorted(asked & view.seen.keys()):
        rows, columns = np.nonzero(ids == key)
        corners.append(((int(columns.min()), int(rows.min())), (int(columns.max()) + 1, int(rows.max()) + 1)))
        truth = view.seen[key]
        labels.append(f"{truth.color} {truth.category}".strip())
    return rerun.Boxes2D(
        mins=[low for low, _ in corners],
        sizes=[(right - left, bottom - top) for (left, top), (right, bottom) in corners],
        labels=labels,
        colors=[_ASKED_RGB] * len(corners),
    )


def _xyzw(rotation_wxyz: Sequence[float]) -> tuple[float, float, float, float]:
    w, x, y, z = rotation_wxyz
    return x, y, z, w
