"""Scenes that change: before_after (a moved, removed or added object) and occlusion_removal (what an object hides)."""

from __future__ import annotations

import math
from itertools import combinations, product
from typing import Optional, Sequence

import msgspec
import numpy as np

from protocol.errors import Infeasible
from protocol.seeds import pick
from protocol.skills.levels import Clarity
from protocol.skills.space import BEFORE_AFTER, OCCLUSION_REMOVAL
from protocol.tasks.scene import Camera, Change, Pose, SceneDescription, SceneObject
from protocol.tasks.task import TaskSpec
from sim_server.backends.base import Scene
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence, name_of, unique_names
from sim_server.questions.families.rules import (
    AMBIGUOUS,
    RELATE,
    centred,
    draw_objects,
    need_objects,
    shows,
    uniquely_named,
)
from sim_server.questions.family import Candidate, Draft, Findings, Target, draft_which, shuffled
from sim_server.questions.floor import standable
from sim_server.questions.geometry import pitch_rad, point_box_distance, pose_from_yaw_pitch, yaw_rad
from sim_server.questions.language.functions.places import hidden_by, surface_middle
from sim_server.questions.nouns import painted
from sim_server.questions.staging import Staging
from sim_server.questions.views.sets import Choice, even_choice, shots_of
from sim_server.questions.views.viewpoints import (
    aim,
    draw_eyes,
    draw_poses,
    eye_heights_m,
    focus_of,
    in_image,
    probe,
)

STILL = 0.4  # the visible surface of any other object moves by at most this fraction of the moved object's shift
OTHER_CAMERA_M = (0.5, 2.5)  # between the two cameras, if they differ
STAND_APART_M = 0.15  # least distance of a moved object from the others
BEFORE_CAMERA_M = 0.9  # least distance of a moved object from the camera: nearer it would hide everything else
_PLACES = 40
_PAIRS = 12  # of standing points that are tried

UNTOUCHED = 0.02  # largest fraction of any other option that the removed object hides
PARTLY = Clarity(0.08, 0.001)  # least visibility of the partly hidden object, so that a viewer can identify it
BEHIND_RAD = 0.35  # largest angle between the directions of the two objects from the camera
NOT_IN_BOTH = "the place of the changed object is not shown clearly in both images"
_TRIES = 16
_BEHIND, _BEFORE = 6, 6  # objects that may be hidden, and those tried before each
_ROUNDS = 4  # in homes: choices are collected, since two objects must each be right in one of them
BEHIND_M = 3.0  # in homes: largest distance of the centres of two objects of which one may hide the other


def removable(description: SceneDescription) -> list[SceneObject]:
    """Objects with unique names that carry nothing: those that can be taken away."""
    carrying = {item.support_id for item in description.objects}
    return [item for item in uniquely_named(description) if item.id not in carrying]


def loose(description: SceneDescription) -> list[SceneObject]:
    """The removable objects that stand on a floor: those that can be moved."""
    return [item for item in removable(description) if item.support_id == 0]


def _clear(view: ViewEvidence, key: int) -> bool:
    return shows(view, key, RELATE) and centred(key, view)


