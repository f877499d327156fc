"""Functions of each number by itself, whatever they are put together from: odd, even, homogeneous.

`2 sigmoid(2 z) - 1` is odd and `relu(z) - relu(-z)` is linear, though none of their operations is.
So operations of one tensor alone are taken together, and what they make of it is asked of numbers:
in float64, at fixed points from 1e-6 to 1e3 of both signs and at 0, to rounding.
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from symstudy.symmetry.derivation.state import places_in
from symstudy.symmetry.derivation.trace import Operation, Place, Trace

__all__ = ["BENT", "LIKE", "POINTWISE", "SAME", "Nature", "composed", "nature_of"]

SAME = (
    "clone", "detach", "alias", "contiguous", "_to_copy", "to", "lift_fresh", "lift_fresh_copy",
    "neg", "positive",
)  # fmt: skip
"""The same numbers, or their negatives."""
BENT = (
    "relu", "leaky_relu", "tanh", "sin", "tan", "sinh", "asinh", "atan", "asin", "atanh", "erf",
    "sign", "hardshrink", "softshrink", "tanhshrink", "round", "trunc", "cos", "cosh", "abs",
    "gelu", "silu", "sigmoid", "elu", "selu", "celu", "softplus", "mish", "hardswish",
    "log_sigmoid", "log_sigmoid_forward", "hardsigmoid", "relu6", "exp", "exp2",
    "expm1", "log", "log1p", "log2", "log10", "acosh", "floor", "ceil", "logit", "erfc", "erfinv",
    "frac", "lgamma", "digamma", "logical_not", "bitwise_not", "isnan", "isinf", "isfinite",
    "nan_to_num", "softsign", "hardtanh", "clamp", "clamp_min", "clamp_max", "threshold", "square",
    "sqrt", "rsqrt", "reciprocal", "pow", "sinc", "sgn", "special_erfcx", "special_ndtr",
)  # fmt: skip
"""Functions of each number of one tensor."""
TOGETHER = (
    "add", "sub", "rsub", "mul", "div", "true_divide", "gt", "lt", "ge", "le", "eq", "ne",
    "maximum", "minimum", "fmod", "remainder", "atan2", "logical_and", "logical_or", "logical_xor",
    "bitwise_and", "bitwise_or", "floor_divide", "where", "masked_fill", "addcmul", "addcdiv",
    "lerp", "hypot", "copysign", "logaddexp", "heaviside", "xlogy",
)  # fmt: skip
"""Functions of the numbers of several tensors at one place."""
LIKE = (
    "zeros_like", "ones_like", "full_like", "empty_like", "new_zeros", "new_ones", "new_full",
)  # fmt: skip
"""What makes a constant of the shape of a tensor."""
POINTWISE = frozenset((*SAME, *BENT, *TOGETHER))

MOST_OPERATIONS = 64
"""Operations that are taken together; what comes after them begins anew."""
LARGEST_CONSTANT = 10**7
ROUNDING = 1e-12
"""Difference that is rounding, relative to the largest number on the way to a value."""
FACTORS = (2.0, 3.0, 0.7)
LARGEST_DENOMINATOR = 64


class Nature(NamedTuple):
    """What a function of a number does with signs and positive factors.

    Attributes:
        odd: Whether f(-z) = -f(z).
        even: Whether f(-z) = f(z).
        degree: k of f(c z) = c^k f(z) for all c > 0; 0 where there is none.
    """

    odd: bool = False
    even: bool = False
    degree: Fraction = Fraction(0)

    @property
    def is_linear(self) -> bool:
        """Whether f(z) = z f(1)."""
        return self.odd and self.degree == 1

    @property
    def is_any(self) -> bool:
        """Whether there is anything to say."""
        return self.odd or self.even or self.degree != 0


@dataclass(frozen=True)
class Chain:
    """Operations that make each number of a tensor from that of another at the same place.

    Attributes:
        root: Number of the tensor that they begin with.
        operations: In order, by number; the last one makes the tensor.
        bends: How many of them are not linear.
    """

    root: int
    operations: tuple[int, ...] = ()
    bends: int = 0


def composed(trace: Trace) -> Trace:
    """Return a trace in which functions of one number are one operation, `pointwise`.

    Its arguments are the tensor, the `Nature` of the function, and the name of what made it. The
    operations keep their numbers. What was on the way is made by nothing that is needed any more.
    """
    chains = Chains(trace)
    followed = [chains.follow(at, operation) for at, operation in enumerate(trace.operations)]
    operations = list(trace.operations)
    wanted = set(trace.outputs)
    # From the end on: what is on the way of a function is looked at by itself only if it is read.
    for number in reversed(range(len(operations))):
        operation = trace.operations[number]
        if not wanted.isdisjoint(operation.outputs):
            operations[number] = decided(trace, chains, followed[number], number)
            read = (operations[number].args, operations[number].kwargs)
            wanted |= {place.number for place in places_in(read)}
    return replace(trace, operations=operations)


def decided(trace: Trace, chains: "Chains", chain: "Chain | None", number: int) -> Operation:
    """Return operation `number` as a function of one number if it is one, else as it is."""
    operation = trace.operations[number]
    if chain is not None and (chain.bends > 1 or not chains.is_linear(operation)):
        nature = nature_of(trace, chain)
        if nature.is_any:
            return pointwise(operation, chain.root, nature)
    if plain_name(operation) in BENT and (only := chains.only_input(operation)) is not None:
        return pointwise(operation, only, nature_of(trace, Chain(only, (number,))))
    return operation


def pointwise(operation: Operation, root: int, nature: Nature) -> Operation:
    """Return an operation that makes what `operation` does, of the tensor numbered `root`."""
    return Operation("pointwise", (Place(root), nature, operation.name), {}, operation.outputs)


def plain_name(operation: Operation) -> str:
    """Return the name of an operation without `aten.`."""
    return operation.name.removeprefix("aten.")


class Chains:
    """What each tensor of a trace is a function of, number by number."""

    def __init__(self, trace: Trace) -> None:
        """See which tensors are constants, and which are written to more than once."""
        self.trace = trace
        self.made: dict[int, Chain] = {}
        written = [*trace.parameters.values(), *trace.inputs]
        moving = set(written)
        for operation in trace.operations:
            written += [number for number in operation.outputs if number >= 0]
            reads = {place.number for place in places_in((operation.args, operation.kwargs))}
            if plain_name(operation) not in LIKE and not reads.isdisjoint(moving):
                moving.update(operation.outputs)
        self.moving = moving
        self.rewritten = {number for number in set(written) if written.count(number) > 1}

    def only_input(self, operation: Operation) -> int | None:
        """Return the one tensor that an operation reads beside constants of one number."""
        moving = self.inputs(operation)
        return moving[0] if moving is not None and len(set(moving)) == 1 else None

    def inputs(self, operation: Operation) -> list[int] | None:
        """Return the tensors that are no constants; None where a constant has several numbers."""
        numbers = [place.number for place in places_in((operation.args, operation.kwargs))]
        moving = [number for number in numbers if number in self.moving]
        fixed = [self.trace.tensors[number] for number in numbers if number not in self.moving]
        is_plain = len(operation.outputs) == 1 and all(map(is_uniform, fixed))
        return moving if is_plain and moving else None

    def follow(self, number: int, operation: Operation) -> Chain | None:
        """Return what operation `number` makes as a function of one tensor; None if it is not."""
        if plain_name(operation) not in POINTWISE:
            return None
        moving = self.inputs(operation)
        (output,) = operation.outputs if moving is not None else (-1,)
        if moving is None or not self.rewritten.isdisjoint((*moving, output)):
            return None
        before = [self.made.get(each, Chain(each)) for each in moving]
        root = before[0].root
        is_one = all(chain.root == root for chain in before)
        if not is_one or self.trace.tensors[output].shape != self.trace.tensors[root].shape:
            return None
        numbers = sorted({each for chain in before for each in chain.operations} | {number})
        if len(numbers) > MOST_OPERATIONS:
            return None
        bent = sum(not self.is_linear(self.trace.operations[each]) for each in numbers)
        chain = Chain(root, tuple(numbers), bent)
        self.made[output] = chain
        return chain

    def is_linear(self, operation: Operation) -> bool:
        """Return whether an operation multiplies its one tensor by a number."""
        name = plain_name(operation)
        if name in SAME:
            return True
        first = operation.args[0]
        is_first = isinstance(first, Place) and first.number in self.moving
        count = len(self.inputs(operation) or ())
        return count == 1 and (name == "mul" or (name in ("div", "true_divide") and is_first))


def is_uniform(tensor: Tensor) -> bool:
    """Return whether all numbers of a constant are one."""
    if not 0 < tensor.numel() <= LARGEST_CONSTANT:
        return False
    return bool((tensor == tensor.reshape(-1)[0]).all())


def trial_points() -> Tensor:
    """Return positive numbers from 1e-6 to 1e3, none of them a round one, closest from 0 to 12."""
    spread = torch.linspace(-6.0, 3.0, 181, dtype=torch.float64)
    golden = torch.arange(1, 241, dtype=torch.float64) * 0.6180339887498949
    return torch.cat([10.0**spread * 1.0000123, 12.0 * (golden % 1.0)])


def nature_of(trace: Trace, chain: Chain) -> Nature:
    """Return what the function that `chain` is does with signs and positive factors.

    Nothing is said of a function of whole numbers, of a constant, of one whose values are not
    finite for numbers of a sign and finite for the other, and of one that torch refuses.
    """
    if not trace.tensors[chain.root].is_floating_point():
        return Nature()
    points_N = trial_points()
    try:
        up = values_at(trace, chain, points_N)
        down = values_at(trace, chain, -points_N)
        zero = values_at(trace, chain, points_N[:1] * 0.0)
    except Exception:  # noqa: BLE001  # what cannot be called again by itself: nothing is said
        return Nature()
    made_N = torch.cat([up.made, down.made, zero.made])
    finite_N = made_N[made_N.isfinite()]
    if not len(finite_N) or bool((finite_N == finite_N[0]).all()):
        return Nature()
    both = up.made.isfinite() & down.made.isfinite()
    rounding_N = ROUNDING * torch.maximum(up.largest, down.largest)[both]
    is_paired = bool((up.made.isfinite() == down.made.isfinite()).all()) and bool(both.any())
    is_odd, is_even = (
        is_paired
        and bool(((up.made - sign * down.made)[both].abs() <= rounding_N).all())
        and (sign > 0 or not bool(zero.made.abs() > ROUNDING * zero.largest))
        for sign in (-1, 1)
    )
    degree = degree_of(trace, chain, (points_N, up), (-points_N, down), (points_N[:1] * 0.0, zero))
    return Nature(is_odd, is_even, degree)


class Values(NamedTuple):
    """Values of a function, with how large numbers on the way were.

    Attributes:
        made: The values.
        largest: Largest absolute value on the way to each.
    """

    made: Tensor
    largest: Tensor


def values_at(trace: Trace, chain: Chain, points_N: Tensor) -> Values:
    """Return the function at some numbers, by torch's own operations in float64."""
    known = {chain.root: points_N}
    made, largest = points_N, points_N.abs()

    def placed(leaf: Any) -> Any:
        if not isinstance(leaf, Place):
            return leaf
        if leaf.number in known:
            return known[leaf.number]
        return trace.tensors[leaf.number].reshape(-1)[0]

    for number in chain.operations:
        operation = trace.operations[number]
        call = getattr(torch.ops.aten, plain_name(operation))
        is_place = lambda each: isinstance(each, Place)  # noqa: E731
        args, kwargs = tree_map(placed, (operation.args, operation.kwargs), is_leaf=is_place)
        with torch.no_grad():
            made = call(*args, **kwargs)
        known[operation.outputs[0]] = made
        largest = torch.maximum(largest, made.double().abs().nan_to_num(nan=0.0, posinf=torch.inf))
    return Values(made.double(), largest)


