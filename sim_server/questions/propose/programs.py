"""The object ids, words and calls in the tree of a program, and the same program about other objects."""

from __future__ import annotations

from typing import Callable, Iterator, Mapping

import msgspec

from sim_server.questions.language.functions.registry import FUNCTIONS, NUMBER, TEXT
from sim_server.questions.language.once import children
from sim_server.questions.language.parser import Argument, Binder, Call, Choice, ListOf, Literal, Node, Operation

# A function that takes and returns only these types uses neither a scene nor a view.
_PLAIN = (NUMBER, TEXT, "bool", "vector")


def nodes(node: Node) -> Iterator[Node]:
    """The node and all its descendants, in the order of the text."""
    yield node
    for child in children(node):
        yield from nodes(child)


def object_ids(node: Node) -> dict[int, int]:
    """Ids written as `object(3)`, each with the position of its first occurrence."""
    found: dict[int, int] = {}
    for one in nodes(node):
        if isinstance(one, Call) and one.function == "object":
            value = one.arguments[0].value
            if isinstance(value, Literal):
                found.setdefault(int(float(value.value)), one.at)
    return found


def computed_ids(node: Node) -> list[int]:
    """Positions where the argument of `object(...)` is not a literal number."""
    return [
        one.at
        for one in nodes(node)
        if isinstance(one, Call) and one.function == "object" and not isinstance(one.arguments[0].value, Literal)
    ]


def words(node: Node) -> set[str]:
    """The literal texts of the program."""
    return {one.value for one in nodes(node) if isinstance(one, Literal) and isinstance(one.value, str)}


def calls(node: Node) -> set[str]:
    """The names of the functions and binders that the program calls."""
    return {one.function for one in nodes(node) if isinstance(one, (Call, Binder))}


def uses_evidence(node: Node) -> bool:
    """Whether the program depends on a scene or a view."""
    return any(not _plain(name) for name in calls(node))


def _plain(name: str) -> bool:
    function = FUNCTIONS.get(name)
    if function is None:
        return False
    takes = [parameter.type for parameter in function.parameters]
    return function.result in _PLAIN and bool(takes) and all(kind in _PLAIN for kind in takes)


def about(node: Node, ids: Mapping[int, int], texts: Mapping[str, str]) -> Node:
    """The program with its object ids and literal texts replaced by these maps."""

    def swap(one: Node) -> Node:
        if isinstance(one, Call) and one.function == "object":
            argument = one.arguments[0]
            if isinstance(argument.value, Literal):
                old = int(float(argument.value.value))
                value = Literal(argument.value.at, float(ids.get(old, old)))
                return Call(one.at, one.function, (Argument(argument.at, argument.name, value),))
        if isinstance(one, Literal) and isinstance(one.value, str):
            return Literal(one.at, texts.get(one.value, one.value))
        return _with_children(one, swap)

    return swap(node)


def _with_children(node: Node, change: Callable[[Node], Node]) -> Node:
    if isinstance(node, ListOf):
        return msgspec.structs.replace(node, items=tuple(map(change, node.items)))
    if isinstance(node, Call):
        changed = (Argument(item.at, item.name, change(item.value)) for item in node.arguments)
        return msgspec.structs.replace(node, arguments=tuple(changed))
    if isinstance(node, Binder):
        return msgspec.structs.replace(node, items=change(node.items), body=change(node.body))
    if isinstance(node, Operation):
        return msgspec.structs.replace(node, operands=tuple(map(change, node.operands)))
    if isinstance(node, Choice):
        condition, then, otherwise = map(change, (node.condition, node.then, node.otherwise))
        return Choice(node.at, condition, then, otherwise)
    return node
