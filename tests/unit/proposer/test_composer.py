"""Composed questions: typed, affordable, worded about exactly their objects, and clear in the scenes they are about."""

from __future__ import annotations

import re

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proposer.composer.bind import bind
from proposer.composer.draw import MOST_DEPTH, derive_form, draw_form, is_sound
from proposer.composer.forms import (
    FROM_CAMERA,
    IMAGE_X,
    LENGTH,
    TO,
    Best,
    Compare,
    Compared,
    Form,
    HowMany,
    InSecond,
    Measure,
    Ref,
    Shown,
    Which,
    decode_form,
    depth,
    encode_form,
    needs_second_view,
    slots,
    words,
)
from proposer.composer.kinds import _looks, kind_of
from proposer.composer.looks import Look, box_distance_m, eye_distance_m
from proposer.composer.meaning import Unclear, answer, read
from proposer.composer.programs import program
from proposer.composer.wording import sentence
from protocol.seeds import rng_for
from protocol.tasks.kinds import kind_name, parse_kind
from protocol.tasks.scene import OrientedBox
from sim_server.questions import geometry
from sim_server.questions.language.checker import MAX_COST, check, cost_of
from sim_server.questions.language.parser import parse
from sim_server.questions.propose.names import Vocabulary
from sim_server.questions.propose.programs import object_ids

GIVES = {"number": "number", "choice": ("text", "bool")}
SEEDS = st.integers(0, 2**32 - 1)


def look_of(index: int, views: int = 1) -> Look:
    look, _ = _looks()[index % len(_looks())]
    return msgspec.structs.replace(look, poses=look.poses[:views], seen=look.seen[:views])


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(1, MOST_DEPTH), st.integers(1, 2))
def test_every_form_has_a_typed_affordable_program(seed: int, wanted: int, views: int) -> None:
    form = draw_form(rng_for(seed, "form"), wanted, views)
    assert is_sound(form) and abs(depth(form) - wanted) <= 1
    assert views > 1 or not needs_second_view(form)
    assert decode_form(encode_form(form)) == form
    node = parse(program(form.question, range(1, 9), [("category", "chair")] * 4))
    assert check(node) in ("number", "bool", "text")
    assert cost_of(node) <= MAX_COST
    assert sorted(object_ids(node)) == [slot + 1 for slot in slots(form.question)]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.integers(1, 4), st.integers(1, 2))
def test_a_sentence_names_exactly_the_objects_of_its_program(seed: int, wanted: int, views: int) -> None:
    rng = rng_for(seed, "bind")
    form = draw_form(rng, wanted, views)
    views = 2 if needs_second_view(form) else 1
    for index in range(3):
        look = look_of(index, views)
        found = bind(form, look, "", rng)
        if found is None:
            continue
        proposal = found.proposal
        node = parse(proposal.program)
        assert check(node) in GIVES[proposal.answer_type]
        names = Vocabulary(look.objects.values()).names_in(proposal.text)
        named = {key for name in names if name.one for key, item in look.objects.items() if name.fits(item)}
        by_option = {key for key in look.objects if look.name(key) in proposal.options}
        assert named <= set(object_ids(node)) <= named | by_option, proposal
        assert not proposal.options or found.answer in proposal.options
        assert_english(proposal.text)


def assert_english(text: str) -> None:
    assert re.fullmatch(r"[A-Z][a-z, ]+\?", text), text
    assert text.count("image") <= 1 or "second image" in text or "object in the image" in text, text
    for doubled in ("the the", "in the image in the image", "  ", "that are that", "is is", " ,"):
        assert doubled not in text, text


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_derived_form_is_sound_and_close(seed: int) -> None:
    rng = rng_for(seed, "derive")
    form, other = draw_form(rng, 2), draw_form(rng, 3)
    derived = derive_form(rng, form, [form, other])
    assert is_sound(derived) and type(derived.question) is type(form.question)
    assert slots(derived.question) == list(range(len(slots(derived.question))))
    assert words(derived.question) == list(range(len(words(derived.question))))


def test_forms_that_ask_the_same_are_one_kind() -> None:
    a, b = Ref(0), Ref(1)
    farther = Form(Compare(Measure(FROM_CAMERA), True, a, b))
    same = Form(Compare(Measure(FROM_CAMERA), False, b, a))
    harder = Form(farther.question, 1)
    kinds = [kind_of(form) for form in (farther, same, harder, Form(Compare(Measure(IMAGE_X), True, a, b)))]
    names = [kind.name for kind in kinds if kind is not None]
    assert len(names) == 4 and names[0] == names[1] and len(set(names)) == 3
    assert parse_kind(names[0]).functions == ("distance_from_camera",)
    assert 0.3 < parse_kind(names[0]).chance < 0.7


