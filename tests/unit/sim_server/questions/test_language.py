"""The question language refuses invalid programs at the position of the fault, and no program runs for long."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import VantageError
from protocol.seeds import rng_for
from protocol.tasks.scene import Camera, SceneObject, SceneSpec
from sim_server.backends.base import Frames
from sim_server.questions.evidence import EVIDENCE_SENSORS, Evidence, ViewEvidence
from sim_server.questions.geometry import unproject
from sim_server.questions.language import evaluator
from sim_server.questions.language.checker import MAX_COST, cost_of
from sim_server.questions.language.evaluator import canonical, compiled, run
from sim_server.questions.language.functions.registry import (
    BOOL,
    FUNCTIONS,
    NUMBER,
    OBJECT,
    OBJECTS,
    TEXT,
    VECTOR,
    VIEW,
)
from sim_server.questions.language.parser import ProgramFault, pointed
from sim_server.questions.views.viewpoints import draw_populated_pose
from tests.support import programs
from tests.support.questions.fake_scene import FakeScene


def make_evidence(seed: int = 3) -> Evidence:
    scene = FakeScene(SceneSpec(seed=seed, min_objects=5, max_objects=6))
    rng = rng_for(seed, "view")
    pose = draw_populated_pose(scene, Camera(48, 48), scene.description.objects[:2], rng, (0.5, 0.5))
    assert pose is not None
    return Evidence.of(scene.description, scene.render([pose], Camera(48, 48), EVIDENCE_SENSORS))


EVIDENCE = make_evidence()


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
        ("count(objects())", str(len(EVIDENCE.objects))),
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
    expected = answer if answer is not None else run("name(object(1))", EVIDENCE)
    assert run(program, EVIDENCE) == expected


@pytest.mark.parametrize(
    ("program", "at", "says"),
    [
        ("", 0, "expected a value"),
        ("1 +", 3, "expected a value"),
        ("1 $ 2", 2, "not part of the language"),
        ("1 \u00a0 2", 2, "not part of the language"),
        ("1\x1c", 1, "not part of the language"),
        ('"a\u202eb"', 2, "is not allowed in a text"),
        ('"\ud800"', 1, "is not allowed in a text"),
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
        ("9999999999999999 * 2", 17, "too large"),
        ("1 / 0.0000000000000001", None, "at most 16 digits"),
        ("count(filter(objects(), o: fits_between(o, object(1), 0.5)))", 0, "could cost"),
        ("count([" + "o, " * 300 + "o])", 775, "at most 256 objects"),
        ("(" * 60 + "1" + ")" * 60, None, "nested at most"),
        ("-" * 60 + "1", None, "follow one another"),
        ("1" + " + 1" * 200, None, "nested at most"),
        ("1 " * 1500, 2000, "at most 2000 characters"),
    ],
)
def test_an_invalid_program_is_refused_at_the_fault(program: str, at: int | None, says: str) -> None:
    with pytest.raises(VantageError) as caught:
        run(program, EVIDENCE)
    assert caught.value.code == "bad_request"
    assert says in caught.value.message
    if at is not None:
        assert f"at character {at}:" in caught.value.message


def test_a_program_that_could_run_for_long_is_refused_before_it_runs() -> None:
    slow = (
        "count(filter(objects(), a: count(filter(objects(), b: closest_distance(a, b) < closest_distance(b, a))) > 1))"
    )
    with pytest.raises(VantageError, match=f"at most {MAX_COST} are allowed"):
        run(slow, EVIDENCE)


def test_the_largest_views_do_not_slow_a_program_down() -> None:
    """Programs read sums over pixels that the evidence holds, not the pixels."""
    camera = Camera(4096, 4096)
    frames = Frames((EVIDENCE.views[0].pose,), camera)
    frames.ids, frames.depth = np.ones((1, 4096, 4096), np.int32), np.full((1, 4096, 4096), 2.0, np.float32)
    largest = Evidence.of(EVIDENCE.description, frames)
    program = " + ".join(["x(surface_middle(object(1), view(0)))"] * 24)
    spent_s = min(_process_s(program, largest) for _ in range(3))
    assert spent_s < 0.02  # five seconds if each call read the pixels


def _process_s(program: str, evidence: Evidence) -> float:
    started_s = time.process_time()
    run(program, evidence)
    return time.process_time() - started_s


def test_the_middle_of_a_surface_is_the_mean_of_its_points() -> None:
    rng = np.random.default_rng(0)
    camera, pose = Camera(30, 20, 1.3), EVIDENCE.views[0].pose
    frames = Frames((pose,), camera)
    frames.ids = rng.integers(0, 4, (1, 20, 30)).astype(np.int32)
    frames.depth = rng.uniform(0.5, 5, (1, 20, 30)).astype(np.float32)
    (view,) = Evidence.of(EVIDENCE.description, frames).views
    points = unproject(pose, camera, frames.depth[0])
    for key in (1, 2, 3):
        assert np.allclose(view.surface_m(key), points[frames.ids.ravel() == key].mean(0), atol=1e-9)


def test_numbers_have_no_trailing_zeros() -> None:
    assert [canonical(value) for value in (2.0, 0.1 * 25, 1 / 3, -0.00001, 120.0, True)] == [
        "2",
        "2.5",
        "0.3333",
        "0",
        "120",
        "yes",
    ]


# ----------------------------------------------------------------------------- properties

OUTSIDE = ("open", "import", "exec", "compile", "socket.", "os.", "subprocess.", "shutil.", "ctypes.")
touched: list[str] = []  # audit events outside the interpreter while a program ran
_watching = False


def _watch(event: str, _arguments: object) -> None:
    if _watching and event.startswith(OUTSIDE):
        touched.append(event)


sys.addaudithook(_watch)


def answer_of(program: str, evidence: Evidence = EVIDENCE) -> str | ProgramFault:
    """Run a program under audit: it answers, or is refused at a position, and has no other effect."""
    global _watching
    started_s = time.process_time()
    _watching = True
    try:
        answer: str | ProgramFault = run(program, evidence)
    except ProgramFault as fault:
        answer = fault
    finally:
        _watching = False
    assert time.process_time() - started_s < 2.0  # a step takes microseconds; this catches a program that does not end
    assert not touched
    if isinstance(answer, ProgramFault):
        assert 0 <= answer.at <= len(program) and answer.code == "bad_request"
        assert answer.message.isprintable() and len(answer.message) < 400
        pointed(program, answer.at)
    else:
        assert len(answer) < 4000
    return answer


@pytest.mark.parametrize("make", [programs.well_typed, programs.mutated, programs.noise])
def test_ten_thousand_programs_answer_or_are_refused(make: Callable[[Random], str]) -> None:
    description = msgspec.msgpack.encode(EVIDENCE.description)
    views = [(view.ids.tobytes(), view.depth_m.tobytes(), dict(view.seen)) for view in EVIDENCE.views]
    answered = 0
    for seed in range(3334):
        program = make(Random(seed))
        answer = answer_of(program)
        answered += isinstance(answer, str)
        if make is programs.well_typed and isinstance(answer, ProgramFault):
            assert answer.kind in ("run", "cost") or "at most" in answer.why, (program, answer.message)
    if make is programs.well_typed:
        assert answered > 1000
    assert msgspec.msgpack.encode(EVIDENCE.description) == description
    assert [(view.ids.tobytes(), view.depth_m.tobytes(), dict(view.seen)) for view in EVIDENCE.views] == views


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=80), st.lists(st.sampled_from(programs.PIECES), max_size=40).map(" ".join)))
def test_any_text_is_answered_or_refused(program: str) -> None:
    answer_of(program)


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_no_program_takes_more_steps_than_the_checker_counts(rng: Random) -> None:
    program = programs.well_typed(rng)
    try:
        bound = cost_of(compiled(program))
    except ProgramFault:
        return
    steps = 0
    walk = evaluator._Run._value

    def counted(self: Any, node: Any, scope: Any) -> Any:
        nonlocal steps
        steps += 1
        return walk(self, node, scope)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator._Run, "_value", counted)
        answer_of(program)
    assert steps <= bound


def test_values_have_the_declared_type() -> None:
    """A numpy number would be formatted differently, and a list could contain something other than objects."""
    python = {NUMBER: float, BOOL: bool, TEXT: str, OBJECT: SceneObject, OBJECTS: list, VIEW: ViewEvidence}
    seen: set[str] = set()
    call = evaluator._Run._call

    def checked(self: Any, node: Any, scope: Any) -> Any:
        value = call(self, node, scope)
        kind = FUNCTIONS[node.function].result
        if kind in python:
            assert type(value) is python[kind], (node.function, value)
        if kind == VECTOR:
            assert [type(part) for part in value] == [float] * 3, (node.function, value)
        seen.add(node.function)
        return value

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator._Run, "_call", checked)
        for seed in range(4000, 5500):
            answer_of(programs.well_typed(Random(seed)))
    assert len(seen) > len(FUNCTIONS) * 0.7


def test_a_fault_is_shown_with_its_line() -> None:
    program = "if true then\n  cuont(objects())\nelse 1"
    with pytest.raises(ProgramFault) as caught:
        run(program, EVIDENCE)
    assert pointed(program, caught.value.at).splitlines() == [
        "line 2, character 3:   cuont(objects())",
        "                       ^",
    ]
    assert pointed("", 0).splitlines() == ["line 1, character 1: ", " " * 21 + "^"]
    line, caret = pointed("1 + " * 100 + "?", 400).splitlines()
    assert line[len(caret) - 1] == "?" and len(line) < 120
