"""Generators fitted to null vectors: planted groups come back exactly, and nothing else does."""

import math

import pytest
import torch
from torch import nn

from symstudy.errors import UserError
from symstudy.theory.discovered_symmetry import discover
from symstudy.theory.discovery import choose_fields, fit_generators
from symstudy.theory.explained_symmetry import report_symmetries
from symstudy.theory.generators import all_fields, fields_along_axes
from symstudy.theory.sparse_generators import sparse_basis


def found_in(outputs, shapes, sample_shape, family=None):
    """Return the algebra of a function of tensors of these shapes."""
    generator = torch.Generator().manual_seed(0)
    sizes = [math.prod(shape) for shape in shapes]

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def flat(theta_P, x):
        parts = theta_P.split(sizes)
        return outputs([part.view(s) for part, s in zip(parts, shapes, strict=True)], x)

    fields = (family or (lambda _: all_fields(sum(sizes))))(shapes)
    return fit_generators(flat, fields, lambda: normal(sum(sizes)), lambda: normal(*sample_shape))


def linear_field(velocity, size):
    """Return the unknowns of the field with this velocity, which is linear in the parameters."""
    columns = [velocity(unit) for unit in torch.eye(size, dtype=torch.float64)]
    return torch.cat([torch.stack(columns, dim=1).flatten(), torch.zeros(size).double()])


def assert_same_space(found, planted):
    assert found.is_clear
    assert found.dimension == len(planted)
    assert int(torch.linalg.matrix_rank(planted)) == len(planted)
    together = torch.cat([found.unknowns_GU, planted])
    assert int(torch.linalg.matrix_rank(together, rtol=1e-6)) == len(planted)


def pair_generators(shapes, matrices, partner):
    """Return the fields (U, V) -> (M U, partner(M, V)) of two tensors."""
    sizes = [math.prod(shape) for shape in shapes]

    def field(matrix):
        def velocity(theta_P):
            first, second = theta_P.split(sizes)
            moved = matrix @ first.view(shapes[0]), partner(matrix, second.view(shapes[1]))
            return torch.cat([each.flatten() for each in moved])

        return linear_field(velocity, sum(sizes))

    return torch.stack([field(each) for each in matrices])


def units(size):
    return list(torch.eye(size * size, dtype=torch.float64).view(-1, size, size))


def planes(size):
    return [
        each - each.T for each, (row, column) in zip(units(size), pairs(size), strict=True)
        if row < column
    ]  # fmt: skip


def pairs(size):
    return [(row, column) for row in range(size) for column in range(size)]


def test_the_rescalings_of_relu_neurons_are_found_and_nothing_else():
    shapes = [(3, 4), (2, 3)]
    found = found_in(lambda w, x: w[1] @ torch.relu(w[0] @ x), shapes, (4,))
    diagonal = [torch.diag(row) for row in torch.eye(3).double()]
    assert_same_space(found, pair_generators(shapes, diagonal, lambda m, v: -v @ m))


def test_the_general_linear_group_of_a_linear_network_is_found_and_nothing_else():
    shapes = [(3, 4), (3, 3)]
    found = found_in(lambda w, x: w[1] @ w[0] @ x, shapes, (4,))
    assert_same_space(found, pair_generators(shapes, units(3), lambda m, v: -v @ m))


def test_the_group_of_queries_and_keys_is_found_and_nothing_else():
    shapes = [(2, 4), (2, 4)]
    found = found_in(lambda w, x: (w[0] @ x).T @ (w[1] @ x), shapes, (4, 3))
    assert_same_space(found, pair_generators(shapes, units(2), lambda m, v: -m.T @ v))


def test_the_rotations_of_a_radial_activation_are_found_and_nothing_else():
    shapes = [(3, 4), (3, 3)]

    def outputs(w, x):
        z = w[0] @ x
        return w[1] @ (z * torch.tanh(z.norm()))

    found = found_in(outputs, shapes, (4,))
    assert_same_space(found, pair_generators(shapes, planes(3), lambda m, v: -v @ m))


def test_a_softmax_has_its_translations_at_any_speed_that_is_affine():
    classes, inputs = 4, 3
    found = found_in(lambda w, x: torch.softmax(w[0] @ x, dim=0), [(classes, inputs)], (inputs,))
    size = classes * inputs
    # All rows move alike, each column at a speed that each parameter and 1 may set.
    assert found.is_clear
    assert found.dimension == inputs * (size + 1)
    moved = found.velocities(torch.randn(size).double()).view(-1, classes, inputs)
    assert (moved - moved.mean(dim=1, keepdim=True)).abs().max() < 1e-9


