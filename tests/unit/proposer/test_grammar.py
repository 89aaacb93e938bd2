"""The grammar of programs for servers that constrain answers: whatever it derives is a program of the right types."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from proposer.llm.prompt import constraint
from protocol.seeds import pick, rng_for
from sim_server.questions.language.checker import check
from sim_server.questions.language.functions.registry import BINDERS, FUNCTIONS
from sim_server.questions.language.grammar import grammar
from sim_server.questions.language.parser import ProgramFault, parse

FILE = Path(__file__).parents[3] / "proposer" / "llm" / "language.gbnf"
_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[A-Za-z]+|[()|?*])')
_SHORT = 12  # rules deep, from which on the shortest alternatives are taken


class Derivation:
    """Draws texts from a grammar in GBNF."""

    def __init__(self, text: str, rng: np.random.Generator) -> None:
        self._rng = rng
        self._rules = {}
        for line in text.strip().split("\n"):
            name, _, body = line.partition(" ::= ")
            tokens, end = self._alternatives(_TOKEN.findall(body), 0)
            assert end == len(_TOKEN.findall(body)), line
            self._rules[name] = tokens

    def _alternatives(self, tokens: list[str], at: int) -> tuple[list[list[tuple[object, str]]], int]:
        """Alternatives of (item, repetition); an item is a token or nested alternatives."""
        found: list[list[tuple[object, str]]] = [[]]
        while at < len(tokens) and tokens[at] != ")":
            item: object = tokens[at]
            if item == "|":
                found.append([])
                at += 1
                continue
            if item == "(":
                item, at = self._alternatives(tokens, at + 1)
            at += 1
            mark = tokens[at] if at < len(tokens) and tokens[at] in "?*" else ""
            at += bool(mark)
            found[-1].append((item, mark))
        return found, at

    def draw(self, name: str, depth: int = 0) -> str:
        return self._one_of(self._rules[name], depth)

    def _one_of(self, alternatives: list[list[tuple[object, str]]], depth: int) -> str:
        if depth > _SHORT:
            alternatives = [min(alternatives, key=_length)]
        return "".join(self._item(item, mark, depth) for item, mark in pick(alternatives, self._rng))

    def _item(self, item: object, mark: str, depth: int) -> str:
        if mark and (depth > _SHORT or self._rng.integers(2)):
            return ""
        if isinstance(item, list):
            return self._one_of(item, depth)
        text = str(item)
        if text[0] == '"':
            return re.sub(r"\\(.)", r"\1", re.sub(r"\\(.)", r"\1", text[1:-1]))  # of the grammar, then of JSON
        if text[0] == "[":
            return "0" if "0" in text else "a"
        return self.draw(text, depth + 1)


def _length(alternative: list[tuple[object, str]]) -> tuple[int, int]:
    """How far an alternative is from an end: the rules that it refers to, of which those of `bool` never end."""
    rules = [item for item, _ in alternative if isinstance(item, list) or str(item)[0] not in '"[']
    return sum(9 if str(item).startswith("bool") else 1 for item in rules), len(alternative)


@pytest.mark.parametrize("kind", ["number", "bool", "text"])
def test_every_text_of_the_grammar_is_a_program_of_its_type(kind: str) -> None:
    derivation, checked = Derivation(grammar(), rng_for(3, "grammar", kind)), 0
    for _ in range(150):
        program = derivation.draw(kind)
        if len(program) > 2000:
            continue
        try:
            assert check(parse(program)) == kind, program
            checked += 1
        except ProgramFault as fault:
            assert fault.kind == "cost" or "nested" in fault.why, (program, fault.message)
    assert checked > 50


def test_the_grammar_knows_every_function_that_a_question_can_use() -> None:
    text = FILE.read_text(encoding="utf-8")
    assert text == grammar(), "run python docs/generate.py"
    for name, function in FUNCTIONS.items():
        assert (f'"{name}(' in text) == (function.result not in ("sequence", "map")), name
    assert all(f'"{name}(" objects' in text for name, (_, result) in BINDERS.items() if result in ("object", "objects"))


def test_an_answer_is_constrained_by_one_of_the_two() -> None:
    by_schema, by_grammar = constraint("schema", 2), constraint("grammar", 2)
    assert by_schema.keys() == {"response_format"} and by_grammar.keys() == {"structured_outputs"}
    assert grammar() in by_grammar["structured_outputs"]["grammar"]


def test_the_answer_grammar_accepts_what_the_source_reads() -> None:
    xgrammar = pytest.importorskip("xgrammar")
    testing = pytest.importorskip("xgrammar.testing")
    compiled = xgrammar.Grammar.from_ebnf(constraint("grammar", 4)["structured_outputs"]["grammar"])
    answer = (
        '{"questions": [{"text": "Is the chair left of the box?", "program": '
        '"(image_x(object(1), view(0)) < image_x(object(2), view(0)))", "answer_type": "choice", "options": []}]}'
    )
    accepts = testing._is_grammar_accept_string
    assert accepts(compiled, answer)
    assert not accepts(compiled, answer.replace("image_x", "image_q"))
    assert not accepts(compiled, answer.replace("view(0)", "object(0)")), "an object is no view"
