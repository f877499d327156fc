"""What every measure of layers must pass: a suite to subclass.

A measure of one's own is tested by a subclass that names it and the networks that it is taken of::

    class TestPeakNorm(MeasureSuite):
        @pytest.fixture
        def case(self):
            return MeasureCase(name="mine:peak_norm", model=Fcn([4, 6, 3], "tanh"))

Shapes: K runs, P parameters, B batch, I inputs.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from symstudy.layout import AttentionLayer, Layout
from symstudy.measures.attention_views import AttentionView
from symstudy.measures.backward import BackwardPass
from symstudy.measures.catalogue import find_measure
from symstudy.measures.compute import attention_measures, measure_extra, measure_layer
from symstudy.measures.declare import Measure
from symstudy.measures.held_against import References
from symstudy.measures.views import LayerView
from symstudy.models.base import AbstractModel
from symstudy.symmetry import build_symmetry
from symstudy.symmetry.base import AbstractSymmetry

__all__ = ["MeasureCase", "MeasureSuite"]

NUM_RUNS = 6
BATCH = 20
TOLERANCE = 1e-8
"""Largest relative difference that is round-off, in float64."""


def squares(outputs_KBO: Tensor, inputs_KBI: Tensor) -> Tensor:
    """Return a loss for gradients to flow back from: the mean square of the outputs of each run."""
    del inputs_KBI
    return outputs_KBO.square().flatten(1).mean(dim=1)


@dataclass(frozen=True, kw_only=True)
class MeasureCase:
    """A measure with networks that it is taken of.

    Attributes:
        name: As `[probe] measures` names it; what every study records may be named too.
        model: Network of fixed shape.
        seed: Of parameters, inputs and group elements.
    """

    name: str
    model: AbstractModel
    seed: int = 0

    def __str__(self) -> str:
        """Return what is tested, for the name of a test."""
        return self.name

    @property
    def measure(self) -> Measure:
        """The measure's declaration."""
        return find_measure(self.name)

    @property
    def layout(self) -> Layout:
        """Where the weights lie that neurons are measured on."""
        return self.model.network_layout

    def values(self, theta_KP: Tensor, x_KBI: Tensor) -> dict[int, Tensor]:
        """Return the measure of every hidden layer that it is taken of, by the layer's number."""
        with torch.no_grad():
            hidden = self.model.forward(theta_KP, x_KBI).hidden
            weights = self.model.network_parameters(theta_KP)
        backward = BackwardPass(self.model, theta_KP, x_KBI, x_KBI, squares)
        references = References(x_KBI, lambda: x_KBI)
        found: dict[int, Tensor] = {}
        is_always = self.measure.recorded == "always"
        for layer in self.layout.hidden_layers:
            view: LayerView | AttentionView
            if isinstance(layer, AttentionLayer):
                view = AttentionView(self.layout, layer, weights)
                always = attention_measures(view.weights) if is_always else {}
            else:
                hidden_KBN = hidden[layer.name]
                view = LayerView(self.layout, layer, weights, hidden_KBN, backward, references)
                always = measure_layer(view) if is_always else {}
            measures = always | measure_extra(view, [self.name])
            if self.measure.name in measures:
                found[layer.layer] = measures[self.measure.name]
        return found

    def symmetries(self) -> list[AbstractSymmetry]:
        """Return the declared symmetries that the measure says it is invariant under."""
        return [
            build_symmetry(self.layout, declared)
            for declared in self.layout.symmetries
            if declared.kind in self.measure.invariant and declared.preserves == "function"
        ]


class Drawn:
    """Random networks and inputs of a case, the same for every test."""

    def __init__(self, case: MeasureCase, inputs: int) -> None:
        """Draw them, of so many inputs."""
        self.generator = torch.Generator().manual_seed(case.seed)
        self.theta_KP = self.normal(NUM_RUNS, case.model.layout.size)
        self.x_KBI = self.normal(NUM_RUNS, BATCH, inputs)

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)


def assert_same(left: Tensor, right: Tensor, what: str, tolerance: float = TOLERANCE) -> None:
    """Assert that two measures differ by round-off at most; both may be NaN."""
    is_same = torch.allclose(
        left.double(), right.double(), rtol=tolerance, atol=tolerance, equal_nan=True
    )
    assert is_same, f"{what}: {left.tolist()} is not {right.tolist()}"


