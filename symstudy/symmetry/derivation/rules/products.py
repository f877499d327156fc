"""Products of matrices, convolutions, attention and look-ups in tables."""

from dataclasses import replace
from typing import NamedTuple

from symstudy.symmetry.derivation.axes import Axis, Dim, total
from symstudy.symmetry.derivation.rules.broadcasting import added, nothing
from symstudy.symmetry.derivation.rules.elementwise import bent, without_factors
from symstudy.symmetry.derivation.rules.registry import argument, rule
from symstudy.symmetry.derivation.state import Reading, State
from symstudy.symmetry.derivation.trace import Operation, Place
from symstudy.symmetry.derivation.values import Contraction, Value, inside, map_dim, size_of

__all__ = ["contract"]


class Factor(NamedTuple):
    """A factor of a product, by what becomes of its dimensions.

    Attributes:
        value: The tensor.
        batch: Dimensions of which each place has a product of its own.
        summed: The dimension that is summed over.
        free: The others.
    """

    value: Value
    batch: tuple[Dim, ...]
    summed: Dim
    free: tuple[Dim, ...]


def contract(state: State, left: Factor, right: Factor) -> Value:
    """Return a sum of products; its dimensions are those of the batch, then those left over."""
    if left.value.is_zero or right.value.is_zero:
        sizes = map(size_of, (*broadcast_sizes(left, right), *left.free, *right.free))
        return nothing(state, sizes)
    for weight, other in ((left, right), (right, left)):
        if weight.value.is_weight and not other.value.is_weight:
            mark_roles(state, weight, other.value.activated)
    one, two = state.join(left.summed, right.summed)
    for a, b in zip(inside(iter(one)), inside(iter(two)), strict=True):
        state.scales.append(total(a.scale, b.scale))
        state.signs.append(total(a.sign, b.sign))
    batch = tuple(multiply_dims(state, a, b) for a, b in zip(left.batch, right.batch, strict=True))
    free = (*left.free, *right.free)
    note_companions(batch, (one, *free))
    both = left.value.is_weight and right.value.is_weight
    depends = not (left.value.is_weight or right.value.is_weight)
    product = Contraction(left.value, right.value) if depends else None
    for mine, others in ((left, right), (right, left)):
        if mine.value.pattern is not None:
            state.attention.append((state.number, mine.value.pattern, others.value))
    return Value(
        (*batch, *free), total(left.value.scale, right.value.scale), is_weight=both, product=product
    )


def broadcast_sizes(left: Factor, right: Factor) -> tuple[Dim, ...]:
    """Return the longer of the dimensions of both batches, place by place."""
    return tuple(max(pair, key=size_of) for pair in zip(left.batch, right.batch, strict=True))


def mark_roles(state: State, weight: Factor, activated: int) -> None:
    """Note which axes of a parameter are summed over, and which make what runs along them."""
    for axis in inside(iter(weight.summed)):
        for variable in {*axis.scale, *axis.sign}:
            state.reads.add(variable)
            before = state.readings.get(variable, Reading(-1, -1)).activated
            first = before if before >= 0 else activated
            state.readings[variable] = Reading(state.number, first)
    state.mark_writes(replace(weight.value, dims=(*weight.batch, *weight.free)))


def multiply_dims(state: State, left: Dim, right: Dim) -> Dim:
    """Return a dimension along which two tensors are multiplied place by place."""
    if size_of(left) != size_of(right):
        return left if size_of(left) > 1 else right
    one, two = state.join(left, right)
    partners = iter(tuple(inside(iter(two))))

    def combine(axis: Axis) -> Axis:
        other = next(partners)
        axis.of.bend("it is multiplied place by place")
        return axis.with_factor(total(axis.scale, other.scale), total(axis.sign, other.sign))

    return map_dim(one, combine)


def note_companions(batch: tuple[Dim, ...], others: tuple[Dim, ...]) -> None:
    """Note along which axes the products of others are place by place."""
    along = {axis.of for dim in batch for axis in inside(iter(dim))}
    for dim in others:
        for axis in inside(iter(dim)):
            axis.of.companions |= along


def matrices(state: State, left: Place, right: Place) -> Value:
    """Return the product of two matrices, or of two batches of them."""
    a, b = state.value(left), state.value(right)
    return contract(
        state,
        Factor(a, a.dims[:-2], a.dims[-1], (a.dims[-2],)),
        Factor(b, b.dims[:-2], b.dims[-2], (b.dims[-1],)),
    )


@rule("mm", "bmm")
def mm(state: State, operation: Operation) -> Value:
    """A product of matrices."""
    return matrices(state, *operation.args[:2])


@rule("addmm", "baddbmm")
def addmm(state: State, operation: Operation) -> Value:
    """A product of matrices and a bias."""
    return added(state, matrices(state, *operation.args[1:3]), state.value(operation.args[0]))


@rule("mv", "dot", "addmv")
def mv(state: State, operation: Operation) -> Value:
    """A product of a matrix or a vector with a vector."""
    left, right = operation.args[-2:]
    a, b = state.value(left), state.value(right)
    made = contract(
        state,
        Factor(a, (), a.dims[-1], a.dims[:-1]),
        Factor(b, (), b.dims[0], ()),
    )
    if operation.name == "aten.addmv":
        return added(state, made, state.value(operation.args[0]))
    return made


