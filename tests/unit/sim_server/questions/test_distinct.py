"""A question is about objects that a person can tell from their surroundings."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from protocol.errors import Infeasible
from protocol.tasks.scene import SceneSpec
from protocol.tasks.specs import World, task_spec
from sim_server.backends.base import Frames
from sim_server.questions.distinct import distinct
from sim_server.questions.realise import realise
from tests.support.questions.fake_scene import FakeScene

MASK = np.zeros((40, 60), bool)
MASK[10:30, 20:40] = True


def _image(inside: int, around: int, texture: int = 0) -> np.ndarray:
    image = np.full((*MASK.shape, 3), around, np.uint8)
    image[MASK] = inside
    image[MASK] += (np.arange(MASK.sum()) % 2 * texture).astype(np.uint8)[:, None]
    return image


@pytest.mark.parametrize(
    ("case", "image", "seen"),
    [
        ("in the dark", _image(6, 12, 6), False),
        ("a silhouette before a window", _image(6, 120, 6), True),
        ("black furniture in a dim room", _image(12, 30, 12), True),
        ("a white plate on a white table", _image(200, 203, 3), False),
        ("a textured object before its own colour", _image(200, 203, 20), True),
        ("a plain object before a lighter wall", _image(90, 140), True),
    ],
)
def test_an_object_is_distinct_if_it_is_lit_or_differs_from_its_surroundings(
    case: str, image: np.ndarray, seen: bool
) -> None:
    assert distinct(image, MASK) == seen, case


class _Dim(FakeScene):
    """A home, in which some objects have no colour word, at a given brightness."""

    level = 1.0

    def render(self, poses, camera, sensors) -> Frames:
        frames = super().render(poses, camera, sensors)
        if frames.rgb is not None:
            frames.rgb = (frames.rgb * self.level).astype(np.uint8)
        return frames


@pytest.mark.parametrize("sensors", [(), ("rgb",), ("depth", "ids")])
def test_nothing_is_asked_about_objects_in_the_dark(sensors: tuple[str, ...]) -> None:
    spec = SceneSpec(seed=2, min_objects=6, max_objects=8)
    scene = _Dim(spec)
    objects = tuple(
        msgspec.structs.replace(item, color="") if item.id == 1 else item for item in scene.description.objects
    )
    scene = _Dim(spec, objects)
    order = task_spec(
        World(width_px=64, height_px=48), 0, spec, spec_id="a", seq=3, skill="camera_object_distance", level=1
    )
    found = realise(scene, order, sensors)
    assert (found.frames.rgb is not None) == ("rgb" in sensors)
    scene.level = 0.03
    with pytest.raises(Infeasible):
        realise(scene, order, sensors)
