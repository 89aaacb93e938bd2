"""Camera response, patterns, materials, times of day and the view outside."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from protocol.seeds import rng_for
from protocol.tasks.scene import LIGHTS, Camera, SceneSpec
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.building.outside import outside_of, panorama
from sim_server.backends.rooms.building.plan import make_plan
from sim_server.backends.rooms.draw import textures
from sim_server.backends.rooms.draw.drawing import view_axes
from sim_server.backends.rooms.draw.film import NEUTRAL, film_of
from sim_server.backends.rooms.draw.kinds import ALTERNATIVES, KINDS
from sim_server.backends.rooms.draw.materials import natural_materials
from sim_server.backends.rooms.draw.shade import developed
from sim_server.backends.rooms.furnish.catalogue import CATEGORIES
from sim_server.backends.rooms.light.mood import BULB_GLOW, MOODS, blind_drops, ceilings_lit
from sim_server.backends.rooms.scene import RoomsScene
from sim_server.sensing.observe import look_at
from tests.support.rooms import silent

pytestmark = pytest.mark.timeout(600)  # the first test may compile the kernels

SPACES = np.zeros((1, 2), np.float32), np.full((1, 2), 4, np.float32)
WHITE = np.ones(3, np.float32)


def natural(seed: int, light: str = "day", rooms: int = 2) -> SceneSpec:
    return SceneSpec(
        seed=seed, rooms=rooms, min_objects=10 * rooms, max_objects=12 * rooms, palette="natural", light=light
    )


def opened(spec: SceneSpec) -> RoomsScene:
    scene = RoomsBackend().open(spec)
    assert isinstance(scene, RoomsScene)
    return scene


# ---------------------------------------------------------------------- camera


def test_noise_depends_on_the_pose_alone_and_grows_with_its_setting() -> None:
    scene = opened(natural(3))
    x, _, z = scene.sample_navigable(np.random.default_rng(0))
    here, there = look_at((x, 1.5, z), (x + 1, 1.4, z)), look_at((x, 1.5, z), (x + 1, 1.4, z + 0.01))
    camera = Camera(64, 48)
    first, again, other = (scene.render([pose], camera, ("rgb",)).rgb for pose in (here, here, there))
    clean, moved = (silent(scene).render([pose], camera, ("rgb",)).rgb for pose in (here, there))
    assert first is not None and again is not None and other is not None and clean is not None and moved is not None
    assert (first == again).all()
    assert np.abs(first.astype(int) - other).mean() > np.abs(clean.astype(int) - moved).mean()


def test_turning_changes_neither_exposure_nor_white_balance() -> None:
    film = film_of(natural(5), *SPACES, np.array([0.1], np.float32), WHITE)
    poses = [look_at((1.0, 1.5, 1.0), target) for target in ((3.0, 1.0, 1.0), (1.0, 1.2, 3.0))]
    first, second = (film.at(*view_axes(pose)) for pose in poses)
    assert (first.gains == second.gains).all() and first.seed != second.seed
    moved = film.at(*view_axes(look_at((1.5, 1.5, 1.0), (3.0, 1.0, 1.0))))
    assert (moved.gains != first.gains).all()


def test_metering_brightens_dark_rooms_and_balances_coloured_light() -> None:
    for seed in range(20):
        dim, bright = (film_of(natural(seed), *SPACES, np.array([v], np.float32), WHITE) for v in (0.02, 0.3))
        assert dim.overall.gains.mean() > 3 * bright.overall.gains.mean()
    warm = [film_of(natural(s), *SPACES, WHITE[:1], np.array([2.0, 1.2, 0.6], np.float32)) for s in range(60)]
    balance = [film.overall.gains[2] / film.overall.gains[0] for film in warm]
    assert 2.0 < np.median(balance) < 3.5, "the light is 3.3 times as red as blue"


def test_the_named_palette_has_a_neutral_camera() -> None:
    scene = opened(SceneSpec(seed=3))
    assert scene.film.overall is NEUTRAL
    assert scene.film.at(*view_axes(look_at((0, 1.5, 0), (1, 1.5, 0)))) is NEUTRAL


def test_exports_are_developed_without_noise() -> None:
    film = film_of(natural(5), *SPACES, np.array([0.1], np.float32), WHITE)
    assert film.overall.noise > 0
    flat = developed(np.full((40, 3), 0.2, np.float32), film.overall)
    assert (flat == flat[0]).all()


# ---------------------------------------------------------------------- patterns and materials


def test_patterns_tile_and_their_mip_levels_have_the_same_mean() -> None:
    assert textures.bank().dtype == np.uint8
    for k, name in enumerate(textures.NAMES):
        fine = textures.mip_level(k, 0)
        for axis in (0, 1):
            steps = np.abs(np.diff(fine, axis=axis)).mean(1 - axis)
            seam = np.abs(np.take(fine, 0, axis) - np.take(fine, -1, axis)).mean()
            if name not in ("shore", "summits", "film"):  # their upper edge is not their lower one
                assert seam <= steps.max() + 0.02, name
        for level in range(1, textures.LEVELS):
            assert textures.mip_level(k, level).mean() == pytest.approx(fine.mean(), abs=0.01)


def test_every_kind_is_known() -> None:
    for kind in KINDS.values():
        assert kind.pattern in textures.NAMES
    for name, others in ALTERNATIVES.items():
        assert name in KINDS and set(others) <= set(KINDS)
    for category in CATEGORIES.values():
        for shape in category.shapes:
            for seed in range(3):
                model = shape(np.random.default_rng(seed))
                assert {slot for _, slot in model.parts} <= set(model.kinds), shape.__name__
                assert set(model.kinds.values()) <= set(KINDS), shape.__name__


def test_natural_materials_vary_between_objects_and_match_within_one() -> None:
    kinds = {"main": "fabric", "second": "fabric", "leg": "wood"}
    found = [natural_materials(kinds, 0.0, (1, 1, 1), np.random.default_rng(seed)) for seed in range(60)]
    assert len({look["main"] for look in found}) > 50
    assert len({look["main"].pattern for look in found}) >= 4
    assert sum(look["main"] == look["second"] for look in found) > 30


def test_a_lamp_is_on_with_the_given_probability_and_shines_in_its_colour() -> None:
    kinds = {"main": "shade", "bulb": "glow"}
    for lit, least, most in ((0.0, 0, 0), (0.5, 20, 60), (1.0, 80, 80)):
        looks = [natural_materials(kinds, lit, (1.0, 0.5, 0.25), np.random.default_rng(seed)) for seed in range(80)]
        on = [look for look in looks if look["bulb"].glow > BULB_GLOW]
        assert least <= len(on) <= most
        assert all(look["main"].glow > 0 and look["bulb"].high[2] < 0.3 * look["bulb"].high[0] for look in on)
        assert all(look["main"].glow == 0 for look in looks if look not in on)


# ---------------------------------------------------------------------- light


def test_no_home_is_too_dark_for_its_camera() -> None:
    for light in LIGHTS:
        for seed in (11, 12):
            scene = opened(natural(seed, light, rooms=3))
            rng = np.random.default_rng(seed)
            dark = 0
            for _ in range(12):
                x, _, z = scene.sample_navigable(rng)
                target = scene.description.objects[int(rng.integers(len(scene.description.objects)))].box.centre_m
                rgb = scene.render([look_at((x, 1.5, z), target)], Camera(64, 48), ("rgb",)).rgb
                assert rgb is not None
                dark += rgb.mean() < 30
            assert dark <= 2, (light, seed)


def test_a_room_without_other_light_has_its_ceiling_lamp_on() -> None:
    for seed in range(40):
        for light in LIGHTS:
            spec = natural(seed, light, rooms=5)
            plan = make_plan(spec, rng_for(seed, "rooms", "plan"))
            lit = ceilings_lit(spec, plan, set())
            if MOODS[light].sky[0] < 1:
                assert all(lit)
            for room in range(len(plan.rooms)):
                holes = [h for owner, own in zip(plan.room_of, plan.holes) if owner == room for h in own]
                if not any(h.kind == "window" for h in holes):
                    assert lit[room]
            assert all(ceilings_lit(SceneSpec(seed=seed, rooms=5), plan, set()))


def test_blinds_are_down_more_often_at_night() -> None:
    def down(light: str) -> float:
        drops: list[float] = []
        for seed in range(60):
            spec = natural(seed, light, rooms=4)
            for own in blind_drops(spec, make_plan(spec, rng_for(seed, "rooms", "plan"))):
                drops += own
        assert all(0 <= drop <= 1 for drop in drops)
        return float(np.mean([drop > 0 for drop in drops]))

    assert 0.02 < down("day") < down("night") < 0.6


def test_a_closed_blind_hides_the_view_and_takes_the_light() -> None:
    shown = [(spec, drops) for spec, drops in ((natural(s), _drops(natural(s))) for s in range(40)) if 1.0 in drops]
    spec, _ = shown[0]
    scene = opened(spec)
    window = next(
        hole
        for own, drops in zip(scene.plan.holes, blind_drops(spec, scene.plan))
        for hole, drop in zip(own, drops)
        if drop == 1.0
    )
    slats = textures.NAMES.index("slats")
    faces = np.flatnonzero(scene.geometry.material_pattern[scene.geometry.face_material] == slats)
    tall = np.ptp(scene.geometry.positions[scene.geometry.faces[faces]].reshape(-1, 3)[:, 1])
    assert tall == pytest.approx(window.high_m - window.low_m, abs=0.02)


def _drops(spec: SceneSpec) -> list[float]:
    plan = make_plan(spec, rng_for(spec.seed, "rooms", "plan"))
    return [drop for own in blind_drops(spec, plan) for drop in own]


# ---------------------------------------------------------------------- outside


def test_homes_have_five_views_outside_and_the_named_palette_one() -> None:
    seen = Counter(id(outside_of(natural(seed)).texels) for seed in range(60))
    assert len(seen) == 5 and min(seen.values()) >= 4
    assert {id(outside_of(SceneSpec(seed=seed)).texels) for seed in range(20)} == {id(panorama("garden", "day").texels)}


def test_outside_is_bright_by_day_and_has_lit_windows_at_night() -> None:
    def radiance(place: str, light: str) -> np.ndarray:
        found = panorama(place, light)
        return (found.texels.astype(np.float32) ** 2 * found.scale).mean(2)

    for place in ("garden", "street", "skyline"):
        means = [float(radiance(place, light).mean()) for light in ("day", "overcast", "evening", "night")]
        assert means[0] > 0.5 and means[1] > 0.5 and means[1] > 5 * means[2] > 10 * means[3] > 0
    night = radiance("street", "night")
    assert 0.002 < (night > 0.3).mean() < 0.2
    assert (radiance("garden", "night") > 0.3).mean() == 0
