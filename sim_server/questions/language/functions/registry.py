"""The types of the expression language and how a function is added to it.

Every function is pure, total up to a typed refusal, and has a cost that the checker adds up before a program runs: one
step for every 2.5 microseconds that a call takes at worst (256 objects, 16 views), as benchmarks/language.py measures.
"""

from __future__ import annotations

from functools import wraps
from typing import Callable, TypeVar

import msgspec

NUMBER, BOOL, TEXT, OBJECT, OBJECTS, VIEW, VECTOR = "number", "bool", "text", "object", "objects", "view", "vector"
POSE, SEQUENCE, MAP = "pose", "sequence", "map"
MAX_OBJECTS = 256  # a list holds at most this many; the checker multiplies the body of a bound variable by it

Vector = tuple[float, float, float]


class Fault(Exception):
    """A function cannot answer; the evaluator adds the position and refuses the program."""


def decimal(value: float) -> str:
    """A number as text: at most four decimals, without trailing zeros."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


class Parameter(msgspec.Struct, frozen=True):
    name: str
    type: str
    optional: bool = False


class Function(msgspec.Struct, frozen=True):
    """`run(world, *values)` gets one value per parameter, None for an optional one that was left out."""

    name: str
    parameters: tuple[Parameter, ...]
    result: str
    run: Callable[..., object]
    cost: int = 1


FUNCTIONS: dict[str, Function] = {}
# Body type and result.
BINDERS = {
    "argmin": (NUMBER, OBJECT),
    "argmax": (NUMBER, OBJECT),
    "filter": (BOOL, OBJECTS),
    "order": (NUMBER, OBJECTS),
}


_Run = TypeVar("_Run", bound=Callable[..., object])


def define(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function of its arguments alone; a parameter type that ends in "?" is optional."""

    def add(run: _Run) -> _Run:
        define_on_evidence(result, cost, **parameters)(wraps(run)(lambda _evidence, *values: run(*values)))
        return run

    return add


def define_on_evidence(result: str, cost: int = 1, **parameters: str) -> Callable[[_Run], _Run]:
    """Add a function that looks at the world as well."""

    def add(run: _Run) -> _Run:
        name = run.__name__.strip("_")
        typed = tuple(Parameter(key, kind.rstrip("?"), kind.endswith("?")) for key, kind in parameters.items())
        FUNCTIONS[name] = Function(name, typed, result, run, cost)
        return run

    return add
