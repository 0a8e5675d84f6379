"""The structure of a bcftools expression: what is combined, and what is compared.

    either    = both {("|" | "||") both}
    both      = condition {("&" | "&&") condition}
    condition = "(" either ")" | side OPERATOR side
    side      = numbers, texts in quotes, fields, functions, + - * / and brackets

As in bcftools, `&` and `&&` bind alike, and so do `|` and `||`; what comes later is combined
first, which matters where samples are: `A & B && C` is `A & (B && C)`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from biofuse.errors import BiofuseError

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>"[^"]*"|'[^']*')
  | (?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
  | (?P<name>(?:(?:INFO|FORMAT|FMT)/)?[A-Za-z_][\w.]*)
  | (?P<compare>==|!=|<=|>=|!~|[=<>~])
  | (?P<logic>&&|\|\||[&|])
  | (?P<sign>[-+*/()\[\],:@])
    )""",
    re.VERBOSE,
)

TOO_DEEP = "it joins too many conditions, or has brackets in too many others"
# Characters of a word that a message quotes.
_LONGEST = 40


class ExpressionError(BiofuseError):
    """What is not understood of an expression.

    Parameters
    ----------
    what : str
    position : int or None
        The character where it is, counted from 0.
    """

    def __init__(self, what: str, position: int | None = None):
        super().__init__(what if position is None else f"{what}, at character {position + 1}")
        self.position = position

    def located(self, position: int) -> "ExpressionError":
        """The same, with a position if it has none."""
        return self if self.position is not None else ExpressionError(str(self), position)


@dataclass(frozen=True)
class Token:
    """A word of an expression: its kind, what it says, and where it is."""

    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Text:
    """A text in quotes."""

    value: str
    start: int


@dataclass(frozen=True)
class Field:
    """A field, perhaps with what is in square brackets behind it."""

    name: str
    index: str | None
    start: int


@dataclass(frozen=True)
class Call:
    """A function of a condition or of a side."""

    name: str
    argument: "Node | Side"
    start: int


Piece = str | Text | Field | Call


@dataclass(frozen=True)
class Side:
    """One side of a comparison: a lone field or text, or arithmetic, with operators as `str`."""

    pieces: tuple[Piece, ...]
    start: int

    @property
    def only(self) -> Piece | None:
        """The one piece, if there is no other."""
        return self.pieces[0] if len(self.pieces) == 1 else None


@dataclass(frozen=True)
class Comparison:
    """Two sides and what is between them."""

    left: Side
    operator: str
    right: Side

    @property
    def start(self) -> int:
        """The character where it begins, counted from 0."""
        return self.left.start


@dataclass(frozen=True)
class Combination:
    """Two conditions and `&`, `&&`, `|` or `||` between them."""

    left: "Node"
    operator: str
    right: "Node"


Node = Comparison | Combination


def parse(text: str) -> Node:
    """The tree of an expression.

    Raises
    ------
    ExpressionError
        If it is not understood.
    """
    parser = _Parser([*_tokens(text), Token("end", "its end", len(text))])
    try:
        tree = parser.either()
    except RecursionError:
        raise ExpressionError(TOO_DEEP) from None
    parser.expect_end()
    return tree


