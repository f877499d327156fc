"""What every symmetry must pass: a suite to subclass, and the cases that a model declares.

A symmetry of one's own is tested by a subclass that gives one fixture::

    class TestMirror(SymmetrySuite):
        @pytest.fixture
        def case(self):
            return SymmetryCase(symmetry=Mirror(layout, declared), function=f, input_dim=4)

and all that a model of one's own declares by the fixture's parameters::

    @pytest.fixture(params=cases_of(model, input_dim=4), ids=str)
    def case(self, request):
        return request.param

Shapes: K runs, P parameters, B batch, I inputs, O outputs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from symstudy.models.base import AbstractModel
from symstudy.symmetry.base import AbstractSymmetry
from symstudy.symmetry.registry import symmetries_of

__all__ = ["NUM_RUNS", "SymmetryCase", "SymmetrySuite", "cases_of"]

NUM_RUNS = 20
"""How many random networks, group elements and inputs each test takes."""

TOLERANCE = 1e-10
"""Largest relative difference that is round-off, in float64."""


@dataclass(frozen=True, kw_only=True)
class SymmetryCase:
    """A symmetry with something that has it.

    Attributes:
        symmetry: What is tested.
        function: From parameters `[runs, P]` and inputs `[runs, batch, I]` to what the symmetry
            preserves, one block a run; differentiable.
        input_dim: Number of inputs I.
        seed: Of parameters, inputs and group elements.
    """

    symmetry: AbstractSymmetry
    function: Callable[[Tensor, Tensor], Tensor]
    input_dim: int
    seed: int = 0

    def __str__(self) -> str:
        """Return what is tested, for the name of a test."""
        declared = self.symmetry.declared
        return "-".join([declared.kind, declared.axis or declared.blocks[0]])


def cases_of(model: AbstractModel, input_dim: int) -> list[SymmetryCase]:
    """Return a case for each symmetry that the layout of `model` declares.

    A symmetry on the `data` alone is left out: it needs the data.

    Args:
        model: Its forward pass is what the symmetries preserve, or its softmax probabilities, or
            the Gram matrix of its outputs, as each of them says.
        input_dim: Number of inputs.
    """

    def outputs(theta_KP: Tensor, x_KBI: Tensor) -> Tensor:
        return model.forward(theta_KP, x_KBI).output_KBO

    def probabilities(theta_KP: Tensor, x_KBI: Tensor) -> Tensor:
        return outputs(theta_KP, x_KBI).softmax(dim=-1)

    def gram(theta_KP: Tensor, x_KBI: Tensor) -> Tensor:
        output_KBO = outputs(theta_KP, x_KBI)
        return output_KBO @ output_KBO.transpose(1, 2)

    functions = {"function": outputs, "probabilities": probabilities, "gram": gram}
    return [
        SymmetryCase(
            symmetry=symmetry,
            function=functions[symmetry.declared.preserves],
            input_dim=input_dim,
        )
        for symmetry in symmetries_of(model.layout)
        if symmetry.declared.preserves in functions
    ]


class Draws:
    """Random networks, inputs and group elements of a case, the same for every test."""

    def __init__(self, case: SymmetryCase) -> None:
        """Draw them."""
        self.symmetry = case.symmetry
        self.generator = torch.Generator().manual_seed(case.seed)
        self.theta_KP = self.normal(NUM_RUNS, case.symmetry.layout.size)
        self.x_KBI = self.normal(NUM_RUNS, 5, case.input_dim)
        self.element, self.other = (
            case.symmetry.sample(NUM_RUNS, self.generator) for _ in range(2)
        )

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)


def assert_same(left: Any, right: Any, what: str, tolerance: float = TOLERANCE) -> None:
    """Assert that two tensors differ by round-off at most, relative to the larger of 1 and them."""
    scale = max(1.0, float(right.abs().max())) if right.numel() else 1.0
    error = float((left - right).abs().max()) if right.numel() else 0.0
    assert error <= tolerance * scale, f"{what}: off by {error:.1e}"


class SymmetrySuite:
    """The tests of one symmetry; a subclass gives the fixture `case`."""

    @pytest.fixture
    def case(self) -> SymmetryCase:
        """Return the symmetry and what has it."""
        raise NotImplementedError

    def test_the_function_is_invariant(self, case: SymmetryCase) -> None:
        """Hold f(g theta, x) = f(theta, x) to 1e-10 for random networks, elements and inputs."""
        draws = Draws(case)
        before = case.function(draws.theta_KP, draws.x_KBI)
        moved = case.symmetry.act(draws.element, draws.theta_KP)
        assert_same(case.function(moved, draws.x_KBI), before, "f(g theta) is f(theta)")
        assert float(before.abs().max()) > 0.0, "the function is not zero"

    def test_the_group_moves_what_it_says_and_nothing_else(self, case: SymmetryCase) -> None:
        """Hold that an element changes the coordinates acted on and leaves all others."""
        draws = Draws(case)
        change = (case.symmetry.act(draws.element, draws.theta_KP) - draws.theta_KP).abs()
        assert bool((change.amax(dim=1) > 0).any()), "an element moves something"
        mask = torch.ones(draws.theta_KP.shape[1], dtype=torch.bool)
        mask[case.symmetry.coordinates()] = False
        assert not bool(change[:, mask].any()), "what is not acted on stays"

    def test_elements_form_a_group(self, case: SymmetryCase) -> None:
        """Hold (gh) theta = g (h theta), e theta = theta and g^-1 g = e, acting on parameters."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        both = symmetry.compose(draws.element, draws.other)
        in_turn = symmetry.act(draws.element, symmetry.act(draws.other, theta))
        assert_same(symmetry.act(both, theta), in_turn, "(g h) theta is g (h theta)", 1e-9)
        unit = symmetry.identity(NUM_RUNS)
        assert_same(symmetry.act(unit, theta), theta, "e theta is theta", 0.0)
        undone = symmetry.act(symmetry.inverse(draws.element), symmetry.act(draws.element, theta))
        assert_same(undone, theta, "g^-1 g theta is theta", 1e-9)
        same = symmetry.compose(draws.element, symmetry.inverse(draws.element))
        assert_same(symmetry.act(same, theta), theta, "g g^-1 theta is theta", 1e-9)

    def test_elements_are_drawn_from_the_generator_alone(self, case: SymmetryCase) -> None:
        """Hold that the same generator gives the same elements and another gives others."""
        first, again, other = (
            case.symmetry.sample(NUM_RUNS, torch.Generator().manual_seed(seed))
            for seed in (1, 1, 2)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert first.shape[0] == NUM_RUNS

    def test_the_projection_is_one(self, case: SymmetryCase) -> None:
        """Hold P P = P, an orthogonal P, and that the group leaves what P gives as it is."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        symmetric = symmetry.project(theta)
        assert_same(symmetry.project(symmetric), symmetric, "P P theta is P theta")
        rest = theta - symmetric
        assert_same((rest * symmetric).sum(dim=1), torch.zeros(NUM_RUNS), "P is orthogonal")
        if symmetry.has_fixed_points:
            moved = symmetry.act(draws.element, symmetric)
            assert_same(moved, symmetric, "g P theta is P theta")
        after = symmetry.project(symmetry.act(draws.element, theta))
        assert_same(after, symmetric, "P g theta is P theta")

    def test_a_subset_of_members_has_a_projection_too(self, case: SymmetryCase) -> None:
        """Hold that the projection of some members leaves the others and goes less far."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        some = range(0, symmetry.members, 2)
        projected = symmetry.project(theta, some)
        assert_same(symmetry.project(projected, some), projected, "P P theta is P theta")
        mask = torch.ones(theta.shape[1], dtype=torch.bool)
        mask[symmetry.coordinates(some)] = False
        assert torch.equal(projected[:, mask], theta[:, mask]), "other members stay"
        farther = symmetry.distance(theta) - symmetry.distance(theta, some)
        assert bool((farther >= -1e-12).all()), "a subgroup is no farther"
        assert_same(symmetry.project(theta, ()), theta, "no members, no change", 0.0)

    def test_the_distance_vanishes_on_the_symmetric_states_alone(self, case: SymmetryCase) -> None:
        """Hold distance 0 on the range of P, and |v| at v off it; normalised from 0 to 1."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        symmetric, breaking = symmetry.decompose(theta)
        assert_same(symmetric + breaking, theta, "the parts sum to theta")
        assert_same(
            symmetry.distance(symmetric), torch.zeros(NUM_RUNS), "distance of P theta", 1e-12
        )
        assert bool((symmetry.distance(theta) > 1e-6).all()), "a random network is broken"
        near = symmetric + 1e-3 * breaking
        assert_same(symmetry.distance(near), 1e-3 * breaking.norm(dim=1), "distance off P theta")
        ratio = symmetry.normalised_distance(theta)
        assert bool(((ratio > 0) & (ratio <= 1)).all()), "normalised distance is from 0 to 1"
        zero = symmetry.normalised_distance(torch.zeros_like(theta))
        assert_same(zero, torch.zeros(NUM_RUNS), "normalised distance of nothing", 0.0)

    def test_degrees_of_symmetry_and_breaking_are_complementary(self, case: SymmetryCase) -> None:
        """Hold that both are from 0 to the number of generators, which they sum to."""
        draws = Draws(case)
        symmetry = case.symmetry
        for theta in (draws.theta_KP, symmetry.project(draws.theta_KP)):
            broken, kept = symmetry.breaking(theta), symmetry.degree(theta)
            assert bool((broken + kept == symmetry.generators).all())
            assert bool((broken >= 0).all())
            assert bool((kept >= 0).all())
        assert bool((symmetry.breaking(draws.theta_KP) > 0).all()), "a random network is broken"
        symmetric = symmetry.project(draws.theta_KP)
        assert not bool(symmetry.breaking(symmetric).any()), "a symmetric state is not"

    def test_measures_are_invariant_unless_they_say_otherwise(self, case: SymmetryCase) -> None:
        """Hold that an element changes the measures in `gauge_dependent` and no other."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        states = [theta, symmetry.project(theta)]
        for name in ("distance", "normalised_distance", "orbit_distance", "breaking", "degree"):
            measure = getattr(symmetry, name)
            changes = []
            for state in states:
                before = measure(state).double()
                after = measure(symmetry.act(draws.element, state)).double()
                changes.append(float(((after - before).abs() / (1.0 + before.abs())).max()))
            depends = name in symmetry.gauge_dependent
            depends = depends or (name == "degree" and "breaking" in symmetry.gauge_dependent)
            said = f"{name} changes by {max(changes):.1e}"
            assert (max(changes) > 1e-3) if depends else (max(changes) < 1e-9), said

    def test_the_orbit_distance_is_a_lower_bound(self, case: SymmetryCase) -> None:
        """Hold that no element brings the distance below its infimum over the orbit."""
        draws = Draws(case)
        bound = case.symmetry.orbit_distance(draws.theta_KP)
        for element in (case.symmetry.identity(NUM_RUNS), draws.element, draws.other):
            distance = case.symmetry.distance(case.symmetry.act(element, draws.theta_KP))
            assert bool((distance >= bound - 1e-9).all())

    def test_gradient_flow_conserves_what_it_should(self, case: SymmetryCase) -> None:
        """Hold that along the gradient of a random loss the conserved quantity is stationary."""
        draws = Draws(case)
        theta = draws.theta_KP.requires_grad_()
        value = case.symmetry.conserved(theta)
        if value is None:
            return
        loss = torch.sin(case.function(theta, draws.x_KBI)).square().sum()
        (gradient,) = torch.autograd.grad(loss, theta)
        # The derivative of the value along the gradient, by two passes backward.
        ones = torch.ones_like(value).requires_grad_()
        (pulled,) = torch.autograd.grad(value, theta, ones, create_graph=True)
        (rate,) = torch.autograd.grad(pulled, ones, gradient)
        scale = 1.0 + float((gradient.norm(dim=1) * theta.detach().norm(dim=1)).max())
        assert float(rate.abs().max()) <= TOLERANCE * scale, "dQ/dt is 0 on the flow"
        assert float(value.detach().abs().max()) > 0.0, "the conserved quantity is not zero"
        assert float(gradient.abs().max()) > 0.0, "the loss has a gradient"

    def test_runs_do_not_see_each_other(self, case: SymmetryCase) -> None:
        """Hold that a run's numbers are the same alone and in a pack."""
        draws = Draws(case)
        symmetry, theta = case.symmetry, draws.theta_KP
        alone = slice(3, 4)
        moved = symmetry.act(draws.element, theta)[alone]
        assert_same(symmetry.act(draws.element[alone], theta[alone]), moved, "g theta alone")
        for measure in (symmetry.project, symmetry.distance, symmetry.orbit_distance):
            assert_same(measure(theta[alone]), measure(theta)[alone], "a measure alone", 1e-13)
        assert torch.equal(symmetry.breaking(theta[alone]), symmetry.breaking(theta)[alone])
