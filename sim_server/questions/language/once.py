"""Parts of a program that are evaluated once: those in the body of a bound variable that use no bound variable.

In `filter(objects(), a: image_x(a, view(0)) < image_x(argmax(objects(), b: y(centre(b))), view(0)))` the argmax has one
value for all objects. Functions are pure, so that evaluating it once changes no answer, only the cost.
"""

from __future__ import annotations

from typing import Iterator

from sim_server.questions.language.parser import Binder, Call, Choice, ListOf, Literal, Name, Node, Operation


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order of the text."""
    if isinstance(node, ListOf):
        return node.items
    if isinstance(node, Call):
        return tuple(argument.value for argument in node.arguments)
    if isinstance(node, Binder):
        return (node.items, node.body)
    if isinstance(node, Operation):
        return node.operands
    if isinstance(node, Choice):
        return (node.condition, node.then, node.otherwise)
    assert isinstance(node, (Literal, Name))
    return ()


def is_closed(node: Node) -> bool:
    """Whether the node is a call that uses no variable of its surroundings."""
    return isinstance(node, (Call, Binder)) and not _free(node)


def closed_parts(node: Node, bound: bool = False) -> Iterator[Node]:
    """The largest closed calls within the bodies of bound variables."""
    if bound and is_closed(node):
        yield node
        bound = False  # inside it, only bodies of its own matter
    if isinstance(node, Binder):
        yield from closed_parts(node.items, bound)
        yield from closed_parts(node.body, True)
        return
    for child in children(node):
        yield from closed_parts(child, bound)


def _free(node: Node) -> frozenset[str]:
    """The variables that the node uses and does not bind."""
    if isinstance(node, Name):
        return frozenset((node.name,))
    if isinstance(node, Binder):
        return _free(node.items) | (_free(node.body) - {node.variable})
    return frozenset().union(*map(_free, children(node)))
