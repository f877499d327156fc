"""The representation that gradient noise selects in deep linear networks, in closed form; no torch.

f(x) = W_D ... W_1 x fits y = V x + e with noise e independent of x, and loss |f - y|^2. Among all
weights with W_D ... W_1 = V, noise of SGD with an infinitesimal step leads to the least
E |gradient|^2 = 4 sum_i a_i b_(i-1), where A_i = W_D ... W_(i+1), B_i = W_i ... W_1,
a_i = tr(A_i^T Sigma_e A_i) and b_i = tr(B_i Sigma_x B_i^T).

There the inner products of the activations of layer i are kappa_i x^T K x' with one kernel K for
all layers, depths and widths. Weight decay instead of noise selects kernels that depend on the
layer, the depth and the coordinates of the inputs.

References:
    arXiv:2502.05300, Theorem 2 and Eq. 6 (two networks agree up to a rotation and a factor); the
    closed form of the kernel is derived from the stationarity of the sum above in a_i and b_i.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

__all__ = [
    "NoiseTerms",
    "decay_kernel",
    "kernel_root",
    "least_noise",
    "linear_fit",
    "noise_terms",
    "universal_kernel",
]

RELATIVE_RANK = 1e-10
"""Eigenvalues of the inputs' second moment below this part of the largest count as 0."""
NOISELESS = 1e-12
"""A residual below this part of the targets' second moment counts as none."""

Matrix = NDArray[np.float64]


def power(symmetric: Matrix, exponent: float) -> Matrix:
    """Return a power of a positive semidefinite matrix, on the span of its sound eigenvectors."""
    values, vectors = np.linalg.eigh((symmetric + symmetric.T) / 2)
    is_kept = values > RELATIVE_RANK * max(values[-1], 0.0)
    kept = vectors[:, is_kept]
    raised: Matrix = (kept * values[is_kept] ** exponent) @ kept.T
    return raised


def universal_kernel(
    inputs: Float[np.ndarray, "d d"],
    target: Float[np.ndarray, "o d"],
    noise: Float[np.ndarray, "o o"],
) -> Matrix:
    """Return K, of which every layer's inner products are a multiple: h(x) . h(x') ~ x^T K x'.

    K = S^(-1/2) (S^(1/2) V^T Sigma_e V S^(1/2))^(1/2) S^(-1/2) with S = Sigma_x; its pseudo-inverse
    where the inputs lie in a subspace. For x -> Z x and V -> V Z^-1 the numbers x^T K x' are as
    they were, for every invertible Z.

    Args:
        inputs: Sigma_x, second moment of the inputs.
        target: V.
        noise: Sigma_e, covariance of the noise on the outputs; its scale does not matter.
    """
    root, inverse = power(inputs, 0.5), power(inputs, -0.5)
    middle = power(root @ target.T @ noise @ target @ root, 0.5)
    kernel: Matrix = inverse @ middle @ inverse
    return kernel


def decay_kernel(target: Float[np.ndarray, "o d"], layer: int, depth: int) -> Matrix:
    """Return the kernel of a layer where sum |W_i|^2 is least: Q S^(2 layer / depth) Q^T.

    V = U S Q^T is the target; `layer` counts from 1 at the first of the hidden layers.
    """
    _, values, right = np.linalg.svd(target, full_matrices=False)
    kernel: Matrix = (right.T * values ** (2 * layer / depth)) @ right
    return kernel


def kernel_root(kernel: Float[np.ndarray, "d d"]) -> Matrix:
    """Return the symmetric R with R R = K: rows R x are a representation with the kernel K."""
    return power(kernel, 0.5)


class LinearFit(NamedTuple):
    """What the closed form needs of some samples.

    Attributes:
        inputs: Second moment of the inputs.
        target: Matrix of the least squares fit of the targets, the shortest one.
        noise: Second moment of what the fit leaves, plus that of the label noise; the identity
            where both are nothing.
    """

    inputs: Matrix
    target: Matrix
    noise: Matrix


def linear_fit(
    x: Float[np.ndarray, "samples d"], y: Float[np.ndarray, "samples o"], sigma: float = 0.0
) -> LinearFit:
    """Return the quantities of the closed form for samples with clean targets.

    Args:
        x: Inputs.
        y: Targets without label noise.
        sigma: Standard deviation of the Gaussian noise that training adds to each target.
    """
    samples, outputs = len(x), y.shape[1]
    wide = np.asarray(x, np.float64)
    inputs = wide.T @ wide / samples
    target = (power(inputs, -1.0) @ (wide.T @ y) / samples).T
    left = y - wide @ target.T
    noise = left.T @ left / samples
    if np.trace(noise) <= NOISELESS * max(np.square(y).sum() / samples, 1e-300):
        noise = np.zeros((outputs, outputs))
    noise += sigma**2 * np.eye(outputs)
    return LinearFit(inputs, target, noise if noise.any() else np.eye(outputs))


class NoiseTerms(NamedTuple):
    """The terms a_i b_(i-1) of the squared gradient noise, layer by layer.

    Attributes:
        outgoing: a_1 .. a_D.
        incoming: b_0 .. b_(D-1).
    """

    outgoing: NDArray[np.float64]
    incoming: NDArray[np.float64]

    @property
    def products(self) -> NDArray[np.float64]:
        """The terms; all equal at the minimum (equipartition)."""
        return self.outgoing * self.incoming


def noise_terms(
    weights: Sequence[Matrix],
    inputs: Float[np.ndarray, "d d"],
    noise: Float[np.ndarray, "o o"],
) -> NoiseTerms:
    """Return a_i and b_(i-1) of the layers W_1 .. W_D; 4 sum a_i b_(i-1) = E |gradient|^2."""
    before = [np.eye(len(inputs))]
    for weight in weights[:-1]:
        before.append(weight @ before[-1])
    after = [np.eye(len(noise))]
    for weight in reversed(weights[1:]):
        after.append(after[-1] @ weight)
    return NoiseTerms(
        np.array([np.trace(each.T @ noise @ each) for each in reversed(after)]),
        np.array([np.trace(each @ inputs @ each.T) for each in before]),
    )


def least_noise(
    depth: int,
    inputs: Float[np.ndarray, "d d"],
    target: Float[np.ndarray, "o d"],
    noise: Float[np.ndarray, "o o"],
) -> float:
    """Return the least sum of a_i b_(i-1): D (tr Sigma_x tr Sigma_e nu^(2 (D - 1)))^(1 / D).

    nu is the nuclear norm of Sigma_e^(1/2) V Sigma_x^(1/2).
    """
    nu = np.linalg.norm(power(noise, 0.5) @ target @ power(inputs, 0.5), "nuc")
    traces = np.trace(inputs) * np.trace(noise)
    return float(depth * (traces * nu ** (2 * (depth - 1))) ** (1 / depth))
