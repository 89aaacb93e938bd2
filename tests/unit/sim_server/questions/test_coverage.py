"""Views that show most: greedy coverage against the optimum and against random views."""

from __future__ import annotations

from itertools import combinations
from typing import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.tasks.scene import Camera, Pose, SceneSpec
from sim_server.questions.geometry import project, unproject
from sim_server.questions.views.coverage import (
    LEAST_OVERLAP,
    covering_poses,
    draw_poses_around,
    greedy_cover,
    overlap,
    voxels_shown,
)
from sim_server.questions.views.sets import LEAST_OBJECT, shoot
from tests.support.questions.fake_scene import FakeScene

SETS = st.lists(st.frozensets(st.integers(0, 30), max_size=12), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None)
@given(SETS, st.integers(1, 4))
def test_greedy_is_close_to_the_best_choice_and_every_view_adds(sets: list[frozenset[int]], most: int) -> None:
    chosen = greedy_cover([np.array(sorted(cells), np.int64) for cells in sets], most)
    assert len(chosen) == len(set(chosen)) <= most
    covered: set[int] = set()
    for index in chosen:
        assert not sets[index] <= covered
        covered |= sets[index]
    best = max(len(frozenset().union(*some)) for some in combinations(sets, min(most, len(sets))))
    assert len(covered) >= (1 - 1 / np.e) * best - 1e-9


def test_unprojected_pixels_project_back_to_themselves() -> None:
    scene, camera = FakeScene(SceneSpec(seed=2)), Camera(12, 8)
    (pose,) = covering_poses(scene, camera, 1, np.random.default_rng(0))
    frames = scene.render([pose], camera, ("depth",))
    assert frames.depth is not None
    u, v, z = project(pose, camera, unproject(pose, camera, frames.depth[0]))
    rows, columns = np.mgrid[:8, :12]
    assert np.allclose(u * 12, columns.ravel() + 0.5, atol=1e-4) and np.allclose(v * 8, rows.ravel() + 0.5, atol=1e-4)
    assert np.allclose(z, frames.depth[0].ravel(), rtol=1e-5)


def test_chosen_views_overlap_and_show_more_than_random_ones() -> None:
    camera = Camera(48, 48)
    for seed in range(4):
        scene = FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6))

        def shown(poses: Sequence[Pose], scene: FakeScene = scene) -> list[np.ndarray]:
            frames = scene.render(poses, camera, ("depth",))
            assert frames.depth is not None
            pairs = zip(poses, frames.depth)
            return [voxels_shown(scene.description, pose, camera, depth) for pose, depth in pairs]

        def total(poses: Sequence[Pose]) -> int:
            return len(np.unique(np.concatenate(shown(poses))))

        chosen = covering_poses(scene, camera, 3, np.random.default_rng(seed))
        drawn = [total(draw_poses_around(scene, Camera(48, 48), np.random.default_rng(100 + k))[:3]) for k in range(5)]
        assert len(chosen) == 3 and total(chosen) > np.mean(drawn)
        first, second, third = shown(chosen)
        assert overlap(first, second) >= LEAST_OVERLAP
        assert max(overlap(first, third), overlap(second, third)) >= LEAST_OVERLAP
        (one,) = covering_poses(scene, camera, 1, np.random.default_rng(seed), only=frozenset({1}))
        ids = scene.render([one], camera, ("ids",)).ids
        assert ids is not None and np.any(ids == 1)


def test_images_of_bare_walls_are_not_chosen() -> None:
    camera = Camera(48, 48)
    scene = FakeScene(SceneSpec(seed=1, min_objects=3, max_objects=3))
    poses = draw_poses_around(scene, camera, np.random.default_rng(0))
    shots = shoot(scene, camera, np.random.default_rng(0))
    assert 2 <= len(shots.poses) < len(poses)
    for pose, view in zip(shots.poses, shots.evidence.views):
        assert pose in poses and view.pose == pose
        assert max(truth.pixels for truth in view.seen.values()) >= LEAST_OBJECT * 48 * 48
