"""Types and cost of a program before it runs: a checked program ends quickly, with a value of a known type."""

from __future__ import annotations

from typing import NamedTuple, NoReturn

from sim_server.questions.language.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    MAP,
    MAX_OBJECTS,
    NUMBER,
    OBJECT,
    OBJECTS,
    SEQUENCE,
    TEXT,
    Function,
)
from sim_server.questions.language.once import is_closed
from sim_server.questions.language.parser import (
    COMPARISONS,
    MAX_DEPTH,
    Binder,
    Call,
    Choice,
    ListOf,
    Literal,
    Name,
    Node,
    Operation,
    ProgramFault,
    quoted,
)

MAX_COST = 50_000  # an eighth of a second at worst: benchmarks/language.py
ANSWER_TYPES = (NUMBER, BOOL, TEXT, SEQUENCE, MAP)


class _Scope(NamedTuple):
    """The types of the bound variables, and the cost of each part that is evaluated once (see once.py)."""

    types: dict[str, str]
    once: list[int]
    in_body: bool = False  # of a bound variable; not in a closed part of it


def refuse(at: int, why: str) -> NoReturn:
    raise ProgramFault("type", at, why)


def check(node: Node) -> str:
    """The type of the program's answer.

    Raises ProgramFault("type") if the program is ill-typed, uses an unknown name or does not give an answer, and
    ProgramFault("cost") if it could cost more than MAX_COST.
    """
    kind, cost = _checked(node)
    if kind not in ANSWER_TYPES:
        refuse(node.at, f"a program answers with {', '.join(map(_a, ANSWER_TYPES))}, not with {_a(kind)}")
    if cost > MAX_COST:
        raise ProgramFault("cost", node.at, f"the program could cost {cost} steps, at most {MAX_COST} are allowed")
    return kind


def cost_of(node: Node) -> int:
    """The largest number of steps that the program can take. Raises like `check`, except for the bound."""
    return _checked(node)[1]


def _checked(node: Node) -> tuple[str, int]:
    scope = _Scope({}, [])
    kind, cost = _check(node, scope, 0)
    return kind, cost + sum(scope.once)


def _a(kind: str) -> str:
    return f"an {kind}" if kind == OBJECT else kind if kind == OBJECTS else f"a {kind}"


def _check(node: Node, scope: _Scope, depth: int) -> tuple[str, int]:
    if depth > 2 * MAX_DEPTH:
        raise ProgramFault("cost", node.at, f"operations may be nested at most {2 * MAX_DEPTH} deep")
    depth += 1
    if scope.in_body and is_closed(node):
        kind, cost = _check(node, scope._replace(in_body=False), depth)
        scope.once.append(cost)
        return kind, 1
    if isinstance(node, Literal):
        return (BOOL if isinstance(node.value, bool) else TEXT if isinstance(node.value, str) else NUMBER), 1
    if isinstance(node, Name):
        if node.name not in scope.types:
            hint = f"; write {node.name}(...) to call it" if node.name in FUNCTIONS else ""
            refuse(node.at, f"{quoted(node.name)} is not bound{hint}")
        return scope.types[node.name], 1
    if isinstance(node, ListOf):
        if len(node.items) > MAX_OBJECTS:
            raise ProgramFault("cost", node.items[MAX_OBJECTS].at, f"a list has at most {MAX_OBJECTS} objects")
        return OBJECTS, 1 + sum(_expect(item, OBJECT, scope, depth) for item in node.items)
    if isinstance(node, Choice):
        cost = _expect(node.condition, BOOL, scope, depth)
        kind, then_cost = _check(node.then, scope, depth)
        return kind, 1 + cost + then_cost + _expect(node.otherwise, kind, scope, depth)
    if isinstance(node, Operation):
        return _operation(node, scope, depth)
    if isinstance(node, Binder):
        return _binder(node, scope, depth)
    return _call(node, scope, depth)


def _expect(node: Node, wanted: str, scope: _Scope, depth: int) -> int:
    kind, cost = _check(node, scope, depth)
    if kind != wanted:
        refuse(node.at, f"expected {_a(wanted)}, found {_a(kind)}")
    return cost


def _operation(node: Operation, scope: _Scope, depth: int) -> tuple[str, int]:
    if node.operator in ("==", "!="):
        kind, cost = _check(node.operands[0], scope, depth)
        if kind not in (NUMBER, BOOL, TEXT, OBJECT):
            refuse(node.operands[0].at, f"{_a(kind)} cannot be compared with {node.operator}")
        return BOOL, 1 + cost + _expect(node.operands[1], kind, scope, depth)
    logical = node.operator in ("and", "or", "not")
    cost = sum(_expect(operand, BOOL if logical else NUMBER, scope, depth) for operand in node.operands)
    return (BOOL if logical or node.operator in COMPARISONS else NUMBER), 1 + cost


def _binder(node: Binder, scope: _Scope, depth: int) -> tuple[str, int]:
    if node.function not in BINDERS:
        refuse(node.at, f"{quoted(node.function)} binds no variable; these do: {', '.join(BINDERS)}")
    if node.variable in scope.types:
        refuse(node.at, f"{quoted(node.variable)} is bound already")
    items = _expect(node.items, OBJECTS, scope, depth)
    body_type, result = BINDERS[node.function]
    body = _expect(node.body, body_type, _Scope({**scope.types, node.variable: OBJECT}, scope.once, True), depth)
    # The length of a literal list is known; any other list may hold every object.
    length = len(node.items.items) if isinstance(node.items, ListOf) else MAX_OBJECTS
    return result, 1 + items + length * body


def _call(node: Call, scope: _Scope, depth: int) -> tuple[str, int]:
    if node.function in BINDERS:
        refuse(node.at, f"write {node.function}(list, x: value of x)")
    function = FUNCTIONS.get(node.function)
    if function is None:
        refuse(node.at, f"there is no function {quoted(node.function)}")
    given: set[str] = set()
    cost = function.cost
    for position, argument in enumerate(node.arguments):
        if argument.name == "" and any(before.name for before in node.arguments[:position]):
            refuse(argument.at, "a positional argument cannot follow a named one")
        index = _position(function, argument.name, position, argument.at)
        parameter = function.parameters[index]
        if parameter.name in given:
            refuse(argument.at, f"{function.name} got {parameter.name!r} twice")
        given.add(parameter.name)
        cost += _expect(argument.value, parameter.type, scope, depth)
    missing = [item.name for item in function.parameters if not item.optional and item.name not in given]
    if missing:
        refuse(node.at, f"{function.name} needs {', '.join(missing)}")
    return function.result, cost


def _position(function: Function, name: str, position: int, at: int) -> int:
    if name == "":
        if position >= len(function.parameters):
            refuse(at, f"{function.name} takes at most {len(function.parameters)} arguments")
        return position
    names = [parameter.name for parameter in function.parameters]
    if name not in names:
        refuse(at, f"{function.name} has no argument {quoted(name)}")
    return names.index(name)
