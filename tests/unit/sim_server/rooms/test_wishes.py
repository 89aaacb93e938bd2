"""Homes contain what their spec wishes for."""

import math
from collections import Counter

import pytest

from protocol.errors import Infeasible, VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import SceneSpec, Wish
from sim_server.backends.rooms import RoomsBackend
from sim_server.backends.rooms.building.plan import make_plan
from sim_server.backends.rooms.furnish.place import furnished
from sim_server.backends.rooms.furnish.placed import Placed

SEEDS = (1, 2, 3, 4)


def home(seed: int, *wishes: Wish) -> list[Placed]:
    spec = SceneSpec(
        seed=seed, rooms=2, min_objects=16, max_objects=32, clutter=0.6, palette="natural", wishes=tuple(wishes)
    )
    return furnished(spec, make_plan(spec, rng_for(seed, "rooms", "plan")))[0]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_home_has_exactly_three_chairs_in_one_room_two_of_them_alike(seed: int):
    chairs = [item for item in home(seed, Wish("several", 3, "chair", 2)) if item.category.name == "chair"]
    assert len(chairs) == 3 and len({item.room for item in chairs}) == 1
    assert Counter(item.look for item in chairs)[-1] == 1, "one has materials of its own"
    sizes = Counter(tuple((item.high - item.low).round(6)) for item in chairs)
    assert sorted(sizes.values()) == [1, 2]


@pytest.mark.parametrize("kind", ["several", "small", "loose"])
def test_the_same_spec_gives_the_same_home(kind: str):
    first, second = ([(*item[3:8], item.category.name) for item in home(5, Wish(kind))] for _ in range(2))
    assert first == second != [(*item[3:8], item.category.name) for item in home(5)]


def test_the_number_of_several_objects_varies():
    numbers = Counter[int]()
    for seed in range(8):
        floor = Counter(item.category.name for item in home(seed, Wish("several")) if item.support == -1)
        numbers[max(floor[name] for name in ("ball", "basket", "box", "ottoman", "stool"))] += 1
    assert len(numbers) > 1 and min(numbers) >= 3


@pytest.mark.parametrize("seed", SEEDS)
def test_each_small_object_is_nearest_to_the_other_one_of_its_pair(seed: int):
    placed, plain = home(seed, Wish("small")), home(seed)
    assert plain != placed
    names = ("alarm clock", "bottle", "bowl", "candle", "statue", "vase")
    on_base = Counter(item.support for item in placed if item.category.name in names and item.support >= 0)
    sets = [
        four
        for base, count in on_base.items()
        if count == 4 and len(four := [item for item in placed if item.support == base]) == 4
    ]
    assert any(all(_mate(item, four) == mate for item, mate in zip(four, (1, 0, 3, 2))) for four in sets)


def _mate(item: Placed, others: list[Placed]) -> int:
    """The index of the object nearest to the item."""
    apart = [math.hypot(item.x_m - one.x_m, item.z_m - one.z_m) if one is not item else math.inf for one in others]
    return apart.index(min(apart))


@pytest.mark.parametrize("seed", SEEDS)
def test_loose_objects_are_the_only_ones_of_their_category(seed: int):
    counts = Counter(item.category.name for item in home(seed, Wish("loose", 3)))
    free = ("ball", "basket", "box", "ottoman", "stool", "coat rack", "fan")
    assert sum(counts[name] == 1 for name in free) >= 3


def test_a_wish_that_does_not_fit_says_so():
    with pytest.raises(Infeasible, match="wish for fewer"):
        home(1, Wish("several", 12, "bed"))


def test_wrong_wishes_are_named():
    with pytest.raises(VantageError, match="no furniture 'unicorn'"):
        home(1, Wish("several", 2, "unicorn"))
    with pytest.raises(ValueError, match="wishes are several, small, loose"):
        Wish("many")
    with pytest.raises(ValueError, match="alike <= count"):
        Wish("several", 2, alike=3)
    with pytest.raises(ValueError, match="neither a category"):
        Wish("small", category="cup")
    with pytest.raises(ValueError, match="one wish of each kind"):
        SceneSpec(wishes=(Wish("small"), Wish("small")))
    with pytest.raises(VantageError, match="take no wishes"):
        RoomsBackend().open(SceneSpec(wishes=(Wish("small"),)))
