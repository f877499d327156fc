"""Sums, means, norms and pooling, and the normalisations made of them."""

from dataclasses import replace
from fractions import Fraction

from symstudy.symmetry.derivation.axes import NOTHING, Axis, Dim, scaled
from symstudy.symmetry.derivation.rules.broadcasting import added, multiplied
from symstudy.symmetry.derivation.rules.elementwise import bent
from symstudy.symmetry.derivation.rules.products import grouped
from symstudy.symmetry.derivation.rules.registry import argument, rule
from symstudy.symmetry.derivation.state import Normalised, State
from symstudy.symmetry.derivation.trace import Operation, Place
from symstudy.symmetry.derivation.values import Value, inside, map_dim

__all__: list[str] = []


def reduced(
    state: State, value: Value, dims: set[int], operation: Operation, power: Fraction
) -> Value:
    """Return what is made of all places along some dimensions, of degree `power` in the numbers."""
    shape = state.trace.tensors[operation.outputs[0]].shape
    keeps = len(shape) == len(value.dims)
    is_linear = operation.name in ("aten.sum", "aten.mean")
    left: list[Dim] = []

    def change(axis: Axis) -> Axis:
        sign = axis.sign if is_linear else NOTHING
        return axis.with_factor(scaled(axis.scale, power), sign)

    for at, dim in enumerate(value.dims):
        if at in dims:
            for axis in inside(iter(dim)):
                state.scales.append(axis.scale)
                # A norm does not see signs.
                if is_linear or operation.name in ("aten.amax", "aten.amin", "aten.max"):
                    state.signs.append(axis.sign)
                axis.of.bend("it is summed over")
            left += [()] if keeps else []
        else:
            left.append(map_dim(dim, change))
    return Value(
        tuple(left),
        scaled(value.scale, power),
        is_weight=value.is_weight,
        activated=value.activated,
    )


def dims_of(operation: Operation, value: Value, place: int) -> set[int]:
    """Return which dimensions a reduction goes over; all if it names none."""
    named = argument(operation, place, "dim")
    if named is None or named == []:
        return set(range(len(value.dims)))
    listed = named if isinstance(named, list | tuple) else [named]
    return {int(at) % max(1, len(value.dims)) for at in listed}


@rule("sum", "mean")
def mean(state: State, operation: Operation) -> Value:
    """A sum or mean."""
    value = state.value(operation.args[0])
    dims = dims_of(operation, value, 1)
    return reduced(state, value, dims, operation, Fraction(1))


@rule("amax", "amin")
def largest(state: State, operation: Operation) -> Value:
    """The largest or smallest number."""
    value = state.value(operation.args[0])
    bent(value, operation.name)
    for axis in value.axes:
        state.hold_sign(axis)
    return reduced(state, value, dims_of(operation, value, 1), operation, Fraction(1))


@rule("linalg_vector_norm", "norm", "std")
def norm(state: State, operation: Operation) -> Value:
    """A norm."""
    value = state.value(operation.args[0])
    place = 1 if operation.name == "aten.std" else 2
    named = argument(operation, place, "dim")
    listed = named if isinstance(named, list | tuple) and named else range(len(value.dims))
    dims = {int(at) % max(1, len(value.dims)) for at in listed}
    if operation.name == "aten.std":
        # Of the differences from a mean.
        for at in dims:
            for axis in inside(iter(value.dims[at])):
                state.signs.append(axis.sign)
    return reduced(state, value, dims, operation, Fraction(1))


@rule("var")
def variance(state: State, operation: Operation) -> Value:
    """A variance."""
    value = state.value(operation.args[0])
    dims = dims_of(operation, value, 1)
    for at in dims:
        for axis in inside(iter(value.dims[at])):
            state.signs.append(axis.sign)
    return reduced(state, value, dims, operation, Fraction(2))


@rule("max_pool2d_with_indices", "max_pool2d", "max_pool3d_with_indices", "adaptive_max_pool2d")
def max_pool(state: State, operation: Operation) -> list[Value]:
    """The largest numbers of windows."""
    value = state.value(operation.args[0])
    bent(value, operation.name)
    for axis in value.axes:
        state.hold_sign(axis)
    return [pooled(state, value, operation)] * len(operation.outputs)


