"""Scenes that change: before_after (what moved, went or came) and occlusion_removal (what a thing hides)."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Optional

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneObject
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence, unique_names
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    RELATE,
    Clarity,
    centred,
    draw_objects,
    need_objects,
    uniquely_named,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draft_which, shuffled
from sim_server.questions.floor import standable
from sim_server.questions.geometry import pitch_rad, point_box_distance, pose_from_yaw_pitch, yaw_rad
from sim_server.questions.language.functions.places import hidden_by, surface_middle
from sim_server.questions.staging import Staging
from sim_server.questions.views.sets import shots_of
from sim_server.questions.views.viewpoints import (
    CROUCHED_M,
    aim,
    draw_eyes,
    draw_focused_pose,
    focus_of,
    in_picture,
    probe,
)

KINDS = (("gone", "new"), ("moved",), ("gone", "new"), ("moved",), ("moved",))
SAME_CAMERA = (True, True, False, False, False)
CHANGE_OPTIONS = (2, 2, 3, 3, 3)
LEAST_MOVED_M = (0.0, 1.0, 0.0, 1.0, 0.6)  # between what the two pictures show of the moved object
STILL = 0.4  # what is shown of any other object moves by at most this share of that
OTHER_CAMERA_M = (0.5, 2.5)  # between the two cameras, where they differ
STAND_APART_M = 0.15
BEFORE_CAMERA_M = 0.9  # a moved object stands at least so far from the camera: nearer it would hide all else
_PLACES = 40

HIDES_OPTIONS = (2, 2, 3, 3, 3)
UNCOVERED = (0.40, 0.30, 0.25, 0.18, 0.12)  # of what the frame could show of the object: seen only without the other
UNTOUCHED = 0.02  # as much at most for every other option
PARTLY = Clarity(0.08, 0.001)  # the hidden object still shows so much, so that its name means something
BEHIND_RAD = 0.35  # between the directions to the two, seen from the camera
NOT_IN_BOTH = "the place of the changed object is not seen clearly in both pictures"
_TRIES = 16
_LINED_UP = 32  # pairs of objects for which a standing point is sought


def loose(description: SceneDescription) -> list[SceneObject]:
    """Objects with a name of their own that stand on a floor and carry nothing: those that can be taken away."""
    carrying = {item.support_id for item in description.objects}
    return [item for item in uniquely_named(description) if item.support_id == 0 and item.id not in carrying]


class BeforeAfter:
    """Two pictures, and between them one object was moved, taken away or brought: which one."""

    name = "before_after"
    views = 2
    looks_around = False

    def plan(
        self, description: SceneDescription, level: int, rng: np.random.Generator, kept: Optional[Target] = None
    ) -> Target:
        kinds = KINDS[level]
        form = kept.form if kept else pick(kinds, rng)
        items = loose(description)
        need_objects(uniquely_named(description), CHANGE_OPTIONS[level], self.name)
        (changed,) = draw_objects(items, 1, rng, self.name)
        others = [item for item in uniquely_named(description) if item.id != changed]
        near = draw_objects(others, 1, rng, self.name)
        return Target(key="", focus=(changed, *near), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        level = spec.question.level
        first = draw_focused_pose(scene, spec.camera, plan, rng, found)
        if first is None:
            return None
        second = first
        if not SAME_CAMERA[level]:
            low, high = OTHER_CAMERA_M
            for _ in range(_TRIES):
                drawn = draw_focused_pose(scene, spec.camera, plan, rng, found)
                if drawn is not None and low <= math.dist(first.position_m, drawn.position_m) <= high:
                    second = drawn
                    break
            else:
                found.refuse("no second standing point shows the objects")
                return None
        changed = plan.focus[0]
        why_not = self._unseen(scene, spec, plan, first, second)
        if why_not:
            found.refuse(why_not)
            return None
        if plan.form == "gone":
            return Staging((first, second), (second,), ((), (Change(changed),), ()), plan.focus[:1])
        if plan.form == "new":
            return Staging((first, second), (first,), ((Change(changed),), (), ()), plan.focus[:1])
        moved = self._moved(scene, changed, LEAST_MOVED_M[level], second, spec, rng)
        if moved is None:
            found.refuse("the object has no other place to stand in the second picture")
            return None
        return Staging((first, second), (), ((), (moved,)), plan.focus[:1])

    @staticmethod
    def _unseen(scene: Scene, spec: TaskSpec, plan: Target, first: Pose, second: Pose) -> str:
        """Why small pictures from these poses say that they will not do, before the scene is changed; "" where not."""
        changed, count = plan.focus[0], CHANGE_OPTIONS[spec.question.level] - 1
        before, after = shots_of(scene, spec.camera, (first, second)).world.views
        showing = (before,) if plan.form == "moved" else (before, after)
        if not all(RELATE.holds(changed, view) and centred(changed, view) for view in showing):
            return NOT_IN_BOTH
        others = sum(key != changed and RELATE.holds(key, before) and RELATE.holds(key, after) for key in before.seen)
        return "" if others >= count else f"fewer than {count} other objects are seen clearly in both pictures"

    @staticmethod
    def _moved(
        scene: Scene, key: int, least_m: float, pose: Pose, spec: TaskSpec, rng: np.random.Generator
    ) -> Optional[Change]:
        (item,) = focus_of(scene, (key,))
        for _ in range(_PLACES):
            x, _, z = scene.sample_navigable(rng)
            there = (x, item.box.centre_m[1], z)
            if math.dist(there, item.box.centre_m) < 1.3 * least_m:
                continue
            yaw, pitch = yaw_rad(pose), pitch_rad(pose)
            if not in_picture(
                np.array([pose.position_m]), np.array([yaw]), np.array([pitch]), spec.camera, np.array([there])
            ).all():
                continue
            box = msgspec.structs.replace(item.box, centre_m=there)
            away = point_box_distance(np.array([pose.position_m]), box)[0] > BEFORE_CAMERA_M
            if away and standable(scene.description, box, key, STAND_APART_M):
                return Change(key, there)
        return None

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        (changed,) = world.about
        before, after = world.views
        names = unique_names(world.with_hidden())
        kind = "moved" if not world.hidden else "gone" if changed not in after.seen else "new"
        clear_before = world.hidden[0] if kind == "new" else before
        clear_after = world.hidden[0] if kind == "gone" else after
        if changed not in names:
            found.refuse(AMBIGUOUS)
            return
        if not all(RELATE.holds(changed, view) and centred(changed, view) for view in (clear_before, clear_after)):
            found.refuse(NOT_IN_BOTH)
            return
        still = [key for key in names if key != changed and RELATE.holds(key, before) and RELATE.holds(key, after)]
        margin = 1.0
        if kind == "moved":
            moved_m = _shift_m(world, changed)
            if moved_m < LEAST_MOVED_M[level]:
                found.refuse(f"the object is moved by less than {LEAST_MOVED_M[level]} m")
                return
            still = [key for key in still if _shift_m(world, key) <= STILL * moved_m]
            margin = moved_m
        count = CHANGE_OPTIONS[level] - 1
        if len(still) < count:
            found.refuse(f"fewer than {count} other objects are seen clearly in both pictures")
        for others in combinations(still, count):
            found.accept("", (changed, *others), margin, kind)

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        measure = {
            "moved": "argmax({}, o: distance(surface_middle(o, view(0)), surface_middle(o, view(1))))",
            "gone": "argmin({}, o: pixels(o, view(1)))",
            "new": "argmin({}, o: pixels(o, view(0)))",
        }[candidate.form]
        what = {
            "moved": ("was moved", "from the first picture to the second", "did move"),
            "gone": (
                "is there in the first picture and not in the second",
                "in the second picture",
                "is not there now",
            ),
            "new": ("is there in the second picture and not in the first", "in the first picture", "was not there"),
        }[candidate.form]
        return draft_which(
            world,
            shuffled(candidate.objects, rng),
            measure,
            (
                f"the first picture is from before , the second from now . which thing {what[0]} ?",
                f"which of these {what[0]} ?",
                f"look at the first picture and then at the second . which of these {what[0]} ?",
                f"{what[1]} , which of these {what[2]} ?",
                f"between the two pictures the room is not the same . which of these {what[0]} ?",
            ),
        )


class OcclusionRemoval:
    """Of which object would one see more if the one before it were taken away."""

    name = "occlusion_removal"
    views = 1
    looks_around = False

    def plan(
        self, description: SceneDescription, level: int, _rng: np.random.Generator, _kept: Optional[Target] = None
    ) -> Target:
        need_objects(uniquely_named(description), HIDES_OPTIONS[level] + 1, self.name)
        if not loose(description):
            raise Infeasible(f"{self.name}: nothing in the scene can be taken away")
        return Target(key="", focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, _plan: Target, rng: np.random.Generator, found: Findings
    ) -> Optional[Staging]:
        """Of poses that have one object behind another one where small pictures say that it hides enough: the scene is
        changed, which takes longest, for that one alone."""
        level = spec.question.level
        takable, nameable = loose(scene.description), uniquely_named(scene.description)
        tried: list[tuple[Pose, int]] = []
        for _ in range(_LINED_UP):
            before, behind = pick(takable, rng), pick(nameable, rng)
            pose = _lined_up(scene, spec.camera, before, behind, rng) if before is not behind else None
            if pose is not None:
                tried.append((pose, before.id))
        if not tried:
            found.refuse("no standing point has one object behind the other")
            return None
        frames = scene.render([pose for pose, _ in tried], probe(spec.camera), EVIDENCE_SENSORS)
        world = Evidence.of(scene.description, frames)
        for index, (pose, taken) in enumerate(tried):
            if self._promises(world.only_view(index), taken, level):
                return Staging((pose,), (pose,), ((), (Change(taken),)), (taken,))
        found.refuse(f"the object hides less than {UNCOVERED[level]:.0%} of any other that still shows")
        return None

    def _promises(self, world: Evidence, taken: int, level: int) -> bool:
        """Whether a picture says that the object hides enough of another one, and nothing of enough others."""
        view, names = world.views[0], unique_names(world)
        if taken not in names or not RELATE.holds(taken, view):
            return False
        shown = [key for key in names if key != taken and PARTLY.holds(key, view)]
        told = [self._told(world, key, taken) for key in shown]
        free = sum(share <= UNTOUCHED for share in told)
        return max(told, default=0.0) >= UNCOVERED[level] and free >= HIDES_OPTIONS[level] - 1

    def propose(self, world: Evidence, level: int, found: Findings) -> None:
        (taken,) = world.about
        view, without = world.views[0], world.hidden[0]
        names = unique_names(world)
        if taken not in names or not RELATE.holds(taken, view):
            found.refuse("the object to take away is not seen clearly")
            return
        shown = [key for key in names if key != taken and PARTLY.holds(key, view)]
        gains = {key: gain(key, view, without) for key in shown}
        uncovered = [key for key in shown if gains[key] >= UNCOVERED[level]]
        untouched = [key for key in shown if gains[key] <= UNTOUCHED and self._told(world, key, taken) <= UNTOUCHED]
        count = HIDES_OPTIONS[level] - 1
        if not uncovered:
            found.refuse(f"the object hides less than {UNCOVERED[level]:.0%} of any other that still shows")
        elif len(untouched) < count:
            found.refuse(f"fewer than {count} objects are seen of which it hides nothing")
        for key in uncovered:
            if self._told(world, key, taken) < UNCOVERED[level] / 2:
                found.refuse("of the object's box less is hidden than of the object")
                continue
            for others in combinations(untouched, count):
                found.accept("", (taken, key, *others), gains[key])

    @staticmethod
    def _told(world: Evidence, key: int, taken: int) -> float:
        """What the program will say is hidden."""
        return hidden_by(world.objects[key], world.objects[taken], world.views[0])

    def draft(self, world: Evidence, candidate: Candidate, rng: np.random.Generator) -> Draft:
        taken, *choices = candidate.objects
        return draft_which(
            world,
            shuffled(choices, rng),
            f"argmax({{}}, o: hidden_by(o, by=object({taken}), view=view(0)))",
            (
                "without the {a} , of which of these would you see more ?",
                "of which of these would you see more if there were no {a} ?",
                "take the {a} away . of which of these do you see more now ?",
                "which of these is behind the {a} in the picture , so that you do not see all of it ?",
                "the {a} is in front of one of these . which would you see more of without it ?",
            ),
            (taken,),
        )


def _lined_up(
    scene: Scene, camera: Camera, before: SceneObject, behind: SceneObject, rng: np.random.Generator
) -> Optional[Pose]:
    """A standing point from which one object is behind another, both in the picture; None where this draw has none."""
    eyes = draw_eyes(scene, rng, CROUCHED_M)
    before_m, behind_m = np.asarray(before.box.centre_m), np.asarray(behind.box.centre_m)
    near, far = before_m - eyes, behind_m - eyes
    turn = np.abs(np.arctan2(near[:, 0] * far[:, 2] - near[:, 2] * far[:, 0], (near * far)[:, ::2].sum(1)))
    where = np.tile(rng.uniform(0.35, 0.65, 2), (len(eyes), 1))
    both = np.stack([before_m, behind_m])
    yaws, pitches = aim(eyes, camera, both, where)
    lined = (turn < BEHIND_RAD) & (np.linalg.norm(near, axis=1) < np.linalg.norm(far, axis=1))
    lined &= in_picture(eyes, yaws, pitches, camera, both).all(axis=1)
    if not lined.any():
        return None
    best = int(np.where(lined, turn, np.inf).argmin())
    x, y, z = eyes[best].tolist()
    return pose_from_yaw_pitch((x, y, z), float(yaws[best]), float(pitches[best]))


def gain(key: int, view: ViewEvidence, without: ViewEvidence) -> float:
    """Pixels of an object that only the changed view shows, as a share of what the frame could show of it."""
    truth, more = view.seen[key], without.seen.get(key)
    if more is None:
        return 0.0
    return (more.pixels - truth.pixels) * truth.visible_fraction / truth.pixels


def _shift_m(world: Evidence, key: int) -> float:
    first, second = (surface_middle(world.objects[key], view) for view in world.views)
    return math.dist(first, second)
