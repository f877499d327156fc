"""Axes of tensors, which of them are the same neurons, and how each is put together.

An axis class is a set of axes, of parameters and of activations, that are positions of the same
things: the output axis of one layer and the input axis of the next. A reshape shows that a class is
a product (heads times numbers of a head), a split or a concatenation that it is a sum (queries,
keys, values).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Literal, NamedTuple, final

__all__ = [
    "NOTHING",
    "Axis",
    "AxisClass",
    "Dim",
    "Expression",
    "Form",
    "Restart",
    "Variable",
    "find",
    "form_of_dim",
    "merge",
    "parts_of",
    "scaled",
    "split_class",
    "total",
]


class Variable(NamedTuple):
    """A factor by which a parameter may be multiplied, position by position along one of its axes.

    Attributes:
        parameter: Name of the parameter.
        path: Which of its axes: dimension, then part of it; empty for the whole parameter.
    """

    parameter: str
    path: tuple[int, ...]


Expression = dict[Variable, Fraction]
"""Logarithm of a factor as a sum of those of variables, or its sign where they are counted mod 2;
empty for a factor of 1. Never changed in place."""

NOTHING: Expression = {}


def total(left: Expression, right: Expression, factor: Fraction | int = 1) -> Expression:
    """Return `left + factor * right`."""
    result = dict(left)
    for key, value in right.items():
        result[key] = result.get(key, Fraction(0)) + factor * value
    return {key: value for key, value in result.items() if value}


def scaled(expression: Expression, factor: Fraction | int) -> Expression:
    """Return `factor * expression`."""
    return total(NOTHING, expression, factor)


@final
@dataclass(eq=False)
class AxisClass:
    """A class of axes of one length; those that were merged point to one that stands for all.

    Attributes:
        size: Positions.
        frozen: Why its positions cannot be exchanged; empty if they can, as far as was seen.
        bent: What acts on each position by itself, so that positions cannot be mixed linearly;
            empty if nothing does.
        parent: Class that it was merged into; None if it stands for itself.
        parts: Classes that it is the product of; empty if it is one thing.
        cuts: Sizes that it is the sum of; empty likewise.
        companions: Classes along which tensors were multiplied place by place, such as heads.
    """

    size: int
    frozen: str = ""
    bent: str = ""
    parent: "AxisClass | None" = None
    parts: tuple["AxisClass", ...] = ()
    cuts: tuple[int, ...] = ()
    companions: set["AxisClass"] = field(default_factory=set)

    def freeze(self, reason: str) -> None:
        """Say that its positions cannot be exchanged."""
        root = find(self)
        root.frozen = root.frozen or reason
        for part in root.parts:
            part.freeze(reason)

    def bend(self, reason: str) -> None:
        """Say that something acts on each position by itself."""
        root = find(self)
        root.bent = root.bent or reason
        for part in root.parts:
            part.bend(reason)


def find(each: AxisClass) -> AxisClass:
    """Return the class that stands for all that `each` was merged with."""
    while each.parent is not None:
        each = each.parent
    return each


def merge(left: AxisClass, right: AxisClass) -> None:
    """Say that two classes of one size are the same."""
    left, right = find(left), find(right)
    if left is right:
        return
    assert left.size == right.size, f"axes of {left.size} and {right.size} are not the same"
    right.parent = left
    left.companions |= right.companions
    if right.bent:
        left.bend(right.bent)
    left.cuts = left.cuts or right.cuts
    if left.parts and right.parts:
        merge_parts(left, left.parts, right.parts)
    left.parts = left.parts or right.parts
    reason = left.frozen or right.frozen
    if reason:
        left.freeze(reason)


def merge_parts(
    whole: AxisClass, left: tuple[AxisClass, ...], right: tuple[AxisClass, ...]
) -> None:
    """Merge two products that are the same class, or freeze it where they are cut differently."""
    a, b = (list(leaves_of(parts)) for parts in (left, right))
    if [each.size for each in a] == [each.size for each in b]:
        for one, other in zip(a, b, strict=True):
            merge(one, other)
        return
    sizes = refined([each.size for each in a], [each.size for each in b])
    if sizes is None:
        for each in (whole, *a, *b):
            each.freeze("it is read as two products that do not fit each other")
        return
    for leaves in (a, b):
        refine(leaves, sizes)
    for one, other in zip(leaves_of(left), leaves_of(right), strict=True):
        merge(one, other)


def refined(left: list[int], right: list[int]) -> list[int] | None:
    """Return the coarsest product that refines two products of one size; None if none does."""
    marks = set()
    for sizes in (left, right):
        done = 1
        for size in reversed(sizes):
            done *= size
            marks.add(done)
    ordered = [1, *sorted(marks)]
    pairs = list(pairwise(ordered))
    if any(high % low for low, high in pairs):
        return None
    return [high // low for low, high in reversed(pairs) if high > low]


def refine(leaves: list[AxisClass], sizes: list[int]) -> None:
    """Split classes that are one thing, so that their product is that of `sizes`."""
    at = 0
    for each in leaves:
        covered = [sizes[at]]
        while prod(covered) < each.size:
            covered.append(sizes[at + len(covered)])
        at += len(covered)
        if len(covered) > 1:
            split_class(each, covered)


def leaves_of(classes: Iterable[AxisClass]) -> Iterator[AxisClass]:
    """Yield the classes that are one thing, in order."""
    for each in map(find, classes):
        if each.parts:
            yield from leaves_of(each.parts)
        else:
            yield each


def parts_of(each: AxisClass) -> tuple[AxisClass, ...]:
    """Return the classes that `each` is the product of, itself if it is one thing."""
    return tuple(leaves_of((each,)))


def split_class(each: AxisClass, sizes: Iterable[int]) -> tuple[AxisClass, ...]:
    """Say that a class is a product of these sizes, and return its parts."""
    root = find(each)
    wanted = tuple(sizes)
    assert prod(wanted) == root.size, f"{wanted} is {root.size}"
    made = tuple(
        AxisClass(size, root.frozen, root.bent, companions=set(root.companions)) for size in wanted
    )
    if root.parts:
        merge_parts(root, root.parts, made)
    else:
        root.parts = made
    return made


Kind = Literal["plain", "joined", "stacked"]


@dataclass(frozen=True)
class Axis:
    """One axis of a tensor, or one factor of it.

    Attributes:
        size: Positions.
        of: Its class; for one put together, of no use.
        scale: Logarithm of the positive factor of each position.
        sign: Its sign, counted mod 2.
        kind: `plain`; `joined`, a sum of `choices` one behind the other; or `stacked`, one of
            `choices` by the place along the axis whose class is `stack`.
        choices: What it is put together from.
        stack: See `kind`.
    """

    size: int
    of: AxisClass
    scale: Expression = field(default_factory=dict)
    sign: Expression = field(default_factory=dict)
    kind: Kind = "plain"
    choices: tuple["Dim", ...] = ()
    stack: AxisClass | None = None

    def with_factor(self, scale: Expression, sign: Expression) -> "Axis":
        """Return the axis with other factors."""
        return replace(self, scale=scale, sign=sign)


Dim = tuple[Axis, ...]
"""One dimension of a tensor: the product of its axes, row-major; empty where it has one place."""

Form = int | tuple[str, tuple["Form", ...]]
"""How a dimension of a parameter is put together: its size, `("x", forms)` or `("+", forms)`."""


class Restart(Exception):  # noqa: N818  # it is no mistake: what was found out is kept
    """A parameter turned out to be a sum; all is followed once more from there."""


def form_of_dim(dim: Dim) -> Form:
    """Return how a dimension of a parameter was found to be put together."""
    forms: list[Form] = []
    for axis in dim:
        if axis.kind == "joined":
            forms.append(("+", tuple(form_of_dim(choice) for choice in axis.choices)))
            continue
        leaves = parts_of(axis.of)
        forms += [("+", leaf.cuts) if leaf.cuts else leaf.size for leaf in leaves]
    if len(forms) == 1:
        return forms[0]
    return ("x", tuple(forms)) if forms else 1
