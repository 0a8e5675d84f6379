"""Which sites, and which of their samples, an expression is true for."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biofuse.errors import BiofuseError
from biofuse.plan.filters import numbers as nb
from biofuse.plan.filters.grammar import (
    TOO_DEEP,
    Call,
    Combination,
    Comparison,
    ExpressionError,
    Field,
    Node,
    Piece,
    Side,
    Text,
    parse,
)
from biofuse.plan.filters.slab import Fields, Slab
from biofuse.plan.filters.terms import FILL, MISSING, Term, find_term, masks
from biofuse.plan.filters.words import Words, compile_words

_PASSES = ("N_PASS", "F_PASS", "COUNT")
_SUMMARIES = ("MAX", "MIN", "SUM", "AVG", "MEAN")


# Characters of an expression that a message quotes.
_LONGEST = 200


@dataclass(frozen=True)
class Matches:
    """What a condition is true for.

    Attributes
    ----------
    sites : ndarray of bool, shape (variants,)
    samples : ndarray of bool, shape (variants, samples), or None
        None if the condition says nothing of samples.
    """

    sites: np.ndarray
    samples: np.ndarray | None

    @classmethod
    def of_values(cls, found: np.ndarray, of_calls: bool, num_sites: int) -> "Matches":
        """A site or sample matches where any of its values does."""
        samples = np.asarray(np.broadcast_to(found, (num_sites, *found.shape[1:])).any(axis=2))
        sites = np.asarray(samples.any(axis=1))
        return cls(sites, samples if of_calls else None)


_Condition = Callable[[Slab], Matches]
_Values = Callable[[Slab], nb.Numbers]


class Expression:
    """A bcftools expression, made ready for a store.

    Parameters
    ----------
    text : str
    fields : Fields

    Attributes
    ----------
    call_fields : list of str
        Fields of calls that it reads.

    Raises
    ------
    BiofuseError
        If it is not understood, or needs what the store has not.
    """

    def __init__(self, text: str, fields: Fields):
        self._text = text
        compiler = _Compiler(fields)
        try:
            self._condition = compiler.condition(parse(text))
        except ExpressionError as error:
            raise self._error(error) from None
        except RecursionError:
            raise self._error(ExpressionError(TOO_DEEP)) from None
        self.call_fields = sorted(compiler.call_fields)

    def matches(self, slab: Slab) -> np.ndarray:
        """For which of a slab's variants it is true: bool."""
        try:
            return self._condition(slab).sites
        except ExpressionError as error:
            raise self._error(error) from None
        except RecursionError:
            raise self._error(ExpressionError(TOO_DEEP)) from None

    def _shown(self) -> str:
        """It as messages quote it."""
        return repr(self._text if len(self._text) <= _LONGEST else f"{self._text[:_LONGEST]}...")

    def _error(self, error: ExpressionError) -> BiofuseError:
        return BiofuseError(
            f"the expression {self._shown()} cannot be used: {error} (what is not offered here, "
            "`bcftools view` does before conversion)"
        )


class _Compiler:
    def __init__(self, fields: Fields):
        self.fields = fields
        self.call_fields: set[str] = set()

    def condition(self, node: Node) -> _Condition:
        if isinstance(node, Comparison):
            return self._comparison(node)
        left, right = self.condition(node.left), self.condition(node.right)
        combine = _COMBINE[node.operator]
        return lambda slab: combine(left(slab), right(slab))

    def _term(self, field: Field) -> Term:
        term = find_term(field, self.fields)
        self.call_fields.update(term.fields)
        return term

    def _comparison(self, node: Comparison) -> _Condition:
        words = self._words(node)
        if words is not None:
            self.call_fields.update(words.fields)
            return lambda slab: Matches.of_values(words.compare(slab), words.of_calls, len(slab))
        if node.operator in ("~", "!~"):
            raise ExpressionError(f"{node.operator} compares with a text in quotes", node.start)
        left, right = self._side(node.left), self._side(node.right)

        def compare(slab: Slab) -> Matches:
            a, b = left(slab), right(slab)
            try:
                found = nb.compare(a, node.operator, b)
            except ExpressionError as error:
                raise error.located(node.start) from None
            return Matches.of_values(found, a.of_calls or b.of_calls, len(slab))

        return compare

    def _words(self, node: Comparison) -> Words | None:
        """A comparison of a field with a text, or None if it is none."""
        sides = (node.left.only, node.right.only)
        texts = [side for side in sides if isinstance(side, Text)]
        if not texts:
            return None
        others = [side for side in sides if isinstance(side, Field)]
        if not others:
            raise ExpressionError("a text is compared with a field alone", texts[0].start)
        return compile_words(others[0], self._term(others[0]), node.operator, texts[0], self.fields)

    def _side(self, side: Side) -> _Values:
        try:
            return _Arithmetic(side, self._operand).compiled()
        except ExpressionError as error:
            raise error.located(side.start) from None

    def _operand(self, piece: Piece) -> _Values:
        if isinstance(piece, str):
            number = nb.constant(float(piece))
            return lambda slab: number
        if isinstance(piece, Text):
            raise ExpressionError("there is no calculating with texts", piece.start)
        if isinstance(piece, Field):
            term = self._term(piece)
            if term.kind != "numbers":
                raise ExpressionError(
                    f"{piece.name} is no number: compare with a text", piece.start
                )
            return lambda slab: _as_numbers(term.read(slab), term.of_calls)
        return self._function(piece)

    def _function(self, call: Call) -> _Values:
        only = call.argument.only if isinstance(call.argument, Side) else None
        if call.name in _PASSES and isinstance(call.argument, Comparison | Combination):
            condition = self.condition(call.argument)
            return lambda slab: self._passes(call, condition(slab))
        if call.name in _SUMMARIES and isinstance(only, Field):
            values = self._operand(only)
            if not self._term(only).of_calls:
                raise ExpressionError(f"{call.name} takes FORMAT fields only", call.start)
            return lambda slab: nb.summarize(call.name, values(slab))
        if call.name == "STRLEN" and isinstance(only, Field) and only.name in ("REF", "ALT"):
            term = self._term(only)
            return lambda slab: _lengths(term.read(slab))
        raise ExpressionError(
            f"{call.name}() is not offered in this way: N_PASS, F_PASS and COUNT take a condition, "
            f"{', '.join(_SUMMARIES)} a FORMAT field, STRLEN REF or ALT",
            call.start,
        )

    def _passes(self, call: Call, found: Matches) -> nb.Numbers:
        if found.samples is None:
            raise ExpressionError(f"{call.name} takes a condition on samples", call.start)
        count = found.samples.sum(axis=1).astype(np.float64)
        if call.name == "F_PASS":
            count /= max(1, found.samples.shape[1])
        return _as_numbers(count, False)


