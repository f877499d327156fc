"""Following the axes of parameters through the operations of a forward pass."""

from symstudy.symmetry.derivation.axes import Form, Restart
from symstudy.symmetry.derivation.pointwise import composed
from symstudy.symmetry.derivation.rules import (
    broadcasting,
    elementwise,
    products,
    reductions,
    views,
)
from symstudy.symmetry.derivation.rules.registry import RULES
from symstudy.symmetry.derivation.state import State, places_in
from symstudy.symmetry.derivation.trace import Operation, Trace
from symstudy.symmetry.derivation.values import Value, size_of

__all__ = ["follow"]

MOST_ROUNDS = 40
"""Each round begins with what the last one found of how parameters are put together."""
FAMILIES = (broadcasting, elementwise, products, reductions, views)
"""Modules whose rules are declared when they are imported."""


def follow(trace: Trace) -> State:
    """Return what a forward pass says of its parameters.

    It is gone through again until nothing new is found of how they are put together.
    """
    trace = composed(trace)
    forms: dict[str, tuple[Form, ...]] = {
        name: tuple(trace.tensors[number].shape) for name, number in trace.parameters.items()
    }
    state = State(trace)
    for _ in range(MOST_ROUNDS):
        state = State(trace)
        for name, number in trace.parameters.items():
            state.add_parameter(name, number, forms[name])
        try:
            go_through(state)
        except Restart:
            forms = state.forms()
            continue
        found = state.forms()
        if found == forms:
            break
        forms = found
    return state


def go_through(state: State) -> None:
    """Apply the rule of each operation.

    Raises:
        Restart: If a parameter turned out to be a sum.
    """
    trace = state.trace
    for number in trace.inputs:
        shape = trace.tensors[number].shape
        names = ["samples of a batch", *["inputs of the network"] * (len(shape) - 1)]
        dims = tuple(
            state.fresh(size, f"its positions are {name}")
            for size, name in zip(shape, names, strict=True)
        )
        state.values[number] = Value(dims)
    needed = needed_tensors(trace)
    for number, operation in enumerate(trace.operations):
        if not needed.isdisjoint(operation.outputs):
            state.number = number
            apply_rule(state, operation)
    for number in trace.outputs:
        if number in state.values:
            state.stop(state.values[number], "its positions are outputs of the network")


def needed_tensors(trace: Trace) -> set[int]:
    """Return the tensors that the outputs depend on: a last state that nothing reads joins none."""
    needed = set(trace.outputs)
    for operation in reversed(trace.operations):
        if not needed.isdisjoint(operation.outputs):
            needed |= {place.number for place in places_in((operation.args, operation.kwargs))}
    return needed


def apply_rule(state: State, operation: Operation) -> None:
    """Set what is known of the outputs of an operation."""
    read = state.find_values(operation)
    if not read or all(value.is_constant for value in read):
        # What is made of nothing is read by its numbers.
        for number in operation.outputs:
            state.values.pop(number, None)
        return
    made = made_by_rule(state, operation)
    for number, value in zip(operation.outputs, made, strict=True):
        if number >= 0:
            state.values[number] = fitted(state, number, value)


def made_by_rule(state: State, operation: Operation) -> list[Value]:
    """Return what is known of the outputs of an operation by its rule, if it has one that fits.

    Raises:
        Restart: If a parameter turned out to be a sum.
    """
    rule = RULES.get(operation.name.removeprefix("aten."))
    if rule is None:
        return not_understood(state, operation)
    try:
        result = rule(state, operation)
    except Restart:
        raise
    except Exception:  # noqa: BLE001  # arguments that the rule does not know: told, and given up
        return not_understood(state, operation)
    if isinstance(result, Value):
        return [result] * len(operation.outputs)
    missing = len(operation.outputs) - len(result)
    return not_understood(state, operation) if missing else result


def fitted(state: State, number: int, value: Value) -> Value:
    """Return what a rule says of a tensor; nothing where it is of another shape than said."""
    shape = tuple(state.trace.tensors[number].shape)
    if tuple(map(size_of, value.dims)) == shape:
        return value
    return Value(tuple(state.fresh(size, "nothing is known of it") for size in shape))


def not_understood(state: State, operation: Operation) -> list[Value]:
    """Give up what an operation reads that has no rule."""
    reason = f"{operation.name} is not understood"
    state.unknown.add(operation.name)
    for value in state.find_values(operation):
        state.stop(value, reason)
    return [
        Value(tuple(state.fresh(size, reason) for size in state.trace.tensors[number].shape))
        if number >= 0
        else Value(())
        for number in operation.outputs
    ]