class BeforeAfter:
    """Which object was moved, taken away or added between two images."""

    skill = BEFORE_AFTER
    views = 2

    def target(
        self, description: SceneDescription, level: int, rng: np.random.Generator, previous: Optional[Target] = None
    ) -> Target:
        asked, name = self.skill.levels[level], self.skill.name
        form = previous.form if previous else pick(asked.kinds, rng)
        items = loose(description) if form == "moved" else removable(description)
        return Target(key="", focus=draw_objects(items, asked.options, rng, name), form=form)

    def poses(
        self, scene: Scene, spec: TaskSpec, target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        asked = self.skill.levels[spec.question.level]
        focus = focus_of(scene, target.focus)
        poses = [pose for aim in (focus, focus[:1]) for pose in draw_poses(scene, spec.camera, aim, rng)]
        low, high = OTHER_CAMERA_M
        pairs = [
            (a, b)
            for a, b in product(range(len(poses)), repeat=2)
            if (a == b if asked.same_camera else low <= math.dist(poses[a].position_m, poses[b].position_m) <= high)
        ]
        if not pairs:
            findings.reject("no two standing points show the objects")
            return None
        evidence = shots_of(scene, spec.camera, poses).evidence
        items = (loose if target.form == "moved" else removable)(scene.description)
        clear = [{item.id for item in items if _clear(view, item.id)} for view in evidence.views]
        pairs = [pair for pair in shuffled(pairs, rng) if len(clear[pair[0]] & clear[pair[1]]) >= asked.options]
        for a, b in pairs[:_PAIRS]:
            views = (evidence.views[a], evidence.views[b])
            names = unique_names(Evidence(evidence.description, views, evidence.objects))
            shown = sorted(clear[a] & clear[b] & names.keys())
            changes = self._changes(scene, spec, target, shuffled(shown, rng), poses[b], rng)
            if len(changes) == asked.options:
                return self._staging(target.form, poses[a], poses[b], changes)
        findings.reject(self._too_few(asked.options))
        return None

    @staticmethod
    def _staging(form: str, first: Pose, second: Pose, changes: list[Change]) -> Staging:
        """The first of these changes. Any of the objects could be the changed one, so that their kinds do not give the
        answer away."""
        about, change = tuple(one.object_id for one in changes), changes[0]
        if form == "gone":
            return Staging((first, second), (second,), ((), (change,), ()), about)
        if form == "new":
            return Staging((first, second), (first,), ((change,), (), ()), about)
        return Staging((first, second), (), ((), (change,)), about)

    def _changes(
        self, scene: Scene, spec: TaskSpec, target: Target, keys: Sequence[int], second: Pose, rng: np.random.Generator
    ) -> list[Change]:
        """As many changes as there are options, each of another one of these objects; fewer if it cannot be done."""
        asked = self.skill.levels[spec.question.level]
        changes: list[Change] = []
        for key in keys:
            if len(changes) < asked.options:
                moves = target.form == "moved"
                change = self._moved(scene, key, asked.moved_m, second, spec, rng) if moves else Change(key)
                changes += [change] if change else []
        return changes

    @staticmethod
    def _too_few(count: int) -> str:
        return f"both images clearly show fewer than {count} objects that could be changed"

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
            if not in_image(
                np.array([pose.position_m]), np.array([yaw]), np.array([pitch]), spec.camera, np.array([there])
            ).all():
                continue
            box = msgspec.structs.replace(item.box, centre_m=there)
            away = point_box_distance(np.array([pose.position_m]), box)[0] > BEFORE_CAMERA_M
            if away and standable(scene.description, box, key, STAND_APART_M):
                return Change(key, there)
        return None

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        changed, *others = evidence.about
        before, after = evidence.views
        names = unique_names(evidence.with_hidden())
        kind = "moved" if not evidence.hidden else "gone" if changed not in after.seen else "new"
        clear_before = evidence.hidden[0] if kind == "new" else before
        clear_after = evidence.hidden[0] if kind == "gone" else after
        if changed not in names:
            findings.reject(AMBIGUOUS)
            return
        if not all(_clear(view, changed) for view in (clear_before, clear_after)):
            findings.reject(NOT_IN_BOTH)
            return
        still = [key for key in names if key != changed and shows(before, key, RELATE) and shows(after, key, RELATE)]
        margin = 1.0
        if kind == "moved":
            moved_m = _shift_m(evidence, changed)
            if moved_m < asked.moved_m:
                findings.reject(f"the object is moved by less than {asked.moved_m} m")
                return
            still = [key for key in still if _shift_m(evidence, key) <= STILL * moved_m]
            margin = moved_m
        options = [tuple(others)] if others else list(combinations(still, asked.options - 1))
        for chosen in options:
            if set(chosen) <= set(still):
                findings.accept("", (changed, *chosen), margin, kind)
        if not findings.accepted:
            findings.reject(self._too_few(asked.options))

    def draft(self, evidence: Evidence, candidate: Candidate, level: int, rng: np.random.Generator) -> Draft:
        measure = {
            "moved": "argmax({}, o: distance(surface_middle(o, view(0)), surface_middle(o, view(1))))",
            "gone": "argmin({}, o: pixels(o, view(1)))",
            "new": "argmin({}, o: pixels(o, view(0)))",
        }[candidate.form]
        happened, visible, past = {
            "moved": ("was moved", "is in a different place in Image 2 than in Image 1", "moved"),
            "gone": ("was taken away", "is in Image 1 but not in Image 2", "took away"),
            "new": ("was added", "is in Image 2 but not in Image 1", "added"),
        }[candidate.form]
        camera = "The camera did not move." if self.skill.levels[level].same_camera else "The camera moved as well."
        return draft_which(
            evidence,
            shuffled(candidate.objects, rng),
            measure,
            (
                f"Which of these objects {happened} between Image 1 and Image 2?",
                f"Between Image 1 and Image 2, which of these objects {happened}?",
                f"Which of these objects {visible}?",
                f"Compare Image 1 with Image 2. Which of these objects {happened}?",
                f"Compare the two images. Which of these objects {visible}?",
                f"Image 1 was taken before a change, and Image 2 after it. Which of these objects {happened}?",
                f"One of these objects {happened} between the two images. Which one?",
                f"Someone {past} one of these objects after Image 1. Which one?",
            ),
            rule=f"Exactly one of these objects {happened}. {camera}",
        )


class OcclusionRemoval:
    """The object of which more would be visible if the one in front of it were taken away."""

    skill = OCCLUSION_REMOVAL
    views = 1

    def target(
        self, description: SceneDescription, level: int, _rng: np.random.Generator, _previous: Optional[Target] = None
    ) -> Target:
        need_objects(uniquely_named(description), self.skill.levels[level].options + 1, self.skill.name)
        if not loose(description):
            raise Infeasible(f"{self.skill.name}: no object of the scene can be taken away")
        return Target(key="", focus=())

    def poses(
        self, scene: Scene, spec: TaskSpec, _target: Target, rng: np.random.Generator, findings: Findings
    ) -> Optional[Staging]:
        """A pose with one object behind another, which hides enough of it in probe images.

        Only for this pose is the scene changed, which is the slowest step.
        """
        level = spec.question.level
        tried: list[tuple[Pose, int]] = []
        choices: list[Choice] = []
        for _ in range(1 if painted(scene.description) else _ROUNDS):
            known = len(tried)
            tried += self._line_up(scene, spec.camera, rng)
            if len(tried) == known:
                continue
            frames = scene.render([pose for pose, _ in tried[known:]], probe(spec.camera), EVIDENCE_SENSORS)
            evidence = Evidence.of(scene.description, frames)
            choices += [
                Choice(right, tuple(free), (index,))
                for index, (_, taken) in enumerate(tried[known:], known)
                for hidden, free in [self._hidden_and_free(evidence.only_view(index - known), taken, level)]
                for right in hidden
            ]
            drawn = even_choice(choices, self.skill.levels[level].options, rng)
            if drawn is not None:
                pose, taken = tried[drawn.place[0]]
                return Staging((pose,), (pose,), ((), (Change(taken),)), (taken, drawn.right, *drawn.wrong))
        findings.reject(self._hides_little(level) if tried else "no standing point has one object behind the other")
        return None

    @staticmethod
    def _line_up(scene: Scene, camera: Camera, rng: np.random.Generator) -> list[tuple[Pose, int]]:
        """Poses with one object behind another, and the ids of those in front, which can be taken away."""
        takable, nameable = loose(scene.description), uniquely_named(scene.description)
        found: list[tuple[Pose, int]] = []
        # Few objects behind and many before them: the same ones are hidden in some poses and free in others.
        for behind in shuffled(nameable, rng)[:_BEHIND]:
            near = takable if painted(scene.description) else _near(behind, takable)
            for before in (pick(near, rng) for _ in range(_BEFORE if near else 0)):
                pose = _lined_up(scene, camera, before, behind, rng) if before is not behind else None
                if pose is not None:
                    found.append((pose, before.id))
        return found

    def _hides_little(self, level: int) -> str:
        uncovered = self.skill.levels[level].uncovered
        return f"the object hides less than {uncovered:.0%} of any other object that is still visible"

    def _hidden_and_free(self, evidence: Evidence, taken: int, level: int) -> tuple[list[int], list[int]]:
        """The visible objects of which the object to take away hides enough, and those of which it hides nothing."""
        asked = self.skill.levels[level]
        view, names = evidence.views[0], unique_names(evidence)
        if taken not in names or not shows(view, taken, RELATE):
            return [], []
        shown = [key for key in names if key != taken and shows(view, key, PARTLY)]
        hidden = {key: self._hidden_fraction(evidence, key, taken) for key in shown}
        enough = [key for key in shown if hidden[key] >= asked.uncovered]
        return enough, [key for key in shown if hidden[key] <= UNTOUCHED]

    def judge(self, evidence: Evidence, level: int, findings: Findings) -> None:
        asked = self.skill.levels[level]
        taken, *options = evidence.about
        view, without = evidence.views[0], evidence.hidden[0]
        names = unique_names(evidence)
        if taken not in names or not shows(view, taken, RELATE):
            findings.reject("the object to take away is not shown clearly")
            return
        shown = [key for key in options or names if key in names and key != taken and shows(view, key, PARTLY)]
        gains = {key: gain(key, view, without) for key in shown}
        uncovered = [key for key in shown if gains[key] >= asked.uncovered]
        untouched = [
            key for key in shown if gains[key] <= UNTOUCHED and self._hidden_fraction(evidence, key, taken) <= UNTOUCHED
        ]
        count = asked.options - 1
        if not uncovered:
            findings.reject(self._hides_little(level))
        elif len(untouched) < count:
            findings.reject(f"fewer than {count} visible objects are unaffected by it")
        for key in uncovered if not options else [key for key in uncovered if key == options[0]]:
            if self._hidden_fraction(evidence, key, taken) < asked.uncovered / 2:
                findings.reject("a smaller fraction of the object's box is hidden than of the object")
                continue
            for others in combinations(untouched, count):
                findings.accept("", (taken, key, *others), gains[key])

    @staticmethod
    def _hidden_fraction(evidence: Evidence, key: int, taken: int) -> float:
        """The hidden fraction that the program computes."""
        return hidden_by(evidence.objects[key], evidence.objects[taken], evidence.views[0])

    def draft(self, evidence: Evidence, candidate: Candidate, _level: int, rng: np.random.Generator) -> Draft:
        taken, *choices = candidate.objects
        return draft_which(
            evidence,
            shuffled(choices, rng),
            f"argmax({{}}, o: hidden_by(o, by=object({taken}), view=view(0)))",
            (
                "Which of these objects would you see more of without the {a}?",
                "Which of these would you see more of without the {a}?",
                "Without the {a}, which of these objects would you see more of?",
                "Without the {a}, which of these would you see more of?",
                "Which of these objects is partly hidden by the {a}?",
                "Which of these objects is partly behind the {a} in the image?",
                "Which of these is partly hidden behind the {a}?",
                "In the image, which of these objects is partly hidden by the {a}?",
                "In the image, which of these objects is partly behind the {a}?",
            ),
            (taken,),
            f"The {name_of(evidence.objects[taken])} hides part of exactly one of these objects from the camera.",
        )


def _near(item: SceneObject, others: Sequence[SceneObject]) -> list[SceneObject]:
    """The other objects of the same room within BEHIND_M."""
    return [
        other
        for other in others
        if other is not item
        and other.room_id == item.room_id
        and math.dist(other.box.centre_m, item.box.centre_m) < BEHIND_M
    ]


def _lined_up(
    scene: Scene, camera: Camera, before: SceneObject, behind: SceneObject, rng: np.random.Generator
) -> Optional[Pose]:
    """A pose from which one object is behind another, both in the image; None if this draw has none."""
    eyes = draw_eyes(scene, rng, eye_heights_m(camera, crouched=True), (before, behind))
    before_m, behind_m = np.asarray(before.box.centre_m), np.asarray(behind.box.centre_m)
    near, far = before_m - eyes, behind_m - eyes
    turn = np.abs(np.arctan2(near[:, 0] * far[:, 2] - near[:, 2] * far[:, 0], (near * far)[:, ::2].sum(1)))
    where = np.tile(rng.uniform(0.35, 0.65, 2), (len(eyes), 1))
    both = np.stack([before_m, behind_m])
    yaws, pitches = aim(eyes, camera, both, where)
    lined = (turn < BEHIND_RAD) & (np.linalg.norm(near, axis=1) < np.linalg.norm(far, axis=1))
    lined &= in_image(eyes, yaws, pitches, camera, both).all(axis=1)
    if not lined.any():
        return None
    best = int(np.where(lined, turn, np.inf).argmin())
    x, y, z = eyes[best].tolist()
    return pose_from_yaw_pitch((x, y, z), float(yaws[best]), float(pitches[best]))


def gain(key: int, view: ViewEvidence, without: ViewEvidence) -> float:
    """Pixels of an object that only the changed view shows, as a fraction of all its pixels if nothing hid it."""
    truth, more = view.seen[key], without.seen.get(key)
    if more is None:
        return 0.0
    return (more.pixels - truth.pixels) * truth.visible_fraction / truth.pixels


def _shift_m(evidence: Evidence, key: int) -> float:
    first, second = (surface_middle(evidence.objects[key], view) for view in evidence.views)
    return math.dist(first, second)


FAMILIES = (BeforeAfter(), OcclusionRemoval())
