"""The types of the question language, and the decorators that add functions to it.

Every function is pure and either returns a value or raises Fault. Its cost, which the checker sums up before a program
runs, is one step per 2.5 microseconds of its slowest call (256 objects, 16 views); benchmarks/language.py measures it.
"""

from __future__ import annotations

from functools import wraps
from typing import Callable, TypeVar

import msgspec

NUMBER, BOOL, TEXT, OBJECT, OBJECTS, VIEW, VECTOR = "number", "bool", "text", "object", "objects", "view", "vector"
POSE, SEQUENCE, MAP = "pose", "sequence", "map"
MAX_OBJECTS = 256  # in a list; the checker multiplies the cost of the body of a bound variable by it

Vector = tuple[float, float, float]


class Fault(Exception):
    """A function has no answer. The evaluator adds the position and refuses the program."""


def decimal(value: float) -> str:
    """A number as text: at most four decimals, without trailing zeros."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class Parameter(msgspec.Struct, frozen=True):
    name: str
    type: str
    optional: bool = False


class Function(msgspec.Struct, frozen=True):
    """`run(evidence, *values)` receives one value per parameter, None for an omitted optional one."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    run: Callable[..., object]
    cost: int = 1


FUNCTIONS: dict[str, Function] = {}
# Name -> type of the body, type of the result.
BINDERS = {
    "argmin": (NUMBER, OBJECT),
    "argmax": (NUMBER, OBJECT),
    "filter": (BOOL, OBJECTS),
    "order": (NUMBER, OBJECTS),
}


_Run = TypeVar("_Run", bound=Callable[..., object])


def define(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function of its arguments; a parameter whose type ends in "?" is optional."""

    def add(run: _Run) -> _Run:
        define_on_evidence(result, cost, **parameters)(wraps(run)(lambda _evidence, *values: run(*values)))
        return run

    return add


def define_on_evidence(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function of the evidence and its arguments."""

    def add(run: _Run) -> _Run:
        name = run.__name__.strip("_")
        typed = tuple(Parameter(key, kind.rstrip("?"), kind.endswith("?")) for key, kind in parameters.items())
        FUNCTIONS[name] = Function(name, typed, result, run, cost)
        return run

    return add
