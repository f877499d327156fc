"""Functions of each number of one tensor by itself."""

from fractions import Fraction

from symstudy.symmetry.derivation.axes import NOTHING, scaled
from symstudy.symmetry.derivation.pointwise import BENT, LIKE, SAME, Nature
from symstudy.symmetry.derivation.rules.registry import rule
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import Operation
from symstudy.symmetry.derivation.values import Value, constant_value, size_of

__all__ = ["acted", "bent", "held", "without_factors"]

ONE = Fraction(1)

KEEPING = (*SAME, "view_as_real", "_conj", "resolve_conj")
"""Operations that pass every factor on."""
RANDOM = ("rrelu", "rrelu_with_noise")
"""Homogeneous, with slopes that training draws: it is not called again."""


def without_factors(value: Value) -> Value:
    """Return a tensor whose factors are all 1, of new origin."""
    plain = value.mapped(lambda axis: axis.with_factor(NOTHING, NOTHING))
    return Value(plain.dims, is_weight=value.is_weight, is_constant=value.is_constant)


def bent(value: Value, reason: str) -> None:
    """Say that something acts on each number of a tensor by itself."""
    for axis in value.axes:
        axis.of.bend(reason)


@rule(*KEEPING)
def keep(state: State, operation: Operation) -> Value:
    """The same numbers, or their negatives."""
    return state.value(operation.args[0])


@rule("copy")
def copied(state: State, operation: Operation) -> Value:
    """The numbers of the second tensor in the place of those of the first."""
    into, source = (state.value(place) for place in operation.args[:2])
    if [size_of(dim) for dim in into.dims] == [size_of(dim) for dim in source.dims]:
        return source
    return held(state, operation)


@rule("dropout", "native_dropout", "bernoulli")
def drop(state: State, operation: Operation) -> Value | list[Value]:
    """Dropout, which is off where layouts are derived."""
    value = state.value(operation.args[0])
    return [value] * len(operation.outputs)


@rule(*RANDOM)
def random_slope(state: State, operation: Operation) -> Value:
    """A function with f(c z) = c f(z) for positive c."""
    return acted(state, state.value(operation.args[0]), Nature(degree=ONE), operation.name)


@rule("pointwise")
def pointwise(state: State, operation: Operation) -> Value:
    """A function of one number, by what it does with signs and factors."""
    place, nature, name = operation.args
    return acted(state, state.value(place), nature, name)


def acted(state: State, value: Value, nature: Nature, reason: str) -> Value:
    """Return what a function of each number gives.

    Args:
        state: What is known.
        value: What it is given.
        nature: What it does with signs and positive factors.
        reason: Its name.
    """
    if nature.is_linear:
        return value
    bent(value, reason)
    for axis in value.axes:
        if not nature.degree:
            state.scales.append(axis.scale)
        if not (nature.odd or nature.even):
            state.hold_sign(axis)
    if not nature.degree:
        state.whole_scales.append(value.scale)
    plain = value.mapped(
        lambda axis: axis.with_factor(
            scaled(axis.scale, nature.degree), axis.sign if nature.odd else NOTHING
        )
    )
    return Value(
        plain.dims,
        scaled(value.scale, nature.degree),
        is_weight=value.is_weight,
        activated=state.number,
    )


@rule(*(name for name in BENT if name != "pow"))
def other(state: State, operation: Operation) -> Value:
    """A function of several tensors, of which nothing else is known."""
    return held(state, operation)


def held(state: State, operation: Operation) -> Value:
    """Return what a function gives that allows no factor."""
    for each in state.find_values(operation)[1:]:
        state.stop(each, operation.name)
    return acted(state, state.value(operation.args[0]), Nature(), operation.name)


@rule("pow")
def power(state: State, operation: Operation) -> Value:
    """A power by another tensor."""
    values = state.find_values(operation)
    for value in values:
        state.stop(value, operation.name)
    return without_factors(max(values, key=lambda value: len(value.dims)))


@rule(*LIKE)
def constant(state: State, operation: Operation) -> Value:
    """A constant of the shape of a tensor, which says nothing of its numbers."""
    return constant_value(state.trace.tensors[operation.outputs[0]])
