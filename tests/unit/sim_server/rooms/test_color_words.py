"""Colour words of objects in the natural palette."""

from __future__ import annotations

import math

import numpy as np
import pytest

from protocol.tasks.scene import Camera, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.draw.color_words import lab, object_word, word_of
from sim_server.backends.rooms.draw.kinds import Rgb
from sim_server.backends.rooms.draw.materials import NAMED_COLORS, Material, linear, surface
from sim_server.backends.rooms.mesh import box
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.sensing.observe import look_at
from tests.support.rooms import silent

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels


def plain(color: Rgb) -> Material:
    return surface("plain", color, color, 1.0)


@pytest.mark.parametrize(
    ("color", "word"),
    [
        *((color, word) for word, color in NAMED_COLORS.items()),
        ((240, 240, 238), "white"),
        ((30, 30, 32), "black"),
        ((124, 124, 124), "grey"),
        ((98, 64, 42), "brown"),
        ((228, 150, 170), "pink"),
        ((40, 66, 120), "blue"),
        ((70, 118, 54), "green"),
    ],
)
def test_clear_colours_have_their_word(color: Rgb, word: str) -> None:
    assert word_of(plain(color)) == word


@pytest.mark.parametrize(
    "color",
    [
        (38, 128, 132),  # teal
        (226, 210, 180),  # cream
        (205, 166, 118),  # pale wood
        (200, 202, 204),  # light grey or white
        (64, 64, 68),  # dark grey or black
        (196, 96, 62),  # terracotta: red, orange or brown
        (150, 176, 188),  # pale greyish blue
        (120, 128, 90),  # olive
    ],
)
def test_colours_on_which_people_differ_have_none(color: Rgb) -> None:
    assert word_of(plain(color)) == ""


def test_lab_of_white_and_of_a_primary() -> None:
    assert lab((1.0, 1.0, 1.0)) == pytest.approx([100.0, 0.0, 0.0], abs=1e-3)
    assert lab((1.0, 0.0, 0.0)) == pytest.approx([53.24, 80.09, 67.20], abs=0.02)  # sRGB red, published value


def test_a_pattern_of_two_colours_and_a_glowing_surface_have_no_word() -> None:
    assert word_of(surface("check", (230, 230, 230), (205, 32, 36), 1.0)) == ""
    assert word_of(plain((240, 240, 238))._replace(glow=1.0)) == ""


def test_a_word_must_fit_nearly_the_whole_object() -> None:
    red, grey = plain((205, 32, 36)), plain((124, 124, 124))
    large, small, half = box((1.0, 1.0, 1.0)), box((0.3, 0.3, 0.3)), box((0.9, 0.9, 0.9))
    assert object_word([(large, "main"), (small, "detail")], {"main": red, "detail": grey}) == "red"
    assert object_word([(large, "main"), (half, "detail")], {"main": red, "detail": grey}) == ""


def test_the_images_show_the_words() -> None:
    """By day and without noise, the chroma of an object's pixels has the hue of its word, or is small."""
    hues = {"red": 28, "orange": 61, "yellow": 91, "green": 145, "blue": 280, "purple": 325, "pink": 4, "brown": 62}
    right = seen = 0
    for seed in range(9):
        made = RoomsBackend().open(SceneSpec(seed=seed, rooms=2, min_objects=24, max_objects=28, palette="natural"))
        assert isinstance(made, RoomsScene)
        scene, rng = silent(made), np.random.default_rng(seed)
        colored = [item for item in scene.description.objects if item.color]
        for item in colored:
            x, _, z = scene.sample_navigable(rng)
            frames = scene.render([look_at((x, 1.5, z), item.box.centre_m)], Camera(96, 96), ("rgb", "ids"))
            assert frames.rgb is not None and frames.ids is not None
            pixels = frames.rgb[0][frames.ids[0] == item.id]
            if len(pixels) < 60:
                continue
            red, green, blue = np.median(pixels, axis=0).tolist()
            _, a, b = lab(tuple(linear((red, green, blue)).tolist()))
            chroma, hue = math.hypot(a, b), math.degrees(math.atan2(b, a))
            if item.color in hues:
                right += chroma > 8 and abs((hue - hues[item.color] + 180) % 360 - 180) < 45
            else:
                right += chroma < 22
            seen += 1
    assert seen >= 15 and right / seen >= 0.9