@rule("avg_pool2d", "avg_pool1d", "avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d",
      "adaptive_avg_pool2d", "upsample_nearest2d", "upsample_bilinear2d")  # fmt: skip
def avg_pool(state: State, operation: Operation) -> Value:
    """Means of windows, or positions in between."""
    return pooled(state, state.value(operation.args[0]), operation)


def pooled(state: State, value: Value, operation: Operation) -> Value:
    """Return an image of another size."""
    shape = state.trace.tensors[operation.outputs[0]].shape
    space = 3 if "3d" in operation.name else 1 if "1d" in operation.name else 2
    at = len(value.dims) - space
    for dim in value.dims[at:]:
        state.freeze(dim, "it runs over positions of an image or sequence")
    new = tuple(state.fresh(size, "it runs over positions") for size in shape[at:])
    # Pooled activations are activations.
    return Value(
        (*value.dims[:at], *new),
        value.scale,
        is_weight=value.is_weight,
        activated=value.activated,
    )


def normalised(state: State, value: Value, free: set[int], seen: set[int], reason: str) -> Value:
    """Return a normalised tensor.

    Args:
        state: What is known.
        value: What is normalised.
        free: Dimensions of which each place has a mean and a variance of its own.
        seen: Dimensions whose places would be named if one asked what was normalised.
        reason: Name of the operation.
    """
    axes = tuple(axis for at in seen for axis in inside(iter(value.dims[at])))
    state.normalised.append(Normalised(reason, value.shifted, axes, each_apart=seen <= free))
    dims: list[Dim] = []
    for at, dim in enumerate(value.dims):
        for axis in inside(iter(dim)):
            axis.of.bend(reason)
            if at not in free:
                state.hold(axis)

        def change(axis: Axis, at: int = at) -> Axis:
            return axis.with_factor(NOTHING, axis.sign if at in free else NOTHING)

        dims.append(map_dim(dim, change))
    return Value(tuple(dims), is_weight=value.is_weight, activated=value.activated)


def affine(state: State, value: Value, places: tuple[object, object], after: int) -> Value:
    """Return a normalised tensor times its gain plus its bias, of which `after` dimensions follow.

    What was normalised is the shape of gain and bias, or its channels.
    """
    for place, combine in zip(places, (multiplied, added), strict=True):
        if isinstance(place, Place):
            given = state.value(place)
            given = replace(given, dims=(*given.dims, *((),) * after))
            value = combine(state, value, given)
    return value


@rule("native_layer_norm", "layer_norm", "_fused_rms_norm", "rms_norm")
def layer_norm(state: State, operation: Operation) -> list[Value]:
    """LayerNorm or RMSNorm over the last dimensions."""
    value = state.value(operation.args[0])
    count = len(value.dims)
    last = count - len(operation.args[1])
    made = normalised(state, value, set(range(last)), set(range(last, count)), operation.name)
    bias = operation.args[3] if "layer_norm" in operation.name else None
    made = affine(state, made, (operation.args[2], bias), 0)
    return [made] * len(operation.outputs)


@rule("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "batch_norm",
      "_batch_norm_with_update", "_native_batch_norm_legit_no_training")  # fmt: skip
def batch_norm(state: State, operation: Operation) -> list[Value]:
    """BatchNorm by the statistics of the batch."""
    value = state.value(operation.args[0])
    made = normalised(state, value, {1}, {1}, operation.name)
    made = affine(state, made, operation.args[1:3], max(0, len(value.dims) - 2))
    return [made] * len(operation.outputs)


@rule("native_group_norm", "group_norm")
def group_norm(state: State, operation: Operation) -> list[Value]:
    """GroupNorm: the channels of a group share mean and variance."""
    value = state.value(operation.args[0])
    groups = int(operation.args[6])
    batch, rest = grouped(state, value.dims[1], groups)
    which = batch[0] if batch else ()
    apart = replace(value, dims=(value.dims[0], which, rest, *value.dims[2:]))
    made = normalised(state, apart, {0, 1}, {1, 2}, operation.name)
    made = replace(made, dims=(made.dims[0], (*made.dims[1], *made.dims[2]), *made.dims[3:]))
    made = affine(state, made, operation.args[1:3], max(0, len(value.dims) - 2))
    return [made] * len(operation.outputs)
