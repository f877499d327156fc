"""Factors of parameters that satisfy all equations: null spaces over the rationals and mod 2."""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from symstudy.symmetry.derivation.axes import Expression, Variable

__all__ = ["components", "is_spanned", "null_space", "null_space_mod_2", "satisfies"]

Vector = Mapping[Variable, Fraction]


def components(
    variables: Sequence[Variable], equations: Iterable[Expression]
) -> list[tuple[list[Variable], list[Expression]]]:
    """Return sets of variables that no equation joins with others, with their equations."""
    leader = {each: each for each in variables}

    def find(each: Variable) -> Variable:
        while leader[each] != each:
            each = leader[each]
        return each

    unique = {frozenset(each.items()): each for each in equations if each}.values()
    for equation in unique:
        first, *rest = map(find, equation)
        for other in rest:
            leader[other] = first
    found: dict[Variable, tuple[list[Variable], list[Expression]]] = {}
    for each in variables:
        found.setdefault(find(each), ([], []))[0].append(each)
    for equation in unique:
        found[find(next(iter(equation)))][1].append(equation)
    return list(found.values())


def reduce(
    rows: list[dict[Variable, Fraction]], order: Sequence[Variable]
) -> dict[Variable, dict[Variable, Fraction]]:
    """Return the reduced echelon form of `rows`, by pivot."""
    place = {each: at for at, each in enumerate(order)}
    pivots: dict[Variable, dict[Variable, Fraction]] = {}
    for row in rows:
        left = dict(row)
        for pivot, other in pivots.items():
            if pivot in left:
                left = minus(left, other, left[pivot])
        if not left:
            continue
        pivot = min(left, key=lambda each: place[each])
        left = {key: value / left[pivot] for key, value in left.items()}
        for key, other in pivots.items():
            if pivot in other:
                pivots[key] = minus(other, left, other[pivot])
        pivots[pivot] = left
    return pivots


def minus(
    left: Mapping[Variable, Fraction], right: Mapping[Variable, Fraction], factor: Fraction
) -> dict[Variable, Fraction]:
    """Return `left - factor * right` without zeros."""
    result = dict(left)
    for key, value in right.items():
        result[key] = result.get(key, Fraction(0)) - factor * value
    return {key: value for key, value in result.items() if value}


def null_space(
    variables: Sequence[Variable], equations: list[Expression]
) -> list[dict[Variable, Fraction]]:
    """Return a basis of the vectors that satisfy all equations, one for each free variable."""
    pivots = reduce([dict(each) for each in equations], list(reversed(variables)))
    basis = []
    for free in variables:
        if free not in pivots:
            vector = {free: Fraction(1)}
            for pivot, row in pivots.items():
                if free in row:
                    vector[pivot] = -row[free]
            basis.append(vector)
    return basis


def null_space_mod_2(
    variables: Sequence[Variable], equations: list[Expression]
) -> list[frozenset[Variable]]:
    """Return a basis of the sets of variables of which every equation has an even number.

    Coefficients that are no whole numbers make their variable stay out.
    """
    rows: list[set[Variable]] = []
    for equation in equations:
        rows += [{key} for key, value in equation.items() if value.denominator > 1]
        rows.append({key for key, value in equation.items() if value.numerator % 2})
    place = {each: -at for at, each in enumerate(variables)}
    pivots: dict[Variable, set[Variable]] = {}
    for row in rows:
        left = set(row)
        for pivot, other in pivots.items():
            if pivot in left:
                left ^= other
        if not left:
            continue
        pivot = min(left, key=lambda each: place[each])
        for key, other in pivots.items():
            if pivot in other:
                pivots[key] = other ^ left
        pivots[pivot] = left
    return [
        frozenset({free, *(pivot for pivot, row in pivots.items() if free in row)})
        for free in variables
        if free not in pivots
    ]


def satisfies(vector: Vector, equations: Iterable[Expression], modulus: int = 0) -> bool:
    """Return whether a vector satisfies all equations, mod 2 if `modulus` is."""
    for equation in equations:
        value = sum((vector.get(key, Fraction(0)) * c for key, c in equation.items()), Fraction(0))
        if (value % modulus if modulus else value) != 0:
            return False
    return True


def is_spanned(vector: Vector, others: Sequence[Vector]) -> bool:
    """Return whether a vector is a sum of multiples of others."""
    order = sorted({key for each in (vector, *others) for key in each})
    pivots = reduce([dict(each) for each in others], order)
    left = dict(vector)
    for pivot, row in pivots.items():
        if pivot in left:
            left = minus(left, row, left[pivot])
    return not left