@pytest.mark.parametrize("activation", [torch.tanh, torch.sin, torch.nn.functional.silu])
def test_networks_with_finite_groups_have_no_generators(activation):
    found = found_in(lambda w, x: w[1] @ activation(w[0] @ x), [(3, 4), (2, 3)], (4,))
    assert found.is_clear
    assert found.dimension == 0


def test_maps_along_axes_find_the_same_groups_as_all_maps():
    shapes = [(3, 4), (3,), (2, 3), (2,)]
    for activation, expected in ((torch.relu, 3), (torch.tanh, 0), (lambda z: z, 9 + 3)):

        def outputs(w, x, activation=activation):
            return w[2] @ activation(w[0] @ x + w[1]) + w[3]

        found = found_in(outputs, shapes, (4,), fields_along_axes)
        assert found.is_clear
        # The linear network: GL(3), and each bias of a neuron against those of the outputs.
        assert found.dimension == expected


def test_the_sparse_basis_has_a_generator_a_neuron():
    shapes = [(3, 4), (2, 3)]
    found = found_in(lambda w, x: w[1] @ torch.relu(w[0] @ x), shapes, (4,))
    tensor_U = torch.zeros(found.fields.unknowns, dtype=torch.int64)
    tensor_U[12 * 18 : 18 * 18] = 1
    sparse = sparse_basis(found.unknowns_GU, tensor_U, torch.ones(found.fields.unknowns).double())
    # 4 incoming and 2 outgoing weights of one neuron.
    assert (sparse != 0).sum(dim=1).tolist() == [6, 6, 6]


def test_equations_and_velocities_of_a_family_are_of_the_same_fields():
    shapes = [(2, 3, 4), (3, 4), (2, 3), (3,), ()]
    fields = fields_along_axes(shapes)
    generator = torch.Generator().manual_seed(1)
    rows, theta, unknowns = (
        torch.randn(*s, generator=generator, dtype=torch.float64)
        for s in ((5, fields.parameters), (fields.parameters,), (7, fields.unknowns))
    )
    by_equations = fields.equations(rows, theta) @ unknowns.T
    by_velocities = rows @ fields.velocities(unknowns, theta).T
    assert torch.allclose(by_equations, by_velocities, rtol=1e-12, atol=1e-12)


def test_too_many_parameters_are_refused_with_what_to_type():
    with pytest.raises(UserError, match="--arguments"):
        choose_fields([(64, 64), (64,)])


def report(*layers, inputs):
    batch = torch.randn(6, inputs, generator=torch.Generator().manual_seed(1))
    return report_symmetries(nn.Sequential(*layers), batch)


def test_a_trade_of_biases_that_is_not_derived_is_discovered():
    torch.manual_seed(0)
    told = report(nn.Linear(3, 2), nn.Linear(2, 2), inputs=3)
    found = discover(told.derivation, told.nullity.nullity)
    assert (found.derived, found.directions, found.missed, found.unexplained) == (4, 6, 0, 0)
    (trade,) = [row for row in found.moved if row.new]
    assert trade.moves == ("0.bias", "1.bias")
    assert trade.depends_on == ("1.weight",)
    assert (trade.directions, trade.new) == (2, 2)


def test_a_neuron_that_is_always_active_has_a_symmetry_near_the_point_alone():
    torch.manual_seed(0)
    layers = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)
    layers[2].weight.data[0] = layers[2].weight.data[0].abs() + 0.3
    layers[2].bias.data[0] = 0.5
    layers[2].weight.data[1] = torch.tensor([0.9, -0.9, 0.5])
    told = report(*layers, inputs=2)
    assert told.nullity.unexplained == 1
    found = discover(told.derivation, told.nullity.nullity)
    assert found.directions == 3 + 2
    assert (found.directions_nearby, found.unexplained, found.doubt) == (6, 0, "")
    (hidden,) = [row for row in found.moved if row.new]
    assert hidden.where == "near the point"
    assert hidden.moves == ("2.bias", "4.bias")
    assert hidden.depends_on == ("4.weight",)
