"""Run a program on evidence, which gives every question its answer."""

from __future__ import annotations

import json
import math
import operator
from functools import lru_cache
from typing import Any, Callable, NoReturn, Optional, cast

from protocol.tasks.scene import SceneDescription, SceneObject
from protocol.tasks.task import Question
from sim_server.backends.base import Frames
from sim_server.questions.evidence import Evidence
from sim_server.questions.language.checker import check
from sim_server.questions.language.functions.registry import FUNCTIONS, Fault, decimal
from sim_server.questions.language.once import closed_parts
from sim_server.questions.language.parser import (
    Binder,
    Call,
    Choice,
    ListOf,
    Literal,
    Name,
    Node,
    Operation,
    ProgramFault,
    parse,
)

MAX_NUMBER = 1e16  # above it a float cannot represent every whole number

_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def refuse(at: int, why: str) -> NoReturn:
    raise ProgramFault("run", at, why)


@lru_cache(maxsize=512)  # the tree of a program of 2000 characters takes tens of kilobytes
def compiled(program: str) -> Node:
    """Parse and check a program. Raises ProgramFault with the position of the fault."""
    node = parse(program)
    check(node)
    return node


def run(program: str, evidence: Evidence) -> str:
    """The answer of the program as canonical text: a number as a plain decimal, a bool as "yes" or "no".

    Raises ProgramFault with the position of the fault if the program is invalid or has no answer for this evidence.
    """
    return evaluate(compiled(program), evidence)


def evaluate(node: Node, evidence: Evidence) -> str:
    """The answer of a checked tree; see `run`."""
    return canonical(_Run(node, evidence).value(node, {}))


def verify(question: Question, description: SceneDescription, frames: Optional[Frames] = None) -> bool:
    """Whether the question's program gives the stored answer on this scene and these frames.

    `frames` need depth and ids if the program uses a view.
    """
    return run(question.program, Evidence.of(description, frames)) == question.answer


def canonical(value: object) -> str:
    """A value as answer text: numbers with at most four decimals, sequences joined by ", ", maps as JSON."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return decimal(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return json.dumps(value)
    return str(value)


def _finite(value: float, at: int) -> float:
    if not abs(value) <= MAX_NUMBER:
        refuse(at, "the number is too large" if not math.isnan(value) else "this is not a number")
    return value


class _Run:
    """One run of a program. Closed parts of bodies are evaluated when they are first needed, and once."""

    def __init__(self, node: Node, evidence: Evidence) -> None:
        self._evidence = evidence
        self._closed = {id(part) for part in closed_parts(node)}
        self._found: dict[int, Any] = {}

    def value(self, node: Node, scope: dict[str, SceneObject]) -> Any:
        if scope and id(node) in self._closed:
            if id(node) not in self._found:
                self._found[id(node)] = self._value(node, {})
            return self._found[id(node)]
        return self._value(node, scope)

    def _value(self, node: Node, scope: dict[str, SceneObject]) -> Any:
        if isinstance(node, Literal):
            return node.value
        if isinstance(node, Call):
            return self._call(node, scope)
        if isinstance(node, Name):
            return scope[node.name]
        if isinstance(node, ListOf):
            return [self.value(item, scope) for item in node.items]
        if isinstance(node, Choice):
            return self.value(node.then if self.value(node.condition, scope) else node.otherwise, scope)
        if isinstance(node, Binder):
            return self._binder(node, scope)
        return self._operation(node, scope)

    def _operation(self, node: Operation, scope: dict[str, SceneObject]) -> Any:
        first = self.value(node.operands[0], scope)
        if node.operator == "not":
            return not first
        if node.operator == "negate":
            return -first
        if node.operator == "and":
            return first and self.value(node.operands[1], scope)
        if node.operator == "or":
            return first or self.value(node.operands[1], scope)
        second = self.value(node.operands[1], scope)
        if node.operator == "/" and second == 0:
            refuse(node.at, "division by zero")
        value = _ARITHMETIC[node.operator](first, second)
        return _finite(value, node.at) if isinstance(value, float) else value

    def _binder(self, node: Binder, scope: dict[str, SceneObject]) -> Any:
        items = cast("list[SceneObject]", self.value(node.items, scope))
        values = [self.value(node.body, {**scope, node.variable: item}) for item in items]
        if node.function == "filter":
            return [item for item, wanted in zip(items, values) if wanted]
        if node.function == "order":
            return [items[index] for index in sorted(range(len(items)), key=values.__getitem__)]
        if not items:
            refuse(node.at, f"{node.function} of an empty list")
        best = min(values) if node.function == "argmin" else max(values)
        return items[values.index(best)]

    def _call(self, node: Call, scope: dict[str, SceneObject]) -> Any:
        function = FUNCTIONS[node.function]
        values: list[Any] = [None] * len(function.parameters)
        for position, argument in enumerate(node.arguments):
            index = position
            if argument.name:
                index = next(i for i, item in enumerate(function.parameters) if item.name == argument.name)
            values[index] = self.value(argument.value, scope)
        try:
            value = function.run(self._evidence, *values)
        except Fault as fault:
            raise ProgramFault("run", node.at, str(fault)) from None
        return _finite(value, node.at) if isinstance(value, float) else value
