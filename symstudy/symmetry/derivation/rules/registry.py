"""The rules by name of operation."""

from collections.abc import Callable
from typing import Any

from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import Operation, Place
from symstudy.symmetry.derivation.values import Value

__all__ = ["RULES", "Rule", "argument", "number_of", "rule"]

Rule = Callable[[State, Operation], Value | list[Value]]

RULES: dict[str, Rule] = {}
"""By name of the operation, without `aten.`."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Declare a function as the rule of the operations `names`."""

    def declare(function: Rule) -> Rule:
        for name in names:
            assert name not in RULES, f"{name} has one rule"
            RULES[name] = function
        return function

    return declare


def argument(operation: Operation, place: int, name: str, default: Any = None) -> Any:
    """Return an argument by its place or its name."""
    if len(operation.args) > place:
        return operation.args[place]
    return operation.kwargs.get(name, default)


def number_of(state: State, value: Any) -> float | None:
    """Return a number, or that of a constant that is one; None for anything else."""
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, Place) and state.value(value).is_constant:
        tensor = state.trace.tensors[value.number]
        return float(tensor.reshape(-1)[0]) if tensor.numel() == 1 else None
    return None
