"""The expression language of questions: syntax, and the parser from text to a tree.

    program    = expression
    expression = "if" expression "then" expression "else" expression | either
    either     = both { "or" both }                 both = negation { "and" negation }
    negation   = "not" negation | comparison        comparison = sum [ ("<" | "<=" | ">" | ">=" | "==" | "!=") sum ]
    sum        = product { ("+" | "-") product }    product = unary { ("*" | "/") unary }
    unary      = "-" unary | primary
    primary    = NUMBER | TEXT | "true" | "false" | NAME | call | "(" expression ")"
               | "[" expression { "," expression } "]"
    call       = NAME "(" [ argument { "," argument } ] ")"
    argument   = [ NAME "=" ] expression | NAME ":" expression

An argument `x: body` binds x to each element of the list before it (argmin, argmax, filter). Parsing knows no
types; `checker.check` gives every node its type and bounds the program's cost, `evaluator.run` walks the tree.
"""

from __future__ import annotations

import re
from typing import Callable, NoReturn, Optional, Union

import msgspec

from protocol.errors import VantageError

MAX_CHARACTERS = 2000
MAX_DEPTH = 40
MAX_DIGITS = 16

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>\"[^\"\\\n]*\")|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign><=|>=|==|!=|[-+*/<>()\[\],=:]))",
    re.ASCII,
)
KEYWORDS = frozenset({"if", "then", "else", "and", "or", "not", "true", "false"})
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Literal(msgspec.Struct, frozen=True):
    at: int  # character of the program where this node begins, from 0
    value: Union[bool, float, str]


class Name(msgspec.Struct, frozen=True):
    at: int
    name: str


class ListOf(msgspec.Struct, frozen=True):
    at: int
    items: tuple[Node, ...]


class Argument(msgspec.Struct, frozen=True):
    at: int
    name: str  # "" for a positional argument
    value: Node


class Call(msgspec.Struct, frozen=True):
    at: int
    function: str
    arguments: tuple[Argument, ...]


class Binder(msgspec.Struct, frozen=True):
    """argmin(items, x: body) and its like."""

    at: int
    function: str
    items: Node
    variable: str
    body: Node


class Operation(msgspec.Struct, frozen=True):
    at: int
    operator: str
    operands: tuple[Node, ...]


class Choice(msgspec.Struct, frozen=True):
    at: int
    condition: Node
    then: Node
    otherwise: Node


Node = Union[Literal, Name, ListOf, Call, Binder, Operation, Choice]


class _Token(msgspec.Struct, frozen=True):
    kind: str  # "number" | "text" | "name" | "sign" | "end"
    text: str
    at: int


def refuse(at: int, why: str) -> NoReturn:
    """Refuse a program for a fault at this character."""
    raise VantageError("bad_request", f"program refused at character {at}: {why}")


def _tokens(program: str) -> list[_Token]:
    if len(program) > MAX_CHARACTERS:
        refuse(MAX_CHARACTERS, f"a program has at most {MAX_CHARACTERS} characters")
    found: list[_Token] = []
    at = 0
    end = len(program.rstrip())
    while at < end:
        match = _TOKEN.match(program, at, end)
        if match is None:
            at += len(program[at:end]) - len(program[at:end].lstrip())
            refuse(at, f"{program[at]!r} is not part of the language")
        kind = str(match.lastgroup)
        found.append(_Token(kind, match.group(kind), match.start(kind)))
        at = match.end()
    found.append(_Token("end", "the end", len(program)))
    return found


