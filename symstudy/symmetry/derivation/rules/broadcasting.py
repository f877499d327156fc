"""Operations on each number by itself of several tensors, which are broadcast."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from symstudy.symmetry.derivation.axes import NOTHING, Axis, Dim, Variable, total
from symstudy.symmetry.derivation.pointwise import Nature
from symstudy.symmetry.derivation.rules.elementwise import acted, bent, held, without_factors
from symstudy.symmetry.derivation.rules.registry import argument, number_of, rule
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import Operation, Place
from symstudy.symmetry.derivation.values import Value, inside, map_dim, size_of

__all__ = ["added", "multiplied", "nothing"]


def broadcast(left: Value, right: Value) -> list[tuple[Dim, Dim]]:
    """Return the dimensions of two tensors beside each other, as torch broadcasts them."""
    count = max(len(left.dims), len(right.dims))
    a, b = (((),) * (count - len(value.dims)) + value.dims for value in (left, right))
    return list(zip(a, b, strict=True))


def meet(
    state: State,
    left: Value,
    right: Value,
    combine: Callable[[Axis, Axis], Axis],
    alone: Callable[[Axis], Axis],
) -> tuple[Dim, ...]:
    """Return the dimensions of what two tensors make number by number.

    Args:
        state: What is known.
        left: One of them.
        right: The other.
        combine: What two axes make that meet.
        alone: What an axis makes along which the other tensor has one place.
    """
    for one, other in ((left, right), (right, left)):
        if one.is_weight and not other.is_weight:
            state.mark_writes(one)
    dims: list[Dim] = []
    for a, b in broadcast(left, right):
        if size_of(a) == size_of(b):
            met, partner = state.join(a, b)
            others = iter(tuple(inside(iter(partner))))
            dims.append(map_dim(met, paired(combine, others)))
        else:
            dims.append(map_dim(a if size_of(a) > 1 else b, alone))
    return tuple(dims)


def paired(combine: Callable[[Axis, Axis], Axis], others: Iterator[Axis]) -> Callable[[Axis], Axis]:
    """Return what changes one axis after the other, each with the next of `others`."""
    return lambda axis: combine(axis, next(others))


def added(state: State, left: Value, right: Value) -> Value:
    """Return a sum: both must have the same factors."""
    if left.is_zero or right.is_zero:
        return beside_nothing(state, left, right)

    def combine(a: Axis, b: Axis) -> Axis:
        state.scales.append(total(a.scale, b.scale, -1))
        state.signs.append(total(a.sign, b.sign, -1))
        return a

    def alone(axis: Axis) -> Axis:
        state.hold(axis)
        return axis.with_factor(NOTHING, NOTHING)

    dims = meet(state, left, right, combine, alone)
    state.equate_whole(left, right)
    moving, fixed = (right, left) if left.is_weight else (left, right)
    shifts = moving.shifted
    if fixed.is_weight and not fixed.is_constant:
        shifts |= {each.parameter for each in fixed.scale if each == Variable(each.parameter, ())}
    return Value(
        dims,
        left.scale,
        is_weight=left.is_weight and right.is_weight,
        is_constant=left.is_constant and right.is_constant,
        product=moving.product if fixed.is_weight else None,
        shifted=shifts if fixed.is_weight else frozenset(),
        activated=moving.activated if fixed.is_weight else min(left.activated, right.activated),
    )


def nothing(state: State, sizes: Iterable[int]) -> Value:
    """Return a tensor that is 0 whatever the parameters, of these sizes."""
    dims = tuple(state.fresh(size) for size in sizes)
    return Value(dims, is_weight=True, is_zero=True)


def beside_nothing(state: State, left: Value, right: Value) -> Value:
    """Return a sum of which one tensor is 0 whatever the parameters: the other, perhaps repeated.

    Where the other is repeated along positions that the first one has, it is so with its factors.
    """
    other, zero = (right, left) if left.is_zero else (left, right)
    pairs = broadcast(other, zero)
    dims = tuple(a if size_of(a) >= size_of(b) else state.fresh(size_of(b)) for a, b in pairs)
    return replace(other, dims=dims)


def multiplied(state: State, left: Value, right: Value, power: int = 1) -> Value:
    """Return a product, or a quotient with `power` -1: factors are multiplied."""

    def combine(a: Axis, b: Axis) -> Axis:
        a.of.bend("it is multiplied place by place")
        return a.with_factor(total(a.scale, b.scale, power), total(a.sign, b.sign))

    if power == 1 and (left.is_zero or right.is_zero):
        return nothing(state, [max(map(size_of, pair)) for pair in broadcast(left, right)])
    constant = left.is_constant or right.is_constant
    moving = right if left.is_constant else left
    for value in (left, right):
        state.gains |= {each for axis in value.axes for each in axis.scale if value.is_weight}
    dims = meet(state, left, right, combine, lambda axis: axis)
    return Value(
        dims,
        total(left.scale, right.scale, power),
        is_weight=left.is_weight and right.is_weight,
        is_constant=left.is_constant and right.is_constant,
        product=moving.product if constant else None,
        pattern=moving.pattern if constant else None,
        activated=max(left.activated, right.activated),
    )


def two(state: State, operation: Operation) -> tuple[Value, Value] | None:
    """Return the two tensors of an operation; None if one of them is a number."""
    if len(operation.args) < 2 or not all(isinstance(each, Place) for each in operation.args[:2]):
        return None
    return state.value(operation.args[0]), state.value(operation.args[1])


def only(state: State, operation: Operation) -> tuple[Value, float]:
    """Return the tensor and the number of an operation on both."""
    first, second = operation.args[:2]
    place, number = (first, second) if isinstance(first, Place) else (second, first)
    return state.value(place), float(number)


@rule("add", "sub", "rsub")
def add(state: State, operation: Operation) -> Value:
    """A sum, or a difference."""
    found = two(state, operation)
    if found is not None:
        return added(state, *found)
    value, number = only(state, operation)
    return value if number == 0.0 else shifted_by_number(state, value)


def shifted_by_number(state: State, value: Value) -> Value:
    """Return a tensor plus a number, which allows no factor."""
    for axis in value.axes:
        state.hold(axis)
    state.whole_scales.append(value.scale)
    plain = without_factors(value)
    return replace(plain, product=value.product, shifted=value.shifted, activated=value.activated)


@rule("mul", "div", "true_divide")
def multiply(state: State, operation: Operation) -> Value:
    """A product, or a quotient."""
    power = 1 if operation.name == "aten.mul" else -1
    found = two(state, operation)
    if found is not None:
        return multiplied(state, *found, power)
    value, _ = only(state, operation)
    if power < 0 and not isinstance(operation.args[0], Place):
        return acted(state, value, Nature(odd=True, degree=Fraction(-1)), operation.name)
    return value


@rule("gt", "lt", "ge", "le")
def compare(state: State, operation: Operation) -> Value:
    """An order of numbers: that with 0 does not see a positive factor."""
    found = two(state, operation)
    if found is None:
        value, number = only(state, operation)
        if number == 0.0:
            bent(value, operation.name)
            for axis in value.axes:
                state.hold_sign(axis)
            return replace(without_factors(value), activated=state.number)
        return held(state, operation)
    return nothing_passes(state, *found)


def nothing_passes(state: State, left: Value, right: Value) -> Value:
    """Return what two tensors make where neither may have a factor."""
    for value in (left, right):
        bent(value, "it is compared")
        for axis in value.axes:
            state.hold(axis)
        state.whole_scales.append(value.scale)
    return replace(without_factors(added(state, left, right)), activated=state.number)


@rule("eq", "ne", "maximum", "minimum", "fmod", "remainder", "atan2", "logical_and", "logical_or",
      "bitwise_and", "bitwise_or", "floor_divide", "logical_xor")  # fmt: skip
def compare_others(state: State, operation: Operation) -> Value:
    """Functions of two numbers of which no factor is passed on."""
    found = two(state, operation)
    return held(state, operation) if found is None else nothing_passes(state, *found)


@rule("where")
def where(state: State, operation: Operation) -> Value:
    """One tensor or the other, by a third."""
    condition, left, right = (state.value(place) for place in operation.args[:3])
    joined = added(state, left, right)
    met = nothing_passes(state, condition, without_factors(joined))
    partners = iter(tuple(joined.axes))
    dims = met.mapped(lambda axis: axis.with_factor(*factors(next(partners, axis)))).dims
    product = left.product if right.is_weight else right.product if left.is_weight else None
    return Value(
        dims,
        joined.scale,
        is_weight=joined.is_weight and condition.is_weight,
        product=product,
        activated=max(joined.activated, condition.activated),
    )


def factors(axis: Axis) -> tuple[dict[Variable, Fraction], dict[Variable, Fraction]]:
    """Return the factors along an axis."""
    return axis.scale, axis.sign


@rule("masked_fill")
def masked_fill(state: State, operation: Operation) -> Value:
    """A tensor with a number in some places."""
    value, mask = (state.value(place) for place in operation.args[:2])
    if number_of(state, argument(operation, 2, "value")) != 0.0:
        value = shifted_by_number(state, value)
    met = nothing_passes(state, mask, without_factors(value))
    dims = value.dims if len(value.dims) == len(met.dims) else met.dims
    return replace(value, dims=dims)


@rule("_prelu_kernel", "prelu")
def prelu(state: State, operation: Operation) -> Value:
    """A ReLU with a slope for each channel."""
    value, slope = (state.value(place) for place in operation.args[:2])
    if len(slope.dims) == 1 and len(value.dims) > 1:
        at = len(value.dims) - 2
        slope = replace(slope, dims=(slope.dims[0], *((),) * at))
    for axis in slope.axes:
        state.hold(axis)
    state.whole_scales.append(slope.scale)
    for axis in value.axes:
        state.hold_sign(axis)
    made = multiplied(state, value, without_factors(slope))
    bent(value, operation.name)
    plain = made.mapped(lambda axis: axis.with_factor(axis.scale, NOTHING))
    return Value(plain.dims, made.scale, is_weight=made.is_weight, activated=state.number)


@rule("addcmul", "lerp", "addcdiv")
def mixed(state: State, operation: Operation) -> Value:
    """Sums of products of three tensors."""
    values = state.find_values(operation)
    made = values[0]
    for value in values[1:]:
        made = nothing_passes(state, made, value)
    return made
