"""The layout of a module that declares none: derived by following axes, verified on numbers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor, nn

from symstudy.errors import ModelError
from symstudy.layout import AttentionLayer, DeclaredSymmetry, Layout, NeuronGroup
from symstudy.symmetry.derivation.candidates import Candidate, Refusal
from symstudy.symmetry.derivation.capture import Capture
from symstudy.symmetry.derivation.follow import follow
from symstudy.symmetry.derivation.function import ModuleFunction, float64_by_default, prepared
from symstudy.symmetry.derivation.plan import LayoutPlan, plan_layout
from symstudy.symmetry.derivation.state import State
from symstudy.symmetry.derivation.trace import trace_module
from symstudy.symmetry.derivation.verify import Verdict, Verifier

__all__ = ["Derivation", "DerivedSymmetry", "derive", "derive_layout"]


@final
@dataclass(frozen=True)
class DerivedSymmetry:
    """A symmetry that was derived and verified.

    Attributes:
        parts: Its declarations: one, or one for each head.
        size: Positions along its axis, of each head.
        verdict: What random elements of the group left as it is.
    """

    parts: tuple[DeclaredSymmetry, ...]
    size: int
    verdict: Verdict

    @property
    def kind(self) -> str:
        """Name of the symmetry."""
        return self.parts[0].kind

    @property
    def axis(self) -> str:
        """Label of the axis, with that of the heads."""
        first = self.parts[0]
        return f"{first.axis} of each of {first.within}" if first.within else first.axis

    @property
    def discrete(self) -> str:
        """Number of elements of a finite group; empty for others."""
        each = {"permutation": f"{self.size}!", "sign_flip": f"2^{self.size}"}.get(self.kind, "")
        return f"({each})^{len(self.parts)}" if each and len(self.parts) > 1 else each

    @property
    def log_order(self) -> float:
        """Natural logarithm of the number of elements of a finite group; 0 for others."""
        each = {"permutation": math.lgamma(self.size + 1), "sign_flip": self.size * math.log(2)}
        return each.get(self.kind, 0.0) * len(self.parts)


@final
@dataclass(frozen=True, kw_only=True)
class Derivation:
    """What was derived of a module.

    Attributes:
        layout: Its blocks, groups of neurons, attention layers, and symmetries that hold.
        symmetries: These symmetries, with how well they hold.
        refusals: What was looked at and left out, and why.
        captures: Where the activations of the groups of neurons are.
        unseen: Groups whose activations are nowhere to be caught.
        function: The module as it was evaluated.
    """

    layout: Layout
    symmetries: tuple[DerivedSymmetry, ...]
    refusals: tuple[Refusal, ...]
    captures: tuple[Capture, ...]
    unseen: tuple[str, ...]
    function: ModuleFunction


def derive_layout(module: nn.Module, inputs: Tensor) -> Layout:
    """Return the layout of a module that declares none, with the symmetries that it has.

    Args:
        module: Left as it is; its trained parameters are looked at in their own order.
        inputs: A batch of at least two example inputs.

    Raises:
        ModelError: If the module cannot be evaluated in float64.
    """
    return derive(module, inputs, apart=False).layout


def derive(
    module: nn.Module, inputs: Tensor, data: Tensor | None = None, *, apart: bool = True
) -> Derivation:
    """Return the layout of a module with how it was found.

    Each symmetry that the module's operations allow is tried: random elements of the group act on
    random parameters, and the outputs must stay to rounding. What fails is left out.

    Args:
        module: Left as it is.
        inputs: A batch of at least two example inputs.
        data: Inputs of the same shape on which symmetries are tried beside random ones.
        apart: Whether each symmetry is tried by itself, to tell its error; otherwise all are tried
            at once, and apart only if that fails.

    Raises:
        ModelError: If the module cannot be evaluated in float64.

    References:
        Ainsworth, Hayase and Srinivasa 2023 (arXiv:2209.04836) write such a layout by hand for each
        architecture.
    """
    with torch.random.fork_rng(devices=[]):
        # A module that draws in evaluation is tried on other draws each time, the same for all.
        torch.manual_seed(0)
        try:
            return derived(module, inputs, data, apart=apart)
        except ModelError:
            raise
        except Exception as error:
            # A module that trains must not fail for want of a layout: its caller goes without.
            raise ModelError(
                f"{type(module).__name__} must be a module whose layout can be derived, but that "
                f"raised {type(error).__name__}: {error}. Declare symstudy_layout() in the class."
            ) from error


def derived(module: nn.Module, inputs: Tensor, data: Tensor | None, *, apart: bool) -> Derivation:
    """Return what `derive` does, with draws from torch's global generator."""
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    function = ModuleFunction(prepared(module), inputs)
    state = observed(function)
    plan = plan_layout(state)
    verifier = Verifier(function, plan.blocks, data)
    refusals = list(plan.refusals)
    kept: list[DerivedSymmetry] = []
    for preserves in ("function", "probabilities"):
        mine = [each for each in plan.candidates if each.preserves == preserves]
        kept += verified(verifier, plan, mine, refusals, apart=apart)
    layout, kept = assembled(plan, kept, refusals)
    groups = {group.name for group in layout.groups}
    captures = tuple(each for each in plan.captures if each.group in groups)
    caught = {each.group for each in captures}
    return Derivation(
        layout=layout,
        symmetries=tuple(kept),
        refusals=tuple(refusals),
        captures=captures,
        unseen=tuple(each.name for each in layout.groups if each.name not in caught),
        function=function,
    )


