"""Degraded images: deterministic, worse with every severity, and consistent with the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import Infeasible, VantageError
from protocol.tasks.scene import Camera, SceneSpec
from protocol.tasks.task import DEGRADATIONS, HIDING, SEVERITIES, Degradation, QuestionSpec, TaskSpec
from protocol.wire.messages import Observe
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence
from sim_server.questions.language.evaluator import verify
from sim_server.questions.realise import realise
from sim_server.sensing.contact_sheet import overview_poses
from sim_server.sensing.degradations import DegradedScene, degraded
from sim_server.sensing.lens import bend, sources

CAMERA = Camera(72, 56)


@pytest.fixture(scope="module")
def scene():
    return RoomsBackend().open(SceneSpec(seed=5, min_objects=8, max_objects=10))


@pytest.fixture(scope="module")
def poses(scene):
    return overview_poses(scene, CAMERA, 4)


def image(scene, poses, *degradations, seed=1, seq=2, sensors=("rgb",)):
    return DegradedScene(scene, degradations, seed, seq).render(poses, CAMERA, sensors)


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_every_severity_changes_the_image_more_than_the_previous_one(scene, poses, name):
    clear = scene.render(poses, CAMERA, ("rgb",)).rgb.astype(float)
    changes = [
        np.abs(image(scene, poses, Degradation(name, severity)).rgb - clear).mean() for severity in range(SEVERITIES)
    ]
    assert changes[0] > 0.2, "the mildest severity is visible"
    assert all(milder < worse for milder, worse in zip(changes, changes[1:])), changes


@pytest.mark.parametrize("name", DEGRADATIONS)
def test_the_same_seed_gives_the_same_bits_and_another_does_not(scene, poses, name):
    degradation = Degradation(name, 2)
    first = image(scene, poses, degradation).rgb
    assert (first == image(scene, poses, degradation).rgb).all()
    drawn = name in ("dirt", "motion_blur", "low_light", "noise")
    assert (first != image(scene, poses, degradation, seq=3).rgb).any() == drawn
    assert (first != image(scene, poses, degradation, seed=2).rgb).any() == drawn


def test_the_order_of_degradations_does_not_matter(scene, poses):
    pair = (Degradation("noise", 1), Degradation("fog", 2))
    assert (image(scene, poses, *pair).rgb == image(scene, poses, *reversed(pair)).rgb).all()


def test_noise_differs_between_views_and_dirt_does_not(scene, poses):
    twice = (poses[0], poses[0])
    noisy = image(scene, twice, Degradation("noise", 2)).rgb
    assert (noisy[0] != noisy[1]).any()
    dirty = image(scene, twice, Degradation("dirt", 4)).rgb
    assert (dirty[0] == dirty[1]).all()


def test_degradations_of_colour_do_not_change_the_truth(scene, poses):
    clear = scene.render(poses, CAMERA, EVIDENCE_SENSORS)
    for name in DEGRADATIONS:
        if name in ("fog", "dirt", "lens_distortion"):
            continue
        frames = image(scene, poses, Degradation(name, 4), sensors=EVIDENCE_SENSORS)
        assert (frames.ids == clear.ids).all() and (frames.depth == clear.depth).all()
        assert frames.amodal == clear.amodal and frames.rgb is None


# ----------------------------------------------------------------------------- occlusion by fog and dirt


@pytest.mark.parametrize("name", ["fog", "dirt"])
def test_hidden_pixels_lower_only_the_visible_fraction(scene, poses, name):
    def visible_fractions(severity=None):
        asked = () if severity is None else (Degradation(name, severity),)
        world = Evidence.of(scene.description, image(scene, poses, *asked, sensors=EVIDENCE_SENSORS))
        return [view.seen for view in world.views]

    clear, worst = visible_fractions(), visible_fractions(4)
    lowered = 0
    for before, after in zip(clear, worst):
        assert before.keys() == after.keys()
        for key in before:
            assert after[key].pixels == before[key].pixels and after[key].u == before[key].u
            assert after[key].visible_fraction <= before[key].visible_fraction + 1e-3
            lowered += after[key].visible_fraction < 0.7 * before[key].visible_fraction
    assert lowered


def test_fog_hides_by_distance(scene, poses):
    """The remaining fraction is that of an object's pixels nearer than the distance with a transmission of 15 %."""
    frames = image(scene, poses, Degradation("fog", 4), sensors=EVIDENCE_SENSORS)
    clear = scene.render(poses, CAMERA, EVIDENCE_SENSORS)
    before, after = Evidence.of(scene.description, clear), Evidence.of(scene.description, frames)
    focal_px = CAMERA.width_px / 2 / math.tan(CAMERA.hfov_rad / 2)
    rows, columns = np.mgrid[0 : CAMERA.height_px, 0 : CAMERA.width_px] + 0.5
    ray = np.sqrt(1 + ((columns - 36) / focal_px) ** 2 + ((rows - 28) / focal_px) ** 2)
    for index, view in enumerate(after.views):
        near = clear.depth[index] * ray < -math.log(0.15) / 0.5
        for key, truth in view.seen.items():
            own = clear.ids[index] == key
            expected = before.views[index].seen[key].visible_fraction * (near & own).sum() / own.sum()
            assert truth.visible_fraction == pytest.approx(expected, abs=0.01)


def test_questions_in_thick_fog_are_about_near_objects(scene):
    """In specs realised in fog, most of each mentioned object is within the visible distance."""
    asked = 0
    for seq in range(12):
        spec = TaskSpec("t", 3, seq, scene.spec, QuestionSpec("depth_order"), CAMERA, 1, (Degradation("fog", 4),))
        try:
            found = realise(scene, spec, ("rgb", "depth", "ids"))
        except Infeasible:
            continue
        asked += 1
        for mention in found.question.mentions:
            depths = found.frames.depth[0][found.frames.ids[0] == mention.object_id]
            assert np.median(depths) < -math.log(0.15) / 0.5
    assert asked


