"""Attention layers of a derived layout: the blocks of queries, keys, values and outputs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from symstudy.symmetry.derivation.axes import AxisClass, Expression, find
from symstudy.symmetry.derivation.blocks import BlockPlan
from symstudy.symmetry.derivation.candidates import Candidate, ClassSolution
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.values import Contraction, Value

__all__ = ["Heads", "find_heads"]


@final
@dataclass(frozen=True, kw_only=True)
class Heads:
    """One attention layer.

    Attributes:
        number: Operation that multiplies its weights with the values.
        heads: Class of the axis of the heads; None where there is one.
        key: Class along which queries meet keys.
        value: Class along which values meet the output.
        query_key: Double rotation of queries and keys.
        value_output: Double rotation of values and output.
    """

    number: int
    heads: AxisClass | None
    key: AxisClass
    value: AxisClass
    query_key: Candidate
    value_output: Candidate


def find_heads(
    state: State, solutions: dict[AxisClass, ClassSolution], plans: Sequence[BlockPlan]
) -> tuple[list[Heads], list[str]]:
    """Return the attention layers, and why others are none.

    One needs double rotations of queries with keys and of values with what reads them, on blocks
    that have the axis of the heads.
    """
    found: list[Heads] = []
    refused: list[str] = []
    for number, product, value in state.attention:
        made = heads_of(number, product, value, solutions, plans)
        if isinstance(made, Heads):
            if all(made.key is not other.key for other in found):
                found.append(made)
        else:
            refused.append(made)
    return found, refused


def heads_of(
    number: int,
    product: Contraction,
    value: Value,
    solutions: dict[AxisClass, ClassSolution],
    plans: Sequence[BlockPlan],
) -> Heads | str:
    """Return one attention layer, or why it is none."""
    key = double_rotation(product.left, solutions)
    read = double_rotation(value, solutions)
    if key is None or read is None:
        what = "queries and keys" if key is None else "values and what reads them"
        return (
            f"an attention layer at operation {number}: its {what} are not joined by a product "
            "alone, as with rotary positions or normalised queries"
        )
    assert key.of is not None
    assert read.of is not None
    if key.within is not read.within:
        return f"an attention layer at operation {number}: its heads are not those of its values"
    sides = [*key.blocks, *key.partners, *read.blocks, *read.partners]
    mine = [plan for plan in plans if any(plan.has(each) for each in sides)]
    wanted = [plan.count(key.of) + plan.count(read.of) for plan in mine]
    if any(count != 1 for count in wanted):
        return f"an attention layer at operation {number}: a block serves it twice"
    return Heads(
        number=number, heads=key.within, key=key.of, value=read.of, query_key=key, value_output=read
    )


def double_rotation(value: Value, solutions: dict[AxisClass, ClassSolution]) -> Candidate | None:
    """Return the double rotation of the last axis of a tensor, its side of it first."""
    last = value.dims[-1] if value.dims else ()
    if len(last) != 1 or last[0].kind != "plain":
        return None
    solution = solutions.get(find(last[0].of))
    if solution is None:
        return None
    for each in solution.candidates:
        if each.kind == "double_rotation":
            side = side_of(last[0].scale, each)
            if side:
                return each if side > 0 else swapped(each)
    return None


def side_of(scale: Expression, candidate: Candidate) -> int:
    """Return 1 or -1 as a tensor has the factor of the first or the second side; 0 for neither."""
    total = sum(scale.get(each, 0) for each in candidate.blocks)
    total -= sum(scale.get(each, 0) for each in candidate.partners)
    return (total > 0) - (total < 0)


def swapped(candidate: Candidate) -> Candidate:
    """Return a double rotation with its sides exchanged, the same group."""
    return Candidate(
        kind=candidate.kind,
        of=candidate.of,
        blocks=candidate.partners,
        partners=candidate.blocks,
        within=candidate.within,
    )
