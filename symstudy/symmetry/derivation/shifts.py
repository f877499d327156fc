"""Translations that a network does not see: what a normalisation or a softmax takes away."""

from collections.abc import Sequence

from symstudy.symmetry.derivation.axes import AxisClass, Variable, find
from symstudy.symmetry.derivation.candidates import Candidate, ClassSolution
from symstudy.symmetry.derivation.heads import Heads
from symstudy.symmetry.derivation.solve import components
from symstudy.symmetry.derivation.state import State

__all__ = ["shifts_of"]

CENTRING = ("layer_norm", "group_norm")
"""Words of the names of operations that take the mean over an axis away."""


def shifts_of(
    state: State, solutions: Sequence[ClassSolution], heads: Sequence[Heads]
) -> list[Candidate]:
    """Return the translations to try.

    A bias before BatchNorm and the bias of the keys change nothing at all. All that writes to an
    axis whose mean is taken away may have the same number added along it. The same holds of the
    outputs, of which a softmax takes the probabilities.
    """
    free = {name: None for each in state.normalised if each.each_apart for name in each.shifted}
    for each in heads:
        free |= {
            key.parameter: None
            for key in each.query_key.partners
            if is_part_of_one_axis(state, key)
        }
    by_class = {find(each.of): each for each in solutions}
    found = [free_bias(state, each, heads) for each in free]
    centred: dict[tuple[Variable, ...], Candidate] = {}
    for seen in state.normalised:
        if not any(word in seen.operation for word in CENTRING):
            continue
        for axis in seen.axes:
            solution = by_class.get(find(axis.of))
            if solution is not None:
                writers = joined_with(solution, set(axis.scale))
                centred[writers] = shift(solution, writers)
    found += [each for key, each in centred.items() if key and is_added(state, key)]
    return [each for each in found if each is not None] + readout_shift(state, by_class)


def is_part_of_one_axis(state: State, variable: Variable) -> bool:
    """Return whether a parameter is a bias: a vector."""
    number = state.trace.parameters[variable.parameter]
    return state.trace.tensors[number].ndim == 1


def free_bias(state: State, name: str, heads: Sequence[Heads]) -> Candidate | None:
    """Return the translation of a whole bias, or of the part of it that belongs to the keys."""
    mine = [
        key
        for each in heads
        for key in each.query_key.partners
        if key.parameter == name and is_part_of_one_axis(state, key)
    ]
    blocks = tuple(mine) or (Variable(name, ()),)
    return Candidate(kind="translation", of=None, blocks=blocks)


def joined_with(solution: ClassSolution, seeds: set[Variable]) -> tuple[Variable, ...]:
    """Return the factors that must be equal to those of `seeds`, themselves included."""
    return tuple(
        each
        for part, _ in components(solution.variables, solution.equations)
        if not seeds.isdisjoint(part)
        for each in part
    )


def is_added(state: State, writers: tuple[Variable, ...]) -> bool:
    """Return whether numbers added to these parameters are added to what runs along the axis."""
    return not any(each in state.reads or each in state.gains for each in writers)


def shift(solution: ClassSolution, blocks: tuple[Variable, ...]) -> Candidate:
    """Return the translation of all of `blocks` along an axis class."""
    return Candidate(kind="translation", of=solution.of, blocks=blocks)


def readout_shift(state: State, by_class: dict[AxisClass, ClassSolution]) -> list[Candidate]:
    """Return the translation of the outputs, which leaves softmax probabilities as they are."""
    outputs = [state.values[number] for number in state.trace.outputs if number in state.values]
    if len(outputs) != 1 or not outputs[0].dims or len(outputs[0].dims[-1]) != 1:
        return []
    solution = by_class.get(find(outputs[0].dims[-1][0].of))
    if solution is None:
        return []
    writers = joined_with(solution, set(outputs[0].dims[-1][0].scale))
    if not writers or not is_added(state, writers):
        return []
    return [
        Candidate(kind="translation", of=solution.of, blocks=writers, preserves="probabilities")
    ]
