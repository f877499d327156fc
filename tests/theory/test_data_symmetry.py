"""Data-dependent symmetries: planted ones are counted, and generic data have none."""

import pytest
import torch
from torch import nn

from symstudy.theory.data_symmetry import rank_on_data
from symstudy.theory.explained_symmetry import report_symmetries


def found_on(inputs, *, width=3, activation=nn.Tanh):
    """Return the rank over inputs of a network of 4 inputs and 2 outputs, and its generic rank."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, width), activation(), nn.Linear(width, 2))
    report = report_symmetries(network, torch.randn(6, 4))
    rank = report.nullity.rank
    assert rank is not None
    return rank_on_data(report.derivation, inputs, rank), rank


def normal(*shape):
    generator = torch.Generator().manual_seed(3)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_generic_data_have_no_symmetry_of_their_own():
    found, generic = found_on(normal(100, 4))
    assert generic == 4 * 3 + 3 + 3 * 2 + 2
    assert (found.rank, found.directions, found.reason) == (generic, 0, "")


@pytest.mark.parametrize("missing", [1, 2])
def test_data_in_a_subspace_leave_as_many_weights_of_each_neuron_free(missing):
    turn, _ = torch.linalg.qr(normal(4, 4))
    inputs = normal(100, 4 - missing) @ turn[: 4 - missing]
    found, generic = found_on(inputs)
    assert found.directions == 3 * missing
    assert found.rank == generic - 3 * missing


def test_fewer_outputs_than_parameters_leave_the_rest_free_and_every_input_counts():
    # 7 inputs of 2 outputs: one more than a batch holds.
    found, generic = found_on(normal(7, 4))
    assert (found.inputs, found.rank) == (7, 14)
    assert found.directions == generic - 14


def test_copies_of_an_input_say_nothing_new():
    few = normal(6, 4)
    found, _ = found_on(torch.cat([few, few, few]))
    assert found.rank == 12


def test_a_neuron_that_no_training_input_turns_on_is_free_there_alone():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    report = report_symmetries(network, torch.randn(6, 4))
    theta_P = report.derivation.function.generic(torch.Generator().manual_seed(1))
    weights, bias = theta_P[:12].view(3, 4), theta_P[12:15]
    inputs = normal(4000, 4)
    off = inputs[inputs @ weights[0] + bias[0] < 0][:200]
    assert report.nullity.rank is not None
    found = rank_on_data(report.derivation, off, report.nullity.rank)
    # 5 incoming and 2 outgoing numbers, less the rescaling that is free everywhere.
    assert found.directions == 5 + 2 - 1
