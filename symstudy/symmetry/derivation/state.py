"""What is known of the tensors of a forward pass, and what follows for its parameters.

Every axis of every tensor carries a class, and the factor by which its positions would be
multiplied if the parameters were. An operation merges classes where positions meet, and says which
factors must be equal or 1 for it to pass them on; the parameters' factors that satisfy all of this
are the rescalings and, counted mod 2, the sign flips of the network.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from math import prod
from typing import Any, NamedTuple, final

from symstudy.symmetry.derivation.axes import (
    Axis,
    AxisClass,
    Dim,
    Expression,
    Form,
    Restart,
    Variable,
    find,
    form_of_dim,
    merge,
    parts_of,
    split_class,
    total,
)
from symstudy.symmetry.derivation.trace import Operation, Place, Trace
from symstudy.symmetry.derivation.values import (
    Contraction,
    Value,
    constant_value,
    inside,
    size_of,
)

__all__ = [
    "Normalised",
    "Reading",
    "State",
    "places_in",
]

ONE = Fraction(1)


class Reading(NamedTuple):
    """What a parameter has summed over.

    Attributes:
        last: Number of the last operation that summed.
        activated: Number of the first operation that made what was read activations; -1 for none.
    """

    last: int
    activated: int


@dataclass(frozen=True)
class Normalised:
    """What a normalisation has seen.

    Attributes:
        operation: Its name.
        shifted: Parameters that were added to its input last.
        axes: Axes of what is normalised.
        each_apart: Whether each of their positions has a mean and a variance of its own, as the
            channels of BatchNorm have; otherwise all positions share them.
    """

    operation: str
    shifted: frozenset[str]
    axes: tuple[Axis, ...]
    each_apart: bool


@final
@dataclass
class State:
    """All that was found out on the way through a forward pass.

    Attributes:
        trace: The pass.
        values: What is known of its tensors, by number.
        scales: Sums of logarithms that must be 0, for factors along axes.
        signs: Sums that must be even, likewise.
        whole_scales: The same for factors of whole tensors.
        classes: Class of the axis that a variable is of.
        writes: Variables of axes that make what runs along them.
        reads: Variables of axes that are summed over.
        gains: Variables of axes that something is multiplied by place by place.
        readings: What a variable of `reads` has read last, and first as activations.
        attention: Products that a softmax was taken of, and what its weights were multiplied with.
        normalised: What each normalisation has seen.
        unknown: Operations that are not understood.
        number: Number of the operation at hand.
    """

    trace: Trace
    values: dict[int, Value] = field(default_factory=dict)
    scales: list[Expression] = field(default_factory=list)
    signs: list[Expression] = field(default_factory=list)
    whole_scales: list[Expression] = field(default_factory=list)
    classes: dict[Variable, AxisClass] = field(default_factory=dict)
    writes: set[Variable] = field(default_factory=set)
    reads: set[Variable] = field(default_factory=set)
    gains: set[Variable] = field(default_factory=set)
    readings: dict[Variable, Reading] = field(default_factory=dict)
    attention: list[tuple[int, Contraction, Value]] = field(default_factory=list)
    normalised: list["Normalised"] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    number: int = -1

    def add_parameter(self, name: str, number: int, forms: tuple[Form, ...]) -> None:
        """Begin with a parameter whose dimensions are put together as `forms` says."""
        dims = tuple(self.dim_of(name, (at,), form) for at, form in enumerate(forms))
        whole = Variable(name, ())
        # A parameter is its own factor: all of it, and each position of each axis.
        self.values[number] = Value(dims, {whole: ONE}, is_weight=True)

    def dim_of(self, name: str, path: tuple[int, ...], form: Form) -> Dim:
        """Return a dimension of the parameter `name` that is put together as `form` says."""
        if form == 1:
            return ()
        if isinstance(form, int):
            variable = Variable(name, path)
            axis = Axis(form, AxisClass(form), {variable: ONE}, {variable: ONE})
            self.classes[variable] = axis.of
            return (axis,)
        kind, forms = form
        parts = tuple(self.dim_of(name, (*path, at), each) for at, each in enumerate(forms))
        if kind == "x":
            return tuple(axis for part in parts for axis in part)
        size = sum(map(size_of, parts))
        return (Axis(size, AxisClass(size), kind="joined", choices=parts),)

    def forms(self) -> dict[str, tuple[Form, ...]]:
        """Return how each parameter was found to be put together."""
        return {
            name: tuple(form_of_dim(dim) for dim in self.values[number].dims)
            for name, number in self.trace.parameters.items()
        }

    def value(self, place: Place) -> Value:
        """Return what is known of a tensor; of one that was made of nothing, what its numbers say.

        Positions of a constant are alike where its numbers are.
        """
        if place.number not in self.values:
            self.values[place.number] = constant_value(self.trace.tensors[place.number])
        return self.values[place.number]

    def fresh(self, size: int, frozen: str = "") -> Dim:
        """Return a new dimension; `frozen` is why its positions cannot be exchanged."""
        return (Axis(size, AxisClass(size, frozen)),) if size != 1 else ()

    def plain(self, dim: Dim) -> Dim:
        """Return a dimension with axes that are found to be products written as such."""
        axes: list[Axis] = []
        for axis in dim:
            parts = parts_of(axis.of) if axis.kind == "plain" else ()
            if len(parts) > 1:
                # Factors position by position do not split into those of the parts.
                self.hold(axis)
                axes += [Axis(part.size, part) for part in parts]
            else:
                axes.append(axis)
        return tuple(axes)

    def hold(self, axis: Axis) -> None:
        """Say that the factors along an axis are 1."""
        for each in inside(iter((axis,))):
            self.scales.append(each.scale)
            self.signs.append(each.sign)

    def hold_sign(self, axis: Axis) -> None:
        """Say that the signs along an axis are 1."""
        self.signs += [each.sign for each in inside(iter((axis,)))]

    def freeze(self, dim: Dim, reason: str) -> None:
        """Say that the positions of a dimension cannot be exchanged, and have factors of 1."""
        for axis in dim:
            self.hold(axis)
            for each in inside(iter((axis,))):
                each.of.freeze(reason)
                each.of.bend(reason)

    def stop(self, value: Value, reason: str) -> None:
        """Say that nothing is known of what is done with `value`."""
        for dim in value.dims:
            self.freeze(dim, reason)
        self.whole_scales.append(value.scale)

    def join(self, left: Dim, right: Dim) -> tuple[Dim, Dim]:
        """Say that two dimensions of one size are the same; return both with axes that match.

        Raises:
            Restart: If a parameter turned out to be a sum.
        """
        left, right = self.plain(left), self.plain(right)
        if [a.size for a in left] != [b.size for b in right]:
            sizes = common_sizes(left, right)
            if sizes is None:
                return self.misfit(left, right)
            left, right = (self.split(dim, sizes) for dim in (left, right))
        pairs = [self.join_axes(a, b) for a, b in zip(left, right, strict=True)]
        return tuple(a for a, _ in pairs), tuple(b for _, b in pairs)

    def join_axes(self, left: Axis, right: Axis) -> tuple[Axis, Axis]:
        """Say that two axes are the same; return both, put together alike.

        Raises:
            Restart: If a parameter turned out to be a sum.
        """
        if left.kind == right.kind == "plain":
            merge(left.of, right.of)
            return left, right
        if right.kind == "stacked" and left.kind == "plain":
            other, mine = self.join_axes(right, left)
            return mine, other
        choices = right.choices
        if left.kind == "stacked" and right.kind == "plain":
            choices = ((right,),) * len(left.choices)
        elif "plain" in (left.kind, right.kind):
            plain, made = (left, right) if left.kind == "plain" else (right, left)
            self.cut(plain, tuple(size_of(choice) for choice in made.choices))
        sizes = [[size_of(choice) for choice in each] for each in (left.choices, choices)]
        if sizes[0] != sizes[1]:
            (a,), (b,) = self.misfit((left,), (right,))
            return a, b
        pairs = [self.join(a, b) for a, b in zip(left.choices, choices, strict=True)]
        return (
            replace(left, choices=tuple(a for a, _ in pairs)),
            replace(left, choices=tuple(b for _, b in pairs)),
        )

    def misfit(self, left: Dim, right: Dim) -> tuple[Dim, Dim]:
        """Give two dimensions up that are put together in ways that do not fit each other."""
        reason = "it is put together in ways that do not fit each other"
        for dim in (left, right):
            self.freeze(dim, reason)
        new = self.fresh(size_of(left), reason)
        return new, new

    def cut(self, axis: Axis, sizes: tuple[int, ...]) -> None:
        """Say that an axis is a sum of parts of these sizes.

        Raises:
            Restart: If it is one of a parameter.
        """
        root = find(axis.of)
        if root.frozen or root.cuts or root.parts:
            return
        root.cuts = sizes
        if any(find(each) is root for each in self.classes.values()):
            raise Restart

    def split(self, dim: Dim, sizes: tuple[int, ...]) -> Dim:
        """Return a dimension as the product of axes of `sizes`, which refine it."""
        axes: list[Axis] = []
        left = list(sizes)
        for axis in dim:
            taken = [left.pop(0)]
            while prod(taken) < axis.size:
                taken.append(left.pop(0))
            axes += self.split_axis(axis, tuple(taken)) if len(taken) > 1 else [axis]
        return tuple(axes)

    def split_axis(self, axis: Axis, sizes: tuple[int, ...]) -> list[Axis]:
        """Return an axis as the product of axes of `sizes`."""
        if axis.kind == "plain":
            self.hold(axis)
            return [Axis(part.size, part) for part in split_class(axis.of, sizes)]
        if axis.kind == "stacked":
            choices = [self.split(self.plain(choice), sizes) for choice in axis.choices]
            return [
                replace(axis, size=size, choices=tuple((choice[at],) for choice in choices))
                for at, size in enumerate(sizes)
            ]
        self.freeze((axis,), "a sum is read as a product")
        return [Axis(size, AxisClass(size, "a sum is read as a product")) for size in sizes]

    def equate(self, left: Dim, right: Dim) -> None:
        """Say that the factors along two dimensions that match are the same."""
        for a, b in zip(inside(iter(left)), inside(iter(right)), strict=True):
            self.scales.append(total(a.scale, b.scale, -1))
            self.signs.append(total(a.sign, b.sign, -1))

    def equate_whole(self, left: Value, right: Value) -> None:
        """Say that the factors of two whole tensors are the same."""
        self.whole_scales.append(total(left.scale, right.scale, -1))

    def mark_writes(self, value: Value) -> None:
        """Note that a parameter makes what runs along its axes."""
        for axis in value.axes:
            self.writes |= set(axis.scale) | set(axis.sign)

    def find_values(self, operation: Operation) -> list[Value]:
        """Return what is known of all tensors that an operation reads."""
        return [self.value(place) for place in places_in((operation.args, operation.kwargs))]


def places_in(value: Any) -> Iterator[Place]:
    """Yield the tensors in arguments."""
    if isinstance(value, Place):
        yield value
    elif isinstance(value, dict):
        yield from places_in(tuple(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from places_in(each)


def common_sizes(left: Dim, right: Dim) -> tuple[int, ...] | None:
    """Return the coarsest product that refines two dimensions of one size; None if none does."""
    marks = {1}
    for dim in (left, right):
        done = 1
        for axis in reversed(dim):
            done *= axis.size
            marks.add(done)
    ordered = sorted(marks)
    steps = list(pairwise(ordered))
    if any(high % low for low, high in steps):
        return None
    return tuple(high // low for low, high in reversed(steps))
