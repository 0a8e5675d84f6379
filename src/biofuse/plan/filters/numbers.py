"""Numbers of an expression: arithmetic and comparison, with bcftools' meaning of missing ones.

Values have three axes: variants, samples and values; an axis of one is shared by all. An
operand that is missing makes a result missing; where there is no value, there is none.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from biofuse.plan.filters.grammar import ExpressionError

# Below this bcftools compares in single precision: what it has read of VCF is no more exact.
_EXACT = 1 << 24


@dataclass(frozen=True)
class Numbers:
    """Values, and where they are missing or none.

    Attributes
    ----------
    values : ndarray of float64, shape (variants or 1, samples or 1, values or 1)
    missing, absent : ndarray of bool
        Of the same shape.
    of_calls : bool
        Whether there is a value a call.
    """

    values: np.ndarray
    missing: np.ndarray
    absent: np.ndarray
    of_calls: bool

    def combined(self, other: "Numbers", values: np.ndarray) -> "Numbers":
        """Values that were made from those of both."""
        return Numbers(
            values,
            self.missing | other.missing,
            self.absent | other.absent,
            self.of_calls or other.of_calls,
        )


def constant(value: float) -> Numbers:
    """A number that is the same everywhere."""
    nothing = np.zeros((1, 1, 1), dtype=bool)
    return Numbers(np.full((1, 1, 1), value, dtype=np.float64), nothing, nothing, False)


def check_shapes(left: Numbers, right: Numbers) -> None:
    """Raise `ExpressionError` if values of the one have no partner in the other."""
    widths = {each.values.shape[2] for each in (left, right)} - {1}
    several = [each for each in (left, right) if each.values.shape[2] > 1]
    others = [each for each in (left, right) if each.values.shape[2] == 1]
    if len(widths) > 1:
        raise ExpressionError("its two sides have different numbers of values")
    if several and others and others[0].of_calls:
        raise ExpressionError("one side has several values, and the other one a sample")
    if len(several) == 2 and several[0].of_calls != several[1].of_calls:
        raise ExpressionError("one side has values of samples, and the other several of the site")


_ARITHMETIC: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


def calculate(left: Numbers, operator: str, right: Numbers) -> Numbers:
    """The sum, difference, product or quotient."""
    check_shapes(left, right)
    with np.errstate(all="ignore"):
        return left.combined(right, _ARITHMETIC[operator](left.values, right.values))


_COMPARISONS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "=": np.equal,
    "!=": np.not_equal,
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
}


def _rounded(values: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return np.where(np.abs(values) < _EXACT, values.astype(np.float32), values)


def compare(left: Numbers, operator: str, right: Numbers) -> np.ndarray:
    """Where a comparison is true: bool, of the axes of both together."""
    check_shapes(left, right)
    with np.errstate(all="ignore"):
        found = _COMPARISONS[operator](_rounded(left.values), _rounded(right.values))
    one, both = left.missing | right.missing, left.missing & right.missing
    if operator == "=":
        found = np.where(one, both, found)
    elif operator == "!=":
        found = np.where(one, ~both, found)
    else:
        found = found & ~one
    return np.asarray(found & ~(left.absent | right.absent))


def summarize(name: str, numbers: Numbers) -> Numbers:
    """One number a site of all that there are: their MAX, MIN, SUM or mean (AVG, MEAN)."""
    nothing = numbers.missing | numbers.absent
    axes = (1, 2)
    count = (~nothing).sum(axis=axes, keepdims=True)
    with np.errstate(all="ignore"):
        if name == "MAX":
            values = np.where(nothing, -np.inf, numbers.values).max(axis=axes, keepdims=True)
        elif name == "MIN":
            values = np.where(nothing, np.inf, numbers.values).min(axis=axes, keepdims=True)
        else:
            values = np.where(nothing, 0, numbers.values).sum(axis=axes, keepdims=True)
            if name != "SUM":
                values = values / count
    missing = count == 0
    return Numbers(np.where(missing, 0, values), missing, np.zeros_like(missing), False)
