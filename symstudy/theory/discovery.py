"""Symmetries found on numbers alone: null vectors of the Jacobian fitted as linear generators.

A one-parameter group theta -> exp(t A) theta leaves a function as it is where A theta is in the
kernel of the Jacobian at every theta. At one theta any null vector is of that form; at many they
are only if there is a symmetry.

Shapes: P parameters, R rows of the Jacobian, U unknowns, G generators.
"""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from symstudy.errors import UserError
from symstudy.theory.functional_dimension import CLEAR_GAP, jacobian_chunks
from symstudy.theory.generators import AffineFields, all_fields, fields_along_axes

__all__ = ["Algebra", "choose_fields", "fit_generators"]

MOST_UNKNOWNS = 3_000
"""Unknowns up to which generators are fitted: a minute."""
MOST_OF_ALL = 2_500
"""Unknowns up to which all affine fields are looked at, and not those along axes alone."""
OVERSAMPLING = 2
"""Equations for each unknown."""
INDEPENDENT = 1e-8
"""Fields smaller than this, relative to one of random unknowns of the same norm, are zero."""
MOST_DOUBLINGS = 4
"""How often the samples of a point are doubled while the generators do not hold on fresh ones."""
FRESH = 4
"""Points beyond those of the fit on which each generator is tried, each on so many times the
samples that its rank needs."""
SEEN = 1e-6
"""Singular values of a Jacobian below this, relative to the largest, are not counted on."""
HOLDS = 1e-7
"""Largest share of a velocity that the function may see on fresh points."""


class Algebra(NamedTuple):
    """The generators of symmetries that were found among a family of fields.

    Attributes:
        fields: The family.
        unknowns_GU: Of each generator, an orthonormal basis of fields.
        gap: Smallest singular value of what is no symmetry over the largest of what is one.
        error: Largest share of a generator's velocity that the function sees on fresh points, by
            the norm of the Jacobian times the velocity over the product of their norms.
        points: Points that were fitted.
    """

    fields: AffineFields
    unknowns_GU: Float[Tensor, "generators unknowns"]
    gap: float
    error: float
    points: int

    @property
    def dimension(self) -> int:
        """How many independent generators there are."""
        return len(self.unknowns_GU)

    @property
    def is_clear(self) -> bool:
        """Whether the gap is at least 100 and every generator holds on fresh points."""
        return self.gap >= CLEAR_GAP and self.error <= HOLDS

    def velocities(
        self, theta_P: Float[Tensor, " parameters"]
    ) -> Float[Tensor, "generators parameters"]:
        """Return how fast each generator moves parameters: all in the kernel of the Jacobian."""
        return self.fields.velocities(self.unknowns_GU, theta_P)


def choose_fields(shapes: Sequence[tuple[int, ...]]) -> AffineFields:
    """Return all affine fields of a small network, those along axes of a larger one.

    Args:
        shapes: Of the parameter tensors.

    Raises:
        UserError: If either has more unknowns than are fitted.
    """
    size = sum(math.prod(shape) for shape in shapes)
    if size * (size + 1) <= MOST_OF_ALL:
        return all_fields(size)
    fields = fields_along_axes(shapes)
    if fields.unknowns > MOST_UNKNOWNS:
        raise UserError(
            f"generators of at most {MOST_UNKNOWNS:,} unknowns can be fitted, but {size:,} "
            f"parameters have {fields.unknowns:,}. Make the module smaller (--arguments): a "
            "narrower one has the same groups"
        )
    return fields


def fit_generators(
    outputs: Callable[[Tensor, Tensor], Tensor],
    fields: AffineFields,
    draw_point: Callable[[], Tensor],
    draw_sample: Callable[[], Tensor],
) -> Algebra:
    """Return all fields of a family along which the function does not change at any point drawn.

    The equations J(theta) (A theta + b) = 0 of many points and samples are linear in A and b. Each
    point has rows of its own samples, divided by their norm; all are folded into one triangular
    factor, whose null space is read where neighbouring singular values differ most. A field that
    is zero although its unknowns are not, as the difference of a matrix of one axis and the same of
    another where both are the identity, is no generator and left out.

    Args:
        outputs: Maps parameters and one sample to outputs of any shape; traced by `torch.func`.
        fields: The family.
        draw_point: Gives parameters, float64: over the whole space for symmetries that hold
            everywhere, near one point for those that hold near it.
        draw_sample: Gives one sample.

    Raises:
        ArithmeticError: If the Jacobian is not finite.

    References:
        Zhao, Walters and Yu 2025, arXiv:2506.13018, Section "Discovery"; the fit of linear
        generators to null spaces of Jacobians is derived here.
    """
    per_sample = outputs(draw_point(), draw_sample()).numel()
    enough = math.ceil(OVERSAMPLING * fields.parameters / per_sample)
    rank = rank_of_rows(rows_at(outputs, draw_point, draw_sample, enough)[1])
    # An affine field is known by its values at P + 1 points; each gives as many equations as its
    # Jacobian has rank.
    points = max(
        OVERSAMPLING * (fields.parameters + 1),
        math.ceil(OVERSAMPLING * fields.unknowns / max(rank, 1)),
    )
    samples = math.ceil(OVERSAMPLING * fields.unknowns / (points * per_sample))
    for _ in range(MOST_DOUBLINGS):
        drawn = (rows_at(outputs, draw_point, draw_sample, samples) for _ in range(points))
        found = null_fields(fields, drawn)
        found_GU = without_zero_fields(fields, found.unknowns_NU, draw_point)
        fresh = [rows_at(outputs, draw_point, draw_sample, FRESH * enough) for _ in range(FRESH)]
        error = largest_error(fields, found_GU, fresh)
        algebra = Algebra(fields, found_GU, found.gap, error, points)
        if algebra.is_clear:
            break
        # Of a neuron that is seldom active a few samples may see nothing.
        samples *= 2
    return algebra


