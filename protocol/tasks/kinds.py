"""Kinds of composed questions: a question without its scene, of which many questions are asked.

The name of a kind tells how it is measured: its source, the functions of the language that it uses, the score of a
policy that sees no image, and a digest. A kind is a cell of the curriculum, and every process computes these from the
name alone.

    composed:argmin+closest_distance:33:5f0c2e
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

import msgspec

_NAME = re.compile(r"([a-z]{1,16}):([a-z_]{1,32}(?:\+[a-z_]{1,32}){0,11}):(\d{1,2}):([0-9a-f]{6,16})")
_CALL = re.compile(r"\"[^\"]*\"|\b([a-z_]+)\s*\(|\b(and|or|not)\b")
_PLUMBING = frozenset({"object", "objects", "visible", "seen", "view", "name", "names", "centre", "x", "y", "z", "if"})
_MOST_NAME = 128


class NamedKind(NamedTuple):
    """The parts of the name of a kind."""

    source: str
    functions: tuple[str, ...]
    chance: float  # 0..0.99, score of an image-blind policy
    digest: str


class Kind(msgspec.Struct, frozen=True):
    """A kind of question. `form` is how its source makes another question of the kind; only the source reads it."""

    name: str
    form: str
    depth: int = 1  # number of relations that an answer combines
    parent: str = ""  # the kind that it was derived from


def kind_name(source: str, program: str, chance: float, digest: str) -> str:
    """The name of a kind whose questions have programs like this one."""
    functions = "+".join(functions_of(program))
    return f"{source}:{functions[:80].rstrip('+_')}:{min(int(100 * chance), 99)}:{digest}"


def functions_of(program: str) -> tuple[str, ...]:
    """The functions and logical operators of a program that make it difficult, in alphabetical order."""
    found = {match[1] or match[2] for match in _CALL.finditer(program)}
    return tuple(sorted(name for name in found if name and name not in _PLUMBING)) or ("plain",)


@functools.lru_cache(maxsize=16_384)
def parse_kind(name: str) -> NamedKind:
    """Raises ValueError if the text is not the name of a kind."""
    match = _NAME.fullmatch(name) if len(name) <= _MOST_NAME else None
    if match is None:
        raise ValueError(f"{name[:60]!r} is not the name of a kind of question")
    return NamedKind(match[1], tuple(match[2].split("+")), int(match[3]) / 100.0, match[4])


def is_kind(name: str) -> bool:
    """Whether the name of a skill is that of a kind; skills of the catalogue have no colon."""
    return ":" in name


def skill_shown(name: str) -> str:
    """The name of a skill for charts and metrics: all kinds of a source have one name."""
    return name.partition(":")[0]