@rule("linear")
def linear(state: State, operation: Operation) -> Value:
    """A linear layer, where it is one operation."""
    left, right = operation.args[:2]
    x, w = state.value(left), state.value(right)
    made = contract(
        state,
        Factor(x, (), x.dims[-1], x.dims[:-1]),
        Factor(w, (), w.dims[1], (w.dims[0],)),
    )
    bias = argument(operation, 2, "bias")
    return made if bias is None else added(state, made, state.value(bias))


@rule("convolution", "_convolution", "conv2d", "conv1d", "conv3d")
def convolution(state: State, operation: Operation) -> Value:
    """A convolution: channels are summed over as in a linear layer, positions are frozen."""
    image, kernel, bias = operation.args[:3]
    x, w = state.value(image), state.value(kernel)
    is_transposed, groups = bool(operation.args[6]), int(operation.args[8])
    shape = state.trace.tensors[operation.outputs[0]].shape
    for dim in (*x.dims[2:], *w.dims[2:]):
        state.freeze(dim, "it runs over positions of an image or sequence")
    into, out = (0, 1) if is_transposed else (1, 0)
    channels, kernels = grouped(state, x.dims[1], groups), grouped(state, w.dims[0], groups)
    if is_transposed:
        summed, made = kernels[1], w.dims[out]
    else:
        summed, made = w.dims[into], kernels[1]
    result = contract(
        state,
        Factor(x, channels[0], channels[1], (x.dims[0],)),
        Factor(w, kernels[0], summed, (made,)),
    )
    batch = len(channels[0])
    which = tuple(axis for dim in result.dims[:batch] for axis in dim)
    sample, rows = result.dims[batch : batch + 2]
    space = tuple(state.fresh(size, "it runs over positions") for size in shape[2:])
    result = replace(result, dims=(sample, (*which, *rows), *space))
    if bias is None:
        return result
    shift = state.value(bias)
    return added(state, result, replace(shift, dims=(shift.dims[0], *((),) * len(space))))


def grouped(state: State, dim: Dim, groups: int) -> tuple[tuple[Dim, ...], Dim]:
    """Return channels as those of groups, and the groups as a batch; no batch for one group."""
    if groups == 1:
        return (), dim
    size = size_of(dim) // groups
    axes = state.plain(dim)
    if size == 1:
        return (axes,), ()
    if axes[0].size == groups and len(axes) > 1:
        return (axes[:1],), axes[1:]
    first, *rest = state.split(axes, (groups, size))
    return ((first,),), tuple(rest)


@rule("embedding")
def embedding(state: State, operation: Operation) -> Value:
    """Rows of a table by number."""
    table = state.value(operation.args[0])
    shape = state.trace.tensors[operation.outputs[0]].shape
    index = state.value(operation.args[1])
    state.freeze(table.dims[0], "its positions are looked up by number")
    state.mark_writes(table)
    rows = index.dims if not index.is_constant else ()
    if not rows:
        rows = tuple(state.fresh(size, "it runs over what is looked up") for size in shape[:-1])
    weight = index.is_constant
    return Value((*rows, table.dims[1]), table.scale, is_weight=weight,
                 shifted=frozenset())  # fmt: skip


@rule(
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "scaled_dot_product_attention",
)
def attend(state: State, operation: Operation) -> list[Value]:
    """Attention as one operation: [batch, heads, tokens, head_dim] of queries, keys and values."""
    places = operation.args[:3]
    q, k, v = (state.value(place) for place in places)
    sizes = [size_of(value.dims[1]) for value in (q, k, v)]
    if len(set(sizes)) > 1:
        reason = "several heads of queries share keys"
        for value in (q, k, v):
            state.stop(value, reason)
        shape = state.trace.tensors[operation.outputs[0]].shape
        unknown = Value(tuple(state.fresh(size, reason) for size in shape))
        return [unknown] * len(operation.outputs)
    turned = replace(k, dims=(*k.dims[:-2], k.dims[-1], k.dims[-2]))
    logits = contract(
        state,
        Factor(q, q.dims[:-2], q.dims[-1], (q.dims[-2],)),
        Factor(turned, k.dims[:-2], k.dims[-1], (k.dims[-2],)),
    )
    mask = argument(operation, 3, "attn_mask")
    if not isinstance(mask, Place):
        mask = operation.kwargs.get("attn_mask")
    if isinstance(mask, Place):
        logits = replace(added(state, logits, state.value(mask)), product=logits.product)
    pattern = softened(state, logits, operation.name)
    made = contract(
        state,
        Factor(pattern, pattern.dims[:-2], pattern.dims[-1], (pattern.dims[-2],)),
        Factor(v, v.dims[:-2], v.dims[-2], (v.dims[-1],)),
    )
    return [made] * len(operation.outputs)


@rule("_softmax", "_log_softmax", "softmax", "log_softmax", "_safe_softmax")
def softmax(state: State, operation: Operation) -> Value:
    """A softmax, which allows no factor."""
    return softened(state, state.value(operation.args[0]), operation.name)


def softened(state: State, value: Value, reason: str) -> Value:
    """Return the softmax of a tensor."""
    bent(value, reason)
    for axis in value.axes:
        state.hold(axis)
    state.whole_scales.append(value.scale)
    return replace(without_factors(value), pattern=value.product)
