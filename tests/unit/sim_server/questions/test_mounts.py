"""A mounted camera stays within its heights and pitches in every skill, whatever its images are for."""

from __future__ import annotations

import math

import pytest

from protocol.errors import Infeasible
from protocol.skills import CATALOGUE
from protocol.tasks.cameras import PRESETS
from protocol.tasks.scene import Pose
from protocol.tasks.specs import World, task_spec, training_scene
from sim_server.backends.rooms import RoomsBackend
from sim_server.questions.realise import realise
from sim_server.questions.views.viewpoints import CROUCHED_M
from sim_server.service.scenes import WarmScenes

OWN_HEIGHTS = {"camera_elevation"}  # its question is about the height
WITH_MAP = {"cross_view"}  # one of its images is a map from above
CROUCHED = {"visibility_compare", "object_match", "occlusion_removal"}  # low viewpoints see more occlusion


@pytest.mark.parametrize("preset", ["phone", "portrait", "robot"])
def test_every_view_keeps_to_the_mount(preset: str) -> None:
    world = World(rooms=2, min_objects=14, max_objects=20, clutter=0.7, width_px=96, height_px=64, cameras=(preset,))
    scenes = WarmScenes(RoomsBackend(), bound=3)
    realised = 0
    for seq, skill in enumerate(sorted(set(CATALOGUE) - WITH_MAP)):
        scene = training_scene(world, 5, seq % 3)
        level = CATALOGUE[skill].feasible_levels[0]
        spec = task_spec(world, 5, scene, spec_id=str(seq), seq=seq, skill=skill, level=level)
        try:
            found = realise(scenes.get(scene), spec)
        except Infeasible:
            continue
        realised += 1
        assert found.frames.rgb is not None
        assert found.frames.rgb.shape[1:3] == ((96, 64) if PRESETS[preset].upright else (64, 96))
        low_m, high_m = PRESETS[preset].height_m
        low_m = min(low_m, CROUCHED_M[0]) if skill in CROUCHED else low_m
        for pose in found.frames.poses:
            if skill not in OWN_HEIGHTS:
                assert low_m - 1e-6 <= pose.position_m[1] <= high_m + 1e-6, skill
            low_deg, high_deg = PRESETS[preset].pitch_deg
            assert low_deg - 0.01 <= math.degrees(_pitch_rad(pose)) <= high_deg + 0.01, skill
    assert realised >= 20


def _pitch_rad(pose: Pose) -> float:
    w, x, y, z = pose.rotation_wxyz
    return math.asin(max(-1.0, min(1.0, 2 * (w * x - y * z))))
