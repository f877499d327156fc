"""Functions of each number of one tensor by itself."""

import math
from dataclasses import replace
from fractions import Fraction

from symstudy.symmetry.derivation.axes import NOTHING, Axis, scaled
from symstudy.symmetry.derivation.rules.registry import argument, number_of, rule
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import Operation, Place
from symstudy.symmetry.derivation.values import Value

__all__ = ["bent", "held", "raised", "without_factors"]

KEEPING = (
    "clone", "detach", "alias", "contiguous", "_to_copy", "to", "lift_fresh", "lift_fresh_copy",
    "copy", "neg", "positive", "view_as_real", "_conj", "resolve_conj",
)  # fmt: skip
"""Operations that pass every factor on."""
HOMOGENEOUS = ("relu", "leaky_relu", "rrelu", "rrelu_with_noise")
ODD = ("tanh", "sin", "tan", "sinh", "asinh", "atan", "asin", "atanh", "erf", "sign", "hardshrink",
       "softshrink", "tanhshrink", "round", "trunc")  # fmt: skip
EVEN = ("cos", "cosh")
OTHER = (
    "gelu", "silu", "sigmoid", "elu", "selu", "celu", "softplus", "mish", "hardswish",
    "log_sigmoid", "log_sigmoid_forward", "hardsigmoid", "relu6", "exp", "exp2",
    "expm1", "log", "log1p", "log2", "log10", "acosh",
    "floor", "ceil", "logit", "erfc", "erfinv", "frac", "lgamma", "digamma", "logical_not",
    "bitwise_not", "isnan", "isinf", "isfinite", "nan_to_num", "softsign",
)  # fmt: skip
POWERS = {
    "square": Fraction(2), "sqrt": Fraction(1, 2), "rsqrt": Fraction(-1, 2),
    "reciprocal": Fraction(-1),
}  # fmt: skip


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


@rule("dropout", "native_dropout", "bernoulli")
def drop(state: State, operation: Operation) -> Value | list[Value]:
    """Dropout, which is off where layouts are derived."""
    value = state.value(operation.args[0])
    return [value] * len(operation.outputs)


@rule(*HOMOGENEOUS)
def homogeneous(state: State, operation: Operation) -> Value:
    """A function with f(c z) = c f(z) for positive c."""
    return scaled_alike(state, operation)


def scaled_alike(state: State, operation: Operation) -> Value:
    """Return what a function gives that passes positive factors on, and no signs."""
    value = state.value(operation.args[0])
    bent(value, operation.name)
    for axis in value.axes:
        state.hold_sign(axis)
    plain = value.mapped(lambda axis: axis.with_factor(axis.scale, NOTHING))
    return Value(plain.dims, value.scale, is_weight=value.is_weight, activated=state.number)


@rule("abs")
def absolute(state: State, operation: Operation) -> Value:
    """An even function that is homogeneous."""
    value = state.value(operation.args[0])
    bent(value, operation.name)
    plain = value.mapped(lambda axis: axis.with_factor(axis.scale, NOTHING))
    return Value(plain.dims, value.scale, is_weight=value.is_weight, activated=state.number)


@rule(*ODD)
def odd(state: State, operation: Operation) -> Value:
    """A function with f(-z) = -f(z)."""
    return held(state, operation, keeps_sign=True)


@rule(*EVEN)
def even(state: State, operation: Operation) -> Value:
    """A function with f(-z) = f(z): no sign of its argument is seen."""
    made = held(state, operation, keeps_sign=True)
    return replace(without_factors(made), activated=made.activated)


@rule(*OTHER)
def other(state: State, operation: Operation) -> Value:
    """A function without such a property."""
    return held(state, operation, keeps_sign=False)


@rule("hardtanh", "clamp", "clamp_min", "clamp_max")
def limited(state: State, operation: Operation) -> Value:
    """Numbers cut off at two ends: odd between -c and c, homogeneous where one end is 0."""
    low, high = limits_of(state, operation)
    if (low, high) in ((0.0, math.inf), (-math.inf, 0.0)):
        return scaled_alike(state, operation)
    return held(state, operation, keeps_sign=low is not None and high is not None and low == -high)


def limits_of(state: State, operation: Operation) -> tuple[float | None, float | None]:
    """Return where an operation cuts off, infinite at an open end; None where that is no number."""
    name = operation.name.removeprefix("aten.")
    is_hard = name == "hardtanh"
    ends = [-1.0, 1.0] if is_hard else [-math.inf, math.inf]
    words = ("min_val", "max_val") if is_hard else ("min", "max")
    places = {"clamp_min": (1, None), "clamp_max": (None, 1)}.get(name, (1, 2))
    found: list[float | None] = []
    for end, word, place in zip(ends, words, places, strict=True):
        given = None if place is None else argument(operation, place, word)
        found.append(end if given is None else number_of(state, given))
    return found[0], found[1]


@rule("threshold")
def cut(state: State, operation: Operation) -> Value:
    """Numbers above a threshold, and another number below: ReLU where both are 0."""
    ends = [
        number_of(state, argument(operation, i, n)) for i, n in ((1, "threshold"), (2, "value"))
    ]
    if ends == [0.0, 0.0]:
        return scaled_alike(state, operation)
    return held(state, operation, keeps_sign=False)


def held(state: State, operation: Operation, *, keeps_sign: bool) -> Value:
    """Return what a function gives that allows no factor, or signs alone."""
    value = state.value(operation.args[0])
    for each in state.find_values(operation)[1:]:
        state.stop(each, operation.name)
    bent(value, operation.name)
    for axis in value.axes:
        state.scales.append(axis.scale)
        if not keeps_sign:
            state.hold_sign(axis)
    state.whole_scales.append(value.scale)
    plain = value.mapped(
        lambda axis: axis.with_factor(NOTHING, axis.sign if keeps_sign else NOTHING)
    )
    return replace(without_factors(plain), dims=plain.dims, activated=state.number)


@rule(*POWERS)
def root(state: State, operation: Operation) -> Value:
    """A fixed power."""
    name = operation.name.removeprefix("aten.")
    return raised(state, state.value(operation.args[0]), POWERS[name], operation.name)


@rule("pow")
def power(state: State, operation: Operation) -> Value:
    """A power by a number."""
    exponent = number_of(state, operation.args[1])
    if exponent is None or not isinstance(operation.args[0], Place):
        values = state.find_values(operation)
        for value in values:
            state.stop(value, operation.name)
        return without_factors(max(values, key=lambda value: len(value.dims)))
    return raised(
        state,
        state.value(operation.args[0]),
        Fraction(exponent).limit_denominator(64),
        operation.name,
    )


def raised(state: State, value: Value, exponent: Fraction, reason: str) -> Value:
    """Return a power: factors are raised to it too."""
    bent(value, reason)
    is_whole = exponent.denominator == 1
    for axis in value.axes if not is_whole else ():
        state.hold_sign(axis)

    def change(axis: Axis) -> Axis:
        sign = scaled(axis.sign, exponent) if is_whole else NOTHING
        return axis.with_factor(scaled(axis.scale, exponent), sign)

    return Value(
        value.mapped(change).dims,
        scaled(value.scale, exponent),
        is_weight=value.is_weight,
        activated=state.number,
    )
