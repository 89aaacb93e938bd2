"""Questions that a person would call valid: names, counts, slivers, walls, supports and plausible options."""

from __future__ import annotations

from typing import Sequence

import msgspec
import numpy as np
import pytest

from protocol.tasks.scene import OrientedBox, Room, SceneDescription, SceneObject
from protocol.tasks.task import ObjectTruth
from sim_server.questions.evidence import Evidence, ViewEvidence, unique_names
from sim_server.questions.families import FAMILIES
from sim_server.questions.families.rules import Comparable, shown_in_part, uniquely_named
from sim_server.questions.families.single.perceive import groups
from sim_server.questions.families.single.small import SmallLocation
from sim_server.questions.family import Candidate, Findings, Target
from sim_server.questions.nouns import Naming, countable, nouns_of
from sim_server.questions.sizes import size_class
from tests.support.questions.pools import CAMERA, view_sets

POSE = view_sets(1)[0][0].views[0].pose
AREA = CAMERA.width_px * CAMERA.height_px


def _item(key: int, category: str, color: str = "", x: float = 0.0, room: int = 1, support: int = 0) -> SceneObject:
    return SceneObject(key, category, OrientedBox((x, 0.4, -2.0), (0.2, 0.4, 0.2)), color, room, support)


def _view(items: Sequence[SceneObject], pixels: float = 0.05, visible: float = 1.0) -> ViewEvidence:
    """A view that shows each of the objects with this fraction of the image and this visible fraction."""
    seen = {
        item.id: ObjectTruth(
            item.id, item.category, item.color, round(pixels * AREA), 0.5, 0.5, 2.0, visible_fraction=visible
        )
        for item in items
    }
    centres = {item.id: (0.5, 0.5, 2.0) for item in items}
    nothing = np.zeros((CAMERA.height_px, CAMERA.width_px))
    return ViewEvidence(POSE, CAMERA, seen, frozenset(), centres, nothing.astype(np.int32), nothing.astype(np.float32))


def _evidence(items: Sequence[SceneObject], *views: ViewEvidence) -> Evidence:
    description = SceneDescription("s", "fake", (), (), tuple(items))
    return Evidence(description, views, {item.id: item for item in items})


# ----------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("general", "special"),
    [
        ("chair", "armchair"), ("chair", "office chair"), ("table", "coffee table"), ("table", "desk"),
        ("lamp", "table lamp"), ("shelf", "bookshelf"), ("clock", "alarm clock"), ("plant", "cactus"),
        ("basket", "laundry basket"), ("bed", "dog bed"), ("sink", "washbasin"), ("cabinet", "wardrobe"),
        ("person", "woman"), ("stack of books", "bookshelf"),
    ],
)  # fmt: skip
def test_a_general_word_fits_the_special_object(general: str, special: str) -> None:
    items = [_item(1, general), _item(2, special), _item(3, "piano")]
    assert 1 not in unique_names(_evidence(items, _view(items)))
    assert 1 not in {item.id for item in uniquely_named(_evidence(items).description)}
    assert unique_names(_evidence(items, _view(items[1:]))) == {2: special, 3: "piano"}


@pytest.mark.parametrize(("one", "other"), [("sofa", "armchair"), ("television", "laptop"), ("table", "chair")])
def test_different_objects_keep_their_names(one: str, other: str) -> None:
    items = [_item(1, one), _item(2, other)]
    assert unique_names(_evidence(items, _view(items))) == {1: one, 2: other}


def test_a_name_without_a_color_fits_every_color() -> None:
    items = [_item(1, "chair", "red"), _item(2, "chair")]
    assert unique_names(_evidence(items, _view(items))) == {}
    assert Naming(items).fitting("chair") == 2 and Naming(items).fitting("chair", "red") == 2
    colored = [_item(1, "chair", "red"), _item(2, "armchair", "blue")]
    assert unique_names(_evidence(colored, _view(colored))) == {1: "red chair", 2: "blue armchair"}


def test_a_name_is_unique_within_its_room() -> None:
    items = [_item(1, "chair"), _item(2, "chair", room=2), _item(3, "plant", room=2), _item(4, "cactus", room=2)]
    assert [item.id for item in uniquely_named(_evidence(items).description)] == [1, 2, 4]


