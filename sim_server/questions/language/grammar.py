"""A grammar of the question language in GBNF, for servers that constrain what a language model writes.

It is generated from the tables of the parser and of the functions, one rule per type, so that each text that it
derives is a program of the right types. It is stricter than the language: operations stand in parentheses, arguments
have no names unless they are optional, and the body of a bound variable, which is called `a`, binds no further one.
The cost of a program is not bounded by it.
"""

from __future__ import annotations

from typing import Iterator

import sim_server.questions.language.functions  # noqa: F401  fills the table of functions
from sim_server.questions.language.functions.registry import (
    BINDERS,
    BOOL,
    FUNCTIONS,
    MAP,
    NUMBER,
    OBJECT,
    OBJECTS,
    SEQUENCE,
    TEXT,
    Function,
)
from sim_server.questions.language.parser import COMPARISONS

VARIABLE = "a"
_BODY = "OfA"  # suffix of the rules in the body of a bound variable
_BY_INDEX = frozenset({"object", "view"})  # functions whose argument is written as a whole number
_ANSWERS = (NUMBER, BOOL, TEXT)
_COMPARED = (NUMBER, BOOL, TEXT, OBJECT)


def grammar() -> str:
    """Rules whose start is `program`; texts are quoted as inside of a JSON string."""
    types = sorted({one.result for one in FUNCTIONS.values()} - {SEQUENCE, MAP} | {BOOL, OBJECTS})
    lines = [
        _rule("program", list(_ANSWERS)),
        "index ::= [0-9] [0-9]? [0-9]?",
        'decimal ::= [0-9] [0-9]? ("." [0-9] [0-9]?)?',
        "words ::= [a-z] [a-z ]*",
    ]
    for suffix in ("", _BODY):
        for kind in types:
            lines.append(_rule(kind + suffix, list(_alternatives(kind, suffix))))
    return "\n".join(lines) + "\n"


def _rule(name: str, alternatives: list[str]) -> str:
    return f"{name} ::= {' | '.join(alternatives)}"


def _alternatives(kind: str, suffix: str) -> Iterator[str]:
    yield from (_call(one, suffix) for one in FUNCTIONS.values() if one.result == kind)
    if not suffix:
        for name, (body, result) in BINDERS.items():
            if result == kind:
                yield f'"{name}(" {OBJECTS} ", {VARIABLE}: " {body}{_BODY} ")"'
    if kind == OBJECT and suffix:
        yield f'"{VARIABLE}"'
    elif kind == OBJECTS:
        yield f'"[" {OBJECT}{suffix} (", " {OBJECT}{suffix})* "]"'
    elif kind == TEXT:
        yield r'"\\\"" words "\\\""'
    elif kind == NUMBER:
        yield "decimal"
        yield _infix(NUMBER, ("+", "-", "*", "/"), suffix)
    elif kind == BOOL:
        yield _infix(NUMBER, COMPARISONS, suffix)
        yield from (_infix(one, ("==", "!="), suffix) for one in _COMPARED if one != NUMBER)
        yield _infix(BOOL, ("and", "or"), suffix)
        yield f'"(not " {BOOL}{suffix} ")"'
    if kind in _ANSWERS:
        yield f'"(if " {BOOL}{suffix} " then " {kind}{suffix} " else " {kind}{suffix} ")"'


def _infix(kind: str, operators: tuple[str, ...], suffix: str) -> str:
    signs = " | ".join(f'" {one} "' for one in operators)
    return f'"(" {kind}{suffix} ({signs}) {kind}{suffix} ")"'


def _call(function: Function, suffix: str) -> str:
    parts = [f'"{function.name}("']
    for number, one in enumerate(function.parameters):
        value = "index" if function.name in _BY_INDEX else one.type + suffix
        comma = ", " if number else ""
        if one.optional:
            parts.append(f'("{comma}{one.name}=" {value})?')
        else:
            parts.append(f'"{comma}" {value}' if comma else value)
    return " ".join([*parts, '")"'])