def _tokens(text: str) -> Iterator[Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None or found.lastgroup is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            word = text[start:].split(maxsplit=1)[0]
            raise ExpressionError(f"{_shown(word)} is not understood", start)
        yield Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
        position = found.end()


def _shown(word: str) -> str:
    """A word as a message quotes it."""
    return repr(word if len(word) <= _LONGEST else f"{word[:_LONGEST]}...")


class _Parser:
    def __init__(self, tokens: list[Token]):
        self._tokens = tokens
        self._at = 0
        # What became of the function whose argument begins at a token, and where it ends: those
        # within others are come to again, once for each way in which the others are read.
        self._calls: dict[int, tuple[Call, int] | ExpressionError] = {}

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _is(self, *texts: str) -> bool:
        return self._next.kind in ("sign", "logic") and self._next.text in texts

    def _unexpected(self) -> ExpressionError:
        token = self._next
        said = token.text if token.kind == "end" else _shown(token.text)
        return ExpressionError(f"{said} is not expected", token.start)

    def expect_end(self) -> None:
        """Raise unless all was taken."""
        if self._next.kind != "end":
            raise self._unexpected()

    def either(self) -> Node:
        """A condition, or several of which one is enough."""
        return self._combination(("|", "||"), self._both)

    def _both(self) -> Node:
        return self._combination(("&", "&&"), self._condition)

    def _combination(self, operators: tuple[str, ...], part: Callable[[], Node]) -> Node:
        left = part()
        if not self._is(*operators):
            return left
        operator = self._take().text
        return Combination(left, operator, self._combination(operators, part))

    def _condition(self) -> Node:
        if self._is("(") and self._is_condition_within():
            self._take()
            tree = self.either()
            self._close(")")
            return tree
        return self._comparison()

    def _is_condition_within(self) -> bool:
        """Whether what is in the brackets that come next is a condition, not arithmetic."""
        depth, functions = 0, []
        for at in range(self._at, len(self._tokens)):
            token = self._tokens[at]
            if token.kind == "sign" and token.text == "(":
                depth += 1
                if at > 0 and self._tokens[at - 1].kind == "name":
                    functions.append(depth)
            elif token.kind == "sign" and token.text == ")":
                if functions and functions[-1] == depth:
                    functions.pop()
                depth -= 1
                if depth == 0:
                    return False
            elif token.kind in ("compare", "logic") and not functions:
                return True
        return False

    def _comparison(self) -> Comparison:
        left = self._side()
        if self._next.kind != "compare":
            if self._next.kind == "end" or self._is(")", "&", "&&", "|", "||"):
                raise ExpressionError("this is compared with nothing", left.start)
            raise self._unexpected()
        operator = self._take().text
        right = self._side()
        if self._next.kind == "compare":
            raise self._unexpected()
        return Comparison(left, "=" if operator == "==" else operator, right)

    def _side(self) -> Side:
        start = self._next.start
        pieces: list[Piece] = []
        depth = 0
        value_next = True
        while True:
            if value_next and self._is("("):
                depth += 1
                pieces.append(self._take().text)
            elif value_next and self._is("-"):
                pieces.append(self._take().text)
            elif value_next:
                pieces.append(self._value())
                value_next = False
            elif depth and self._is(")"):
                depth -= 1
                pieces.append(self._take().text)
            elif self._is("+", "-", "*", "/"):
                pieces.append(self._take().text)
                value_next = True
            else:
                break
        if depth:
            raise self._unexpected()
        return Side(tuple(pieces), start)

    def _value(self) -> Piece:
        token = self._next
        if token.kind == "number":
            return self._take().text
        if token.kind == "text":
            self._take()
            return Text(token.text[1:-1], token.start)
        if token.kind == "sign" and token.text == "@":
            raise ExpressionError("texts from a file (@) are not offered", token.start)
        if token.kind != "name":
            raise self._unexpected()
        self._take()
        if self._is("("):
            return self._call(token)
        return Field(token.text, self._index(), token.start)

    def _call(self, name: Token) -> Call:
        self._take()
        begin = self._at
        if begin not in self._calls:
            try:
                self._calls[begin] = self._new_call(name), self._at
            except ExpressionError as error:
                self._calls[begin] = error
        found = self._calls[begin]
        if isinstance(found, ExpressionError):
            raise found
        call, self._at = found
        return call

    def _new_call(self, name: Token) -> Call:
        argument: Node | Side
        # What a function is given is a condition if something is compared in it.
        at = self._at
        try:
            argument = self.either()
        except ExpressionError as error:
            self._at = at
            try:
                argument = self._side()
                if not self._is(")"):
                    raise self._unexpected()
            except ExpressionError:
                raise error from None
        self._close(")")
        return Call(name.text, argument, name.start)

    def _index(self) -> str | None:
        if not self._is("["):
            return None
        self._take()
        inside = ""
        while not self._is("]"):
            if self._next.kind == "end":
                raise self._unexpected()
            inside += self._take().text
        self._take()
        return inside

    def _close(self, text: str) -> None:
        if not self._is(text):
            raise self._unexpected()
        self._take()
