"""Operations that put numbers elsewhere: reshapes, permutations, slices and concatenations."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from symstudy.symmetry.derivation.axes import Axis, AxisClass, Dim, Restart, find, parts_of
from symstudy.symmetry.derivation.rules.registry import argument, rule
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import Operation
from symstudy.symmetry.derivation.values import Value, size_of

__all__ = ["reshaped"]

ONE_PLACE = "one of its positions is read by itself"
SOME_PLACES = "some of its positions are read by themselves"


def reshaped(state: State, value: Value, shape: Sequence[int]) -> Value:
    """Return `value` in another shape, row-major."""
    left = [axis for dim in value.dims for axis in state.plain(dim)]
    dims: list[Dim] = []
    for size in shape:
        taken: list[Axis] = []
        need = size
        while need > 1:
            axis = left.pop(0)
            if need % axis.size == 0:
                taken.append(axis)
                need //= axis.size
            elif axis.size % need == 0:
                first, *rest = split_off(state, axis, need)
                taken.append(first)
                left[:0] = rest
                need = 1
            else:
                return given_up(state, value, shape)
        dims.append(tuple(taken))
    return replace(value, dims=tuple(dims))


def given_up(state: State, value: Value, shape: Sequence[int]) -> Value:
    """Return a tensor of which no axis is known."""
    reason = "it is reshaped across its parts"
    state.stop(value, reason)
    return replace(value, dims=tuple(state.fresh(size, reason) for size in shape), scale={})


def split_off(state: State, axis: Axis, size: int) -> list[Axis]:
    """Return an axis as the product of one of `size` places and the rest.

    A sum of equal parts becomes an axis of the parts, and the rest is one of them by its place.
    """
    parts = axis.choices
    if axis.kind == "joined" and len(parts) == size and len(set(map(size_of, parts))) == 1:
        which = AxisClass(size, "its positions are the parts of a parameter")
        rest = Axis(axis.size // size, AxisClass(axis.size // size), kind="stacked")
        return [Axis(size, which), replace(rest, choices=parts, stack=which)]
    return state.split_axis(axis, (size, axis.size // size))


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "unsqueeze", "squeeze", "flatten")
def reshape(state: State, operation: Operation) -> Value:
    """A reshape: the tensor that it made says the shape."""
    shape = state.trace.tensors[operation.outputs[0]].shape
    return reshaped(state, state.value(operation.args[0]), shape)


@rule("permute", "transpose", "t")
def permute(state: State, operation: Operation) -> Value:
    """An order of the dimensions."""
    value = state.value(operation.args[0])
    count = len(value.dims)
    if operation.name == "aten.permute":
        order = [at % count for at in operation.args[1]]
    else:
        order = list(range(count))
        a, b = operation.args[1:3] if operation.name == "aten.transpose" else (0, count - 1)
        order[a % count], order[b % count] = order[b % count], order[a % count]
    return replace(value, dims=tuple(value.dims[at] for at in order))


@rule("expand", "repeat")
def expand(state: State, operation: Operation) -> Value:
    """Copies along dimensions of one place, or new ones."""
    value = state.value(operation.args[0])
    shape = state.trace.tensors[operation.outputs[0]].shape
    dims = ((),) * (len(shape) - len(value.dims)) + value.dims
    made: list[Dim] = []
    for dim, size in zip(dims, shape, strict=True):
        if size_of(dim) == size:
            made.append(dim)
            continue
        state.freeze(dim, "it is repeated")
        made.append(state.fresh(size, "it is repeated" if dim else ""))
    return replace(value, dims=tuple(made))


def dim_at(operation: Operation, value: Value, place: int = 1) -> int:
    """Return which dimension an operation works along."""
    return int(argument(operation, place, "dim", 0)) % len(value.dims)


@rule("select")
def select(state: State, operation: Operation) -> Value:
    """One place along a dimension."""
    value = state.value(operation.args[0])
    at = dim_at(operation, value)
    index = int(operation.args[2]) % max(1, size_of(value.dims[at]))
    return chosen(state, value, at, index)


@rule("unbind")
def unbind(state: State, operation: Operation) -> list[Value]:
    """Each place along a dimension."""
    value = state.value(operation.args[0])
    at = dim_at(operation, value)
    return [chosen(state, value, at, index) for index in range(size_of(value.dims[at]))]


def chosen(state: State, value: Value, at: int, index: int) -> Value:
    """Return the tensor at one place along a dimension.

    Raises:
        Restart: If the dimension shows a parameter to be a sum of parts.
    """
    dim = state.plain(value.dims[at])
    rest = (*value.dims[:at], *value.dims[at + 1 :])
    if len(dim) == 1 and dim[0].kind == "plain":
        which = find(dim[0].of)
        found = replace(value, dims=tuple(pick(each, which, index) for each in rest))
        if found.dims != rest:
            return found
        cut_whole(state, which)
    state.freeze(dim, ONE_PLACE)
    return replace(value, dims=rest)


def pick(dim: Dim, which: AxisClass, index: int) -> Dim:
    """Return a dimension with the part at `index` in the place of what is stacked along `which`."""
    made: Dim = ()
    for axis in dim:
        is_it = axis.kind == "stacked" and axis.stack is not None and find(axis.stack) is which
        made += axis.choices[index] if is_it else (axis,)
    return made


def cut_whole(state: State, which: AxisClass) -> None:
    """Say that what `which` is the first factor of is a sum of as many parts.

    Raises:
        Restart: If a parameter is.
    """
    if which.frozen:
        return
    for each in map(find, state.classes.values()):
        if each.parts and parts_of(each)[0] is which and not each.frozen:
            each.parts = ()
            each.cuts = (each.size // which.size,) * which.size
            raise Restart


@rule("split", "split_with_sizes", "unsafe_split", "unsafe_split_with_sizes", "chunk")
def split(state: State, operation: Operation) -> list[Value]:
    """Consecutive parts of a dimension."""
    value = state.value(operation.args[0])
    at = dim_at(operation, value, 2)
    sizes = [state.trace.tensors[number].shape[at] for number in operation.outputs]
    stops = list(accumulate(sizes))
    return [
        section(state, value, at, stop - size, stop)
        for size, stop in zip(sizes, stops, strict=True)
    ]


@rule("slice", "narrow")
def take_slice(state: State, operation: Operation) -> Value:
    """Every so many places of a part of a dimension."""
    value = state.value(operation.args[0])
    at = dim_at(operation, value)
    size = size_of(value.dims[at])
    made = state.trace.tensors[operation.outputs[0]].shape[at]
    if made == size:
        return value
    start = int(argument(operation, 2, "start") or 0)
    step = int(argument(operation, 4, "step", 1)) if operation.name == "aten.slice" else 1
    start = max(0, start + size if start < 0 else min(start, size))
    if step != 1:
        return some_places(state, value, at, made)
    return section(state, value, at, start, start + made)


def section(state: State, value: Value, at: int, start: int, stop: int) -> Value:
    """Return consecutive places along a dimension.

    Raises:
        Restart: If a parameter turned out to be a sum.
    """
    dim = state.plain(value.dims[at])
    size = size_of(dim)
    if (start, stop) == (0, size):
        return value
    if len(dim) == 1 and dim[0].kind == "joined":
        stops = list(accumulate(map(size_of, dim[0].choices)))
        starts = [0, *stops[:-1]]
        if start in starts and stop in stops:
            parts = dim[0].choices[starts.index(start) : stops.index(stop) + 1]
            one = parts[0] if len(parts) == 1 else (replace(dim[0], size=stop - start),)
            if len(parts) > 1:
                one = (replace(one[0], choices=parts),)
            return replaced(value, at, one)
    if len(dim) == 1 and dim[0].kind == "plain" and start + 1 < stop <= size:
        marks = sorted({0, start, stop, size})
        # Equal parts, as of queries, keys and values, are all cut at once.
        length = stop - start
        sizes = (
            (length,) * (size // length)
            if size % length == 0 and start % length == 0
            else tuple(b - a for a, b in pairwise(marks))
        )
        state.cut(dim[0], sizes)
    return some_places(state, value, at, stop - start)


def some_places(state: State, value: Value, at: int, size: int) -> Value:
    """Return a tensor with a dimension of which only some places are left."""
    state.freeze(value.dims[at], SOME_PLACES)
    return replaced(value, at, state.fresh(size, SOME_PLACES))


def replaced(value: Value, at: int, dim: Dim) -> Value:
    """Return a tensor with another dimension at `at`."""
    return replace(value, dims=(*value.dims[:at], dim, *value.dims[at + 1 :]))


@rule("cat", "concatenate")
def cat(state: State, operation: Operation) -> Value:
    """A concatenation along a dimension."""
    values = [state.value(place) for place in operation.args[0]]
    values = [value for value in values if all(size_of(dim) > 0 for dim in value.dims)]
    at = dim_at(operation, values[0])
    pieces = [value.dims[at] for value in values]
    first, *rest = [replaced(value, at, ()) for value in values]
    for other in rest:
        first = same(state, first, other)
    # Positions that cannot be exchanged anyway, such as tokens, are one axis of such positions.
    if all(find(axis.of).frozen for dim in pieces for axis in dim):
        for dim in pieces:
            state.freeze(dim, "it is joined with positions of another kind")
        reason = "it is joined of positions of several kinds"
        return replaced(first, at, state.fresh(sum(map(size_of, pieces)), reason))
    size = sum(map(size_of, pieces))
    axis = Axis(size, AxisClass(size), kind="joined", choices=tuple(pieces))
    return replaced(first, at, (axis,))


@rule("stack")
def stack(state: State, operation: Operation) -> Value:
    """Tensors of one shape along a new dimension."""
    first, *rest = [state.value(place) for place in operation.args[0]]
    for other in rest:
        first = same(state, first, other)
    at = int(argument(operation, 1, "dim", 0)) % (len(first.dims) + 1)
    new = state.fresh(1 + len(rest), "tensors are stacked along it")
    return replace(first, dims=(*first.dims[:at], new, *first.dims[at:]))


def same(state: State, left: Value, right: Value) -> Value:
    """Say that two tensors of one shape have the same axes and factors."""
    for one, other in ((left, right), (right, left)):
        if one.is_weight and not other.is_weight:
            state.mark_writes(one)
    dims: list[Dim] = []
    for a, b in zip(left.dims, right.dims, strict=True):
        met, partner = state.join(a, b)
        state.equate(met, partner)
        dims.append(met)
    state.equate_whole(left, right)
    both = left.is_weight and right.is_weight
    return Value(tuple(dims), left.scale, is_weight=both)


@rule("constant_pad_nd", "reflection_pad2d", "replication_pad2d", "roll", "flip")
def pad(state: State, operation: Operation) -> Value:
    """Positions that are moved or added along some dimensions."""
    value = state.value(operation.args[0])
    shape = state.trace.tensors[operation.outputs[0]].shape
    moved = operation.args[-1] if operation.name in ("aten.roll", "aten.flip") else ()
    along = {at % len(value.dims) for at in moved}
    dims: list[Dim] = []
    for at, (dim, size) in enumerate(zip(value.dims, shape, strict=True)):
        if size_of(dim) == size and at not in along:
            dims.append(dim)
            continue
        state.freeze(dim, "its positions are moved")
        dims.append(state.fresh(size, "its positions are moved"))
    if operation.name == "aten.constant_pad_nd" and argument(operation, 2, "value", 0.0):
        state.stop(value, "a number other than 0 is put beside it")
    return replace(value, dims=tuple(dims))


@rule("index_select", "gather", "index")
def gather(state: State, operation: Operation) -> Value:
    """Places that are looked up along a dimension."""
    value = state.value(operation.args[0])
    shape = state.trace.tensors[operation.outputs[0]].shape
    for other in state.find_values(operation)[1:]:
        state.stop(other, "it chooses positions")
    # Rows of a table are looked up: what runs along its other dimensions is left as it is.
    lookups = list(operation.args[1]) if operation.name == "aten.index" else []
    is_lookup = len(lookups) == 1 and lookups[0] is not None
    kept = value.dims[1:] if is_lookup else ()
    for dim in value.dims[: len(value.dims) - len(kept)]:
        state.freeze(dim, "its positions are looked up by number")
    new = shape[: len(shape) - len(kept)]
    made = tuple(state.fresh(size, "it runs over what is looked up") for size in new)
    return replace(value, dims=(*made, *kept))
