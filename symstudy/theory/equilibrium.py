"""Which point of a continuous symmetry's orbit gradient noise selects, in closed form.

The loss does not tell the points of an orbit apart, but the size of the gradient's noise does: the
entropic loss of SGD (`symstudy.theory.noise`) has its minimum at one of them. Weight decay has
another.

For a deep linear network f(x) = W_D ... W_1 x, targets y = V x + eps with noise eps that does not
depend on x, and loss |f - y|^2, all states W_D ... W_1 = V are global minima. Among them E |grad|^2
is 4 S,

    S = sum_i a_i b_(i-1),   a_i = Tr(A_i^T Sigma_eps A_i),   b_i = Tr(B_i Sigma_x B_i^T),

A_i = W_D ... W_(i+1), B_i = W_i ... W_1. At its minimum every hidden layer of every network has
the same kernel h_i(x) . h_i(x') = kappa_i x^T K x' up to its scale, whatever width and depth: the
universal representation of arXiv:2502.05300, Theorem 2.

Shapes: I inputs, O outputs, H units of a hidden layer.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "balancing_scale",
    "decay_kernel",
    "layer_kernels",
    "minimal_noise",
    "noise_terms",
    "norm_ratio",
    "universal_kernel",
]


def norm_ratio(
    w_I: Float[Tensor, " inputs"], covariance_II: Float[Tensor, "inputs inputs"]
) -> float:
    """Return u^2 / |w|^2 of f = u w.x at the equilibrium of label noise; weight decay gives 1.

    SGD moves u^2 - |w|^2 by lr^2 times the difference of the squared gradients of u and w, so it
    comes to rest where these are equal on average: w^T Sigma w = u^2 Tr Sigma.

    Args:
        w_I: Incoming weights, of any norm but 0.
        covariance_II: Second moments of the inputs.

    References:
        Noise equilibrium, arXiv:2402.07193; this form is derived here.
    """
    direction_I = w_I / w_I.norm()
    return float(direction_I @ covariance_II @ direction_I / covariance_II.trace())


def balancing_scale(noise_u: float, noise_w: float) -> float:
    """Return lambda* such that (u e^lambda, w e^-lambda) has least gradient noise.

    Tr Sigma along the orbit is noise_u e^(-2 lambda) + noise_w e^(2 lambda), which is convex, with
    its minimum at ln(noise_u / noise_w) / 4.

    Args:
        noise_u: Trace of the covariance of the gradients of u at lambda = 0, above 0.
        noise_w: The same of w, above 0.

    Raises:
        ValueError: If a noise is not positive.
    """
    if not (noise_u > 0 and noise_w > 0):
        raise ValueError(
            f"both noises must be above 0, but got {noise_u!r} and {noise_w!r}. Without noise "
            "nothing selects a point of the orbit."
        )
    return 0.25 * float(torch.tensor(noise_u / noise_w, dtype=torch.float64).log())


def matrix_power(a_NN: Float[Tensor, "n n"], exponent: float) -> Float[Tensor, "n n"]:
    """Return a symmetric positive matrix to a real power; directions of value 0 stay 0."""
    values_N, vectors_NN = torch.linalg.eigh(a_NN)
    # Without a relative floor round-off would be blown up by a negative power.
    is_kept_N = values_N > 1e-13 * values_N.amax()
    powers_N = torch.where(is_kept_N, values_N.clamp(min=1e-300).pow(exponent), 0.0)
    power_NN: Tensor = (vectors_NN * powers_N) @ vectors_NN.T
    return power_NN


def universal_kernel(
    v_OI: Float[Tensor, "outputs inputs"],
    covariance_II: Float[Tensor, "inputs inputs"],
    noise_OO: Float[Tensor, "outputs outputs"],
) -> Float[Tensor, "inputs inputs"]:
    """Return K = X^-1 (X V^T Sigma_eps V X)^(1/2) X^-1 with X = Sigma_x^(1/2).

    It depends on the task alone. Transforming the inputs, x -> Z x, V -> V Z^-1, leaves x^T K x' as
    it is, for any invertible Z.

    Args:
        v_OI: Target map V.
        covariance_II: Second moments of the inputs, invertible.
        noise_OO: Covariance of the label noise.

    References:
        arXiv:2502.05300, Theorem 2 and Eq. 6; arXiv:2505.12387, Theorem 8. The closed form is
        derived here, from the stationarity of S under each layer's gauge,
        b_(i-1) A_i^T Sigma_eps A_i = a_(i+1) B_i Sigma_x B_i^T.
    """
    root_II = matrix_power(covariance_II, 0.5)
    inverse_II = matrix_power(covariance_II, -0.5)
    inner_II = root_II @ v_OI.T @ noise_OO @ v_OI @ root_II
    return inverse_II @ matrix_power(inner_II, 0.5) @ inverse_II


def minimal_noise(
    v_OI: Float[Tensor, "outputs inputs"],
    covariance_II: Float[Tensor, "inputs inputs"],
    noise_OO: Float[Tensor, "outputs outputs"],
    depth: int,
) -> float:
    """Return the least S of networks with `depth` weights: depth t, each of its terms t.

    t^depth = Tr Sigma_x Tr Sigma_eps nu^(2 (depth - 1)), nu the nuclear norm of
    Sigma_eps^(1/2) V Sigma_x^(1/2).
    """
    inner_OI = matrix_power(noise_OO, 0.5) @ v_OI @ matrix_power(covariance_II, 0.5)
    nuclear = torch.linalg.svdvals(inner_OI).sum()
    product = covariance_II.trace() * noise_OO.trace() * nuclear ** (2 * (depth - 1))
    return float(depth * product ** (1.0 / depth))


def noise_terms(
    weights: Sequence[Float[Tensor, "..."]],
    covariance_II: Float[Tensor, "inputs inputs"],
    noise_OO: Float[Tensor, "outputs outputs"],
) -> Float[Tensor, " layers"]:
    """Return a_i b_(i-1) of each weight; their sum is S. Gradients flow.

    Args:
        weights: W_1 .. W_D, each `[out, in]`.
        covariance_II: Second moments of the inputs.
        noise_OO: Covariance of the label noise.
    """
    forward = [covariance_II]
    for w in weights[:-1]:
        forward.append(w @ forward[-1] @ w.T)
    backward = [noise_OO]
    for w in reversed(weights[1:]):
        backward.append(w.T @ backward[-1] @ w)
    traces = zip(reversed(backward), forward, strict=True)
    return torch.stack([after.trace() * before.trace() for after, before in traces])


def layer_kernels(
    weights: Sequence[Float[Tensor, "..."]],
) -> list[Float[Tensor, "inputs inputs"]]:
    """Return B_i^T B_i of each hidden layer of a deep linear network with `weights` W_1 .. W_D."""
    kernels = []
    product = weights[0]
    for w in weights[1:]:
        kernels.append(product.T @ product)
        product = w @ product
    return kernels


def decay_kernel(
    v_OI: Float[Tensor, "outputs inputs"], layer: int, depth: int
) -> Float[Tensor, "inputs inputs"]:
    """Return the kernel of hidden layer `layer` at the minimum of sum |W_i|^2 with product V.

    With V = U S R^T it is R S^(2 layer / depth) R^T: it depends on layer and depth, and changes
    when the inputs are transformed, so weight decay makes no universal representation.
    """
    _, values_R, vectors_RI = torch.linalg.svd(v_OI, full_matrices=False)
    kernel_II: Tensor = (vectors_RI.T * values_R ** (2.0 * layer / depth)) @ vectors_RI
    return kernel_II
