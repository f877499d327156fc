"""Symmetries that the equations of a forward pass allow, before they are tried on numbers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import NamedTuple, final

from symstudy.layout import Preserved
from symstudy.symmetry.derivation.axes import AxisClass, Expression, Variable, find
from symstudy.symmetry.derivation.blocks import BlockPlan
from symstudy.symmetry.derivation.solve import (
    components,
    is_spanned,
    null_space,
    null_space_mod_2,
    satisfies,
)
from symstudy.symmetry.derivation.state import State

__all__ = ["Candidate", "ClassSolution", "Refusal", "solve_class", "whole_scalings"]

SMALLEST = 2
"""Positions that a group needs at least."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A symmetry along one axis class, at all places of the heads if there are heads.

    Attributes:
        kind: Name of the symmetry.
        of: Class of the axis; None where it acts on blocks as a whole.
        blocks: Variables whose axes the group element acts on; of whole parameters where `of` is
            None.
        partners: Those that its inverse transpose acts on.
        within: Class of the axis of which each place has an element of its own; None for none.
        preserves: What is left as it is.
    """

    kind: str
    of: AxisClass | None
    blocks: tuple[Variable, ...]
    partners: tuple[Variable, ...] = ()
    within: AxisClass | None = None
    preserves: Preserved = "function"


class Refusal(NamedTuple):
    """What cannot be declared, and why.

    Attributes:
        what: The axes.
        reason: Why not.
    """

    what: str
    reason: str


@final
@dataclass
class ClassSolution:
    """Factors along one axis class that satisfy all equations.

    Attributes:
        of: The class.
        variables: Factors along it, in the order of the parameters.
        equations: Sums of their logarithms that are 0.
        sign_equations: Sums that are even.
        scales: Basis of the positive factors.
        signs: Basis of the sign flips.
        candidates: Symmetries, as they were found.
        refusals: What cannot be declared.
    """

    of: AxisClass
    variables: list[Variable]
    equations: list[Expression]
    sign_equations: list[Expression]
    scales: list[dict[Variable, Fraction]] = field(default_factory=list)
    signs: list[frozenset[Variable]] = field(default_factory=list)
    candidates: list[Candidate] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)

    def allows(self, plus: Iterable[Variable], minus: Iterable[Variable]) -> bool:
        """Return whether the factor of `plus` may be the inverse of that of `minus`."""
        vector = {each: Fraction(1) for each in plus} | {each: Fraction(-1) for each in minus}
        return satisfies(vector, self.equations)

    def allows_sign(self, variables: Iterable[Variable]) -> bool:
        """Return whether all of these may change sign at once."""
        return satisfies({each: Fraction(1) for each in variables}, self.sign_equations, 2)


def solve_class(state: State, of: AxisClass, plans: Sequence[BlockPlan]) -> ClassSolution:
    """Return the symmetries along the axis class `of`."""
    variables = [each for each, own in state.classes.items() if find(own) is of]
    mine = set(variables)

    def along(equations: list[Expression]) -> list[Expression]:
        touching = [each for each in equations if not mine.isdisjoint(each)]
        # What joins factors along different axes is satisfied by none of them.
        return [
            part
            for each in touching
            for part in (
                [each]
                if mine.issuperset(each)
                else [{key: c} for key, c in each.items() if key in mine]
            )
        ]

    found = ClassSolution(of, variables, along(state.scales), along(state.signs))
    if of.size >= SMALLEST:
        declare(state, found, plans)
    return found


def declare(state: State, found: ClassSolution, plans: Sequence[BlockPlan]) -> None:
    """Add the candidates that the solution of a class allows."""
    for part, equations in components(found.variables, found.equations):
        found.scales += [dict(each) for each in null_space(part, equations)]
    for part, equations in components(found.variables, found.sign_equations):
        found.signs += null_space_mod_2(part, equations)
    twice = [plan for plan in plans if plan.count(found.of) > 1]
    if twice and not all(is_recurrent(state, found.of, plan) for plan in twice):
        name = ", ".join(plan.name for plan in twice)
        reason = f"it runs along two axes of {name} at once, not as rows and columns"
        found.refusals.append(Refusal(name, reason))
        return
    is_linear = not found.of.bent and not twice
    for vector in found.scales:
        mine = [plan.name for plan in twice if any(plan.has(each) for each in vector)]
        if mine:
            # No class of a symmetry multiplies rows and divides columns of one block.
            reason = "it would be rescaled along rows and columns at once"
            found.refusals.append(Refusal(", ".join(mine), reason))
            continue
        found.candidates += scale_candidates(state, found, vector, is_linear=is_linear)
    writes, reads = (
        [v for v in found.variables if v in side] for side in (state.writes, state.reads)
    )
    # What no layer makes or reads, as one that is not called, has nothing to exchange.
    if not found.of.frozen and (writes or reads):
        found.candidates.insert(
            0, Candidate(kind="permutation", of=found.of, blocks=tuple(writes or reads),
                         partners=tuple(v for v in found.variables if v not in (writes or reads)))
        )  # fmt: skip
    for flips in found.signs:
        ordered = [each for each in found.variables if each in flips]
        first = tuple(each for each in ordered if each in writes and each not in reads)
        found.candidates.append(
            Candidate(
                kind="sign_flip",
                of=found.of,
                blocks=first or tuple(ordered),
                partners=tuple(each for each in ordered if each not in first) if first else (),
            )
        )
    if is_linear and not found.scales and found.signs and not found.of.frozen:
        found.candidates += [
            replace(each, kind="rotation") for each in found.candidates if each.kind == "sign_flip"
        ]
    within = companion(found, plans)
    found.candidates = [replace(each, within=within) for each in found.candidates]


def is_recurrent(state: State, of: AxisClass, plan: BlockPlan) -> bool:
    """Return whether the rows of a block make what its columns read, as of a recurrent layer."""
    mine = [axis for axis in plan.axes if axis.of is not None and find(axis.of) is of]
    if len(mine) != 2 or None in (mine[0].variable, mine[1].variable):
        return False
    row, column = mine[0].variable, mine[1].variable
    return row in state.writes and column in state.reads and row != column


def scale_candidates(
    state: State, found: ClassSolution, vector: dict[Variable, Fraction], *, is_linear: bool
) -> list[Candidate]:
    """Return what a solution of positive factors is: scaling, rescaling, double rotation."""
    smallest = min(abs(value) for value in vector.values())
    powers = {key: value / smallest for key, value in vector.items()}
    if any(abs(value) != 1 for value in powers.values()):
        what = ", ".join(sorted({key.parameter for key in powers}))
        found.refusals.append(Refusal(what, "its factors have different powers"))
        return []
    plus, minus = (
        tuple(each for each in found.variables if powers.get(each) == sign) for sign in (1, -1)
    )
    if not minus or not plus:
        return [Candidate(kind="scaling", of=found.of, blocks=plus or minus)]
    if all(each in state.reads for each in plus) and not all(each in state.reads for each in minus):
        plus, minus = minus, plus
    made = [Candidate(kind="rescaling", of=found.of, blocks=plus, partners=minus)]
    if is_linear and not found.of.frozen:
        made.append(replace(made[0], kind="double_rotation"))
    return made


def companion(found: ClassSolution, plans: Sequence[BlockPlan]) -> AxisClass | None:
    """Return the class of the heads: one that all blocks have, along which nothing is mixed."""
    mine = [plan for plan in plans if any(plan.has(each) for each in found.variables)]
    for other in {find(each): None for each in found.of.companions}:
        if other is not found.of and all(plan.count(other) == 1 for plan in mine):
            return other
    return None


def whole_scalings(state: State, solutions: Sequence[ClassSolution]) -> list[Candidate]:
    """Return sets of parameters that may be scaled together, beyond what single axes allow."""
    wholes = [Variable(name, ()) for name in state.trace.parameters]
    known: list[dict[Variable, Fraction]] = []
    for solution in solutions:
        for vector in solution.scales:
            along: dict[Variable, Fraction] = {}
            for key, value in vector.items():
                whole = Variable(key.parameter, ())
                along[whole] = along.get(whole, Fraction(0)) + value
            known.append({key: value for key, value in along.items() if value})
    made = []
    for part, equations in components(wholes, state.whole_scales):
        for vector in null_space(part, equations):
            if is_spanned(vector, known) or len(set(vector.values())) > 1:
                continue
            known.append(vector)
            ordered = tuple(each for each in wholes if each in vector)
            made.append(Candidate(kind="scaling", of=None, blocks=ordered))
    return made
