import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symstudy.losses.squared_error import SquaredError
from symstudy.models.fcn.network import Fcn
from symstudy.theory.noise import (
    covariance_trace,
    covariance_trace_gradient,
    entropic_loss,
    sample_gradients,
)
from symstudy.training.losses import data_loss


def problem(seed=0, runs=3, batch=10, sizes=(4, 5, 2)):
    """Return the loss of a small network, and parameters and data of some runs."""
    model = Fcn(sizes, "tanh")
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def loss(theta_KP, x_KBI, y_KBO):
        return data_loss(SquaredError(), model.forward(theta_KP, x_KBI).output_KBO, y_KBO)

    return loss, draw(runs, model.layout.size), draw(runs, batch, 4), draw(runs, batch, 2)


def test_sample_gradients_are_those_of_single_samples():
    loss, theta, x, y = problem()
    gradients = sample_gradients(loss, theta, x, y)
    leaf = theta.clone().requires_grad_(True)
    for b in range(x.shape[1]):
        (alone,) = torch.autograd.grad(loss(leaf, x[:, b : b + 1], y[:, b : b + 1]).sum(), leaf)
        torch.testing.assert_close(gradients[:, b], alone)


def test_the_trace_is_that_of_the_covariance_matrix():
    loss, theta, x, y = problem()
    gradients = sample_gradients(loss, theta, x, y)
    for correction in (0, 1):
        exact = [torch.cov(g.T, correction=correction).trace() for g in gradients]
        trace = covariance_trace(loss, theta, x, y, unbiased=bool(correction))
        torch.testing.assert_close(trace, torch.stack(exact))


@given(chunk=st.integers(1, 12))
@settings(max_examples=12, deadline=None)
def test_chunks_change_neither_trace_nor_gradient(chunk):
    loss, theta, x, y = problem()
    whole = covariance_trace_gradient(loss, theta, x, y)
    parts = covariance_trace_gradient(loss, theta, x, y, chunk=chunk)
    torch.testing.assert_close(parts.trace_K, whole.trace_K, rtol=1e-12, atol=0)
    torch.testing.assert_close(parts.gradient_KP, whole.gradient_KP, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(covariance_trace(loss, theta, x, y, chunk=chunk), whole.trace_K)


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_gradient_is_that_of_the_trace(unbiased):
    loss, theta, x, y = problem()
    leaf = theta.clone().requires_grad_(True)
    trace = covariance_trace(loss, leaf, x, y, unbiased=unbiased)
    (exact,) = torch.autograd.grad(trace.sum(), leaf)
    found = covariance_trace_gradient(loss, theta, x, y, unbiased=unbiased)
    torch.testing.assert_close(found.gradient_KP, exact, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(found.trace_K, trace.detach())


def test_a_loss_with_one_gradient_for_all_samples_has_no_covariance():
    def loss(theta_KP, x_KBI, y_KBO):
        return theta_KP.sum(dim=1) + x_KBI.mean(dim=(1, 2)) + y_KBO.mean(dim=(1, 2))

    _, theta, x, y = problem()
    found = covariance_trace_gradient(loss, theta, x, y)
    assert found.trace_K.abs().max() < 1e-12
    assert (found.gradient_KP == 0).all()


def test_the_entropic_loss_adds_its_terms():
    loss, theta, x, y = problem()
    found = entropic_loss(loss, theta, x, y, gamma=0.1, lr=0.2, batch_size=5)
    gradients = sample_gradients(loss, theta, x, y)
    exact = (
        loss(theta, x, y)
        + 0.1 * theta.square().sum(dim=1)
        + 0.05 * gradients.mean(dim=1).square().sum(dim=1)
        + 0.01 * covariance_trace(loss, theta, x, y)
    )
    torch.testing.assert_close(found, exact)