def observed(function: ModuleFunction) -> State:
    """Return what the operations of a module say of its parameters.

    Raises:
        ModelError: If it cannot be evaluated in float64.
    """
    module, inputs = function.module, function.inputs
    try:
        return follow(trace_module(module, inputs))
    except ModelError:
        raise
    except Exception:  # noqa: BLE001, S110 - tensors that it creates may be of the default type
        pass
    try:
        with float64_by_default():
            return follow(trace_module(module, inputs))
    except Exception as error:
        kind = "" if inputs.is_floating_point() else "whole numbers of "
        raise ModelError(
            f"{type(module).__name__} must take a batch of {kind}shape {list(inputs.shape)} in "
            "float64, where symmetries are held to rounding, but its forward raised "
            f"{type(error).__name__}: {error}"
        ) from error


def verified(
    verifier: Verifier,
    plan: LayoutPlan,
    candidates: Sequence[Candidate],
    refusals: list[Refusal],
    *,
    apart: bool,
) -> list[DerivedSymmetry]:
    """Return the symmetries that hold among those that preserve the same; others are refused."""
    families = [plan.declarations(each) for each in candidates]
    if families and not apart:
        verdict = verifier.verify_all(families)
        if not verdict.reason:
            return [DerivedSymmetry(each, size_of(plan, each), verdict) for each in families]
    kept = []
    for parts in families:
        found = try_parts(verifier, plan, parts)
        if isinstance(found, Refusal):
            refusals.append(found)
        else:
            kept.append(found)
    return kept


def size_of(plan: LayoutPlan, parts: Sequence[DeclaredSymmetry]) -> int:
    """Return the positions along the axis of symmetries; 1 if they act on blocks as a whole."""
    by_name = {block.name: block for block in plan.blocks}
    return by_name[parts[0].blocks[0]].length(parts[0].axis) if parts[0].axis else 1


def try_parts(
    verifier: Verifier, plan: LayoutPlan, parts: tuple[DeclaredSymmetry, ...]
) -> DerivedSymmetry | Refusal:
    """Return a symmetry that holds, or why it does not."""
    first = parts[0]
    verdict = verifier.verify(parts)
    if verdict.reason:
        what = f"{first.kind} of {', '.join((*first.blocks, *first.partners))}"
        return Refusal(what, verdict.reason)
    return DerivedSymmetry(parts, size_of(plan, parts), verdict)


def assembled(
    plan: LayoutPlan, kept: list[DerivedSymmetry], refusals: list[Refusal]
) -> tuple[Layout, list[DerivedSymmetry]]:
    """Return the layout of what holds, and this; a group that loses its symmetry is no group."""
    symmetries = [part for each in kept for part in each.parts]
    groups: list[NeuronGroup] = []
    for group in plan.groups:
        mine = [each for each in symmetries if each.axis == group.name]
        kinds = {each.kind for each in mine}
        if "permutation" not in kinds:
            refusals.append(Refusal(group.name, "its neurons cannot be exchanged"))
            continue
        groups.append(
            replace(
                group,
                odd=group.odd and "sign_flip" in kinds,
                homogeneous=group.homogeneous and "rescaling" in kinds,
                even=group.even and "sign_flip" in kinds,
            )
        )
    attention: list[AttentionLayer] = []
    for layer in plan.attention:
        turned = {each.axis for each in symmetries if each.kind == "double_rotation"}
        if {layer.key, layer.value} <= turned:
            attention.append(layer)
        else:
            refusals.append(Refusal(layer.name, "its heads have no double rotations"))
    # Hidden layers are numbered from 1 on, in the order of their operations.
    old = sorted([*(each.layer for each in groups), *(each.layer for each in attention)])
    new: dict[int | None, int] = {layer: place for place, layer in enumerate(old, start=1)}
    kept = [
        replace(each, parts=tuple(replace(part, layer=new.get(part.layer)) for part in each.parts))
        for each in kept
    ]
    layout = Layout(
        blocks=tuple(plan.blocks),
        groups=tuple(replace(each, layer=new[each.layer]) for each in groups),
        attention=tuple(replace(each, layer=new[each.layer]) for each in attention),
        symmetries=tuple(part for each in kept for part in each.parts),
    )
    return layout, kept
