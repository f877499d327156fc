"""Directions in which a module's parameters change nothing, and the symmetries behind them.

Shapes: P parameters, R directions.
"""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from symstudy.layout import Block, DeclaredSymmetry, Layout
from symstudy.symmetry.derivation import Derivation, DerivedSymmetry, ModuleFunction, derive
from symstudy.symmetry.registry import build_symmetry
from symstudy.theory.functional_dimension import (
    OVERSAMPLING,
    FunctionalDimension,
    functional_dimension,
)

__all__ = [
    "Nullity",
    "SymmetryReport",
    "count_dimensions",
    "dimension_of_span",
    "moved_directions",
    "rank_point",
    "report_symmetries",
]

MOST_PARAMETERS = 3_000
"""Parameters up to which the rank of the Jacobian is taken unasked: some ten seconds."""
MOST_DOUBLINGS = 4
"""How often the number of samples is doubled while the rank grows."""
RANK_SEED = 1
"""Of the parameters and inputs that the rank is taken at."""
INDEPENDENT = 1e-9
"""Singular values of normalised directions below this are 0: they depend on one another."""


class Nullity(NamedTuple):
    """Directions in parameter space along which the function does not change.

    Attributes:
        parameters: Number of parameters P.
        batches: Batches of inputs that the Jacobian was taken on; 0 if it was not.
        rank: Rank of the Jacobian of the outputs by the parameters; None if it was not taken.
        gap: Singular value number `rank` over the next.
        nullity: P less the rank.
        explained: Dimension of the span of what continuous symmetries move parameters along.
        unexplained: The rest of the nullity.
        reason: Why something was not computed, or is in doubt; empty otherwise.
    """

    parameters: int
    batches: int = 0
    rank: int | None = None
    gap: float = math.nan
    nullity: int | None = None
    explained: int | None = None
    unexplained: int | None = None
    reason: str = ""