def test_nouns_of_an_unknown_category_are_its_last_words() -> None:
    assert nouns_of("garden chair") == {"garden chair", "chair"}
    assert nouns_of("stack of plates") == {"stack of plates"}


# ----------------------------------------------------------------------------- counts


def _kinds(*items: SceneObject) -> dict[str, int]:
    return {form: len(members) for form, members in groups(items)}


def test_only_kinds_that_people_count_are_counted() -> None:
    chairs = [_item(1, "chair"), _item(2, "chair")]
    assert _kinds(*chairs) == {"category chair": 2}
    assert _kinds(*chairs, _item(3, "armchair")) == {"category armchair": 1}  # is it a chair?
    assert _kinds(*chairs, _item(3, "curtain")) == {"category chair": 2}
    assert not countable("curtain") and not countable("stack of books")
    colored = (_item(1, "chair", "red"), _item(2, "table", "red"))
    assert _kinds(*colored) == {"category chair": 1, "category table": 1, "color red": 2}
    # An object without a colour word may be called red too, and no one knows how many red curtains there are.
    assert "color red" not in _kinds(*colored, _item(3, "sofa"))
    assert "color red" not in _kinds(*colored, _item(3, "curtain", "red"))


def _asked(skill: str, level: int, evidence: Evidence) -> list[tuple[str, tuple[int, ...]]]:
    found = Findings()
    FAMILIES[skill].judge(evidence, level, found)
    return [(item.key, item.objects) for item in found.accepted]