def degree_of(trace: Trace, chain: Chain, *known: tuple[Tensor, Values]) -> Fraction:
    """Return k of f(c z) = c^k f(z), from values at some numbers; 0 where there is none."""
    found = Fraction(0)
    for points_N, values in known[:2]:
        is_clear_N = values.made.isfinite() & (values.made.abs() > 1e-3 * values.largest)
        at = torch.nonzero(is_clear_N)[:, 0]
        if not len(at):
            continue
        twice = values_at(trace, chain, 2.0 * points_N[at]).made / values.made[at]
        exponents = twice[twice > 0].log2()
        if not len(exponents):
            return Fraction(0)
        found = Fraction(float(exponents.median())).limit_denominator(LARGEST_DENOMINATOR)
        break
    if found == 0:
        return found
    for points_N, values in known:
        for factor in FACTORS:
            scaled = values_at(trace, chain, factor * points_N)
            wanted_N = factor ** float(found) * values.made
            is_seen_N = wanted_N.isfinite() | scaled.made.isfinite()
            largest_N = torch.maximum(scaled.largest, factor ** float(found) * values.largest)
            off_N = (scaled.made - wanted_N).abs()
            if not bool((off_N <= ROUNDING * largest_N)[is_seen_N].all()):
                return Fraction(0)
    return found