class MeasureSuite:
    """The tests of one measure; a subclass gives the fixture `case`.

    `inputs` is how many inputs the case's model has.
    """

    inputs = 4

    @pytest.fixture
    def case(self) -> MeasureCase:
        """Return the measure and what it is taken of."""
        raise NotImplementedError

    def test_it_is_one_number_a_run_in_its_type(self, case: MeasureCase) -> None:
        """Hold an int64 or float64 a run, which some layer of the model has."""
        drawn = Drawn(case, self.inputs)
        found = case.values(drawn.theta_KP, drawn.x_KBI)
        assert found, "some layer of the model is of the sort that is measured"
        for value in found.values():
            assert value.shape[0] == NUM_RUNS
            assert value.dim() == (2 if case.measure.kind == "curve" else 1)
            kind = torch.float64 if case.measure.kind == "number" else torch.int64
            assert value.dtype == kind, f"a {case.measure.kind} is {kind}"

    def test_it_is_invariant_under_what_it_says(self, case: MeasureCase) -> None:
        """Hold that elements of a layer's symmetries in `invariant` leave that layer's number."""
        drawn = Drawn(case, self.inputs)
        before = case.values(drawn.theta_KP, drawn.x_KBI)
        for symmetry in case.symmetries():
            element = symmetry.sample(NUM_RUNS, drawn.generator)
            moved = symmetry.act(element, drawn.theta_KP)
            after = case.values(moved, drawn.x_KBI)
            layer = symmetry.declared.layer
            if layer in before:
                assert_same(after[layer], before[layer], f"layer {layer} under {symmetry.kind}")

    def test_runs_may_stand_in_any_order(self, case: MeasureCase) -> None:
        """Hold that the measure of runs in another order is the measure in that order."""
        drawn = Drawn(case, self.inputs)
        order = torch.randperm(NUM_RUNS, generator=drawn.generator)
        before = case.values(drawn.theta_KP, drawn.x_KBI)
        after = case.values(drawn.theta_KP[order], drawn.x_KBI[order])
        for layer, value in before.items():
            assert_same(after[layer], value[order.to(value.device)], f"layer {layer}", 1e-12)

    def test_a_run_is_measured_alone_as_in_a_pack(self, case: MeasureCase) -> None:
        """Hold that a run's number does not depend on its mates."""
        drawn = Drawn(case, self.inputs)
        packed = case.values(drawn.theta_KP, drawn.x_KBI)
        alone = case.values(drawn.theta_KP[2:3], drawn.x_KBI[2:3])
        for layer, value in packed.items():
            assert_same(alone[layer], value[2:3], f"layer {layer}", 1e-12)

    def test_single_precision_is_measured_in_the_same_type(self, case: MeasureCase) -> None:
        """Hold that float32 parameters give the same type, finite where float64 ones do."""
        drawn = Drawn(case, self.inputs)
        double = case.values(drawn.theta_KP, drawn.x_KBI)
        single = case.values(drawn.theta_KP.float(), drawn.x_KBI.float())
        for layer, value in double.items():
            assert single[layer].dtype == value.dtype
            is_missing = torch.isnan(value.double()) | (value == -1)
            also = torch.isnan(single[layer].double()) | (single[layer] == -1)
            assert bool((is_missing == also).all())

    def test_it_is_missing_where_it_does_not_apply_and_never_infinite(
        self, case: MeasureCase
    ) -> None:
        """Hold NaN, or -1 for a count, for all runs of a layer without the symmetry, or for none.

        A count is never below -1, nor a number infinite, at zero parameters neither.
        """
        drawn = Drawn(case, self.inputs)
        has = {s.layer for s in case.layout.symmetries if s.kind == case.measure.symmetry}
        for theta_KP in (drawn.theta_KP, torch.zeros_like(drawn.theta_KP)):
            for layer, value in case.values(theta_KP, drawn.x_KBI).items():
                assert not bool(torch.isinf(value.double()).any()), "no number is infinite"
                if case.measure.kind != "number":
                    assert bool((value >= -1).all()), "a count is -1 where it does not apply"
                if case.measure.symmetry and layer not in has:
                    assert bool((torch.isnan(value.double()) | (value == -1)).all())

    def test_it_leaves_the_parameters_alone(self, case: MeasureCase) -> None:
        """Hold that measuring changes nothing."""
        drawn = Drawn(case, self.inputs)
        before = drawn.theta_KP.clone()
        case.values(drawn.theta_KP, drawn.x_KBI)
        assert torch.equal(before, drawn.theta_KP)
