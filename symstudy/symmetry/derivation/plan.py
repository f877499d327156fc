"""A layout before its symmetries are tried: names, groups of neurons, attention layers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

from symstudy.layout import AttentionLayer, Block, DeclaredSymmetry, NeuronGroup
from symstudy.symmetry.derivation.axes import AxisClass, Variable, find
from symstudy.symmetry.derivation.blocks import BlockPlan, Labels, plan_blocks
from symstudy.symmetry.derivation.candidates import (
    Candidate,
    ClassSolution,
    Refusal,
    solve_class,
    whole_scalings,
)
from symstudy.symmetry.derivation.capture import Capture, find_capture
from symstudy.symmetry.derivation.heads import Heads, find_heads
from symstudy.symmetry.derivation.shifts import shifts_of
from symstudy.symmetry.derivation.state import State

__all__ = ["LayoutPlan", "plan_layout"]

ORDINARY = (
    "inputs of the network", "outputs of the network", "samples of a batch", "runs over",
    "looked up", "joined",
)  # fmt: skip
"""Words of the reasons for which an axis has no group in every network."""


@final
@dataclass(frozen=True, kw_only=True)
class LayoutPlan:
    """A layout whose symmetries have not been tried.

    Attributes:
        plans: Its blocks before their axes had names.
        blocks: Its blocks.
        labels: Names of the axis classes.
        groups: Groups of neurons, numbered by their operations.
        attention: Attention layers, numbered likewise.
        layers: Number of the hidden layer that an axis class belongs to.
        candidates: Symmetries to try.
        refusals: What was left out, and why.
        captures: Where activations of groups are.
    """

    plans: Sequence[BlockPlan]
    blocks: Sequence[Block]
    labels: Labels
    groups: Sequence[NeuronGroup]
    attention: Sequence[AttentionLayer]
    layers: dict[AxisClass, int]
    candidates: Sequence[Candidate]
    refusals: Sequence[Refusal]
    captures: Sequence[Capture]

    def names(self, variables: Iterable[Variable]) -> tuple[str, ...]:
        """Return the blocks that have these factors, in order."""
        wanted = list(variables)
        return names_of(self.plans, wanted)

    def declarations(self, candidate: Candidate) -> tuple[DeclaredSymmetry, ...]:
        """Return the declaration of a candidate, or one for each head."""
        of = find(candidate.of) if candidate.of is not None else None
        within = find(candidate.within) if candidate.within is not None else None
        first = DeclaredSymmetry(
            kind=candidate.kind,
            blocks=self.names(candidate.blocks),
            partners=self.names(candidate.partners),
            axis=self.labels.names[of] if of is not None else "",
            within=self.labels.names[within] if within is not None else "",
            preserves=candidate.preserves,
            layer=self.layers.get(of) if of is not None else None,
        )
        places = within.size if within is not None else 1
        return tuple(replace(first, place=place) for place in range(places))


def names_of(plans: Sequence[BlockPlan], variables: Sequence[Variable]) -> tuple[str, ...]:
    """Return the blocks that have these factors, of an axis or as a whole, in order."""
    wholes = {each.parameter for each in variables if not each.path}
    return tuple(
        plan.name
        for plan in plans
        if plan.parameter in wholes or any(plan.has(each) for each in variables)
    )


def plan_layout(state: State) -> LayoutPlan:
    """Return the layout that the operations of a module allow."""
    plans, refused = plan_blocks(state)
    classes = {find(each): None for each in state.classes.values()}
    solutions = {of: solve_class(state, of, plans) for of in classes if of not in refused}
    heads, refused_heads = find_heads(state, solutions, plans)
    labels = Labels()
    name_classes(state, labels, heads, classes)
    layers = {of: each.number for each in heads for of in (each.key, each.value)}
    layers |= {each.heads: each.number for each in heads if each.heads is not None}
    found = [each for of in solutions if (each := group_of(state, solutions[of], plans, layers))]
    single = {
        of: f"{labels.names[each.key]}.head"
        for each in heads
        if each.heads is None
        for of in (each.key, each.value)
    }
    blocks = labels.build(plans, single)
    groups, captures = [], []
    for each in found:
        group = named_group(each, labels, plans)
        groups.append(group)
        layers[each.of] = each.number
        capture = find_capture(state, each.of, group.name, each.reads)
        captures += [capture] if capture is not None else []
    candidates = [
        candidate
        for of, solution in solutions.items()
        for candidate in chosen(solution, heads, is_group=of in {each.of for each in found})
    ]
    candidates += whole_scalings(state, list(solutions.values()))
    candidates += shifts_of(state, list(solutions.values()), heads)
    refusals = [Refusal(labels.names.get(of, "an axis"), reason) for of, reason in refused.items()]
    refusals += [Refusal("attention", reason) for reason in refused_heads]
    for solution in solutions.values():
        refusals += refusals_of(solution, labels)
    return LayoutPlan(
        plans=plans,
        blocks=blocks,
        labels=labels,
        groups=groups,
        attention=[named_heads(each, labels, plans, single) for each in heads],
        layers=layers,
        candidates=candidates,
        refusals=refusals,
        captures=captures,
    )


def refusals_of(solution: ClassSolution, labels: Labels) -> list[Refusal]:
    """Return what was left out of an axis class, but for what no network has."""
    found = list(solution.refusals)
    reason = solution.of.frozen
    if reason and not any(word in reason for word in ORDINARY) and solution.of.size > 1:
        found.insert(0, Refusal(labels.names[solution.of], reason))
    return found


def module_of(variable: Variable) -> str:
    """Return the module that a parameter belongs to, its own name if that is the whole network."""
    return variable.parameter.rpartition(".")[0] or variable.parameter


def name_classes(
    state: State, labels: Labels, heads: Sequence[Heads], classes: Iterable[AxisClass]
) -> None:
    """Give every axis class a name: of heads, of what the network is given, or of its module."""
    for each in heads:
        module = module_of(each.query_key.blocks[0])
        named = ((each.heads, "head"), (each.key, "key"), (each.value, "value"))
        for of, suffix in named:
            if of is not None:
                labels.name(of, f"{module}.{suffix}")
    # Those that have symmetries first: they have the plain names.
    for of in sorted(classes, key=lambda of: bool(of.frozen)):
        own = [variable for variable, each in state.classes.items() if find(each) is of]
        makers = [each for each in own if each in state.writes] or own
        wanted = module_of(makers[0])
        if of.frozen:
            wanted = f"{own[0].parameter}.{own[0].path[0]}"
        elif of.bent and not any(state.readings[v].activated >= 0 for v in own if v in state.reads):
            wanted = "stream"
        for word in ("input", "output"):
            if f"{word}s of the network" in of.frozen:
                wanted = word
        labels.name(of, wanted)


@dataclass(frozen=True, kw_only=True)
class FoundGroup:
    """A class of neurons.

    Attributes:
        of: The class.
        number: Operation that it is ordered by.
        writes: Factors of what makes the neurons.
        reads: Factors of what reads them.
        odd: Whether all of it may change sign.
        homogeneous: Whether a positive factor may pass through.
        even: Whether what makes it may change sign alone.
    """

    of: AxisClass
    number: int
    writes: tuple[Variable, ...]
    reads: tuple[Variable, ...]
    odd: bool
    homogeneous: bool
    even: bool


def group_of(
    state: State, solution: ClassSolution, plans: Sequence[BlockPlan], taken: dict[AxisClass, int]
) -> FoundGroup | None:
    """Return a class as neurons: made by some weights, and read by others as activations.

    Of neurons that nothing bends there must be one layer that makes them: a residual stream is no
    group.
    """
    of = solution.of
    writes = tuple(each for each in solution.variables if each in state.writes)
    reads = tuple(each for each in solution.variables if each in state.reads)
    is_left_out = bool(solution.refusals) and not solution.candidates
    no_group = bool(of.frozen) or of.size == 1 or of in taken or is_left_out
    if no_group or not writes or not reads or not set(writes).isdisjoint(reads):
        return None
    along = {find(each) for other in state.classes.values() for each in find(other).companions}
    if of in along:
        return None
    readings = [state.readings[each] for each in reads]
    number = min((each.activated for each in readings if each.activated >= 0), default=-1)
    if not of.bent:
        matrices = [p for p in plans if p.role == "weight" and any(p.has(w) for w in writes)]
        if len(matrices) != 1:
            return None
        number = min(each.last for each in readings)
    if number < 0:
        return None
    return FoundGroup(
        of=of,
        number=number,
        writes=writes,
        reads=reads,
        odd=solution.allows_sign((*writes, *reads)),
        homogeneous=solution.allows(writes, reads),
        even=solution.allows_sign(writes),
    )


def named_group(found: FoundGroup, labels: Labels, plans: Sequence[BlockPlan]) -> NeuronGroup:
    """Return a group of neurons; its sides are named where they do not show by the axes."""
    writes, reads = names_of(plans, found.writes), names_of(plans, found.reads)
    first = {p.name for p in plans if p.axes and p.axes[0].of and find(p.axes[0].of) is found.of}
    shows = first == set(writes)
    return NeuronGroup(
        name=labels.names[found.of],
        layer=found.number,
        size=found.of.size,
        odd=found.odd,
        homogeneous=found.homogeneous,
        even=found.even,
        incoming_blocks=() if shows else writes,
        outgoing_blocks=() if shows else reads,
    )


def named_heads(
    heads: Heads, labels: Labels, plans: Sequence[BlockPlan], single: dict[AxisClass, str]
) -> AttentionLayer:
    """Return an attention layer."""
    read, made = heads.query_key, heads.value_output
    return AttentionLayer(
        layer=heads.number,
        heads=single[heads.key] if heads.heads is None else labels.names[heads.heads],
        key=labels.names[heads.key],
        value=labels.names[heads.value],
        query_blocks=names_of(plans, read.blocks),
        key_blocks=names_of(plans, read.partners),
        value_blocks=names_of(plans, made.blocks),
        output_blocks=names_of(plans, made.partners),
    )


def chosen(solution: ClassSolution, heads: Sequence[Heads], *, is_group: bool) -> list[Candidate]:
    """Return the candidates of a class without those that are subgroups of others.

    Neurons of linear layers are told with all that they have, as those of the built-in models are.
    """
    along = {each.heads for each in heads}
    if solution.of in along:
        return [each for each in solution.candidates if each.kind == "permutation"]
    if is_group or not any(each.kind == "double_rotation" for each in solution.candidates):
        return solution.candidates
    inside = ("permutation", "rescaling", "sign_flip")
    return [each for each in solution.candidates if each.kind not in inside]
