"""The expression language refuses what is wrong, with the place of the fault, and never runs long."""

from __future__ import annotations

import time

import pytest
from fake_scene import FakeScene
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import VantageError
from protocol.scene import Camera, SceneSpec
from protocol.seeds import rng_for
from sim_server.questions.checker import MAX_COST
from sim_server.questions.evaluator import canonical, run
from sim_server.questions.evidence import EVIDENCE_SENSORS, World
from sim_server.questions.functions import BINDERS, FUNCTIONS, NUMBER, OBJECT, OBJECTS, TEXT, VECTOR, VIEW
from sim_server.questions.viewpoints import draw_populated_pose


def make_world(seed: int = 3) -> World:
    scene = FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6))
    rng = rng_for(seed, "view")
    pose = draw_populated_pose(scene, Camera(48, 48), scene.description.objects[:2], rng, (0.5, 0.5))
    assert pose is not None
    return World.of(scene.description, scene.render([pose], Camera(48, 48), EVIDENCE_SENSORS))


WORLD = make_world()


@pytest.mark.parametrize(
    ("program", "answer"),
    [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3 - 4 / 8", "8.5"),
        ("- - 2", "2"),
        ("1 - 1 - 1", "-1"),
        ("0 * -1", "0"),
        ("1 < 2 and not 3 <= 2 or false", "yes"),
        ('if 1 == 2 then "a" else if true then "b" else "c"', "b"),
        ("count(objects())", str(len(WORLD.objects))),
        ("count(filter(objects(), o: longest_side(o) > 100))", "0"),
        ("name(argmin([object(2), object(1)], o: abs(x(centre(o)) - x(centre(object(1))))))", None),
        ("round(2.46, to=0.1)", "2.5"),
        ("round(2.5, 1)", "3"),
        ('count(where(objects(), category="no such thing"))', "0"),
        ("bearing_from(object(1), facing=object(2), to=object(2))", "0"),
        ('side(1) == "left"', "yes"),
        ("closest_distance(object(1), object(1))", "0"),
    ],
)
def test_a_program_has_its_value(program: str, answer: str | None) -> None:
    expected = answer if answer is not None else run("name(object(1))", WORLD)
    assert run(program, WORLD) == expected


@pytest.mark.parametrize(
    ("program", "at", "says"),
    [
        ("", 0, "expected a value"),
        ("1 +", 3, "expected a value"),
        ("1 $ 2", 2, "not part of the language"),
        ('"open', 0, "not part of the language"),
        ("(1", 2, "expected ')'"),
        ("1 2", 2, "expected the end"),
        ("1 < 2 < 3", 6, "expected the end"),
        ("1 + true", 4, "expected a number"),
        ('if 1 then "a" else "b"', 3, "expected a bool"),
        ('if true then "a" else 1', 22, "expected a text"),
        ("objects()", 0, "answers with"),
        ("object(1)", 0, "answers with"),
        ("nonsense(1)", 0, "no function 'nonsense'"),
        ("__import__(1)", 0, "no function '__import__'"),
        ("o", 0, "not bound"),
        ("count", 0, "write count(...)"),
        ("count(objects(), 1)", 17, "at most 1 arguments"),
        ("count()", 0, "count needs items"),
        ("count(thing=objects())", 6, "no argument 'thing'"),
        ("name(o=object(1), o=object(2))", 18, "twice"),
        ('count(where(objects(), color="red", "chair"))', 36, "positional"),
        ("name(argmin(objects(), longest_side(object(1))))", 5, "argmin(list, x: value of x)"),
        ("count(filter(objects(), o: 1))", 27, "expected a bool"),
        ("name(argmin(objects(), o: longest_side(argmin(objects(), o: 1))))", 39, "bound already"),
        ("name(object(999))", 5, "no object 999"),
        ("name(object(1.5))", 5, "no object 1.5"),
        ("image_x(object(1), view(7))", 19, "no view 7"),
        ("1 / 0", 2, "division by zero"),
        ("9999999999999999 " + "* 9999999999999999 " * 25, None, "too large"),
        ("99999999999999999", 0, "at most 16 digits"),
        ('name(argmin(where(objects(), color="none"), o: 1))', 5, "empty list"),
        ("round(1, 0)", 0, "step above 0"),
        ("(" * 60 + "1" + ")" * 60, None, "nest at most"),
        ("-" * 60 + "1", None, "in a row"),
        ("1" + " + 1" * 200, None, "nest at most"),
        ("1 " * 1500, 2000, "at most 2000 characters"),
    ],
)
def test_a_wrong_program_is_refused_at_the_fault(program: str, at: int | None, says: str) -> None:
    with pytest.raises(VantageError) as caught:
        run(program, WORLD)
    assert caught.value.code == "bad_request"
    assert says in caught.value.message
    if at is not None:
        assert f"at character {at}:" in caught.value.message


