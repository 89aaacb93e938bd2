"""Closed parts of the body of a bound variable are evaluated once, and their cost counts once."""

from __future__ import annotations

import pytest

from protocol.tasks.scene import SceneSpec
from sim_server.questions.evidence import Evidence
from sim_server.questions.language import evaluator
from sim_server.questions.language.checker import MAX_COST, check, cost_of
from sim_server.questions.language.evaluator import run
from sim_server.questions.language.functions.registry import FUNCTIONS
from sim_server.questions.language.once import closed_parts
from sim_server.questions.language.parser import ProgramFault, parse
from tests.support.questions.fake_scene import FakeScene

SCENE_EVIDENCE = Evidence.of(FakeScene(SceneSpec(seed=3, min_objects=5, max_objects=5)).description)

CHAIN = (
    "count(filter(objects(), a: closest_distance(a, argmax(objects(), b: longest_side(b))) < "
    "closest_distance(object(2), argmax(objects(), b: longest_side(b)))))"
)


def test_a_chain_within_a_condition_is_affordable() -> None:
    assert check(parse(CHAIN)) == "number"
    assert cost_of(parse(CHAIN)) < MAX_COST
    with pytest.raises(ProgramFault, match="could cost"):  # the inner list depends on the outer object
        check(parse("count(filter(objects(), a: longest_side(argmin(objects(), b: closest_distance(a, b))) > 1))"))


def test_closed_parts_run_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    function = FUNCTIONS["longest_side"]

    def counted(*values: object) -> object:
        calls.append(values)
        return function.run(*values)

    monkeypatch.setitem(evaluator.FUNCTIONS, "longest_side", type(function)(
        function.name, function.parameters, function.result, counted, function.cost
    ))  # fmt: skip
    objects = len(SCENE_EVIDENCE.description.objects)
    run(CHAIN, SCENE_EVIDENCE)
    assert len(calls) == 2 * objects  # two closed parts, not one for each object


def test_a_closed_part_that_is_not_reached_does_not_fail() -> None:
    program = "count(filter(objects(), a: longest_side(a) > 1000 and longest_side(object(99)) > 1))"
    assert run(program, SCENE_EVIDENCE) == "0"
    with pytest.raises(ProgramFault, match="no object 99"):
        run(program.replace("> 1000", "> 0"), SCENE_EVIDENCE)


def test_variables_of_the_surroundings_are_not_closed() -> None:
    node = parse("count(filter(objects(), a: count(filter(objects(), b: longest_side(b) > longest_side(a))) > 0))")
    assert [type(part).__name__ for part in closed_parts(node)] == ["Call"]  # the inner objects()