def _as_numbers(values: np.ndarray, of_calls: bool) -> nb.Numbers:
    missing, absent = masks(values)
    shape = values.shape if of_calls else (values.shape[0], 1, *values.shape[1:])
    if len(shape) == 2:
        shape = (*shape, 1)
    return nb.Numbers(
        values.reshape(shape), missing.reshape(shape), absent.reshape(shape), of_calls
    )


def _lengths(texts: np.ndarray) -> nb.Numbers:
    lengths = np.array([len(text) for text in texts.flat], dtype=np.float64).reshape(texts.shape)
    # An alternative allele that is not there has none.
    lengths[texts == "."] = MISSING
    lengths[texts == ""] = FILL
    return _as_numbers(lengths, False)


class _Arithmetic:
    """One side of a comparison: products before sums, signs before both."""

    def __init__(self, side: Side, operand: Callable[[Piece], _Values]):
        self._pieces = list(side.pieces)
        self._operand = operand

    def compiled(self) -> _Values:
        return self._sum()

    def _sum(self) -> _Values:
        return self._chain(("+", "-"), self._product)

    def _product(self) -> _Values:
        return self._chain(("*", "/"), self._value)

    def _chain(self, operators: tuple[str, ...], part: Callable[[], _Values]) -> _Values:
        values = part()
        before = ""
        while self._pieces and self._pieces[0] in operators:
            operator = str(self._pieces.pop(0))
            if before in ("-", "/"):
                # bcftools begins at the right: it has 10-5-3 as 10-(5-3).
                raise ExpressionError(f"brackets must tell what {before} and {operator} are of")
            values = _calculated(values, operator, part())
            before = operator
        return values

    def _value(self) -> _Values:
        piece = self._pieces.pop(0)
        if piece == "-":
            return _calculated(lambda slab: nb.constant(0), "-", self._value())
        if piece != "(":
            return self._operand(piece)
        values = self._sum()
        self._pieces.pop(0)
        return values


def _calculated(left: _Values, operator: str, right: _Values) -> _Values:
    return lambda slab: nb.calculate(left(slab), operator, right(slab))


def _and(left: Matches, right: Matches, per_sample: bool) -> Matches:
    sites = left.sites & right.sites
    if left.samples is None and right.samples is None:
        return Matches(sites, None)
    if left.samples is None or right.samples is None:
        samples = left.samples if right.samples is None else right.samples
        assert samples is not None
        return Matches(sites, samples & sites[:, np.newaxis])
    if per_sample:
        samples = left.samples & right.samples
        return Matches(samples.any(axis=1), samples)
    return Matches(sites, (left.samples | right.samples) & sites[:, np.newaxis])


def _or(left: Matches, right: Matches, per_sample: bool) -> Matches:
    sites = left.sites | right.sites
    if left.samples is None and right.samples is None:
        return Matches(sites, None)
    if not per_sample:
        given = left.samples if left.samples is not None else right.samples
        assert given is not None
        return Matches(sites, np.broadcast_to(sites[:, np.newaxis], given.shape))
    if left.samples is None or right.samples is None:
        return Matches(sites, left.samples if right.samples is None else right.samples)
    return Matches(sites, left.samples | right.samples)


_COMBINE: dict[str, Callable[[Matches, Matches], Matches]] = {
    "&": lambda left, right: _and(left, right, per_sample=True),
    "&&": lambda left, right: _and(left, right, per_sample=False),
    "|": lambda left, right: _or(left, right, per_sample=True),
    "||": lambda left, right: _or(left, right, per_sample=False),
}