def test_a_program_that_could_run_long_is_refused_before_it_runs() -> None:
    slow = (
        "count(filter(objects(), a: count(filter(objects(), b: closest_distance(a, b) < closest_distance(b, a))) > 1))"
    )
    with pytest.raises(VantageError, match=f"at most {MAX_COST} are allowed"):
        run(slow, WORLD)


def test_numbers_are_written_without_a_tail() -> None:
    assert [canonical(value) for value in (2.0, 0.1 * 25, 1 / 3, -0.00001, 120.0, True)] == [
        "2",
        "2.5",
        "0.3333",
        "0",
        "120",
        "yes",
    ]


def test_every_function_says_what_it_gives() -> None:
    assert all(len(function.help) > 10 for function in FUNCTIONS.values())


# ----------------------------------------------------------------------------- properties

_WORDS = [*FUNCTIONS, *BINDERS, "if", "then", "else", "and", "or", "not", "true", "o", "1", "0.5", '"red"']
_SIGNS = ["(", ")", "[", "]", ",", ":", "=", "==", "<", ">=", "+", "-", "*", "/", " ", "\n", "$", "é"]


@settings(max_examples=120, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(_WORDS + _SIGNS), max_size=40).map(" ".join)))
def test_any_text_gives_an_answer_or_a_typed_refusal(program: str) -> None:
    _answers_or_refuses(program)


def _value(kind: str, bound: tuple[str, ...], depth: int) -> st.SearchStrategy[str]:
    """Well-typed programs of a type; object ids and views may still be missing."""
    leaves: dict[str, list[str]] = {
        NUMBER: ["0", "1", "2.5", "0.1", "3000000000000000"],
        "bool": ["true", "false"],
        TEXT: ['"red"', '"chair"'],
        OBJECT: ["object(1)", "object(2)", "object(3)", "object(99)", *bound],
        OBJECTS: ["objects()", "visible(view(0))"],
        VIEW: ["view(0)", "view(1)"],
        VECTOR: ["centre(object(1))", "front(object(1))"],
    }
    leaf = st.sampled_from(leaves[kind])
    if depth == 0:
        return leaf
    made = [leaf]
    for function in FUNCTIONS.values():
        if function.result == kind:
            parts = [_value(parameter.type, bound, depth - 1) for parameter in function.parameters]
            made.append(st.tuples(*parts).map(lambda got, name=function.name: f"{name}({', '.join(got)})"))
    for name, (body, result) in BINDERS.items():
        if result == kind and len(bound) < 2:
            variable = f"v{len(bound)}"
            items, inner = _value(OBJECTS, bound, depth - 1), _value(body, (*bound, variable), depth - 1)
            made.append(st.tuples(items, inner).map(lambda got, n=name, v=variable: f"{n}({got[0]}, {v}: {got[1]})"))
    condition, branch = _value("bool", bound, depth - 1), _value(kind, bound, depth - 1)
    made.append(st.tuples(condition, branch, branch).map(lambda got: f"(if {got[0]} then {got[1]} else {got[2]})"))
    if kind == NUMBER:
        pair = st.tuples(branch, st.sampled_from("+-*/"), branch)
        made.append(pair.map(lambda got: f"({got[0]} {got[1]} {got[2]})"))
    if kind == "bool":
        number = _value(NUMBER, bound, depth - 1)
        made.append(st.tuples(number, st.sampled_from(["<", "=="]), number).map(lambda got: f"({' '.join(got)})"))
        made.append(branch.map(lambda got: f"(not {got})"))
    return st.one_of(made)


@settings(max_examples=80, deadline=None)
@given(st.one_of(*(_value(kind, (), 2) for kind in (NUMBER, "bool", TEXT))))
def test_any_well_typed_program_ends_soon(program: str) -> None:
    _answers_or_refuses(program)


def _answers_or_refuses(program: str) -> None:
    started_s = time.process_time()
    try:
        assert isinstance(run(program, WORLD), str)
    except VantageError as error:
        assert error.code == "bad_request"
        assert "program refused at character" in error.message
    assert time.process_time() - started_s < 1.0
