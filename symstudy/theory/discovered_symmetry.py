"""Symmetries of a module found on numbers alone, beside those that its operations tell of.

Shapes: P parameters, G generators, U unknowns.
"""

from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from symstudy.errors import ModelError
from symstudy.symmetry.derivation import Derivation, ModuleFunction
from symstudy.theory.discovery import HOLDS, Algebra, choose_fields, fit_generators
from symstudy.theory.explained_symmetry import dimension_of_span, moved_directions, rank_point
from symstudy.theory.functional_dimension import CLEAR_GAP
from symstudy.theory.generators import AffineFields, all_fields
from symstudy.theory.sparse_generators import INDEPENDENT, independent_rows, sparse_basis

__all__ = ["Discovery", "Moved", "discover"]

NEAR = 0.05
"""How far from the point those that hold near it are asked for, relative to typical parameters."""
BIAS = 0.3
"""Standard deviation of vectors where parameters are drawn from the whole space."""
VARIABLE = 1.5
"""What an unknown of a velocity that depends on parameters counts; of a constant one, 1."""


class Moved(NamedTuple):
    """Directions along which generators move the same parameters.

    Attributes:
        where: `everywhere`, or `near the point`.
        moves: Names of the parameters that are moved.
        depends_on: Names of the parameters that say how fast; empty where the velocity is constant.
        directions: Independent velocities at the point.
        new: Those of them that the derived symmetries do not have.
    """

    where: str
    moves: tuple[str, ...]
    depends_on: tuple[str, ...]
    directions: int
    new: int


class Discovery(NamedTuple):
    """What was found, and how much of the nullity it explains.

    Attributes:
        everywhere: Generators that hold at all parameters.
        nearby: Those that hold near the point; None if they were not asked for, since those that
            hold everywhere explain all, or are in doubt.
        derived: Directions at the point of the derived continuous symmetries.
        directions: The same of the generators that hold everywhere.
        missed: Directions of derived symmetries that no generator found has.
        directions_nearby: Directions of all generators found.
        nullity: Directions that change nothing at the point; None if the rank was not taken.
        moved: As few and as sparse generators as have all directions, by what they move.
        doubt: Why those that hold near the point could not be told; empty if they could.
    """

    everywhere: Algebra
    nearby: Algebra | None
    derived: int
    directions: int
    missed: int
    directions_nearby: int
    nullity: int | None
    moved: tuple[Moved, ...]
    doubt: str = ""

    @property
    def unexplained(self) -> int | None:
        """Directions that no generator found has; None if that is not known."""
        return None if self.nullity is None or self.doubt else self.nullity - self.directions_nearby

    def as_plain(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "parameters": self.everywhere.fields.parameters,
            "unknowns": self.everywhere.fields.unknowns,
            "family": "all" if is_whole(self.everywhere.fields) else "along axes",
            "generators": self.everywhere.dimension,
            "gap": self.everywhere.gap,
            "error": self.everywhere.error,
            "generators_nearby": None if self.nearby is None else self.nearby.dimension,
            "gap_nearby": None if self.nearby is None else self.nearby.gap,
            "error_nearby": None if self.nearby is None else self.nearby.error,
            "derived": self.derived,
            "directions": self.directions,
            "missed": self.missed,
            "directions_nearby": self.directions_nearby,
            "nullity": self.nullity,
            "unexplained": self.unexplained,
            "doubt": self.doubt,
            "moved": [each._asdict() for each in self.moved],
        }


def discover(
    derivation: Derivation,
    nullity: int | None = None,
    point_P: Float[Tensor, " parameters"] | None = None,
) -> Discovery:
    """Return the affine symmetries of a module, found from its Jacobian at many parameters.

    First those that hold everywhere are fitted, at random parameters. Where they explain less than
    the nullity of one point, those that hold near it are: a neuron that is never active on any
    input has more symmetries, but only where it is so.

    Args:
        derivation: Of the module; its symmetries are only compared with what is found.
        nullity: Directions that change nothing at the point; None if that is not known.
        point_P: The point; where the rank is taken by default.

    Raises:
        UserError: If the module has too many parameters.
        ModelError: If the generators that hold everywhere cannot be told from what is none.
    """
    function = derivation.function
    theta_P = rank_point(function) if point_P is None else point_P
    generator = torch.Generator().manual_seed(2)
    fields = choose_fields(function.shapes)
    everywhere = fit(function, fields, generator)
    if not everywhere.is_clear:
        raise ModelError(f"{told_doubt(everywhere)} Try a narrower or smoother module.")
    derived_RP = moved_directions(derivation, theta_P)
    derived = dimension_of_span(derived_RP, INDEPENDENT)
    own_GP = everywhere.velocities(theta_P)
    directions = dimension_of_span(own_GP, INDEPENDENT)
    if nullity is not None and directions > nullity:
        raise ModelError(f"{told_excess(directions, nullity)} Try a narrower or smoother module.")
    missed = dimension_of_span(torch.cat([own_GP, derived_RP]), INDEPENDENT) - directions
    nothing_RP = derived_RP[:0]
    moved = moved_by(everywhere, function, theta_P, nothing_RP, derived_RP, "everywhere")
    nearby, all_directions, doubt = None, directions, ""
    if nullity is not None and nullity > directions:
        fitted = fit(function, fields, generator, theta_P)
        nearby, doubt = (fitted, "") if fitted.is_clear else (None, told_doubt(fitted))
    if nearby is not None and nullity is not None:
        near_GP = nearby.velocities(theta_P)
        found = dimension_of_span(torch.cat([own_GP, near_GP]), INDEPENDENT)
        if found > nullity:
            nearby, doubt = None, told_excess(found, nullity)
        else:
            all_directions = found
            moved += moved_by(nearby, function, theta_P, own_GP, derived_RP, "near the point")
    return Discovery(
        everywhere, nearby, derived, directions, missed, all_directions, nullity, moved, doubt
    )


