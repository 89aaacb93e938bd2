"""Random programs of the expression language, drawn from its grammar and table of functions."""

from __future__ import annotations

from random import Random

from sim_server.questions.language.checker import ANSWER_TYPES
from sim_server.questions.language.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    NUMBER,
    OBJECT,
    OBJECTS,
    POSE,
    TEXT,
    VECTOR,
    VIEW,
)
from sim_server.questions.language.parser import COMPARISONS, KEYWORDS

LEAVES = {
    NUMBER: ["0", "1", "2.5", "0.1", "3000000000000000", "0.000000000001", "-1"],
    BOOL: ["true", "false"],
    TEXT: ['"red"', '"chair"', '""', '"é 椅"'],
    OBJECT: ["object(1)", "object(2)", "object(3)", "object(99)"],
    OBJECTS: ["objects()", "visible(view(0))", "[object(1), object(2)]", "seen()"],
    VIEW: ["view(0)", "view(1)"],
    POSE: ["camera(view(0))"],
    VECTOR: ["centre(object(1))", "front(object(1))", "position(view(0))"],
}
PIECES = [
    *(*FUNCTIONS, *BINDERS, *KEYWORDS, *COMPARISONS),
    *("(", ")", "[", "]", ",", ":", "=", "+", "-", "*", "/", " ", "\n", "o", "v0", "1", "0.5", "1e9", '"red"', '"'),
    *("$", "é", "\u00a0", "\u202e", "\ud800", "\x00", "\x1c", "９", "__class__", ".", ";", "#", "\\", "{", "%s"),
]


def well_typed(rng: Random, kind: str = "", depth: int = 3, bound: tuple[str, ...] = ()) -> str:
    """Return a program that passes the checker unless it is too long, too deep or too costly.

    `kind` is its type, by default a random answer type. It may refer to missing objects and views.
    """
    kind = kind or rng.choice([NUMBER, BOOL, TEXT, rng.choice(ANSWER_TYPES)])

    def part(of: str, more: tuple[str, ...] = ()) -> str:
        return well_typed(rng, of, depth - 1, (*bound, *more))

    leaves = [*LEAVES.get(kind, []), *(bound * 3 if kind == OBJECT else ())]
    functions = [function for function in FUNCTIONS.values() if function.result == kind]
    binders = [name for name, (_, result) in BINDERS.items() if result == kind and len(bound) < 2]
    ways = ["leaf"] * bool(leaves)
    if depth > 0 or not leaves:
        ways += ["call"] * 3 * bool(functions) + ["bind"] * bool(binders)
        if depth > 0:
            ways += ["if"] + ["operate"] * 2 * (kind in (NUMBER, BOOL)) + ["list"] * (kind == OBJECTS)
    way = rng.choice(ways)
    if way == "leaf":
        return rng.choice(leaves)
    if way == "call":
        function = rng.choice(functions)
        given = [item for item in function.parameters if not item.optional or rng.random() < 0.5]
        positional = given == list(function.parameters[: len(given)]) and rng.random() < 0.5
        texts = [("" if positional else f"{item.name}=") + part(item.type) for item in given]
        return f"{function.name}({', '.join(texts)})"
    if way == "bind":
        name, variable = rng.choice(binders), f"v{len(bound)}"
        return f"{name}({part(OBJECTS)}, {variable}: {part(BINDERS[name][0], (variable,))})"
    if way == "if":
        return f"(if {part(BOOL)} then {part(kind)} else {part(kind)})"
    if way == "list":
        return f"[{', '.join(part(OBJECT) for _ in range(rng.randint(1, 4)))}]"
    if kind == NUMBER:
        return f"({part(NUMBER)} {rng.choice('+-*/')} {part(NUMBER)})" if rng.random() < 0.8 else f"-{part(NUMBER)}"
    if rng.random() < 0.5:
        return f"({part(NUMBER)} {rng.choice(COMPARISONS)} {part(NUMBER)})"
    same = rng.choice([NUMBER, BOOL, TEXT, OBJECT])
    return rng.choice(
        [
            f"({part(same)} == {part(same)})",
            f"(not {part(BOOL)})",
            f"({part(BOOL)} {rng.choice(['and', 'or'])} {part(BOOL)})",
        ]
    )


def mutated(rng: Random) -> str:
    """Return a well-typed program with random deletions, insertions, repetitions and moves."""
    text = well_typed(rng)
    for _ in range(rng.randint(1, 4)):
        at, end = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        end = min(end, at + 12)
        text = rng.choice(
            [
                text[:at] + text[end:],
                text[:at] + rng.choice(PIECES) + text[at:],
                text[:end] + text[at:end] + text[end:],
                text[:at] + text[end:] + text[at:end],
                text[:at] + text[at:end] * 60 + text[end:],
            ]
        )
    return text


def noise(rng: Random) -> str:
    """Return random tokens of the language and other characters."""
    count = rng.choice([0, 1, 5, 40, 1200])
    return rng.choice(["", " "]).join(rng.choice(PIECES) for _ in range(count))