def rank_of_rows(rows_RP: Tensor) -> int:
    """Return the rank of a Jacobian, small singular values left out."""
    values = torch.linalg.svdvals(rows_RP)
    return int((values > SEEN * values[0]).sum())


class NullFields(NamedTuple):
    """The null space of the equations of many points.

    Attributes:
        unknowns_NU: An orthonormal basis.
        gap: Factor by which singular values fall there.
    """

    unknowns_NU: Tensor
    gap: float


def null_fields(fields: AffineFields, drawn: Iterable[tuple[Tensor, Tensor]]) -> NullFields:
    """Return the fields in the kernel of all rows of points `(theta_P, rows_RP)`."""
    triangle = torch.zeros(0, fields.unknowns, dtype=torch.float64)
    waiting: list[Tensor] = []
    for theta_P, rows_RP in drawn:
        waiting.append(fields.equations(rows_RP, theta_P))
        if sum(len(each) for each in waiting) >= fields.unknowns:
            triangle = torch.linalg.qr(torch.cat([triangle, *waiting]), mode="r").R
            waiting = []
    triangle = torch.linalg.qr(torch.cat([triangle, *waiting]), mode="r").R
    _, values_U, directions_UU = torch.linalg.svd(triangle)
    rank, gap = read_null_space(values_U)
    return NullFields(directions_UU[rank:], gap)


def rows_at(
    outputs: Callable[[Tensor, Tensor], Tensor],
    draw_point: Callable[[], Tensor],
    draw_sample: Callable[[], Tensor],
    samples: int,
) -> tuple[Tensor, Tensor]:
    """Return a point and the rows of the Jacobian there, of norm 1 together."""
    theta_P = draw_point()
    batch = torch.stack([draw_sample() for _ in range(samples)])
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", message="There is a performance drop")
        rows_RP = torch.cat(list(jacobian_chunks(outputs, theta_P, batch, samples)))
    norm = rows_RP.norm()
    if not norm.isfinite():
        raise ArithmeticError(
            "the Jacobian must be finite, but got entries that are not. Look for roots or norms of "
            "zero in the outputs."
        )
    return theta_P, rows_RP / norm if norm > 0 else rows_RP


def read_null_space(values_U: Tensor) -> tuple[int, float]:
    """Return how many singular values are not 0, and by what factor they fall there."""
    floor = torch.finfo(torch.float64).eps * len(values_U) * float(values_U[0])
    if floor == 0.0:
        return 0, math.inf
    held = torch.cat([values_U, values_U.new_tensor([floor])]).clamp(min=floor)
    ratios = held[:-1] / held[1:]
    place = int(ratios.argmax())
    return place + 1, float(ratios[place])


def without_zero_fields(
    fields: AffineFields, null_NU: Tensor, draw_point: Callable[[], Tensor]
) -> Float[Tensor, "generators unknowns"]:
    """Return combinations of `null_NU` that are a basis of the fields which they make."""
    if len(null_NU) == 0:
        return null_NU
    generator = torch.Generator().manual_seed(0)
    any_U = torch.randn(fields.unknowns, generator=generator, dtype=torch.float64)
    known_GU = torch.cat([null_NU, any_U[None] / any_U.norm()])
    sampled = sampled_fields(fields, known_GU, draw_point)
    turned, values, _ = torch.linalg.svd(sampled[:-1], full_matrices=False)
    is_field = values > INDEPENDENT * sampled[-1].norm()
    kept_GU: Tensor = turned.T[is_field] @ null_NU
    return kept_GU


def sampled_fields(
    fields: AffineFields, unknowns_GU: Tensor, draw_point: Callable[[], Tensor]
) -> Float[Tensor, "generators values"]:
    """Return some random components of each generator's velocity at enough points to know it by."""
    generator = torch.Generator().manual_seed(0)
    points = fields.parameters + 2
    components = math.ceil(2 * len(unknowns_GU) / points)
    sampled = []
    for _ in range(points):
        weights = torch.randn(
            fields.parameters, components, generator=generator, dtype=torch.float64
        )
        sampled.append(fields.velocities(unknowns_GU, draw_point()) @ weights)
    return torch.cat(sampled, dim=1)


def largest_error(
    fields: AffineFields, found_GU: Tensor, fresh: Sequence[tuple[Tensor, Tensor]]
) -> float:
    """Return how much of the velocity of any generator the function sees at most."""
    if len(found_GU) == 0:
        return 0.0
    worst = 0.0
    for theta_P, rows_RP in fresh:
        velocity_GP = fields.velocities(found_GU, theta_P)
        seen_G = (velocity_GP @ rows_RP.T).norm(dim=1) / velocity_GP.norm(dim=1)
        worst = max(worst, float(seen_G.max()))
    return worst