def test_a_constant_is_no_kind() -> None:
    leftmost = Best(False, Measure(IMAGE_X))
    assert kind_of(Form(HowMany(Shown(-1, (Compared(Measure(IMAGE_X), False, leftmost),))))) is None


def test_chance_of_a_choice_is_that_of_its_options() -> None:
    kind = kind_of(Form(Which((0, 1, 2), True, Measure(LENGTH))))
    assert kind is not None and parse_kind(kind.name).chance == 0.33 and kind.depth == 1


def test_an_unclear_question_is_not_asked() -> None:
    look = look_of(0)
    near = sorted(look.objects, key=lambda key: look.seen[0][key].u)
    question = Compare(Measure(IMAGE_X), True, Ref(0), Ref(1))
    gaps = [abs(look.seen[0][a].u - look.seen[0][b].u) for a, b in zip(near, near[1:])]
    narrow = int(np.argmin(gaps))
    with pytest.raises(Unclear, match="too close"):
        answer(Form(question, 3), look, near[narrow : narrow + 2], ())
    assert answer(Form(question, 3), look, [near[0], near[-1]], ()).text == "no"


def test_an_object_is_clear_only_if_its_centre_is_in_the_image() -> None:
    look = look_of(0)
    key = look.clear()[0]
    at_eye = msgspec.structs.replace(look.objects[key].box, centre_m=look.poses[0].position_m)
    moved = {**look.objects, key: msgspec.structs.replace(look.objects[key], box=at_eye)}
    assert key not in msgspec.structs.replace(look, objects=moved).clear()
    narrow = msgspec.structs.replace(look, camera=msgspec.structs.replace(look.camera, hfov_rad=0.1))
    assert set(narrow.clear()) < set(look.clear())


def test_nothing_is_compared_with_itself() -> None:
    look = look_of(1)
    keys = list(look.objects)
    with pytest.raises(Unclear, match="one object"):
        read(Compare(Measure(TO, Ref(0)), True, Ref(0), Ref(1)), look, keys, ())
    negated = Shown(-1, (Compared(Measure(IMAGE_X), True, Ref(0)), Compared(Measure(LENGTH), True, Ref(1))), "but not")
    leftmost = min(keys, key=lambda key: look.seen[0][key].u)
    others = [key for key in keys if key != leftmost]
    with pytest.raises(Unclear, match="itself"):
        read(HowMany(negated), look, [leftmost, others[0]], ())


def test_sets_over_two_views() -> None:
    look = look_of(2, views=2)
    both = HowMany(Shown(-1, (InSecond(True),)))
    only = HowMany(Shown(-1, (InSecond(False),)))
    assert int(read(both, look, (), ()).text) + int(read(only, look, (), ()).text) == len(look.seen[0])
    text = sentence(both, (), (), rng_for(0, "s"), views=2)
    assert "second image" in text and "first image" in text
    assert check(parse(program(both, (), ()))) == "number"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.1, 1.0), min_size=6, max_size=6), st.lists(st.floats(-3, 3), min_size=8, max_size=8))
def test_distances_are_those_of_the_simulator(halves: list[float], at: list[float]) -> None:
    a, b = (
        OrientedBox(
            (at[i], 1.0 + at[i + 1] / 3, at[i + 2]),
            (halves[k], halves[k + 1], halves[k + 2]),
            (float(np.cos(at[i + 3])), 0.0, float(np.sin(at[i + 3])), 0.0),
        )
        for i, k in ((0, 0), (4, 3))
    )
    assert box_distance_m(a, b) == pytest.approx(geometry.box_distance_m(a, b), abs=1e-6)
    eye = (at[2], 1.5, at[5])
    assert eye_distance_m(eye, a) == pytest.approx(float(geometry.point_box_distance(np.array([eye]), a)[0]), abs=1e-9)


def test_the_name_of_a_kind_is_read_back() -> None:
    long = "count(filter(visible(view(0)), a: " + " and ".join(f"f{chr(97 + i) * 9}(a) > 1" for i in range(12)) + "))"
    for text in ("image_x(object(1), view(0)) > 0.5", long, "1"):
        name = kind_name("composed", text, 0.5, "0123abcd")
        assert parse_kind(name).chance == 0.5 and len(name) <= 128
    with pytest.raises(ValueError):
        parse_kind("depth_order")