def test_a_skill_that_needs_undistorted_views_refuses_degradations_that_hide(scene):
    for name in DEGRADATIONS:
        spec = TaskSpec("t", 3, 1, scene.spec, QuestionSpec("visibility_compare"), CAMERA, 2, (Degradation(name, 0),))
        if name in HIDING:
            with pytest.raises(Infeasible, match=f"needs views without {name}; leave that degradation out"):
                realise(scene, spec)
        else:
            assert realise(scene, spec).question.answer in ("Image 1", "Image 2")


# ----------------------------------------------------------------------------- lens distortion


@given(u=st.floats(-2, 3), v=st.floats(-2, 3), k=st.floats(0.02, 0.6))
def test_bend_is_the_inverse_of_sources(u, v, k):
    width, height = 128, 96
    bent_u, bent_v = bend(np.array([u]), np.array([v]), k, width, height)
    x, y = (bent_u - 0.5) * width, (bent_v - 0.5) * height
    scale = (1 + k * (x**2 + y**2) / ((width**2 + height**2) / 4)) / (1 + k)
    assert 0.5 + x * scale / width == pytest.approx(u, abs=1e-6)
    assert 0.5 + y * scale / height == pytest.approx(v, abs=1e-6)


def test_ids_depth_and_colour_are_distorted_equally(scene, poses):
    clear = scene.render(poses, CAMERA, ("rgb", "depth", "ids"))
    bent = image(scene, poses, Degradation("lens_distortion", 4), sensors=("rgb", "depth", "ids"))
    where, _ = sources(CAMERA.height_px, CAMERA.width_px, bent.lens)
    for row, column in [(0, 0), (3, 60), (28, 36), (50, 10), (55, 71)]:
        y, x = np.rint(where[row, column]).astype(int)
        assert bent.ids[0, row, column] == clear.ids[0, y, x]
        assert bent.depth[0, row, column] == clear.depth[0, y, x]
    # Colour is interpolated: it is exact only where the image is uniform around a pixel's source.
    for row, column in np.ndindex(CAMERA.height_px, CAMERA.width_px):
        y, x = where[row, column]
        patch = clear.rgb[0, int(y) : int(y) + 2, int(x) : int(x) + 2].reshape(-1, 3)
        assert (bent.rgb[0, row, column] >= patch.min(0)).all() and (bent.rgb[0, row, column] <= patch.max(0)).all()


def test_the_centre_of_an_object_moves_with_its_pixels(scene, poses):
    """Evidence uses the position of a box's centre in the distorted image, not in the pinhole image."""
    straight = Evidence.of(scene.description, scene.render(poses, CAMERA, EVIDENCE_SENSORS))
    frames = image(scene, poses, Degradation("lens_distortion", 4), sensors=EVIDENCE_SENSORS)
    bent = Evidence.of(scene.description, frames)
    moved = 0
    for before, after in zip(straight.views, bent.views):
        for key in before.centres.keys() & after.centres.keys():
            if key in before.cut or key in after.cut:
                continue
            shift = np.subtract(after.centres[key][:2], before.centres[key][:2])
            pixels = np.subtract((after.seen[key].u, after.seen[key].v), (before.seen[key].u, before.seen[key].v))
            assert shift == pytest.approx(pixels, abs=0.05)
            moved += np.abs(shift).max() > 0.01
    assert moved


def test_answers_are_correct_in_the_distorted_image(scene):
    asked = 0
    for seq in range(8):
        degradations = (Degradation("lens_distortion", 4), Degradation("noise", 1))
        spec = TaskSpec("t", 5, seq, scene.spec, QuestionSpec("view_direction", 4, 0), CAMERA, 1, degradations)
        try:
            found = realise(scene, spec, ("rgb", "depth", "ids"))
        except Infeasible:
            continue
        asked += 1
        assert verify(found.question, scene.description, found.frames)
        places = []
        for mention in found.question.mentions:
            rows, columns = np.nonzero(found.frames.ids[0] == mention.object_id)
            places.append((columns.mean(), rows.mean()))
        first, second = places  # paraphrase 0 asks for the direction of the first from the second
        across, down = first[0] - second[0], first[1] - second[1]
        assert {"left": across < 0, "right": across > 0, "above": down < 0, "below": down > 0}[found.question.answer]
    assert asked


# ----------------------------------------------------------------------------- parsing


@pytest.mark.parametrize("text", ["fog", "fog:5", "fog:-1", "rain:1", "fog:1.5", "fog:٣", ""])
def test_invalid_degradations_are_rejected(text):
    with pytest.raises(ValueError):
        Degradation.parse(text)


def test_repeated_degradations_are_rejected(scene):
    with pytest.raises(VantageError, match="is repeated"):
        DegradedScene(scene, (Degradation("fog", 1), Degradation("fog", 2)), 0, 0)


def test_observe_degrades_a_view_like_the_episode_at_the_same_index(scene, poses):
    worse = (Degradation("motion_blur", 2), Degradation("noise", 1), Degradation("dirt", 2))
    together = DegradedScene(scene, worse, 5, 7).render(poses, CAMERA, ("rgb",)).rgb
    assert together is not None
    for index, pose in enumerate(poses):
        message = Observe(scene.spec, CAMERA, pose, degradations=worse, run_seed=5, seq=7, index=index)
        alone = degraded(scene, message).render((pose,), CAMERA, ("rgb",)).rgb
        assert alone is not None and np.array_equal(alone[0], together[index])
    assert degraded(scene, Observe(scene.spec, CAMERA, poses[0])) is scene
