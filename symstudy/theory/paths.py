"""Barriers of the loss between two runs, before and after the symmetries are taken out.

Shapes: K pairs of runs, P parameters, D random draws.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.linalg import polar, schur
from torch import Tensor

from symstudy.layout import Layout
from symstudy.theory.matching import Matching, match_weights
from symstudy.theory.neuron_maps import balance, random_neuron_map
from symstudy.theory.orbits import Loss

__all__ = ["Barrier", "BarrierStudy", "barriers_modulo_symmetry", "line_barrier", "linear_path"]

GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0


class Barrier(NamedTuple):
    """How far the loss rises above its chord along the straight line between two runs.

    Attributes:
        height_K: Largest value of L(theta_t) - (1 - t) L(theta_0) - t L(theta_1); at least 0.
        at_K: The t where it is reached.
    """

    height_K: Float[Tensor, " pairs"]
    at_K: Float[Tensor, " pairs"]


def line_barrier(
    loss: Loss,
    start_KP: Float[Tensor, "pairs parameters"],
    end_KP: Float[Tensor, "pairs parameters"],
    *,
    points: int = 33,
    refinements: int = 40,
) -> Barrier:
    """Return the barrier of the loss on the straight line from each start to its end.

    The largest value on a grid is refined by golden sections between its neighbours, exact where
    the loss has one maximum there.

    Args:
        loss: Called with one row a pair, row k always on the line of pair k.
        start_KP: Parameters at t = 0.
        end_KP: Parameters at t = 1.
        points: Grid points, ends included; at least 3.
        refinements: Golden sections; each narrows the interval by 0.618.

    Raises:
        ValueError: If `points` is below 3, or the loss is not finite at an end.

    References:
        Frankle, Dziugaite, Roy and Carbin 2020, arXiv:1912.05671 (error barrier); theirs subtracts
        the mean of the ends, and takes the largest of the grid.
    """
    if points < 3:
        raise ValueError(f"`points` must be at least 3, but got {points}. Leave it at 33.")

    def raised(t_K: Tensor) -> Tensor:
        point_KP = torch.lerp(start_KP, end_KP, t_K[:, None])
        return loss(point_KP).detach() - torch.lerp(first_K, last_K, t_K)

    with torch.no_grad():
        first_K, last_K = loss(start_KP).detach(), loss(end_KP).detach()
        if not (first_K.isfinite() & last_K.isfinite()).all():
            raise ValueError(
                f"the loss must be finite at both ends, but got {first_K.tolist()} and "
                f"{last_K.tolist()}. Leave out runs that diverged."
            )
        grid_T = torch.linspace(0.0, 1.0, points).to(first_K)
        inner = [raised(t.expand_as(first_K)) for t in grid_T[1:-1]]
        # The chord meets the loss at the ends, where rounding must not decide.
        zeros_K = torch.zeros_like(first_K)
        heights_TK = torch.stack([zeros_K, *inner, zeros_K])
        best_K, place_K = heights_TK.max(dim=0)
        at_K = grid_T[place_K]
        peak_K = golden_section(
            raised, grid_T[(place_K - 1).clamp(min=0)], grid_T[(place_K + 1).clamp(max=points - 1)],
            refinements,
        )  # fmt: skip
        refined_K = raised(peak_K)
        is_better = refined_K > best_K
        return Barrier(
            height_K=torch.where(is_better, refined_K, best_K),
            at_K=torch.where(is_better, peak_K, at_K),
        )


def golden_section(
    function: Callable[[Tensor], Tensor], low_K: Tensor, high_K: Tensor, steps: int
) -> Tensor:
    """Return where `function` is largest between `low_K` and `high_K`, each entry by itself."""
    for _ in range(steps):
        width_K = GOLDEN * (high_K - low_K)
        left_K, right_K = high_K - width_K, low_K + width_K
        is_left = function(left_K) > function(right_K)
        low_K, high_K = torch.where(is_left, low_K, left_K), torch.where(is_left, right_K, high_K)
    return 0.5 * (low_K + high_K)


@dataclass(frozen=True, kw_only=True, eq=False)
class BarrierStudy:
    """Barriers between pairs of runs, as they are and modulo symmetry.

    Attributes:
        raw_K: Between the parameters as they are.
        balanced_K: After both are balanced: rescaling taken out. As raw where nothing can be
            rescaled.
        matched_K: After the second is matched to the first too: permutation and sign taken out.
        null_DK: After the second gets a random permutation and signs instead.
        matchings: The matching of each pair.
    """

    raw_K: Float[Tensor, " pairs"]
    balanced_K: Float[Tensor, " pairs"]
    matched_K: Float[Tensor, " pairs"]
    null_DK: Float[Tensor, "draws pairs"]
    matchings: tuple[Matching, ...]

    @property
    def p_values_K(self) -> Float[Tensor, " pairs"]:
        """Permutation p-value of each matched barrier: (1 + #(null <= matched)) / (1 + D).

        A null barrier that is NaN counts as low; where the matched one is, so is the p-value.
        """
        count_K = (~(self.null_DK > self.matched_K)).sum(dim=0).double()
        p_values_K = (1.0 + count_K) / (1.0 + len(self.null_DK))
        return torch.where(self.matched_K.isnan(), torch.nan, p_values_K)


def barriers_modulo_symmetry(
    loss: Loss,
    layout: Layout,
    start_KP: Float[Tensor, "pairs parameters"],
    end_KP: Float[Tensor, "pairs parameters"],
    *,
    draws: int = 19,
    restarts: int | None = None,
    points: int = 33,
    seed: int = 0,
) -> BarrierStudy:
    """Return the barriers between runs as they are, balanced, matched, and randomly permuted.

    A barrier between raw ReLU runs means nothing: rescaling alone makes it as high as one likes.

    Args:
        loss: Called with one row a pair, row k always of pair k.
        layout: Of the model.
        start_KP: First run of each pair.
        end_KP: Second run of each pair.
        draws: Random permutations of the null.
        restarts: Starts of the matching; as many as it tries by itself if None.
        points: Grid points of each line.
        seed: Of the random permutations and of the matching.

    Raises:
        ValueError: As `match_weights` and `line_barrier`.

    References:
        Entezari, Sedghi, Saukh and Neyshabur 2022, arXiv:2110.06296; Ainsworth et al. 2023,
        arXiv:2209.04836. Theirs neither balance nor compare with random permutations.
    """
    one_KP, two_KP = balance(layout, start_KP.detach()), balance(layout, end_KP.detach())
    matchings = tuple(
        match_weights(layout, one_P, two_P, restarts=restarts, seed=seed)
        for one_P, two_P in zip(one_KP, two_KP, strict=True)
    )
    matched_KP = torch.cat(
        [m.apply(two_P[None]) for m, two_P in zip(matchings, two_KP, strict=True)]
    )

    def height(other_KP: Tensor) -> Tensor:
        return line_barrier(loss, one_KP, other_KP, points=points).height_K

    null = [
        height(
            torch.cat(
                [
                    random_neuron_map(layout, seed * draws * len(two_KP) + d * len(two_KP) + k)
                    .apply(two_P[None])
                    for k, two_P in enumerate(two_KP)
                ]
            )
        )
        for d in range(draws)
    ]  # fmt: skip
    return BarrierStudy(
        raw_K=line_barrier(loss, start_KP.detach(), end_KP.detach(), points=points).height_K,
        balanced_K=height(two_KP),
        # Matching brings scales to those of a balanced run, so it is balanced up to rounding.
        matched_K=height(balance(layout, matched_KP)),
        null_DK=torch.stack(null) if null else torch.empty(0, len(one_KP)).to(one_KP),
        matchings=matchings,
    )


def linear_path(
    target_NN: Float[Tensor, "neurons neurons"], times_T: Float[Tensor, " times"]
) -> Float[Tensor, "times neurons neurons"]:
    """Return a path of invertible matrices from the identity to `target_NN`.

    With the polar form target = Q S, it is exp(t log Q) exp(t log S). A matrix of negative
    determinant lies in the other component of GL(N) and has no such path. So two solutions
    W_l ... W_1 = M of a deep linear network of full-rank square layers are joined by solutions
    where all g_i, of W_i' = g_i W_i g_{i-1}^-1, have positive determinants: 2^(l-1) components.

    Args:
        target_NN: Real, invertible, float64.
        times_T: Times from 0 to 1.

    Raises:
        ValueError: If the determinant is not positive.

    References:
        arXiv:2505.23681 for the components.
    """
    sign = float(torch.linalg.slogdet(target_NN).sign)
    if sign <= 0:
        raise ValueError(
            "target_NN must have a positive determinant to be joined with the identity, but its "
            f"sign is {sign:.0f}. Swap two neurons to reach the other component."
        )
    turn, stretch = polar(target_NN.double().cpu().numpy())
    log_turn = torch.from_numpy(log_rotation(turn))
    values, vectors = torch.linalg.eigh(torch.from_numpy(0.5 * (stretch + stretch.T)))
    path = [
        torch.linalg.matrix_exp(time * log_turn) @ (vectors * values**time) @ vectors.T
        for time in times_T.double().cpu()
    ]
    return torch.stack(path).to(target_NN)


def log_rotation(turn: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an antisymmetric matrix whose exponential is the rotation `turn`.

    A rotation is turned plane by plane, and its eigenvalues -1, an even number, are paired to
    planes of half turns; a general matrix logarithm of these would not be real.
    """
    form, basis = schur(turn, output="real")
    log_form = np.zeros_like(form)
    flipped: list[int] = []
    at = 0
    while at < len(form):
        if at + 1 < len(form) and abs(form[at + 1, at]) > 1e-12:
            angle = math.atan2(form[at + 1, at], form[at, at])
            log_form[at + 1, at], log_form[at, at + 1] = angle, -angle
            at += 2
            continue
        if form[at, at] < 0:
            flipped.append(at)
        at += 1
    for i, j in zip(flipped[::2], flipped[1::2], strict=True):
        log_form[j, i], log_form[i, j] = math.pi, -math.pi
    log_turn: NDArray[np.float64] = basis @ log_form @ basis.T
    return log_turn