class SymmetryReport(NamedTuple):
    """The symmetries of a module and what they explain.

    Attributes:
        derivation: Layout, symmetries, and what was left out.
        dimensions: Continuous dimension of each symmetry, in their order.
        nullity: Directions that change nothing.
    """

    derivation: Derivation
    dimensions: tuple[int, ...]
    nullity: Nullity

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each symmetry, of plain values."""
        made = []
        for found, dimension in zip(self.derivation.symmetries, self.dimensions, strict=True):
            first, verdict = found.parts[0], found.verdict
            bare = verdict.error_without_epsilon
            made.append(
                {
                    "kind": found.kind,
                    "axis": found.axis or None,
                    "size": found.size,
                    "copies": len(found.parts),
                    "blocks": list(first.blocks),
                    "partners": list(first.partners),
                    "preserves": first.preserves,
                    "layer": first.layer,
                    "continuous": dimension,
                    "discrete": found.discrete or None,
                    "error": verdict.error,
                    "error_without_epsilon": None if math.isnan(bare) else bare,
                }
            )
        return made


def report_symmetries(
    module: nn.Module, inputs: Tensor, data: Tensor | None = None, batches: int | None = None
) -> SymmetryReport:
    """Return the symmetries of a module, and how many directions none of them explains.

    Args:
        module: Left as it is.
        inputs: A batch of example inputs; where it normalises by batch, each batch of this size is
            one sample of the function.
        data: Inputs of the same shape on which symmetries are tried beside random ones.
        batches: Batches on which the Jacobian is taken; None for as many as its rank needs, if
            there are not too many parameters.

    Raises:
        ModelError: If the module cannot be evaluated in float64.
    """
    derivation = derive(module, inputs, data)
    dimensions = tuple(dimension_of(each, derivation.layout) for each in derivation.symmetries)
    return SymmetryReport(derivation, dimensions, count_dimensions(derivation, batches))


def dimension_of(found: DerivedSymmetry, layout: Layout) -> int:
    """Return the dimension of a continuous group; 0 for a finite one."""
    first, size = found.parts[0], found.size
    each = {
        "rescaling": size,
        "scaling": size,
        "double_rotation": size**2,
        "rotation": size * (size - 1) // 2,
    }.get(first.kind, 0)
    if first.kind == "translation":
        numbers = sum(layout.block(name).size for name in first.blocks)
        each = numbers // size if first.axis else numbers
    return each * len(found.parts)


def rank_point(function: ModuleFunction) -> Float[Tensor, " parameters"]:
    """Return the generic parameters at which `count_dimensions` takes the rank."""
    return function.generic(torch.Generator().manual_seed(RANK_SEED))


def count_dimensions(derivation: Derivation, batches: int | None = None) -> Nullity:
    """Return rank and nullity of the Jacobian at generic parameters, and what explains it.

    Normalisations are taken without their epsilon, which makes what they do not see almost unseen.
    The directions along which the continuous symmetries move the parameters lie in the kernel of
    the Jacobian; those in their span are explained.

    Args:
        derivation: Of the module.
        batches: As for `report_symmetries`.

    References:
        Grigsby, Lindsey, Meyerhoff and Wu 2022, arXiv:2209.04036, for the functional dimension.
    """
    function = derivation.function
    size = sum(function.sizes)
    generator = torch.Generator().manual_seed(RANK_SEED)
    theta_P = function.generic(generator)
    with torch.no_grad():
        per_batch = function.flat(theta_P, function.inputs).numel()
    needed = math.ceil(OVERSAMPLING * size / per_batch)
    if batches is None and size > MOST_PARAMETERS:
        return Nullity(
            size,
            reason=f"the rank was not taken of {size:,} parameters: that takes about "
            f"{2.0 * OVERSAMPLING * size**3:.0e} operations and {3 * 8 * size**2 / 1e9:.2g} GB. "
            f"Make the module smaller (--arguments), or type --samples {needed}",
        )
    if batches is not None and batches < needed:
        return Nullity(
            size,
            reason=f"samples must be at least {needed} for {size:,} parameters and {per_batch} "
            f"outputs of each, but got {batches}. Type --samples {needed}",
        )
    try:
        taken = settled_rank(function, theta_P, batches or needed, generator)
    except Exception as error:  # noqa: BLE001  # whatever torch cannot do is told
        return Nullity(
            size,
            reason="the Jacobian could not be taken: "
            f"{type(error).__name__}: {str(error).splitlines()[0]}",
        )
    found, count = taken.found, taken.batches
    explained = dimension_of_span(moved_directions(derivation, theta_P))
    nullity = size - found.rank
    reason = ""
    if not found.is_clear:
        reason = f"the rank is in doubt: singular values fall by {found.gap:.2g} there, not by 100"
    elif taken.grows:
        reason = (
            f"the rank still grows with more inputs, so that it is a lower bound. Type --samples "
            f"{4 * count} for more"
        )
    return Nullity(
        size, count, found.rank, found.gap, nullity, explained, nullity - explained, reason
    )


class TakenRank(NamedTuple):
    """The rank of a Jacobian on so many batches.

    Attributes:
        found: Rank and gap.
        batches: Batches that it was taken on.
        grows: Whether it was less on half as many.
    """

    found: FunctionalDimension
    batches: int
    grows: bool


def settled_rank(
    function: ModuleFunction,
    theta_P: Float[Tensor, " parameters"],
    batches: int,
    generator: torch.Generator,
) -> TakenRank:
    """Return the rank on at least twice `batches` batches, on more while it grows.

    A network may give few independent outputs, as one with a narrow last layer does: then as many
    samples as there are parameters are not enough.
    """

    def outputs(theta: Tensor, batch: Tensor) -> Tensor:
        return function.flat(theta, batch, epsilon=False)

    found: FunctionalDimension | None = None
    for _ in range(MOST_DOUBLINGS):
        inputs = torch.stack([function.draw_inputs(generator) for _ in range(batches)])
        before = found
        with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
            warnings.filterwarnings("ignore", message="There is a performance drop")
            found = functional_dimension(outputs, theta_P, inputs)
        if before is not None and before.rank == found.rank:
            return TakenRank(found, batches, grows=False)
        batches *= 2
    assert found is not None, "there is at least one doubling"
    return TakenRank(found, batches // 2, grows=True)


def moved_directions(
    derivation: Derivation, theta_P: Float[Tensor, " parameters"]
) -> Float[Tensor, "directions parameters"]:
    """Return the directions along which the continuous symmetries move the parameters."""
    blocks = derivation.layout.blocks
    rows = [
        directions_of(declared, blocks, theta_P)
        for declared in derivation.layout.symmetries
        if declared.preserves == "function"
    ]
    return torch.cat([theta_P.new_zeros(0, len(theta_P)), *rows])


def directions_of(
    declared: DeclaredSymmetry, blocks: Sequence[Block], theta_P: Float[Tensor, " parameters"]
) -> Float[Tensor, "directions parameters"]:
    """Return the directions of one symmetry, which is built on its own blocks alone."""
    names = (*declared.blocks, *declared.partners)
    mine: list[Block] = []
    places = []
    for block in blocks:
        if block.name in names:
            places.append(torch.arange(block.offset, block.stop))
            mine.append(replace(block, offset=mine[-1].stop if mine else 0))
    at = torch.cat(places)
    symmetry = build_symmetry(Layout(blocks=tuple(mine)), replace(declared, layer=None))
    own_RP = symmetry.velocities(theta_P[at])
    return theta_P.new_zeros(len(own_RP), len(theta_P)).index_copy(1, at, own_RP)


def dimension_of_span(
    rows_RP: Float[Tensor, "directions parameters"], tolerance: float = INDEPENDENT
) -> int:
    """Return how many of the directions are independent, beyond `tolerance` of the largest."""
    norms_R = rows_RP.norm(dim=1)
    unit_RP = rows_RP[norms_R > 0] / norms_R[norms_R > 0, None]
    if len(unit_RP) == 0:
        return 0
    values_N = torch.linalg.svdvals(unit_RP)
    return int((values_N > tolerance * values_N[0]).sum())