def told_doubt(algebra: Algebra) -> str:
    """Return what an algebra that is not clear lacks."""
    return (
        f"generators must be told apart by a factor of {CLEAR_GAP:.0f} and hold on fresh points to "
        f"{HOLDS:.0e}, but got a factor of {algebra.gap:.1e} and {algebra.error:.1e}."
    )


def told_excess(directions: int, nullity: int) -> str:
    """Return that generators were seen on too few inputs."""
    return (
        f"generators must have at most as many directions as change nothing, {nullity}, but have "
        f"{directions}: something, such as a neuron that is seldom active, was not seen."
    )


def fit(
    function: ModuleFunction,
    fields: AffineFields,
    generator: torch.Generator,
    near_P: Tensor | None = None,
) -> Algebra:
    """Return the generators that hold at all parameters, or near some."""

    def outputs(theta_P: Tensor, batch: Tensor) -> Tensor:
        return function.flat(theta_P, batch, epsilon=False)

    # Not near the initial weights, where a neuron may never be active.
    scales_P = torch.cat(
        [
            torch.full((size,), torch.Size(shape[1:]).numel() ** -0.5 if shape[1:] else BIAS)
            for size, shape in zip(function.sizes, function.shapes, strict=True)
        ]
    )

    def draw_point() -> Tensor:
        noise_P = torch.randn(len(scales_P), generator=generator, dtype=torch.float64)
        if near_P is None:
            return scales_P * noise_P
        return near_P + NEAR * near_P.abs().mean() * noise_P

    return fit_generators(outputs, fields, draw_point, lambda: function.draw_inputs(generator))


def is_whole(fields: AffineFields) -> bool:
    """Return whether a family has all affine fields."""
    return fields == all_fields(fields.parameters)


def moved_by(
    algebra: Algebra,
    function: ModuleFunction,
    theta_P: Tensor,
    known_RP: Tensor,
    derived_RP: Tensor,
    where: str,
) -> tuple[Moved, ...]:
    """Return sparse generators that add to the directions `known_RP`, by what they move."""
    fields = algebra.fields
    cost_U = torch.cat(
        [
            torch.full((each.unknowns,), 1.0 if each.source is None else VARIABLE).double()
            for each in fields.maps
        ]
    )
    sparse_GU = sparse_basis(algebra.unknowns_GU, moved_tensors(fields, function), cost_U)
    velocity_GP = fields.velocities(sparse_GU, theta_P)
    families: dict[tuple[tuple[str, ...], tuple[str, ...]], list[int]] = {}
    for number in independent_rows(velocity_GP, known_RP):
        names = support_of(fields, sparse_GU[number], function)
        families.setdefault(names, []).append(number)
    derived = dimension_of_span(derived_RP, INDEPENDENT)
    rows = []
    for (moves, depends_on), members in families.items():
        together = dimension_of_span(torch.cat([derived_RP, velocity_GP[members]]), INDEPENDENT)
        rows.append(Moved(where, moves, depends_on, len(members), together - derived))
    return tuple(sorted(rows, key=lambda row: (row.moves, row.depends_on)))


def moved_tensors(fields: AffineFields, function: ModuleFunction) -> Int64[Tensor, " unknowns"]:
    """Return the number of the tensor that each unknown moves."""
    numbers = [
        owners(function).repeat_interleave(each.shape[1])
        if is_whole(fields)
        else torch.full((each.unknowns,), each.target)
        for each in fields.maps
    ]
    return torch.cat(numbers)


def owners(function: ModuleFunction) -> Int64[Tensor, " parameters"]:
    """Return the number of the tensor that each parameter belongs to."""
    return torch.arange(len(function.sizes)).repeat_interleave(torch.tensor(function.sizes))


def support_of(
    fields: AffineFields, unknowns_U: Tensor, function: ModuleFunction
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of what a generator moves, and of what its velocity depends on."""
    names = function.names
    targets: set[int] = set()
    sources: set[int] = set()
    owner_P = owners(function)
    whole = is_whole(fields)
    pieces = torch.split(unknowns_U, [each.unknowns for each in fields.maps])
    for each, piece in zip(fields.maps, pieces, strict=True):
        rows, columns = piece.view(each.shape).nonzero(as_tuple=True)
        if len(rows) == 0:
            continue
        targets.update(owner_P[rows].tolist() if whole else [each.target])
        if each.source is not None:
            sources.update(owner_P[columns].tolist() if whole else [each.source])
    return tuple(names[place] for place in sorted(targets)), tuple(
        names[place] for place in sorted(sources)
    )