def test_a_sliver_makes_a_count_invalid(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.questions.families.several.scene.joined", lambda *_: True)
    chairs = [_item(1, "chair"), _item(2, "chair")]
    clear, sliver = _view(chairs), _view(chairs[:1], pixels=0.001, visible=0.1)
    assert _asked("object_count", 0, _evidence(chairs, clear)) == [("2", (1, 2))]
    assert _asked("object_count", 0, _evidence(chairs, sliver)) == []
    for skill in ("scene_count", "cameras_count"):
        part = _view(chairs[:1])
        other = _view(chairs[1:])
        assert _asked(skill, 0, _evidence(chairs, part, other)) == [("2", (1, 2))]
        assert _asked(skill, 0, _evidence(chairs, part, other, sliver)) == []


# ----------------------------------------------------------------------------- several cameras


def test_an_object_is_shared_only_if_every_image_shows_it_clearly() -> None:
    items = [_item(1, "sofa"), _item(2, "plant"), _item(3, "lamp")]
    first, second = _view(items[:2]), _view([items[0], items[2]])
    assert {objects[0] for _, objects in _asked("cameras_shared", 0, _evidence(items, first, second))} == {1}
    sliver = _view(items[:1], pixels=0.002, visible=0.1)
    with_sliver = msgspec.structs.replace(second, seen={**second.seen, **sliver.seen})
    assert _asked("cameras_shared", 0, _evidence(items, first, with_sliver)) == []
    # An option of which one image shows a sliver is no option: some would say that it is shared.
    leaf = msgspec.structs.replace(second, seen={**second.seen, 2: sliver.seen[1]})
    leaf = msgspec.structs.replace(leaf, centres={**second.centres, 2: (0.5, 0.5, 2.0)})
    assert all(2 not in objects for _, objects in _asked("cameras_shared", 0, _evidence(items, first, leaf)))
    assert shown_in_part(_evidence(items, first, leaf), 2, FAMILIES["object_color"].skill.levels[4].clarity)


# ----------------------------------------------------------------------------- distances


def test_distances_neither_pass_walls_nor_ask_about_supports() -> None:
    items = [
        _item(1, "table"), _item(2, "vase", support=1), _item(3, "flower", support=2), _item(4, "chair"),
        _item(5, "bed", room=2),
    ]  # fmt: skip
    outline = ((-9.0, -9.0), (9.0, -9.0), (9.0, 9.0))
    rooms = tuple(Room(key, "kitchen", outline, 0.0, 2.6) for key in (1, 2))
    description = SceneDescription("s", "fake", rooms, (), tuple(items))
    comparable, without_rooms = Comparable(description), Comparable(msgspec.structs.replace(description, rooms=()))
    pairs = {(a.id, b.id) for a in items for b in items if a.id < b.id and comparable(a, b)}
    assert pairs == {(1, 4), (2, 4), (3, 4)}
    assert without_rooms(items[0], items[4]) and not without_rooms(items[2], items[0])


@pytest.mark.parametrize("skill", ["relative_distance", "scene_relative_distance", "small_nearest", "object_distance"])
def test_no_option_carries_the_anchor_or_is_in_another_room(skill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sim_server.questions.families.several.scene.joined", lambda *_: True)
    small = msgspec.structs.replace(_item(2, "cup", x=0.3, support=1), box=OrientedBox((0.3, 0.9, -2.0), (0.05,) * 3))
    items = [
        _item(1, "table", x=0.3),
        small,
        *(_item(key, name, x=2.5 * key) for key, name in ((3, "plant"), (4, "ball"))),
    ]
    items += [_item(5, "bed", x=1.5, room=2)]
    rooms = tuple(Room(key, "kitchen", ((-9.0, -9.0), (9.0, -9.0), (9.0, 9.0)), 0.0, 2.6) for key in (1, 2))
    description = SceneDescription("s", "fake", rooms, (), tuple(items))
    view = _view(items)
    asked = _asked(skill, 0, msgspec.structs.replace(_evidence(items, view, view), description=description))
    assert asked
    for _, objects in asked:
        assert 5 not in objects and not {1, 2} <= {objects[0], objects[1]}


# ----------------------------------------------------------------------------- small objects and sizes


def test_books_on_a_shelf_are_books() -> None:
    cup = msgspec.structs.replace(_item(1, "cup", support=9), box=OrientedBox((0.0, 0.9, -2.0), (0.05, 0.05, 0.05)))
    books = msgspec.structs.replace(cup, id=2, category="stack of books")
    items = [cup, books, _item(3, "bookshelf")]
    absent = [objects for key, objects in _asked("small_presence", 0, _evidence(items, _view([cup]))) if key == "no"]
    assert absent == [(2,)]
    shelf = _view([cup, items[2]])
    assert [objects for key, objects in _asked("small_presence", 0, _evidence(items, shelf)) if key == "no"] == []


def test_the_usual_size_of_a_kind_is_not_asked() -> None:
    def table(half_m: float) -> SceneObject:
        return msgspec.structs.replace(_item(1, "table", "red"), box=OrientedBox((0.0, 0.4, -2.0), (half_m, 0.4, 0.3)))

    plain = _evidence([table(0.4)]).description
    assert [size_class(table(half_m), plain) for half_m in (0.4, 0.62, 0.9)] == ["short", "", "long"]
    assert size_class(_item(1, "bed"), plain) == ""
    for half_m, asked in ((0.4, ["short"]), (0.62, []), (0.9, ["long"])):
        item = table(half_m)
        assert [key for key, _ in _asked("object_size", 0, _evidence([item], _view([item])))] == asked


def test_in_a_home_only_kinds_of_common_lengths_have_a_size() -> None:
    def mirror(half_m: float) -> SceneObject:
        return msgspec.structs.replace(_item(1, "mirror"), box=OrientedBox((0.0, 1.4, -2.0), (0.1, half_m, 0.01)))

    home = _evidence([_item(1, "bed")]).description
    assert [size_class(mirror(half_m), home) for half_m in (0.1, 0.25, 0.35, 0.5, 0.9)] == ["", "short", "", "long", ""]
    assert size_class(msgspec.structs.replace(mirror(0.25), category="table"), home) == ""


@pytest.mark.parametrize("skill", ["object_category", "object_color"])
def test_in_a_home_the_usual_color_of_a_kind_is_not_asked(skill: str) -> None:
    plant, ball = _item(1, "plant", "green"), _item(2, "ball", "red")
    in_paint = _evidence([plant, ball], _view([plant, ball]))
    assert [objects for _, objects in _asked(skill, 0, in_paint)] == [(1,), (2,)]
    items = [plant, ball, _item(3, "bed")]
    assert [objects for _, objects in _asked(skill, 0, _evidence(items, _view(items)))] == [(2,)]


@pytest.mark.parametrize("skill", ["object_color", "object_location"])
def test_in_a_home_an_object_whose_centre_is_outside_the_image_is_not_asked(skill: str) -> None:
    items = [_item(1, "vase", "red"), _item(2, "bed")]
    view = _view(items)
    assert (1,) in [objects for _, objects in _asked(skill, 0, _evidence(items, view))]
    view.centres[1] = (1.05, 0.5, 2.0)
    assert (1,) not in [objects for _, objects in _asked(skill, 0, _evidence(items, view))]


@pytest.mark.parametrize("skill", ["object_color", "object_location"])
def test_in_a_home_a_part_at_the_border_is_not_asked(skill: str) -> None:
    items = [_item(1, "vase", "red"), _item(2, "bed")]
    view = _view(items)
    view.centres[1] = (0.97, 0.5, 2.0)
    assert (1,) in [objects for _, objects in _asked(skill, 0, _evidence(items, view))]
    view.cut = frozenset({1})
    assert (1,) not in [objects for _, objects in _asked(skill, 0, _evidence(items, view))]


@pytest.mark.parametrize(("skill", "form"), [("depth_order", "depth"), ("view_direction", "vertical")])
def test_in_a_home_nothing_is_compared_with_what_carries_it(skill: str, form: str) -> None:
    items = [_item(1, "bed"), _item(2, "stack of books", support=1), _item(3, "wardrobe")]
    view = _view(items)
    for key, (v, depth_m) in {1: (0.7, 2.0), 2: (0.4, 3.5), 3: (0.1, 6.0)}.items():
        view.seen[key] = msgspec.structs.replace(view.seen[key], v=v, depth_m=depth_m)
        view.centres[key] = (0.5, v, depth_m)

    def pairs(level: int, evidence: Evidence) -> set[tuple[int, ...]]:
        findings = Findings()
        FAMILIES[skill].judge(evidence, level, findings)
        return {item.objects for item in findings.accepted if item.form == form}

    level = 2
    assert pairs(level, _evidence(items, view)) == {(1, 3), (3, 1), (2, 3), (3, 2)}
    painted = [msgspec.structs.replace(item, color="red") for item in items]
    assert pairs(level, _evidence(painted, view)) >= {(1, 2), (2, 1)}


def test_in_a_home_an_object_cut_off_at_the_border_is_not_matched() -> None:
    items = [_item(1, "chair"), _item(2, "bed")]
    first, second = _view(items), _view(items)
    places = {1: ((0.17, 0.9), (0.83, 0.17)), 2: ((0.83, 0.17), (0.17, 0.83))}
    for index, view in enumerate((first, second)):
        for key, place in places.items():
            u, v = place[index]
            view.seen[key] = msgspec.structs.replace(view.seen[key], u=u, v=v)
            view.centres[key] = (u, v, 2.0)
    second.pose = msgspec.structs.replace(second.pose, position_m=(4.0, 1.5, -2.0))

    def asked() -> list[tuple[int, ...]]:
        return [objects for _, objects in _asked("object_match", 0, _evidence(items, first, second))]

    assert asked() == [(1,), (2,)]
    first.cut, first.centres[1] = frozenset({1}), (0.17, 0.98, 2.0)
    assert asked() == [(2,)]


def test_a_distance_is_right_as_often_as_wrong_in_locations_of_small_objects() -> None:
    family, rng = SmallLocation(), np.random.default_rng(0)
    places = {0.1: 2, 0.2: 6, 0.3: 3, 0.5: 2, 0.8: 1}  # how many small objects are so far from their neighbour
    found = [
        (POSE, Candidate("left", (round(100 * away_m) + copy, 1), 1.0, numbers=(away_m,)))
        for away_m, copies in places.items()
        for copy in range(copies)
    ]
    drawn = [family.choose(found, 1, Target("left", ()), rng) for _ in range(400)]
    pairs = [(one.about[0] // 10 / 10, one.numbers[0]) for one in drawn if one is not None]
    assert len(pairs) == 400 and all(right >= 2 * wrong or wrong >= 2 * right for right, wrong in pairs)
    assert all(abs(right - wrong) > 0.15 for right, wrong in pairs)  # 0.1 m and 0.2 m may both be nearly right
    assert 160 < sum(right < wrong for right, wrong in pairs) < 240