class _Parser:
    def __init__(self, program: str) -> None:
        self.tokens = _tokens(program)
        self.next = 0
        self.depth = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def take(self, *texts: str) -> Optional[_Token]:
        """The next token if it is one of these words or signs; a quoted text never is."""
        token = self.token
        if token.kind in ("name", "sign") and token.text in texts:
            self.next += 1
            return token
        return None

    def expect(self, text: str) -> _Token:
        token = self.take(text)
        if token is None:
            refuse(self.token.at, f"expected {text!r}, found {self.token.text!r}")
        return token

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            refuse(self.token.at, f"expressions nest at most {MAX_DEPTH} deep")
        node = self._choice_or_logic()
        self.depth -= 1
        return node

    def _choice_or_logic(self) -> Node:
        start = self.take("if")
        if start is None:
            return self._left(("or",), lambda: self._left(("and",), self._negation))
        condition = self.expression()
        self.expect("then")
        then = self.expression()
        self.expect("else")
        return Choice(start.at, condition, then, self.expression())

    def _left(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        """A chain of left-associative operators."""
        node: Node = operand()
        while True:
            sign = self.take(*operators)
            if sign is None:
                return node
            node = Operation(sign.at, sign.text, (node, operand()))

    def _negation(self) -> Node:
        signs: list[_Token] = []
        while True:
            sign = self.take("not")
            if sign is None:
                break
            signs.append(sign)
        return self._wrap("not", signs, self._comparison())

    def _wrap(self, operator: str, signs: list[_Token], node: Node) -> Node:
        if len(signs) > MAX_DEPTH:
            refuse(signs[MAX_DEPTH].at, f"at most {MAX_DEPTH} signs may stand in a row")
        for sign in reversed(signs):
            node = Operation(sign.at, operator, (node,))
        return node

    def _comparison(self) -> Node:
        node = self._sum()
        sign = self.take(*COMPARISONS)
        return node if sign is None else Operation(sign.at, sign.text, (node, self._sum()))

    def _sum(self) -> Node:
        return self._left(("+", "-"), lambda: self._left(("*", "/"), self._unary))

    def _unary(self) -> Node:
        signs: list[_Token] = []
        while True:
            sign = self.take("-")
            if sign is None:
                break
            signs.append(sign)
        return self._wrap("negate", signs, self._primary())

    def _primary(self) -> Node:
        token = self.token
        self.next += 1
        if token.kind == "number":
            if len(token.text) > MAX_DIGITS:
                refuse(token.at, f"a number has at most {MAX_DIGITS} digits")
            return Literal(token.at, float(token.text))
        if token.kind == "text":
            return Literal(token.at, token.text[1:-1])
        if token.text in ("true", "false") and token.kind == "name":
            return Literal(token.at, token.text == "true")
        if token.kind == "name" and token.text not in KEYWORDS:
            return self._call(token) if self.take("(") else Name(token.at, token.text)
        if token.kind == "sign" and token.text == "(":
            node = self.expression()
            self.expect(")")
            return node
        if token.kind == "sign" and token.text == "[":
            items = [self.expression()]
            while self.take(","):
                items.append(self.expression())
            self.expect("]")
            return ListOf(token.at, tuple(items))
        refuse(token.at, f"expected a value, found {token.text!r}")

    def _call(self, function: _Token) -> Node:
        arguments: list[Argument] = []
        bound: Optional[tuple[str, Node]] = None
        while not self.take(")"):
            if bound is not None:
                refuse(self.token.at, "nothing may follow the body of a bound variable")
            if arguments:
                self.expect(",")
            token, after = self.token, self.tokens[min(self.next + 1, len(self.tokens) - 1)]
            if token.kind == "name" and after.kind == "sign" and after.text in ("=", ":"):
                self.next += 2
                if after.text == ":":
                    bound = (token.text, self.expression())
                else:
                    arguments.append(Argument(token.at, token.text, self.expression()))
            else:
                arguments.append(Argument(token.at, "", self.expression()))
        if bound is None:
            return Call(function.at, function.text, tuple(arguments))
        if len(arguments) != 1 or arguments[0].name:
            refuse(function.at, f"write {function.text}(list, x: value of x)")
        return Binder(function.at, function.text, arguments[0].value, bound[0], bound[1])


def parse(program: str) -> Node:
    """The tree of a program.

    Raises VantageError("bad_request") with the position of the fault when the text is not a program.
    """
    parser = _Parser(program)
    node = parser.expression()
    if parser.token.kind != "end":
        refuse(parser.token.at, f"expected the end, found {parser.token.text!r}")
    return node
