"""Theorem 2 by direct minimisation: what the closed form says of every layer, and its limits."""

import itertools

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from symstudy.theory.alignment import gram, gram_cosine
from symstudy.theory.universal import (
    decay_kernel,
    kernel_root,
    least_noise,
    linear_fit,
    noise_terms,
    universal_kernel,
)

INPUTS, OUTPUTS = 4, 3
RNG = np.random.default_rng(0)
V = RNG.normal(size=(OUTPUTS, INPUTS))
SPREAD = np.diag([2.0, 1.5, 1.0, 0.4])
NOISE = np.diag([1.0, 0.5, 2.0])
Z = RNG.normal(size=(INPUTS, INPUTS)) + 2.0 * np.eye(INPUTS)
SAMPLES = RNG.normal(size=(40, INPUTS)) @ np.sqrt(SPREAD)


def cosine(first, second):
    return float(gram_cosine(gram(torch.tensor(first)[None]), gram(torch.tensor(second)[None]))[0])


def minimised(sizes, inputs, target, *, by_noise):
    """Return the weights that minimise noise, or their norm, while their product is the target."""
    shapes = list(zip(sizes[1:], sizes[:-1], strict=True))
    ends = np.cumsum([0, *(a * b for a, b in shapes)])
    x, e, t = (torch.tensor(each) for each in (inputs, NOISE, target))

    def layers(flat):
        return [
            flat[i:j].reshape(shape)
            for (i, j), shape in zip(itertools.pairwise(ends), shapes, strict=True)
        ]

    def value(flat, strength):
        theta = torch.tensor(flat, requires_grad=True)
        weights = layers(theta)
        before, after = (
            [torch.eye(len(x), dtype=torch.float64)],
            [torch.eye(OUTPUTS, dtype=torch.float64)],
        )
        for weight in weights:
            before.append(weight @ before[-1])
        for weight in reversed(weights[1:]):
            after.insert(0, after[0] @ weight)
        cost = (
            sum(
                (a.T @ e @ a).trace() * (b @ x @ b.T).trace()
                for a, b in zip(after, before[:-1], strict=True)
            )
            if by_noise
            else sum(weight.square().sum() for weight in weights)
        )
        total = cost + strength * (before[-1] - t).square().sum()
        total.backward()
        assert theta.grad is not None
        return float(total.detach()), theta.grad.numpy()

    flat = np.random.default_rng(1).normal(size=ends[-1]) * 0.5
    # Weaker first, and a mode would die that the constraint then cannot bring back.
    for strength in (1e3, 1e5, 1e7):
        flat = minimize(
            value,
            flat,
            (strength,),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": 700, "maxfun": 1000, "ftol": 1e-15, "gtol": 1e-9, "maxcor": 40},
        ).x
    return layers(flat)


def activations(weights, x):
    found = []
    for weight in weights[:-1]:
        x = x @ weight.T
        found.append(x)
    return found


@pytest.fixture(scope="module")
def first():
    return minimised([INPUTS, 6, 5, 5, OUTPUTS], SPREAD, V, by_noise=True)


def test_every_layer_of_two_networks_has_the_kernel_of_the_closed_form(first):
    mapped = Z @ SPREAD @ Z.T
    second = minimised([INPUTS, 7, 8, OUTPUTS], mapped, V @ np.linalg.inv(Z), by_noise=True)
    star = SAMPLES @ kernel_root(universal_kernel(SPREAD, V, NOISE))
    hidden = [*activations(first, SAMPLES), *activations(second, SAMPLES @ Z.T)]
    assert len(hidden) == 5
    for each in hidden:
        assert cosine(each, star) > 0.9999
    for one, other in itertools.combinations(hidden, 2):
        assert cosine(one, other) > 0.9999
    assert cosine(SAMPLES, star) < 0.9


def test_the_terms_of_the_noise_are_equal_and_their_sum_is_the_closed_form(first):
    products = noise_terms(first, SPREAD, NOISE).products
    np.testing.assert_allclose(products, products.mean(), rtol=4e-3)
    assert products.sum() == pytest.approx(least_noise(4, SPREAD, V, NOISE), rel=2e-3)


def test_weight_decay_selects_kernels_that_depend_on_layer_and_coordinates():
    tall = minimised([INPUTS, 6, 5, 5, OUTPUTS], SPREAD, V, by_noise=False)
    short = minimised([INPUTS, 7, 8, OUTPUTS], SPREAD, V @ np.linalg.inv(Z), by_noise=False)
    for layer, hidden in enumerate(activations(tall, SAMPLES), 1):
        assert cosine(hidden, SAMPLES @ kernel_root(decay_kernel(V, layer, 4))) > 0.9999
    for layer, hidden in enumerate(activations(short, SAMPLES @ Z.T), 1):
        kernel = decay_kernel(V @ np.linalg.inv(Z), layer, 3)
        assert cosine(hidden, SAMPLES @ Z.T @ kernel_root(kernel)) > 0.9999
    ends = activations(tall, SAMPLES)[0], activations(short, SAMPLES @ Z.T)[-1]
    assert cosine(*ends) < 0.97


def test_the_kernel_does_not_depend_on_coordinates_nor_on_the_scale_of_the_noise():
    kernel = universal_kernel(SPREAD, V, NOISE)
    mapped = universal_kernel(Z @ SPREAD @ Z.T, V @ np.linalg.inv(Z), 7.0 * NOISE)
    np.testing.assert_allclose(Z.T @ mapped @ Z, np.sqrt(7.0) * kernel, atol=1e-10)
    white = universal_kernel(np.eye(INPUTS), V, np.eye(OUTPUTS))
    _, values, right = np.linalg.svd(V, full_matrices=False)
    np.testing.assert_allclose(white, (right.T * values) @ right, atol=1e-10)


def test_the_fit_finds_the_target_the_noise_and_a_subspace():
    x = np.random.default_rng(2).normal(size=(500, INPUTS))
    y = x @ V.T
    exact = linear_fit(x, y)
    np.testing.assert_allclose(exact.target, V, atol=1e-10)
    np.testing.assert_array_equal(exact.noise, np.eye(OUTPUTS))
    np.testing.assert_allclose(linear_fit(x, y, 0.5).noise, 0.25 * np.eye(OUTPUTS), atol=1e-12)
    rough = linear_fit(x, y + np.random.default_rng(3).normal(size=y.shape) * [1.0, 2.0, 3.0])
    np.testing.assert_allclose(np.diag(rough.noise), [1.0, 4.0, 9.0], rtol=0.2)
    flat = x.copy()
    flat[:, -1] = 0.0
    fit = linear_fit(flat, flat @ V.T)
    np.testing.assert_allclose(fit.target[:, :-1], V[:, :-1], atol=1e-10)
    assert np.isfinite(universal_kernel(*fit)).all()
