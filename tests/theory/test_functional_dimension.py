import math

import pytest
import torch

from symstudy.streams import Stream
from symstudy.theory.functional_dimension import functional_dimension, jacobian_chunks, read_rank


def planted(size, rank, seed=0):
    """Return a linear function of `size` parameters that sees `rank` directions of them."""
    mix = torch.from_numpy(Stream(seed, "mix").normal(rank, size))

    def outputs(theta, x):
        return x * (mix @ theta)

    return outputs, torch.from_numpy(Stream(seed, "x").normal(40, rank))


@pytest.mark.parametrize("rank", [1, 7, 12])
def test_a_planted_rank_is_read(rank):
    outputs, x = planted(12, rank)
    found = functional_dimension(outputs, torch.ones(12).double(), x)
    assert (found.rank, found.is_clear) == (rank, True)
    assert found.gap > 1e6
    assert found.values_P.shape == (12,)


@pytest.mark.parametrize("chunk", [1, 7, 40, 1000])
def test_the_singular_values_do_not_depend_on_the_chunks(chunk):
    def outputs(theta, x):
        return torch.tanh(x @ theta.view(3, 2))

    theta = torch.from_numpy(Stream(1, "theta").normal(6))
    x = torch.from_numpy(Stream(1, "x").normal(40, 3))
    jacobian = torch.autograd.functional.jacobian(lambda t: outputs(t, x).flatten(), theta)
    found = functional_dimension(outputs, theta, x, chunk=chunk)
    torch.testing.assert_close(found.values_P, torch.linalg.svdvals(jacobian))
    rows = torch.cat(list(jacobian_chunks(outputs, theta, x, chunk)))
    torch.testing.assert_close(rows, jacobian)


def test_what_vmap_cannot_follow_is_taken_row_by_row():
    def outputs(theta, x):
        bent = torch.tanh(x @ theta.view(3, 2))
        return bent if float(x.sum()) > 0 else 2.0 * bent

    theta = torch.from_numpy(Stream(1, "theta").normal(6))
    x = torch.from_numpy(Stream(1, "x").normal(8, 3))
    rows = torch.cat(list(jacobian_chunks(outputs, theta, x, 3)))
    jacobian = torch.autograd.functional.jacobian(
        lambda t: torch.cat([outputs(t, each) for each in x]), theta
    )
    torch.testing.assert_close(rows, jacobian)


def test_small_singular_values_keep_their_precision():
    # The Gram matrix of this Jacobian would lose the last to rounding.
    scales = torch.tensor([1.0, 1e-5, 1e-10]).double()
    values = functional_dimension(
        lambda theta, x: x * scales * theta, torch.ones(3).double(), torch.eye(3).double()
    ).values_P
    torch.testing.assert_close(values, scales, rtol=1e-6, atol=0)


def test_a_constant_function_has_no_dimension():
    found = functional_dimension(
        lambda theta, x: 0.0 * theta.sum() * x, torch.ones(3).double(), torch.ones(9, 1).double()
    )
    assert (found.rank, found.gap) == (0, math.inf)


def test_a_rank_that_hangs_on_a_threshold_is_not_clear():
    values = torch.logspace(0, -13, 40, dtype=torch.float64)
    assert not read_rank(values, 40).is_clear


def test_too_few_samples_are_refused():
    outputs, x = planted(12, 7)
    with pytest.raises(ValueError, match="at least 2 times the 12 .* 3 samples of 7 .* Take 4 sam"):
        functional_dimension(outputs, torch.ones(12).double(), x[:3])


def test_single_precision_is_refused():
    outputs, x = planted(12, 7)
    with pytest.raises(ValueError, match=r"must be float64.*got torch\.float32"):
        functional_dimension(outputs, torch.ones(12), x)


def test_a_jacobian_that_is_not_finite_is_refused():
    with pytest.raises(ArithmeticError, match="the Jacobian must be finite"):
        functional_dimension(
            lambda theta, x: theta.sqrt() * x, torch.zeros(2).double(), torch.ones(4, 1).double()
        )
