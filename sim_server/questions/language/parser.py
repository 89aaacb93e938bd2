"""The syntax of the question language, and its parser.

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

An argument `x: body` binds x to each element of the preceding list (argmin, argmax, filter, order). The parser does not
know types: `checker.check` determines the type of every node and bounds the cost of the program, and `evaluator.run`
walks the tree.
"""

from __future__ import annotations

import re
from typing import Callable, NoReturn, Optional, Union

import msgspec

from protocol.errors import VantageError

MAX_CHARACTERS = 2000
MAX_DEPTH = 40
MAX_DIGITS = 16
SHOWN = 40  # characters of a program that a message quotes

_BLANK = " \t\r\n"
_TOKEN = re.compile(
    r"[ \t\r\n]*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>\"[^\"\\\n]*\")|(?P<name>[A-Za-z_][A-Za-z_0-9]*)"
    r"|(?P<sign><=|>=|==|!=|[-+*/<>()\[\],=:]))",
    re.ASCII,
)
KEYWORDS = frozenset({"if", "then", "else", "and", "or", "not", "true", "false"})
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


class Literal(msgspec.Struct, frozen=True):
    at: int  # position in the program where this node begins, in characters from 0
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
    """argmin(items, x: body) and the like."""

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


class ProgramFault(VantageError):
    """A program is refused because of the part at character `at` (from 0; the length of the program for its end).

    `kind` is "syntax", "type", "cost" (it could take too long) or "run" (it has no answer for this evidence); `why` is
    the reason.
    """

    def __init__(self, kind: str, at: int, why: str) -> None:
        super().__init__("bad_request", f"program refused at character {at}: {why}")
        self.kind = kind
        self.at = at
        self.why = why


def pointed(program: str, at: int) -> str:
    """The line of the program with character `at`, its number, and a caret below the character."""
    before = program[:at].split("\n")
    number, column = len(before), len(before[-1])
    line = program.split("\n")[number - 1].rstrip("\r")
    start = max(0, column - SHOWN)  # a long line is truncated on both sides
    cut = line[start : column + SHOWN].replace("\t", " ")
    label = f"line {number}, character {column + 1}: "
    return f"{label}{cut}\n{' ' * (len(label) + column - start)}^"


def quoted(text: str) -> str:
    """Part of a program for a message: on one line, at most SHOWN characters."""
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 1] + "…")


def refuse_syntax(at: int, why: str) -> NoReturn:
    raise ProgramFault("syntax", at, why)


def _tokens(program: str) -> list[_Token]:
    if len(program) > MAX_CHARACTERS:
        refuse_syntax(MAX_CHARACTERS, f"a program has at most {MAX_CHARACTERS} characters")
    found: list[_Token] = []
    at = 0
    end = len(program.rstrip(_BLANK))
    while at < end:
        match = _TOKEN.match(program, at, end)
        if match is None:
            at = end - len(program[at:end].lstrip(_BLANK))
            refuse_syntax(at, f"{program[at]!r} is not part of the language")
        kind = str(match.lastgroup)
        text, start = match.group(kind), match.start(kind)
        if not text.isprintable():  # other line breaks, bidirectional marks, surrogates
            odd = next(index for index, character in enumerate(text) if not character.isprintable())
            refuse_syntax(start + odd, f"{text[odd]!r} is not allowed in a text")
        found.append(_Token(kind, text, start))
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
        """Consume the next token if it is one of these words or signs; a quoted text never matches."""
        token = self.token
        if token.kind in ("name", "sign") and token.text in texts:
            self.next += 1
            return token
        return None

    def expect(self, text: str) -> _Token:
        token = self.take(text)
        if token is None:
            refuse_syntax(self.token.at, f"expected {text!r}, found {quoted(self.token.text)}")
        return token

    def expression(self) -> Node:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            refuse_syntax(self.token.at, f"expressions may be nested at most {MAX_DEPTH} deep")
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
        """Parse a chain of left-associative operators."""
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
            refuse_syntax(signs[MAX_DEPTH].at, f"at most {MAX_DEPTH} signs may follow one another")
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
                refuse_syntax(token.at, f"a number has at most {MAX_DIGITS} digits")
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
        refuse_syntax(token.at, f"expected a value, found {quoted(token.text)}")

    def _call(self, function: _Token) -> Node:
        arguments: list[Argument] = []
        bound: Optional[tuple[str, Node]] = None
        while not self.take(")"):
            if bound is not None:
                refuse_syntax(self.token.at, "nothing may follow the body of a bound variable")
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
            refuse_syntax(function.at, "bind a variable over one list: NAME(list, x: value of x)")
        return Binder(function.at, function.text, arguments[0].value, bound[0], bound[1])


def parse(program: str) -> Node:
    """Parse a program. Raises ProgramFault("syntax") if the text is not a program."""
    parser = _Parser(program)
    node = parser.expression()
    if parser.token.kind != "end":
        refuse_syntax(parser.token.at, f"expected the end, found {quoted(parser.token.text)}")
    return node
